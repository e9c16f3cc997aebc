"""What trackers record, read back by their own libraries."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "training"))

from small_runs import furnish, recipe

from openflan.recipe.load_recipe import dump_recipe
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run, read_json, read_jsonl

pytestmark = pytest.mark.extra

KEY = "local-" + "0123456789abcdef" * 3

STOPPED_AFTER_3 = """
import os, signal, sys
from openflan.cli.main import main
from openflan.training.progress import Progress

show = Progress.show

def shown(self, step, metrics):
    show(self, step, metrics)
    if step == 3:
        os.kill(os.getpid(), signal.SIGTERM)

if sys.argv.pop(1) == "stopped":
    Progress.show = shown
main()
"""


def trained(wanted: Recipe, run: Run, how: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`openflan finetune` in a process of its own; with `stopped`, SIGTERM ends it after step 3."""
    file = run.folder.parent / "small.yaml"
    file.write_text(dump_recipe(wanted), encoding="utf-8")
    home = run.folder.parent / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    return subprocess.run(
        [sys.executable, "-c", STOPPED_AFTER_3, how, "finetune", str(file), "--run", str(run.folder)],
        env=kept | {"OMP_NUM_THREADS": "1", "HOME": str(home)} | environment,
        cwd=run.folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def curves(folder: Path) -> dict[str, dict[int, float]]:
    """Every curve of a folder as TensorBoard itself reads it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return {
        name: {event.step: event.value for event in read.Scalars(name)} for name in read.Tags()["scalars"]
    }


def records(file: Path) -> Iterator[Any]:
    """The records of a `.wandb` file, which is a log of LevelDB after a header of 7 bytes, as wandb's own
    messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, part = file.read_bytes(), 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        part += content[place + 7 : place + 7 + length]
        place += 7 + length
        # 1 is a whole record, 4 the last part of one.
        if kind in (1, 4):
            record = Record()
            record.ParseFromString(part)
            yield record
            part = b""


def history(file: Path) -> dict[int, dict[str, float]]:
    """The values of a `.wandb` file by the step of training."""
    lines = [
        {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item}
        for record in records(file)
        if record.HasField("history")
    ]
    return {line["train/global_step"]: line for line in lines}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_stopped_and_resumed_run_is_one_run_in_tensorboard_and_wandb(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    pytest.importorskip("wandb", reason="the extra `wandb` is not installed")
    run = Run(tmp_path / "run")
    wanted = recipe(furnish(tmp_path), steps=5, every=4).model_copy(
        update={"track": ["tensorboard", "wandb"]}
    )
    environment = {"WANDB_MODE": "offline", "WANDB_API_KEY": KEY}
    stopped = trained(wanted, run, "stopped", **environment)
    assert stopped.returncode == 75, stopped.stderr
    assert not run.model.exists()
    finished = trained(wanted, run, "whole", **environment)
    assert finished.returncode == 0, finished.stderr
    expected = {line["step"]: line for line in read_jsonl(run.metrics)}
    assert list(expected) == [1, 2, 3, 4, 5]

    loss = curves(run.folder / "tensorboard")["train/loss"]
    assert loss == pytest.approx({step: line["loss"] for step, line in expected.items()})

    tracker_id = read_json(run.folder / "trackers.json")["wandb"]
    files = sorted((run.folder / "wandb").glob(f"offline-run-*/run-{tracker_id}.wandb"))
    assert len(files) == len(list((run.folder / "wandb").glob("offline-run-*"))) == 2
    first, second = map(history, files)
    assert [list(first), list(second)] == [[1, 2, 3], [4, 5]]
    for step, line in (first | second).items():
        assert line["train/loss"] == expected[step]["loss"]
        assert line["train/learning_rate"] == expected[step]["learning_rate"]
        assert line["train/tokens_per_second"] == expected[step]["tokens_per_second"]
    (run_record,) = [record.run for record in records(files[1]) if record.HasField("run")]
    assert (run_record.run_id, run_record.project, run_record.display_name) == (
        tracker_id,
        "openflan",
        "small",
    )
    settings = {item.key: json.loads(item.value_json) for item in run_record.config.update}
    assert settings["training"]["steps"] == 5
    assert settings["model"]["tokenizer"] == "./words"
    codes = [record.exit.exit_code for file in files for record in records(file) if record.HasField("exit")]
    assert codes == [75, 0]
    assert secrets_in(run.folder) == []


def secrets_in(folder: Path) -> list[Path]:
    """Files that hold the API key."""
    return [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_without_a_network_wandb_is_recorded_offline_with_one_warning(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="the extra `wandb` is not installed")
    run = Run(tmp_path / "run")
    wanted = recipe(furnish(tmp_path), steps=2).model_copy(update={"track": ["wandb"]})
    done = trained(wanted, run, "whole", WANDB_BASE_URL="http://127.0.0.1:9", WANDB_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("openflan: wandb")]
    assert "no connection to 127.0.0.1" in warning
    assert f"`wandb sync {run.folder}/wandb/offline-run-" in warning
    (file,) = (run.folder / "wandb").glob("offline-run-*/run-*.wandb")
    assert list(history(file)) == [1, 2]
    assert secrets_in(tmp_path) == []
    (tmp_path / "control").write_text(f"key {KEY}")
    assert secrets_in(tmp_path) == [tmp_path / "control"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_steps_that_run_again_after_a_kill_are_shown_once(tmp_path: Path) -> None:
    """An earlier process logged four steps, its checkpoint was of the second."""
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from openflan.tracking.protocol import TrackedRun
    from openflan.tracking.tensorboard_files import start

    killed = start(TrackedRun(tmp_path, "run", {}, 0))
    for step in (1, 2, 3, 4):
        killed.log(step, {"train/loss": 10.0 + step, "eval/bbh": 1.0})
    resumed = start(TrackedRun(tmp_path, "run", {}, 2))
    for step in (3, 4, 5):
        resumed.log(step, {"train/loss": 20.0 + step})
    # Nothing was closed: what was logged is on the disk at once.
    assert curves(tmp_path / "tensorboard") == {
        "train/loss": {1: 11.0, 2: 12.0, 3: 23.0, 4: 24.0, 5: 25.0},
        "eval/bbh": {1: 1.0, 2: 1.0},
    }
    killed.close(1)
    resumed.close(0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_without_a_writable_folder_or_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from openflan.tracking.tensorboard_files import TensorBoardFiles
    from openflan.tracking.trackers import Trackers

    wanted = recipe(furnish(tmp_path)).model_copy(update={"track": ["tensorboard"]})
    (tmp_path / "tensorboard").write_text("in the way")
    with pytest.warns(UserWarning, match="tensorboard: .*goes on"):
        Trackers(wanted, tmp_path, 0)

    if not Path("/dev/full").exists():
        return
    (tmp_path / "run").mkdir()
    with Trackers(wanted, tmp_path / "run", 0) as trackers:
        (tracker,) = trackers._trackers.values()
        assert isinstance(tracker, TensorBoardFiles)
        with open("/dev/full", "wb", buffering=0) as full:
            tracker._records._writer = full
            with pytest.warns(UserWarning, match="tensorboard: .*No space left.*goes on"):
                trackers.write({"step": 1, "loss": 1.0})
            trackers.write({"step": 2, "loss": 1.0})
        tracker._file.close()
