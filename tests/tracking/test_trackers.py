"""Trackers are told what metrics.jsonl gets, and none of their failures stops a training."""

from __future__ import annotations

import importlib.machinery
import sys
import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_runs import losses, recipe

from openflan.api.finetune import finetune_into
from openflan.api.options import FinetuneOptions
from openflan.errors import InputError, SetupError
from openflan.recipe.load_recipe import load_recipe
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run, read_json, read_jsonl
from openflan.tracking import trackers
from openflan.tracking.names import tracked_values
from openflan.tracking.protocol import TrackedRun
from openflan.tracking.trackers import Trackers, check_trackers


class Recorder:
    """A tracker that keeps what it is told, and fails at the calls that it is to fail at."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.runs: list[TrackedRun] = []
        self.logged: list[tuple[int, Mapping[str, float]]] = []
        self.closed: list[int] = []

    def start(self, run: TrackedRun) -> Recorder:
        self.runs.append(run)
        self._fail("start")
        return self

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.logged.append((step, values))
        self._fail("log")

    def close(self, exit_code: int) -> None:
        self.closed.append(exit_code)
        self._fail("close")

    def _fail(self, call: str) -> None:
        if call == self.failing:
            raise OSError(28, "No space left on device")


def installed(monkeypatch: pytest.MonkeyPatch, recorder: Recorder, name: str = "wandb") -> Recorder:
    """Puts a recorder in the place of a tracker."""
    module = types.ModuleType(f"recorder_of_{name}")
    module.start = recorder.start  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(trackers.TRACKERS, name, module.__name__)  # type: ignore[arg-type]
    spec = importlib.machinery.ModuleSpec(name, None, origin="here")
    monkeypatch.setattr(trackers, "find_spec", lambda wanted: spec)
    return recorder


def tracked(place: Path, **training: Any) -> Recipe:
    return recipe(place, **({"steps": 3, "every": 2} | training)).model_copy(update={"track": ["wandb"]})


def test_values_have_the_names_that_trainers_give_them() -> None:
    line = {
        "step": 4,
        "loss": 2.5,
        "learning_rate": 1e-3,
        "gradient_norm": 0.7,
        "tokens_per_second": 85.0,
        "validation_loss": 2.25,
        "scores": {"bbh": 28.2, "mean": 28.2},
        "tokens": 100,
    }
    assert tracked_values(line) == {
        "train/loss": 2.5,
        "train/learning_rate": 1e-3,
        "train/grad_norm": 0.7,
        "train/tokens_per_second": 85.0,
        "eval/loss": 2.25,
        "eval/bbh": 28.2,
        "eval/mean": 28.2,
    }


def test_a_tracker_gets_every_step_of_a_run_and_of_its_resumption(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, run = installed(monkeypatch, Recorder()), Run(tmp_path / "run")
    wanted = tracked(place)
    finetune_into(wanted, run, FinetuneOptions())
    with pytest.warns(UserWarning, match="goes on after step 3"):
        finetune_into(
            wanted.model_copy(update={"training": wanted.training.model_copy(update={"steps": 5})}),
            run,
            FinetuneOptions(allow_changes=True),
        )
    assert [step for step, _ in recorder.logged] == [1, 2, 3, 4, 5]
    assert [values["train/loss"] for _, values in recorder.logged] == losses(run)
    assert [told.first for told in recorder.runs] == [0, 3]
    assert recorder.closed == [0, 0]
    first, second = (told.id_at("wandb") for told in recorder.runs)
    assert first == second == read_json(run.folder / "trackers.json")["wandb"]
    # The recipe, but no path of this machine.
    told = recorder.runs[0].recipe
    assert told["training"]["steps"] == 3
    assert str(place) not in str(told)
    assert str(place) in run.recipe.read_text(encoding="utf-8")


@pytest.mark.parametrize(("failing", "logged"), [("start", 0), ("log", 1), ("close", 3)])
def test_a_tracker_that_fails_ends_with_one_warning_and_training_goes_on(
    failing: str, logged: int, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, run = installed(monkeypatch, Recorder(failing)), Run(tmp_path / "run")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        finetune_into(tracked(place), run, FinetuneOptions())
    (warning,) = [str(item.message) for item in caught if "tracker" in str(item.message)]
    assert warning.startswith("wandb: ")
    assert "No space left on device" in warning
    assert "\n" not in warning
    assert len(recorder.logged) == logged
    assert len(read_jsonl(run.metrics)) == 3
    assert run.model.is_dir()


def test_one_tracker_that_fails_leaves_the_other_alone(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = installed(monkeypatch, Recorder("log"))
    other = installed(monkeypatch, Recorder(), "tensorboard")
    wanted = recipe(place).model_copy(update={"track": ["wandb", "tensorboard", "wandb"]})
    with Trackers(wanted, tmp_path, 0) as both:
        with pytest.warns(UserWarning, match="wandb: .*goes on"):
            both.write({"step": 1, "loss": 1.0})
        both.write({"step": 2, "loss": 1.0})
    assert [len(failing.logged), len(other.logged)] == [1, 2]
    assert [failing.closed, other.closed] == [[], [0]]
    assert len(failing.runs) == 1, "a tracker that is named twice starts once"


def test_a_tracker_learns_how_a_training_ended(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = installed(monkeypatch, Recorder())
    for error in (InputError("wrong"), KeyboardInterrupt(), SetupError("full")):
        with pytest.raises(type(error)), Trackers(tracked(place), tmp_path, 0):
            raise error
    assert recorder.closed == [2, 1, 1]


def test_without_the_key_and_on_other_ranks_nothing_is_tracked(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = installed(monkeypatch, Recorder())
    for wanted, enabled in ((recipe(place), True), (tracked(place), False)):
        with Trackers(wanted, tmp_path, 0, enabled=enabled) as nothing:
            nothing.write({"step": 1, "loss": 1.0})
    assert recorder.runs == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_library_that_is_missing_is_named_before_anything_is_read(
    name: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder `wandb` in the current folder is a namespace package, and not the library.
    folder = importlib.machinery.ModuleSpec(name, None, is_package=True)
    wanted = recipe(place, data="data").model_copy(update={"track": [name]})
    broken = wanted.model_copy(update={"model": wanted.model.model_copy(update={"tokenizer": "absent"})})
    for spec in (None, folder):
        monkeypatch.setattr(trackers, "find_spec", lambda wanted, spec=spec: spec)
        with pytest.raises(SetupError, match=rf"pip install 'openflan\[{name}\]'"):
            finetune_into(broken, Run(tmp_path / "run"), FinetuneOptions())
    assert not (tmp_path / "run").exists()
    check_trackers([])


@pytest.mark.parametrize(
    ("value", "names"),
    [("wandb", ["wandb"]), ("[tensorboard, wandb]", ["tensorboard", "wandb"]), ("[]", [])],
)
def test_the_key_takes_one_name_or_several(value: str, names: list[str]) -> None:
    assert load_recipe("microflan", [f"track={value}"]).track == names


@pytest.mark.parametrize("value", ["wandbb", "[tensorboard, aim]", "yes", "{wandb: 1}"])
def test_another_tracker_is_refused_with_the_names_that_there_are(value: str) -> None:
    with pytest.raises(InputError, match=r"`track") as caught:
        load_recipe("microflan", [f"track={value}"])
    assert "\n" not in str(caught.value)


def test_another_tracker_is_no_other_recipe(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that began without a tracker goes on with one."""
    run, wanted = Run(tmp_path / "run"), recipe(place, steps=2)
    finetune_into(wanted, run, FinetuneOptions())
    recorder = installed(monkeypatch, Recorder())
    finetune_into(wanted.model_copy(update={"track": ["wandb"]}), run, FinetuneOptions())
    assert [told.first for told in recorder.runs] == [2]
