"""Checkpoints are written beside training, whole or not at all."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_runs import losses, recipe, same, trained

from openflan.errors import SetupError
from openflan.models.load_model import load_model, load_tokenizer
from openflan.recipe.load_recipe import dump_recipe
from openflan.run_folder import Run
from openflan.training import checkpoints
from openflan.training.adafactor import Adafactor
from openflan.training.checkpoints import snapshot
from openflan.training.finetune import finetune
from openflan.training.optimizers import make_optimizer
from openflan.training.progress import Progress
from openflan.training.saver import Saver
from openflan.training.trainable import TrainableView


def test_training_goes_on_while_a_checkpoint_is_written(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint of step 2 is held up until step 4 is done, and holds the weights of step 2 all the
    same."""
    write, shown, later = checkpoints.save, Progress.show, Event()

    def slow(*arguments: Any) -> Any:
        assert later.wait(60), "training waited for the checkpoint"
        return write(*arguments)

    def show(self: Progress, step: int, metrics: Any) -> None:
        shown(self, step, metrics)
        if step == 4:
            later.set()

    run_recipe = recipe(place, steps=5, every=3)
    two = trained(
        run_recipe.model_copy(update={"training": run_recipe.training.model_copy(update={"steps": 3})}),
        Run(tmp_path / "three"),
    )
    monkeypatch.setattr(checkpoints, "save", slow)
    monkeypatch.setattr(Progress, "show", show)
    trained(run_recipe, Run(tmp_path / "run"))
    model = load_model(run_recipe.model, load_tokenizer(run_recipe.model), 0)
    checkpoints.restore_weights(tmp_path / "run/checkpoints/step-3", TrainableView(model))
    assert same(model, two)


def test_there_is_one_copy_of_the_weights_at_a_time(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy is made only once the one before is on the disk."""
    order = list[str]()
    write = checkpoints.save

    def noted(*arguments: Any) -> Any:
        path = write(*arguments)
        order.append("written")
        return path

    def copied(*arguments: Any, **settings: Any) -> Any:
        order.append("copied")
        return snapshot(*arguments, **settings)

    monkeypatch.setattr(checkpoints, "save", noted)
    monkeypatch.setattr("openflan.training.loop.snapshot", copied)
    trained(recipe(place, steps=4, every=1), Run(tmp_path / "run"))
    assert order == ["copied", "written"] * 4


@pytest.mark.parametrize("kind", ["t5", "gated", "llama"])
def test_a_snapshot_holds_tied_weights_once_and_apart_from_the_model(kind: str, place: Path) -> None:
    run_recipe = recipe(place, kind)
    model = load_model(run_recipe.model, load_tokenizer(run_recipe.model), 1)
    taken = snapshot(TrainableView(model), make_optimizer(model.named_parameters(), run_recipe.training))
    assert taken.weights.keys() == dict(model.named_parameters(remove_duplicate=False)).keys()
    held = {value.data_ptr(): value.nbytes for value in taken.weights.values()}
    assert sum(held.values()) == sum(parameter.nbytes for parameter in model.parameters())
    assert held.keys().isdisjoint(parameter.data_ptr() for parameter in model.parameters())
    if kind == "t5":
        assert taken.weights["lm_head.weight"] is taken.weights["shared.weight"]


def test_what_went_wrong_beside_training_is_raised_by_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise SetupError("disk full")

    monkeypatch.setattr(checkpoints, "save", fail)
    with pytest.raises(SetupError, match="disk full"), Saver() as saver:
        saver.save()


def test_sigterm_does_not_promise_a_checkpoint_that_could_not_be_written(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, update, steps = Run(tmp_path / "run"), Adafactor.step, list[int]()

    def full(*values: Any, **settings: Any) -> None:
        raise OSError(28, "No space left on device")

    def last(self: Any, closure: Any = None) -> None:
        update(self)
        steps.append(1)
        if len(steps) == 3:
            monkeypatch.setattr(checkpoints, "save_file", full)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Adafactor, "step", last)
    with pytest.raises(SetupError, match="step-3: could not be written: No space left"):
        trained(recipe(place), run)
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-2"]
    assert checkpoints.newest(run.checkpoints) == run.checkpoints / "step-2"


KILLED = """
import os, signal, sys
from pathlib import Path
from openflan.recipe.load_recipe import load_recipe
from openflan.run_folder import Run
from openflan.training import checkpoints
from openflan.training.finetune import finetune

write = checkpoints.save_file

def torn(tensors, path):
    write(tensors, path)
    if "step-4" in str(path):
        os.truncate(path, path.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

checkpoints.save_file = torn
finetune(load_recipe(sys.argv[1]), Run(Path(sys.argv[2])), label="")
"""


@pytest.mark.slow
def test_killed_while_writing_a_checkpoint_the_one_before_is_whole(place: Path, tmp_path: Path) -> None:
    run_recipe, run, uninterrupted = (
        recipe(place, dropout=0.1, steps=6),
        Run(tmp_path / "run"),
        Run(tmp_path / "whole"),
    )
    (tmp_path / "small.yaml").write_text(dump_recipe(run_recipe))
    command = [sys.executable, "-c", KILLED, str(tmp_path / "small.yaml"), str(run.folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (run.checkpoints / ".step-4.partial").is_dir()
    assert checkpoints.steps(run.checkpoints) == [2]
    assert checkpoints.newest(run.checkpoints) == run.checkpoints / "step-2"
    for folder in (run, uninterrupted):
        finetune(run_recipe, folder, label="")
    assert losses(run) == losses(uninterrupted)
    ours, theirs = (load_file(folder.model / "model.safetensors") for folder in (run, uninterrupted))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not list(run.checkpoints.glob(".*"))
    shutil.rmtree(uninterrupted.folder)
