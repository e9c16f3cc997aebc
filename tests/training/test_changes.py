"""A run that goes on under another recipe or other data: refused, or allowed and recorded."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_runs import losses, recipe, write_data

from openflan.errors import InputError
from openflan.recipe.load_recipe import load_recipe
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run, read_json, read_jsonl
from openflan.training.finetune import finetune
from openflan.training.progress import Progress


@pytest.fixture(scope="module")
def begun(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("begun") / "run")
    finetune(recipe(place, steps=3), run)
    return run


@pytest.fixture
def run(begun: Run, tmp_path: Path) -> Run:
    """A copy of a run of three steps."""
    shutil.copytree(begun.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def narrower(wanted: Recipe) -> Recipe:
    return wanted.model_copy(update={"packing": wanted.packing.model_copy(update={"inputs": 32})})


def tokens(run: Run) -> list[int]:
    return [line["tokens"] for line in read_jsonl(run.metrics)]


def test_changes_are_refused_with_the_way_to_allow_them(place: Path, run: Run) -> None:
    with pytest.raises(
        InputError, match=r"training.steps: 3 -> 5.*go on under the new recipe with --allow-changes"
    ):
        finetune(recipe(place, steps=5), run)


def test_allowed_changes_hold_from_the_newest_checkpoint_on_and_are_recorded(
    place: Path, run: Run, tmp_path: Path
) -> None:
    before = losses(run)
    with pytest.warns(
        UserWarning,
        match=(
            r"goes on after step 3 with changes: training.learning_rate: 0.02 -> 0.1; training.steps: 3 -> "
            r"5\.$"
        ),
    ):
        finetune(recipe(place, steps=5, learning_rate=0.1), run, allow_changes=True)
    changed = ["training.learning_rate: 0.02 -> 0.1", "training.steps: 3 -> 5"]
    assert read_json(run.provenance)["changes"] == [{"step": 3, "changed": changed, "replanned": False}]
    assert load_recipe(str(run.recipe)).training.steps == 5
    assert losses(run)[:3] == before
    assert [line["learning_rate"] for line in read_jsonl(run.metrics)] == [0.02] * 3 + [0.1] * 2
    # Nothing moved: the rows are those of a run that had these steps from the start.
    finetune(recipe(place, steps=5), Run(tmp_path / "whole"))
    assert tokens(run) == tokens(Run(tmp_path / "whole"))
    with pytest.warns(UserWarning, match="training.steps: 5 -> 6"):
        finetune(recipe(place, steps=6, learning_rate=0.1), run, allow_changes=True)
    assert [change["step"] for change in read_json(run.provenance)["changes"]] == [3, 5]


class Stopped(Exception):
    pass


def test_other_packing_is_planned_anew_also_after_another_stop(
    place: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index of windows in the checkpoint belongs to the former packing, and the run is stopped before
    there is another one."""
    run_recipe, uninterrupted = narrower(recipe(place, steps=5, every=100)), Run(tmp_path / "whole")
    finetune(run_recipe, uninterrupted)
    ledger = run.ledger.read_text()
    with monkeypatch.context() as patched:

        def stop(self: Progress, step: int, metrics: Any) -> None:
            raise Stopped

        patched.setattr(Progress, "show", stop)
        with (
            pytest.warns(
                UserWarning, match=r"packing.inputs: 40 -> 32.* Steps see other sequences than before"
            ),
            pytest.raises(Stopped),
        ):
            finetune(run_recipe, run, allow_changes=True)
    finetune(run_recipe, run)
    assert tokens(run)[3:] == tokens(uninterrupted)[3:]
    assert tokens(run)[:3] != tokens(uninterrupted)[:3]
    assert run.ledger.read_text() != ledger
    state = json.loads((run.checkpoints / "step-5/state.json").read_text())
    assert (
        state["counts"] == json.loads((uninterrupted.checkpoints / "step-5/state.json").read_text())["counts"]
    )


def test_other_rows_are_recorded_too(place: Path, tmp_path: Path) -> None:
    for name in ("words", "data"):
        shutil.copytree(place / name, tmp_path / name)
    run = Run(tmp_path / "run")
    finetune(recipe(tmp_path, steps=2), run)
    write_data(tmp_path / "data", answer="b")
    with pytest.raises(InputError, match="go on with what is there with --allow-changes"):
        finetune(recipe(tmp_path, steps=2), run)
    with pytest.warns(
        UserWarning, match="changes: the rows or wordings of own/constant. Steps see other sequences"
    ):
        finetune(recipe(tmp_path, steps=2), run, allow_changes=True)
    assert read_json(run.provenance)["changes"] == [
        {"step": 2, "changed": ["the rows or wordings of own/constant"], "replanned": True}
    ]
    finetune(recipe(tmp_path, steps=2), run)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 2}, "has a checkpoint of step 3 already, but training.steps is 2"),
        (
            {"steps": 4, "optimizer": "adamw"},
            "its checkpoints do not fit training.optimizer: adafactor -> adamw",
        ),
        ({"steps": 4, "momentum": 0.9}, "its checkpoints do not fit training.momentum: None -> 0.9"),
        ({"steps": 4, "kind": "llama"}, "its checkpoints do not fit model.config"),
    ],
)
def test_what_no_checkpoint_fits_is_refused_and_the_run_left_as_it_was(
    settings: dict[str, Any], message: str, place: Path, run: Run
) -> None:
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=message):
        finetune(recipe(place, **settings), run, allow_changes=True)
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before
