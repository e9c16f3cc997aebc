"""A disk that is full while a verb writes: one line, exit code 1, and every file is whole or was not touched.

The limit of the system on the size of a file stands for the full disk: it also fails the writers of other
libraries. `OPENFLAN_SMALL_DISK=FOLDER`, on a file system of a few megabytes, adds a disk that is really full.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
import yaml
from commands import Done, openflan
from safetensors import safe_open

SMALL_DISK = os.environ.get("OPENFLAN_SMALL_DISK")
BENCHMARK = {
    "name": "colours",
    "data": "rows.jsonl",
    "prompt": "{inputs}",
    "target": "targets",
}
TINY = ["packing.inputs=24", "packing.targets=8", "training.batch_size=2", "checkpoints.every=1"]


@pytest.fixture(scope="module")
def work_folder(tmp_path_factory: pytest.TempPathFactory, t5: Path, rows: Path) -> Path:
    """A trained run, a recipe, a benchmark and a study, which verbs read."""
    work_folder = tmp_path_factory.mktemp("place")
    shutil.copy(rows, work_folder / "rows.jsonl")
    recipe = {
        "name": "small",
        "model": {"base": str(t5)},
        "mixture": {"submixtures": {"own": {"data": str(rows)}}},
        "packing": {"inputs": 24, "targets": 8},
        "training": {"steps": 2, "batch_size": 2},
        "checkpoints": {"every": 1},
    }
    (work_folder / "small.yaml").write_text(yaml.safe_dump(recipe))
    (work_folder / "colours.yaml").write_text(yaml.safe_dump(BENCHMARK))
    study = {
        "name": "grid",
        "question": "Does it run?",
        "recipe": str(work_folder / "small.yaml"),
        "axes": {"rate": {"low": {"training.learning_rate": 0.001}}},
        "seeds": [0],
        "evaluations": {"colours": {"benchmark": str(work_folder / "colours.yaml")}},
    }
    (work_folder / "grid.yaml").write_text(yaml.safe_dump(study))
    done = openflan("finetune", work_folder / "small.yaml", "--run", work_folder / "run")
    assert done.returncode == 0, done.stderr
    return work_folder


Verb = Callable[[Path, Path], Done]

VERBS: dict[str, Verb] = {
    "finetune": lambda folder, out: openflan("finetune", folder / "small.yaml", "--run", out / "run"),
    "build": lambda folder, out: openflan("build", folder / "small.yaml", "--to", out / "build"),
    "evaluate": lambda folder, out: openflan(
        "evaluate", _run(folder, out), "--benchmark", folder / "colours.yaml"
    ),
    "report": lambda folder, out: openflan("report", _run(folder, out)),
    "export.jsonl": lambda folder, out: openflan(
        "mixture", folder / "small.yaml", "--export", out / "mine.jsonl", "--examples", 400
    ),
    "export.parquet": lambda folder, out: openflan(
        "mixture", folder / "small.yaml", "--export", out / "mine.parquet", "--examples", 400
    ),
    "figures": lambda folder, out: openflan("tasks", "figures", "--out", out / "figures"),
    "review": lambda folder, out: openflan("tasks", "review", "--data", folder, "--out", out / "review.md"),
    "study": lambda folder, out: openflan(
        "study", folder / "grid.yaml", "--out", out / "study", "--workers", 1
    ),
}


def _run(work_folder: Path, out: Path) -> Path:
    if not (out / "run").is_dir():
        shutil.copytree(work_folder / "run", out / "run")
    return out / "run"


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file of this process or of one that it starts grows beyond `size` bytes. Neither compiles modules
    meanwhile, which would leave cut bytecode behind."""
    before, compiles = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    sys.dont_write_bytecode = True
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
            yield
    finally:
        sys.dont_write_bytecode = compiles
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def check_whole(folder: Path) -> None:
    """Every file that has its own name can be read to its end."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        assert not path.name.endswith(".partial"), path
        if hidden or not path.is_file():
            continue
        match path.suffix:
            case ".json":
                json.loads(path.read_text())
            case ".jsonl":
                text = path.read_text()
                assert not text or text.endswith("\n"), path
                for line in text.splitlines():
                    json.loads(line)
            case ".safetensors":
                with safe_open(path, framework="pt") as file:
                    assert list(file.keys())
            case ".parquet":
                parquet.read_table(path)
            case ".html" | ".yaml" | ".md":
                assert path.read_text().strip(), path


def check_refusal(done: Done) -> None:
    assert done.returncode == 1, done.stderr
    last = done.stderr.rstrip("\n").splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert re.search(
        r"^(cell \S+: )?/\S+: (could not be written: .*)?.*(File too large|No space left)", last
    ), done.stderr
    assert not any(word in last for word in ("defect", "--debug", "Exception")), done.stderr


@pytest.mark.parametrize("size", [3_000])
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_cannot_write_ends_in_one_line_and_goes_on_with_room(
    verb: str, size: int, work_folder: Path, tmp_path: Path
) -> None:
    if verb in ("evaluate", "report"):
        _run(work_folder, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with small_files(size):
        done = VERBS[verb](work_folder, tmp_path)
    if done.returncode:
        check_refusal(done)
    else:
        assert size, "nothing was written, so nothing was tested"
    check_whole(tmp_path)
    assert all(path.read_bytes().startswith(content) for path, content in before.items() if path.exists())
    again = VERBS[verb](work_folder, tmp_path)
    assert again.returncode == 0, again.stderr
    check_whole(tmp_path)


@pytest.mark.skipif(not SMALL_DISK, reason="no small file system: set OPENFLAN_SMALL_DISK")
@pytest.mark.parametrize("free", [0, 8_192, 40_960, 200_000, 600_000])
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_on_a_full_disk_ends_in_one_line(verb: str, free: int, work_folder: Path) -> None:
    out = Path(str(SMALL_DISK)) / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    if verb in ("evaluate", "report"):
        _run(work_folder, out)
    fill = Path(str(SMALL_DISK)) / "fill"
    try:
        space = os.statvfs(SMALL_DISK or "")
        fill.write_bytes(b"x" * max(space.f_bavail * space.f_frsize - free, 0))
        done = VERBS[verb](work_folder, out)
        print(verb, free, done.returncode, done.stderr.splitlines()[-1:] if done.returncode else "")
        if done.returncode:
            check_refusal(done)
        check_whole(out)
    finally:
        fill.unlink(missing_ok=True)
    again = VERBS[verb](work_folder, out)
    assert again.returncode == 0, again.stderr
