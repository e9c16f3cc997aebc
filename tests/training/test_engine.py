"""One step at the engine's interface: what it refuses, and what must not change its numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from ranks_work import opened
from small_runs import losses, recipe, same, trained

from openflan.errors import OpenflanError
from openflan.run_folder import Run, read_jsonl
from openflan.training import trainer as trainer
from openflan.training.distributed import DistributedContext
from openflan.training.trainer import Trainer


@pytest.mark.parametrize("kind", ["t5", "gated", "llama"])
def test_activation_checkpointing_changes_no_bit_dropout_included(
    kind: str, place: Path, tmp_path: Path
) -> None:
    settings = {"dropout": 0.1, "steps": 4, "batch_size": 3, "micro_batch_size": 2}
    models = [
        trained(recipe(place, kind, **settings, activation_checkpointing=how), Run(tmp_path / how))
        for how in ("none", "full")
    ]
    assert losses(Run(tmp_path / "none")) == losses(Run(tmp_path / "full"))
    assert same(*models)


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_a_model_of_float64_is_trained_and_validated_in_float64(kind: str, place: Path) -> None:
    run_recipe = recipe(place, kind, batch_size=3)
    losses = {}
    for double in (False, True):
        model, _, plan_from, _ = opened(run_recipe, double=double)
        trainer = Trainer(model, run_recipe.training, run_recipe.seed, 0)
        rows = plan_from(()).sequences(0, 6)
        before = trainer.validate(trainer.prepare(part) for part in (rows[:3], rows[3:]))
        losses[double] = (before, trainer.step(0, trainer.prepare(rows)).loss)
        assert {parameter.dtype for parameter in model.parameters()} == {
            torch.float64 if double else torch.float32
        }
    # The same sum, cut in other places: equal to float64's rounding in the one, to float32's in the other.
    assert abs(losses[True][0] / losses[True][1] - 1) < 1e-14
    assert 1e-14 < abs(losses[False][0] / losses[True][0] - 1) < 1e-6


def test_out_of_memory_says_what_to_lower(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_recipe = recipe(place, batch_size=9)
    model, _, plan_from, _ = opened(run_recipe)

    def full(*values: Any, **settings: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nmore lines")

    monkeypatch.setattr(trainer.PackedLayout, "losses", full)
    cases = [
        ({}, "training.micro_batch_size=4"),
        ({"micro_batch_size": 6}, "training.micro_batch_size=3"),
        ({"micro_batch_size": 1}, "packing.inputs"),
    ]
    for settings, remedy in cases:
        small_trainer = Trainer(model, run_recipe.training.model_copy(update=settings), 0, 0)
        with pytest.raises(
            OpenflanError,
            match=(
                r"out of memory on cpu: CUDA out of memory. Tried to allocate 20.00 GiB. Lower "
                rf"{remedy}.*=full; `openflan mixture`"
            ),
        ):
            small_trainer.step(0, small_trainer.prepare(plan_from(()).sequences(0, 9)))
    # Of three ranks each has three of nine rows already.
    small_trainer.distributed, small_trainer.training = (
        DistributedContext(0, 3, torch.device("cpu")),
        run_recipe.training,
    )
    with pytest.raises(OpenflanError, match="Lower training.micro_batch_size=1,"):
        small_trainer.step(0, small_trainer.prepare(plan_from(()).sequences(0, 9)))


def test_a_gradient_that_overflows_is_found_before_it_breaks_the_weights(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where gradients are clipped, their norm tells; the loss of that step is still finite."""
    run, clip, norms = Run(tmp_path / "run"), trainer.clip_gradients, list[float]()

    def overflowing(parameters: Any, most: float) -> float:
        held = list(parameters)
        if len(norms) == 2:
            held[0].grad[0] = float("inf")
        norms.append(clip(held, most))
        return norms[-1]

    monkeypatch.setattr(trainer, "clip_gradients", overflowing)
    with pytest.raises(
        OpenflanError,
        match="step 3: the gradient's norm is inf; the checkpoints of .* are intact. Its batch held own/",
    ):
        trained(recipe(place, clip_norm=1.0), run)
    assert [line["gradient_norm"] for line in read_jsonl(run.metrics)] == norms[:2]


@pytest.mark.parametrize("kind", ["t5", "gated", "llama"])
def test_attention_in_buckets_trains_as_attention_by_documents(kind: str, place: Path) -> None:
    """What a GPU does, on the CPU: the same losses over steps, with micro-batches; and with layers computed
    again no other bit, dropout included."""
    losses = {}
    for attending, again, dropout in (
        ("documents", "none", 0.0),
        ("buckets", "none", 0.0),
        ("buckets", "none", 0.1),
        ("buckets", "full", 0.1),
    ):
        run_recipe = recipe(
            place, kind, batch_size=4, micro_batch_size=2, dropout=dropout, activation_checkpointing=again
        )
        model, _, plan_from, _ = opened(run_recipe)
        trainer = Trainer(model.train(), run_recipe.training, run_recipe.seed, 0, attending=attending)
        plan = plan_from(())
        losses[attending, again, dropout] = [
            trainer.step(step, trainer.prepare(plan.sequences(4 * step, 4))).loss for step in range(4)
        ]
    for first, second in zip(losses["documents", "none", 0.0], losses["buckets", "none", 0.0], strict=True):
        assert second == pytest.approx(first, rel=1e-5)
    assert losses["buckets", "none", 0.1] == losses["buckets", "full", 0.1] != losses["buckets", "none", 0.0]
