"""A study that is killed, resumed, changed, and asked for a part of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_study import small_study, write_study

from openflan.errors import InputError
from openflan.lock import locked
from openflan.recipe.load_recipe import load_pretrain_recipe
from openflan.recipe.schema import Model
from openflan.run_folder import Run
from openflan.studies.cells import grid
from openflan.studies.identity import training_key
from openflan.studies.load_study import load_study
from openflan.studies.run_study import Options, run_study
from openflan.training.finetune import finetune
from openflan.training.pretrain import pretrain

KILLED = """
import os, signal, sys
from pathlib import Path
from openflan.studies import run_study as run
from openflan.studies.load_study import load_study

append = run._append

def appended(folder, line):
    append(folder, line)
    if line["seed"] == 0:  # the first trained cell of two; another line is begun
        with (folder / "cells.jsonl").open("a") as file:
            file.write('{"key": "torn", "cell": "3-hi')
        os.kill(os.getpid(), signal.SIGKILL)
    return line

run._append = appended
run.run_study(Path(sys.argv[1]), load_study(Path(sys.argv[1])), Path(sys.argv[2]), run.Options())
"""


def ran(path: Path, folder: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """The results, and the cells that ran."""
    said: list[str] = []
    results = run_study(path, load_study(path), folder, Options(**options), said.append)
    return results, [text.split("] ")[1].split(":")[0] for text in said if text.startswith("[")]


@pytest.fixture(scope="module")
def path(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study") / "small.yaml", small_study(base, seeds=[0]))


@pytest.fixture(scope="module")
def finished_study(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that ran without a break."""
    folder = tmp_path_factory.mktemp("whole")
    _, cells = ran(path, folder)
    assert cells == ["0-low", "0-high", "3-low-seed0", "3-high-seed0"]
    return folder


@pytest.mark.slow
def test_a_killed_study_goes_on_to_the_same_results(path: Path, finished_study: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(path), str(tmp_path / "out")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "out" / "results.json").exists()
    _, cells = ran(path, tmp_path / "out")
    assert cells == ["3-high-seed0"], "what was finished stays"
    assert (tmp_path / "out" / "results.json").read_bytes() == (finished_study / "results.json").read_bytes()
    lines = [json.loads(line) for line in (tmp_path / "out" / "cells.jsonl").read_text().splitlines()]
    assert set(Counter(line["cell"] for line in lines).values()) == {1}


def test_what_two_studies_have_in_common_trains_once(
    path: Path, base: Path, finished_study: Path, tmp_path: Path
) -> None:
    other = small_study(
        base,
        name="other",
        seeds=[0],
        axes={"pace": {"slow": {"tasks": 3, "training.learning_rate": 0.001}, "base": {"tasks": 0}}},
        figures=[],
    )
    other["directions"][0] |= {"more": {"where": {"pace": "slow"}}, "less": {"where": {"pace": "base"}}}
    runs = tmp_path / "cells"
    shutil.copytree(finished_study / "cells", runs)
    before = {folder.name for folder in runs.iterdir()}
    _, cells = ran(write_study(tmp_path / "other.yaml", other), tmp_path / "out", runs=runs)
    assert sorted(cells) == ["base", "slow-seed0"]
    assert {
        name for name in before ^ {folder.name for folder in runs.iterdir()} if "slow" in name
    } == set(), "3-low-seed0 of the first study was asked"
    assert not (tmp_path / "out" / "cells").exists()
    lines = [
        json.loads(line)
        for folder in (finished_study, tmp_path / "out")
        for line in (folder / "cells.jsonl").read_text().splitlines()
    ]
    answers = {line["cell"]: line["answers"] for line in lines}
    assert answers["slow-seed0"] == answers["3-low-seed0"]


@pytest.mark.slow
def test_studies_at_work_at_once_wait_for_what_they_have_in_common(base: Path, tmp_path: Path) -> None:
    """Three cells that train alike under three names, in two processes: one of them trains."""
    axes = {"name": {name: {"tasks": 3} for name in ("one", "two", "three")}}
    path = write_study(
        tmp_path / "s.yaml", small_study(base, seeds=[0], axes=axes, directions=[], figures=[])
    )
    ran(path, tmp_path / "out", workers=2)
    cells = [
        json.loads(line)["answers"] for line in (tmp_path / "out" / "cells.jsonl").read_text().splitlines()
    ]
    assert cells == cells[:1] * 3
    assert len([folder for folder in (tmp_path / "out" / "cells").iterdir() if folder.is_dir()]) == 1


def test_pretraining_before_finetuning_is_the_two_commands_in_turn(base: Path, tmp_path: Path) -> None:
    read = {
        "recipe": "microflan-base",
        "pretraining.objective": "ul2r",
        "pretraining.salient": None,
        "pretraining.window": 32,
        "validation": None,
    }
    read |= {
        "training.steps": 3,
        "training.warmup_steps": 0,
        "training.batch_size": 2,
        "packing.inputs": 96,
        "packing.targets": 48,
    }
    study = small_study(
        base,
        axes={"road": {"none": {"tasks": 0}, "flan": {}, "ul2r-flan": {"pretrain": read}}},
        seeds=[5],
        directions=[],
        figures=[],
    )
    path = write_study(tmp_path / "s.yaml", study)
    _, cells = ran(path, tmp_path / "out", chosen=("ul2r-flan",))
    assert cells == ["ul2r-flan-seed5"]
    (folder,) = (tmp_path / "out" / "cells").glob("ul2r-flan-*")
    keys = [f"{key}={'null' if value is None else value}" for key, value in read.items() if key != "recipe"]
    before, after = Run(tmp_path / "before"), Run(tmp_path / "after")
    pretrain(load_pretrain_recipe("microflan-base", [*keys, f"model.base={base}", "seed=5"]), before)
    finetuning = grid(load_study(path), tmp_path)[1].recipe
    finetune(finetuning.model_copy(update={"model": Model(base=str(before.model), dropout=0.0)}), after)
    assert (folder / "model" / "model.safetensors").read_bytes() == (
        after.model / "model.safetensors"
    ).read_bytes()
    line = json.loads((tmp_path / "out" / "cells.jsonl").read_text())
    assert line["steps"] == 3 + 2
    assert line["seconds"]["training"] > 0
    keys_of = {cell.name: training_key(cell) for cell in grid(load_study(path), tmp_path)}
    assert len(set(keys_of.values())) == 3, "pretraining counts towards what a cell's result depends on"


def test_a_tracker_makes_no_cell_anew(path: Path, tmp_path: Path) -> None:
    cell = next(cell for cell in grid(load_study(path), tmp_path) if cell.trained)
    tracked, longer = (
        replace(cell, recipe=cell.recipe.model_copy(update=update))
        for update in ({"track": ["wandb"]}, {"seed": 7})
    )
    assert training_key(tracked) == training_key(cell)
    assert training_key(longer) != training_key(cell)


def test_the_files_can_be_read_and_committed(finished_study: Path) -> None:
    page = (finished_study / "README.md").read_text()
    assert "Three tasks beat none." in page
    assert "![Tasks](tasks.svg)" in page
    assert (finished_study / "tasks.svg").read_text().startswith("<?xml")
    assert (finished_study / ".gitignore").read_text() == "cells/\n.lock\n"
    table = (finished_study / "results.csv").read_text().splitlines()
    assert table[0].startswith("cell,tasks,rate,control,evaluation,group,mean,seeds_low")
    assert len(table) == 1 + 4 * 2  # four cells, the groups average and skill
    assert "nan" not in (finished_study / "results.json").read_text().lower()


def test_a_study_that_is_finished_runs_nothing(path: Path, finished_study: Path) -> None:
    before = (finished_study / "results.json").read_bytes()
    assert ran(path, finished_study)[1] == []
    assert (finished_study / "results.json").read_bytes() == before


def test_a_changed_study_runs_what_changed(base: Path, finished_study: Path, tmp_path: Path) -> None:
    """One value of an axis is another: the rest stays."""
    study = small_study(base, seeds=[0])
    study["axes"]["rate"]["high"] = {"training.learning_rate": 0.03}
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "cells.jsonl").write_bytes((finished_study / "cells.jsonl").read_bytes())
    _, cells = ran(write_study(tmp_path / "s.yaml", study), folder)
    assert cells == ["3-high-seed0"]


def test_a_model_that_is_there_is_asked_anew_and_keeps_the_time_it_took(
    path: Path, finished_study: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    shutil.copytree(finished_study, folder)
    before = next(
        line
        for line in map(json.loads, (folder / "cells.jsonl").read_text().splitlines())
        if line["cell"] == "3-high-seed0"
    )
    (folder / "cells.jsonl").unlink()
    ran(path, folder, chosen=("3-high-seed0",))
    (again,) = (json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines())
    assert again["seconds"]["training"] == before["seconds"]["training"] > 0
    assert (again["loss"], again["answers"]) == (before["loss"], before["answers"])


def test_a_second_call_into_one_folder_is_refused_and_writes_nothing(
    path: Path, finished_study: Path, tmp_path: Path
) -> None:
    """Both would train the same cells, and the one that begins could cut a line that the other is writing."""
    folder = tmp_path / "out"
    shutil.copytree(finished_study, folder)
    before = {
        file.name: file.stat().st_mtime_ns
        for file in folder.iterdir()
        if file.is_file() and file.name != ".lock"
    }
    with (
        locked(folder / ".lock"),
        pytest.raises(InputError, match=r"out: another call of `openflan study` is at work there.*--out"),
    ):
        ran(path, folder)
    assert {
        file.name: file.stat().st_mtime_ns
        for file in folder.iterdir()
        if file.is_file() and file.name != ".lock"
    } == before
    assert ran(path, folder)[1] == []


def test_another_base_is_another_study(base: Path, path: Path, finished_study: Path, tmp_path: Path) -> None:
    """A folder whose weights were replaced is told by its weights, not by its name."""
    from small_study import tiny_base

    other = tiny_base(tmp_path / "other", seed=1)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "cells.jsonl").write_bytes((finished_study / "cells.jsonl").read_bytes())
    _, cells = ran(path, folder, overrides=(f"model.base={other}",), chosen=("0-low",))
    assert cells == ["0-low"]


def test_cells_are_chosen_by_name_and_the_first_seed_alone(path: Path, tmp_path: Path) -> None:
    results, cells = ran(path, tmp_path, chosen=("0-*",), coarse=True)
    assert cells == ["0-low", "0-high"]
    assert results["directions"][0]["verdict"] == "not run yet"
    with pytest.raises(InputError, match="no cell is called `3-lo`; did you mean `3-low`"):
        ran(path, tmp_path, chosen=("3-lo",))


def test_a_base_that_is_not_there_is_named_before_anything_runs(base: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    study = write_study(tmp_path / "s.yaml", small_study(base))
    with pytest.raises(InputError, match=r"cell 0-low: .*no config.json"):
        ran(study, tmp_path / "out", overrides=(f"model.base={empty}",))
    assert not (tmp_path / "out").exists()


def test_a_cell_that_fails_does_not_stop_the_others(base: Path, tmp_path: Path) -> None:
    """A row of two tokens holds no example: that cell alone fails, is named at the end, and is tried
    again."""
    study = small_study(base, seeds=[0])
    study["axes"]["rate"]["low"] |= {
        "packing.inputs": 2,
        "packing.targets": 2,
        "packing.on_overflow": "error",
    }
    path = write_study(tmp_path / "s.yaml", study)
    with pytest.raises(InputError, match="cell 3-low-seed0: "):
        ran(path, tmp_path / "out")
    finished = {
        json.loads(line)["cell"] for line in (tmp_path / "out" / "cells.jsonl").read_text().splitlines()
    }
    assert finished == {"0-low", "0-high", "3-high-seed0"}
    assert (tmp_path / "out" / "results.json").is_file()


@pytest.mark.slow
def test_several_processes_give_the_results_of_one(path: Path, finished_study: Path, tmp_path: Path) -> None:
    ran(path, tmp_path / "out", workers=2)
    assert (tmp_path / "out" / "results.json").read_bytes() == (finished_study / "results.json").read_bytes()
