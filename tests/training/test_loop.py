"""Training on models of a few thousand weights: it learns, and it survives whatever stops it."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from small_runs import losses, recipe, same, trained

from openflan.errors import InputError, OpenflanError, SetupError
from openflan.models.load_model import load_model, load_tokenizer
from openflan.models.packed import PackedLayout
from openflan.packing.encode import Encoded
from openflan.packing.packed_stream import PackedStream
from openflan.run_folder import Run, read_jsonl
from openflan.stopping import Terminated
from openflan.training import checkpoints
from openflan.training import trainer as trainer
from openflan.training.adafactor import Adafactor
from openflan.training.progress import Progress
from openflan.training.trainable import TrainableView


class Stopped(Exception):
    """What a test raises in the middle of a run."""


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, Callable[[], None]], None]]:
    """`at_step(k, action)` runs `action` once step k is in the metrics and before it can be in a
    checkpoint."""
    shown = Progress.show

    def plan(step: int, action: Callable[[], None]) -> None:
        def show(self: Progress, done: int, metrics: Any) -> None:
            shown(self, done, metrics)
            if done == step:
                monkeypatch.setattr(Progress, "show", shown)
                action()

        monkeypatch.setattr(Progress, "show", show)

    yield plan
    monkeypatch.setattr(Progress, "show", shown)


def stop() -> None:
    raise Stopped


@pytest.fixture(scope="module")
def whole(place: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Any]:
    """A run that nothing disturbed, with dropout, and its model."""
    run = Run(tmp_path_factory.mktemp("whole") / "run")
    return run, trained(recipe(place, dropout=0.1), run)


@pytest.fixture(scope="module")
def half(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same run stopped at step 5: checkpoints of steps 2 and 4, metrics of 5."""
    run = Run(tmp_path_factory.mktemp("half") / "run")
    shown = Progress.show

    def show(self: Progress, done: int, metrics: Any) -> None:
        if done == 5:
            raise Stopped

    Progress.show = show  # type: ignore[method-assign]
    try:
        with pytest.raises(Stopped):
            trained(recipe(place, dropout=0.1), run)
    finally:
        Progress.show = shown  # type: ignore[method-assign]
    assert checkpoints.steps(run.checkpoints) == [2, 4]
    return run


@pytest.fixture
def broken_off(half: Run, tmp_path: Path) -> Run:
    """A copy of the half-done run, to be harmed."""
    shutil.copytree(half.folder, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_the_loss_falls(kind: str, place: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    trained(recipe(place, kind, steps=40, learning_rate=0.1, every=1_000), run, window=200)
    curve = losses(run)
    assert len(curve) == 40
    assert sum(curve[-5:]) / 5 < 0.75 * sum(curve[:3]) / 3


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_the_loss_of_a_step_is_the_mean_over_its_target_tokens(
    kind: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle: transformers' own loss of each example alone, weighted by its target tokens."""
    run_recipe, run, seen = recipe(place, kind, steps=1), Run(tmp_path / "run"), list[Encoded]()
    read = PackedStream.sequences

    def spied(self: PackedStream[Any], first: int, count: int) -> list[list[Encoded]]:
        sequences = read(self, first, count)
        seen.extend(example for row in sequences for example in row)
        return sequences

    monkeypatch.setattr(PackedStream, "sequences", spied)
    trained(run_recipe, run)
    model = load_model(run_recipe.model, load_tokenizer(run_recipe.model), run_recipe.seed).eval()
    total, tokens = 0.0, 0
    for example in seen:
        inputs, targets = (
            torch.tensor(ids[None].astype("int64")) for ids in (example.input_ids, example.target_ids)
        )
        if kind == "t5":
            loss = model(input_ids=inputs, labels=targets).loss
        else:
            loss = model(
                input_ids=torch.cat([inputs, targets], 1),
                labels=torch.cat([torch.full_like(inputs, -100), targets], 1),
            ).loss
        total, tokens = total + loss.item() * targets.shape[1], tokens + targets.shape[1]
    (line,) = read_jsonl(run.metrics)
    assert line["loss"] == pytest.approx(total / tokens, rel=1e-5)
    assert line["target_tokens"] == tokens
    assert line["tokens"] == sum(len(example.input_ids) + len(example.target_ids) for example in seen)
    assert line["examples"] == len(seen)


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_micro_batches_change_nothing(kind: str, place: Path, tmp_path: Path) -> None:
    curves, ends = [], []
    for size in (None, 1, 3):
        run = Run(tmp_path / f"run-{size}")
        ends.append(
            trained(recipe(place, kind, steps=4, **({"micro_batch_size": size} if size else {})), run)
        )
        curves.append(losses(run))
    for curve, end in zip(curves[1:], ends[1:], strict=True):
        assert curve == pytest.approx(curves[0], rel=1e-5)
        for first, second in zip(ends[0].parameters(), end.parameters(), strict=True):
            assert torch.allclose(first, second, atol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_dropout_is_drawn_anew_for_every_step_and_micro_batch(
    dropout: float, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows again and again, under a learning rate that moves no weight: only dropout can tell the
    steps apart."""
    read = PackedStream.sequences
    monkeypatch.setattr(PackedStream, "sequences", lambda self, first, count: read(self, 0, 1) * count)
    trained(recipe(place, dropout=dropout, steps=4, learning_rate=1e-12), Run(tmp_path / "steps"))
    assert len(set(losses(Run(tmp_path / "steps")))) == (1 if dropout == 0.0 else 4)
    seen, computed = list[float](), PackedLayout.losses

    def spied(layout: PackedLayout, batch: Any) -> Any:
        step_losses = computed(layout, batch)
        seen.append(step_losses[0].sum().item())
        return step_losses

    monkeypatch.setattr(PackedLayout, "losses", spied)
    trained(
        recipe(place, dropout=dropout, steps=1, batch_size=3, micro_batch_size=1), Run(tmp_path / "micro")
    )
    assert len(set(seen)) == (1 if dropout == 0.0 else 3)


def test_bfloat16_arithmetic_follows_float32(place: Path, tmp_path: Path) -> None:
    curves = []
    for precision in ("float32", "bf16"):
        run = Run(tmp_path / precision)
        model = trained(recipe(place, steps=4, precision=precision), run)
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        curves.append(losses(run))
    assert curves[1] == pytest.approx(curves[0], rel=0.02)
    assert curves[1] != curves[0]


def test_stopped_and_resumed_is_bit_for_bit_the_same(
    place: Path, whole: tuple[Run, Any], broken_off: Run
) -> None:
    run, model = whole
    resumed = trained(recipe(place, dropout=0.1), broken_off)
    assert same(model, resumed)
    assert losses(broken_off) == losses(run)
    last = "checkpoints/step-7/optimizer.safetensors"
    ours, theirs = (load_file(folder / last) for folder in (run.folder, broken_off.folder))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    states = [
        json.loads((folder / "checkpoints/step-7/state.json").read_text())
        for folder in (run.folder, broken_off.folder)
    ]
    assert states[0]["sequences_per_window"] == states[1]["sequences_per_window"]
    assert len(states[0]["sequences_per_window"]) >= 4, "the steps must cross several windows"
    assert states[0]["counts"] == states[1]["counts"]


def test_another_seed_ends_elsewhere(place: Path, whole: tuple[Run, Any], tmp_path: Path) -> None:
    """Negative control: equal weights above are not for want of dropout or of a seed."""
    other = recipe(place, dropout=0.1).model_copy(update={"seed": 4})
    without = recipe(place, dropout=0.0)
    for name, expected in (("seed", other), ("dropout", without)):
        trained(expected, Run(tmp_path / name))
        assert losses(Run(tmp_path / name))[0] != losses(whole[0])[0]


@pytest.mark.parametrize("kind", ["gated", "llama"])
def test_other_models_resume_as_well(kind: str, place: Path, tmp_path: Path, at_step: Any) -> None:
    run_recipe = recipe(place, kind, dropout=0.1, steps=5)
    model = trained(run_recipe, Run(tmp_path / "whole"))
    at_step(3, stop)
    with pytest.raises(Stopped):
        trained(run_recipe, Run(tmp_path / "parts"))
    assert same(model, trained(run_recipe, Run(tmp_path / "parts")))
    assert losses(Run(tmp_path / "parts")) == losses(Run(tmp_path / "whole"))


def test_metrics_that_a_kill_tore_are_mended(place: Path, whole: tuple[Run, Any], broken_off: Run) -> None:
    with broken_off.metrics.open("a") as file:
        file.write('{"step": 6, "lo')
    trained(recipe(place, dropout=0.1), broken_off)
    assert losses(broken_off) == losses(whole[0])


def _flip(path: Path) -> None:
    """One bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


HARMS: dict[str, Callable[[Path], Any]] = {
    "a bit of the weights": lambda folder: _flip(folder / "model.safetensors"),
    "a bit of the statistics": lambda folder: _flip(folder / "optimizer.safetensors"),
    "cut weights": lambda folder: os.truncate(folder / "model.safetensors", 100),
    "no statistics": lambda folder: (folder / "optimizer.safetensors").unlink(),
    "no state": lambda folder: (folder / "state.json").unlink(),
    "a cut state": lambda folder: os.truncate(folder / "state.json", 40),
    "another digit in the state": lambda folder: (folder / "state.json").write_text(
        (folder / "state.json").read_text().replace('"step": 4', '"step": 5')
    ),
    "a state of another kind": lambda folder: (folder / "state.json").write_text("[1, 2]"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(harm: str, broken_off: Run) -> None:
    newest = broken_off.checkpoints / "step-4"
    assert checkpoints.newest(broken_off.checkpoints) == newest
    HARMS[harm](newest)
    with pytest.warns(UserWarning, match=r"step-4: damaged \(.*\); using the checkpoint before it"):
        assert checkpoints.newest(broken_off.checkpoints) == broken_off.checkpoints / "step-2"


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(
    place: Path, whole: tuple[Run, Any], broken_off: Run
) -> None:
    _flip(broken_off.checkpoints / "step-4" / "model.safetensors")
    with pytest.warns(UserWarning, match="step-4: damaged"):
        resumed = trained(recipe(place, dropout=0.1), broken_off)
    assert same(whole[1], resumed)
    assert losses(broken_off) == losses(whole[0])
    assert checkpoints.newest(broken_off.checkpoints) == broken_off.checkpoints / "step-7"
    shutil.rmtree(broken_off.checkpoints / "step-7")
    assert checkpoints.newest(broken_off.checkpoints) == broken_off.checkpoints / "step-6"


def test_a_damaged_checkpoint_does_not_push_an_intact_one_out(
    place: Path, half: Run, broken_off: Run, at_step: Any
) -> None:
    """Step 5 was saved on the way out and then damaged: with one to keep, going on from step 2 must still
    leave step 4."""
    shutil.copytree(broken_off.checkpoints / "step-4", broken_off.checkpoints / "step-5")
    for step in (4, 5):
        _flip(broken_off.checkpoints / f"step-{step}" / "model.safetensors")
    at_step(5, stop)
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(Stopped):
        trained(recipe(place, dropout=0.1, keep=1), broken_off)
    with pytest.warns(UserWarning, match="step-5: damaged"):
        assert checkpoints.newest(broken_off.checkpoints) == broken_off.checkpoints / "step-4"


def test_only_the_newest_checkpoints_are_kept(place: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    trained(recipe(place, steps=7, every=2, keep=2), run)
    assert checkpoints.steps(run.checkpoints) == [6, 7]


def test_a_finished_run_trains_no_further(place: Path, whole: tuple[Run, Any], tmp_path: Path) -> None:
    shutil.copytree(whole[0].folder, tmp_path / "run")
    again = trained(recipe(place, dropout=0.1), Run(tmp_path / "run"))
    assert same(whole[1], again)
    assert losses(Run(tmp_path / "run")) == losses(whole[0])


def test_sigterm_ends_with_a_checkpoint_and_code_75(
    place: Path, whole: tuple[Run, Any], tmp_path: Path, at_step: Any
) -> None:
    run = Run(tmp_path / "run")
    before = signal.getsignal(signal.SIGTERM)
    at_step(3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Terminated, match="after step 3") as ended:
        trained(recipe(place, dropout=0.1), run)
    assert ended.value.exit_code == 75
    assert signal.getsignal(signal.SIGTERM) is before
    assert checkpoints.steps(run.checkpoints) == [2, 3]
    assert same(whole[1], trained(recipe(place, dropout=0.1), run))
    assert losses(run) == losses(whole[0])


def test_a_loss_that_is_no_number_stops_the_run(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_step: Any
) -> None:
    run, computed = Run(tmp_path / "run"), PackedLayout.losses

    def broken(layout: PackedLayout, batch: Any) -> Any:
        values, segments = computed(layout, batch)
        return values * float("nan"), segments

    at_step(4, lambda: monkeypatch.setattr(PackedLayout, "losses", broken))
    with pytest.raises(
        OpenflanError, match="step 5: the loss is nan; the checkpoints of .* are intact. Its batch held own/"
    ) as stopped:
        trained(recipe(place), run)
    assert stopped.value.exit_code == 1
    assert len(losses(run)) == 4
    assert checkpoints.newest(run.checkpoints) == run.checkpoints / "step-4"


def test_weights_that_are_no_numbers_never_become_a_checkpoint(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_step: Any
) -> None:
    """The gradient of step 4 overflows; its own loss, computed before, is still finite."""
    run, update = Run(tmp_path / "run"), Adafactor.step

    def overflowing(self: Any, closure: Any = None) -> None:
        self.param_groups[0]["params"][0].grad[0] = float("inf")
        update(self)

    at_step(3, lambda: monkeypatch.setattr(Adafactor, "step", overflowing))
    with pytest.raises(OpenflanError, match="step 4: `shared.weight` holds NaN or infinite values"):
        trained(recipe(place), run)
    assert checkpoints.steps(run.checkpoints) == [2]


@pytest.mark.parametrize(
    "error",
    [
        SafetensorError("I/O error: No space left on device (os error 28)"),
        OSError(28, "No space left on device"),
    ],
)
@pytest.mark.parametrize("where", ["weights", "statistics"])
def test_a_full_disk_leaves_the_checkpoint_before(
    where: str,
    error: Exception,
    place: Path,
    whole: tuple[Run, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_step: Any,
) -> None:
    run = Run(tmp_path / "run")

    def full(*values: Any, **settings: Any) -> None:
        raise error

    def fill() -> None:
        # The checkpoint of step 2 is written beside training.
        while not (run.checkpoints / "step-2").is_dir():
            time.sleep(0.01)
        if where == "statistics":
            monkeypatch.setattr(checkpoints, "save_file", full)
        else:
            monkeypatch.setattr("transformers.modeling_utils.safe_save_file", full)

    at_step(3, fill)
    with pytest.raises(SetupError, match="step-4: could not be written: .*No space left"):
        trained(recipe(place, dropout=0.1), run)
    monkeypatch.undo()
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-2"]
    assert checkpoints.newest(run.checkpoints) == run.checkpoints / "step-2"
    assert same(whole[1], trained(recipe(place, dropout=0.1), run))


def test_a_checkpoint_of_another_model_does_not_fit(place: Path, half: Run) -> None:
    run_recipe = recipe(place, "gated")
    model = load_model(run_recipe.model, load_tokenizer(run_recipe.model), 0)
    with pytest.raises(InputError, match="step-4: its weights do not fit this model"):
        checkpoints.restore_weights(half.checkpoints / "step-4", TrainableView(model))
