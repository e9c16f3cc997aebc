"""What a run folder holds is believed only as far as it was written: added, renamed, cut or removed files are
noticed."""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from small_runs import recipe, trained

from openflan.errors import InputError, OpenflanError, SetupError
from openflan.lock import locked
from openflan.metrics import read_metrics
from openflan.models.folder import model_folder, weight_files
from openflan.packing.build_ahead import differences
from openflan.packing.store import Parts, read_block
from openflan.run_folder import Run, training_alone
from openflan.training import best_checkpoint, changes, checkpoints
from openflan.training.finetune import finetune
from openflan.training.progress import Progress
from openflan.training.trainable import TrainableView


@pytest.fixture(scope="module")
def whole(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of four steps with checkpoints at 2 and 4."""
    run = Run(tmp_path_factory.mktemp("trust") / "run")
    trained(recipe(place, steps=4), run)
    return run


@pytest.fixture
def run(whole: Run, tmp_path: Path) -> Run:
    shutil.copytree(whole.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def zeros(path: Path) -> None:
    weights = load_file(path.parent / "model.safetensors")
    save_file({name: value * 0 for name, value in weights.items()}, path, {"format": "pt"})


@pytest.mark.parametrize(
    "name",
    [
        "model-extra.safetensors",
        "model-00002-of-00002.safetensors",
        "optimizer-2.safetensors",
        "added_tokens.json",
        "x",
    ],
)
def test_a_file_that_the_list_of_a_checkpoint_lacks_is_damage(name: str, run: Run) -> None:
    zeros(run.checkpoints / "step-4" / name)
    with pytest.warns(UserWarning, match=f"step-4: damaged .{name} is not in the list of state.json"):
        assert checkpoints.newest(run.checkpoints) == run.checkpoints / "step-2"
    with pytest.raises(InputError, match=f"step-4: holds {name}, which is not in the list"):
        model_folder(run.checkpoints / "step-4", tokenizer=False)


def test_a_hidden_file_of_the_system_is_no_damage(run: Run) -> None:
    (run.checkpoints / "step-4" / ".DS_Store").touch()
    assert checkpoints.newest(run.checkpoints) == run.checkpoints / "step-4"
    assert model_folder(run.checkpoints / "step-4", tokenizer=False).is_dir()


def test_only_listed_files_are_restored(place: Path, run: Run) -> None:
    path = run.checkpoints / "step-4"
    model = trained(recipe(place, steps=4), run)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    zeros(path / "model-extra.safetensors")
    checkpoints.restore_weights(path, TrainableView(model))
    assert all((value == before[name]).all() for name, value in model.state_dict().items())


def test_a_checkpoint_in_the_place_of_another_is_damage(run: Run) -> None:
    shutil.move(run.checkpoints / "step-2", run.checkpoints / "step-9")
    with pytest.warns(UserWarning, match="step-9: damaged .it is of step 2"):
        assert checkpoints.newest(run.checkpoints) == run.checkpoints / "step-4"


@pytest.mark.parametrize("name", ["step-007", "step-\u00b2", "step--1", "step-4.old", "step-" + "9" * 30])
def test_folders_of_other_names_are_no_checkpoints(name: str, run: Run) -> None:
    shutil.copytree(run.checkpoints / "step-4", run.checkpoints / name)
    assert checkpoints.steps(run.checkpoints) == [2, 4]


def test_weights_beside_an_index_of_others_are_refused(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.checkpoints / "step-4", tmp_path / "model")
    folder = tmp_path / "model"
    (folder / "state.json").unlink()
    assert weight_files(folder) == [folder / "model.safetensors"], "the optimiser's statistics are no weights"
    shutil.copy(folder / "model.safetensors", folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"shared.weight": "model-00001-of-00001.safetensors"}})
    )
    with pytest.raises(InputError, match="two models; remove the one"):
        model_folder(folder, tokenizer=False)
    (folder / "model.safetensors").unlink()
    zeros_beside = folder / "model-00002-of-00002.safetensors"
    shutil.copy(folder / "optimizer.safetensors", zeros_beside)
    assert weight_files(folder) == [folder / "model-00001-of-00001.safetensors"]


@pytest.mark.parametrize("truncated", [0, 1, 2, None])
def test_metrics_that_were_cut_or_removed_are_told_of_when_training_goes_on(
    truncated: int | None, place: Path, run: Run
) -> None:
    lines = run.metrics.read_text().splitlines(keepends=True)
    run.metrics.unlink() if truncated is None else run.metrics.write_text("".join(lines[:truncated]))
    with pytest.warns(UserWarning, match="metrics.jsonl: has no line of"):
        trained(recipe(place, steps=5), run)
    assert [line["step"] for line in read_metrics(run.metrics)] == [*range(1, (truncated or 0) + 1), 5]


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, action: Callable[[], None]) -> None:
    shown = Progress.show

    def show(self: Progress, done: int, metrics: Any) -> None:
        shown(self, done, metrics)
        if done == step:
            action()

    monkeypatch.setattr(Progress, "show", show)


@pytest.mark.parametrize("what", ["removed", "cut", "replaced"])
def test_metrics_that_are_damaged_during_training_are_written_again(
    what: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run")

    def damage() -> None:
        if what == "cut":
            with run.metrics.open("r+b") as file:
                file.truncate(file.seek(0, 2) - 9)
            return
        run.metrics.unlink()
        if what == "replaced":
            run.metrics.write_text("")

    at_step(monkeypatch, 3, damage)
    with pytest.warns(
        UserWarning,
        match="metrics.jsonl: was removed, truncated or changed during training; it was written again",
    ):
        trained(recipe(place, steps=5), run)
    assert [line["step"] for line in read_metrics(run.metrics)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("what", ["the run", ".locks", "the lock"])
def test_a_training_whose_folder_or_lock_is_removed_fails_at_its_next_checkpoint(
    what: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run")

    def remove() -> None:
        while not (run.checkpoints / "step-2").is_dir():  # it is written beside training
            time.sleep(0.01)
        {
            "the run": lambda: shutil.rmtree(run.folder),
            ".locks": lambda: shutil.rmtree(run.locks),
            "the lock": (run.locks / "training").unlink,
        }[what]()

    at_step(monkeypatch, 3, remove)
    with pytest.raises(
        SetupError,
        match="was removed while it was being trained"
        if what == "the run"
        else "was removed or replaced during this one",
    ):
        finetune(recipe(place, steps=6), run, label="")
    assert not run.model.exists()
    assert checkpoints.steps(run.checkpoints) == ([] if what == "the run" else [2])


def test_a_second_training_that_a_removed_lock_lets_in_keeps_the_first_from_writing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, entered = Run(tmp_path / "run"), list[Any]()

    def second() -> None:
        (run.locks / "training").unlink()
        entered.append(training_alone(run))
        entered[0].__enter__()

    at_step(monkeypatch, 3, second)
    with pytest.raises(SetupError, match="another may be at work there"):
        finetune(recipe(place, steps=4), run, label="")
    entered[0].__exit__(None, None, None)
    with locked(run.locks / "training", "busy") as held:
        assert not held.lost()


def test_a_run_of_the_version_before_is_refused_in_one_line_that_says_what_still_works(
    place: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    finetune(recipe(place, steps=1), run, label="")
    run_on_main = json.loads(run.provenance.read_text())
    del run_on_main["format"]
    run.provenance.write_text(json.dumps(run_on_main | {"openflan": "0.1.0"}))
    with pytest.raises(
        InputError,
        match="trained by openflan 0.1.0, whose runs this version does not train further; evaluate, compare",
    ):
        finetune(recipe(place, steps=1), run, label="")
    assert model_folder(run.model).is_dir()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**30) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["step", "seal", "sha256", "value", "data", "tokens", "x"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)
broken_text = st.sampled_from([b"", b"\xff", b"{", b"1" * 6_000, b"null", b"[]", b"{}"])


@settings(max_examples=60, deadline=None)
@given(data=st.one_of(broken_text, json_values.map(lambda value: json.dumps(value).encode())))
def test_no_content_of_a_run_file_is_a_traceback(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = Run(tmp_path_factory.mktemp("mutated"))
    step = run.checkpoints / "step-3"
    paths = [
        run.metrics,
        run.provenance,
        step / "state.json",
        run.checkpoints / "best.json",
        run.build / "build.json",
        run.build / "blocks/000000/block.json",
    ]
    for path in [*paths, step / "model.safetensors.index.json"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    readers: list[Callable[[], object]] = [
        lambda: read_metrics(run.metrics),
        lambda: changes.history_of(run, []),
        lambda: checkpoints.position_of(step),
        lambda: best_checkpoint.best_step(run.checkpoints),
        lambda: differences(run.build, Parts({}, {})),
        lambda: read_block(run.build, 0),
        lambda: weight_files(step),
        lambda: model_folder(step, tokenizer=False),
    ]
    for read in readers:
        with suppress(OpenflanError):
            read()
