"""What is measured while training: the loss on held-back rows, and which checkpoint is best."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks_work import with_validation
from safetensors.torch import load_file
from small_runs import recipe
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from openflan.mixture.open_mixture import open_mixture
from openflan.models.load_model import load_tokenizer
from openflan.packing.encode import Encoded
from openflan.packing.example_windows import packed_examples
from openflan.recipe.schema import Evaluation, Recipe
from openflan.run_folder import Run, read_json, read_jsonl
from openflan.training import best_checkpoint, checkpoints
from openflan.training.finetune import finetune
from openflan.training.prepare import prepare


def watched(place: Path, kind: str = "t5", every: int = 2, **training: Any) -> Recipe:
    run_recipe = with_validation(
        recipe(place, kind, dropout=0.1, **({"steps": 5, "every": 1, "keep": 9} | training))
    )
    return run_recipe.model_copy(update={"evaluation": Evaluation(every=every, validation_examples=20)})


def examples(wanted: Recipe, kind: str) -> list[Encoded]:
    """The held-back examples, by their own path."""
    opened = open_mixture(wanted.mixture)
    assert {name: len(task.rows) for name, task in opened.validation.items()} == {
        "own/copies": 3,
        "own/constant": 2,
    }
    stream, encoder = prepare(wanted, opened.validation, load_tokenizer(wanted.model), joint=kind == "llama")
    plan = packed_examples(stream, encoder, window=20)
    return [example for row in plan.sequences(0, len(plan.window(0))) for example in row]


def transformers_loss(folder: Path, kind: str, given: list[Encoded]) -> float:
    model = (
        (AutoModelForCausalLM if kind == "llama" else AutoModelForSeq2SeqLM).from_pretrained(folder).eval()
    )
    total, tokens = 0.0, 0
    for example in given:
        inputs, targets = (
            torch.tensor(ids[None].astype("int64")) for ids in (example.input_ids, example.target_ids)
        )
        with torch.no_grad():
            if kind == "llama":
                loss = model(
                    input_ids=torch.cat([inputs, targets], 1),
                    labels=torch.cat([torch.full_like(inputs, -100), targets], 1),
                ).loss
            else:
                loss = model(input_ids=inputs, labels=targets).loss
        total, tokens = total + loss.item() * targets.shape[1], tokens + targets.shape[1]
    return total / tokens


@pytest.mark.parametrize("kind", ["t5", "gated", "llama"])
def test_validation_loss_is_transformers_own_and_training_does_not_feel_it(
    kind: str, place: Path, tmp_path: Path
) -> None:
    run_recipe, run = watched(place, kind), Run(tmp_path / "run")
    finetune(run_recipe, run)
    lines = read_jsonl(run.metrics)
    assert [line["step"] for line in lines if "validation_loss" in line] == [2, 4, 5]
    held_out_examples = examples(run_recipe, kind)
    assert len(held_out_examples) == 20
    for line in lines:
        if "validation_loss" in line:
            expected = transformers_loss(run.checkpoints / f"step-{line['step']}", kind, held_out_examples)
            assert line["validation_loss"] == pytest.approx(expected, rel=1e-5)
    without = Run(tmp_path / "without")
    finetune(run_recipe.model_copy(update={"evaluation": None}), without)
    assert [line["loss"] for line in read_jsonl(without.metrics)] == [line["loss"] for line in lines]
    ours, theirs = (load_file(folder.model / "model.safetensors") for folder in (run, without))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def scoring(by_step: Mapping[int, float]) -> Any:
    return lambda step, model: {"mean": by_step[step]}


def test_the_best_checkpoint_stays_and_ties_go_to_the_earlier_step(place: Path, tmp_path: Path) -> None:
    """Step 3 has no checkpoint of its own until it is the best; a score that is no number never is."""
    run, nan = Run(tmp_path / "run"), float("nan")
    by_step = {1: nan, 2: 10.0, 3: 20.0, 4: nan, 5: 20.0, 6: 19.0, 7: nan}
    finetune(_sparse(watched(place, every=1, steps=7)), run, evaluate=scoring(by_step))
    assert best_checkpoint.best_step(run.checkpoints) == 3
    assert read_json(run.checkpoints / "best.json") == {
        "step": 3,
        "metric": "mean",
        "value": 20.0,
        "benchmarks": [],
    }
    assert checkpoints.steps(run.checkpoints) == [3, 4, 7]


def _sparse(wanted: Recipe) -> Recipe:
    return wanted.model_copy(
        update={"checkpoints": wanted.checkpoints.model_copy(update={"every": 4, "keep": 2})}
    )


def test_the_best_is_named_by_value_then_by_step(tmp_path: Path) -> None:
    named = [
        (8, 1.0, True),
        (12, 1.0, False),
        (4, 1.0, True),
        (16, float("nan"), False),
        (20, 0.5, False),
        (24, 2.0, True),
        (24, 1.5, True),
    ]
    for step, value, expected in named:
        assert best_checkpoint.name_best(tmp_path, step, "mean", value) is expected
    assert best_checkpoint.best_step(tmp_path) == 24
