"""`openflan evaluate` under several processes writes what it writes under one, killed or not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import evaluate_ranks as ranks
import pytest
from commands import openflan

from openflan.inference import huggingface

sys.path.append(str(Path(__file__).parents[1] / "evaluation"))
sys.path.append(str(Path(__file__).parents[1] / "inference"))
import tiny_models
from made_up_data import make_all


def by_hand(size: int, *arguments: object, **environment: str) -> tuple[list[int], str, str]:
    """Runs the command as so many ranks, as a launcher would start them; exit codes, output, complaints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free.getsockname()[1]),
            "OMP_NUM_THREADS": "1",
        }
    program = [sys.executable, str(Path(ranks.__file__)), str(size), "evaluate", *map(str, arguments)]
    done = subprocess.run(
        program,
        env=os.environ | environment | meeting,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    *said, codes = done.stdout.splitlines()
    return json.loads(codes), "\n".join(said), done.stderr


@pytest.fixture(scope="module")
def made_folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model and data."""
    folder = tmp_path_factory.mktemp("place")
    return tiny_models.t5(folder / "t5"), make_all(folder / "data")


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        ["--limit", "1", "--max-tokens", "24"],
        ["--samples", "8", "--subset", "virology,anatomy", "--max-tokens", "24"],
        ["--likelihood"],
    ],
)
def test_two_ranks_killed_and_resumed_on_one_write_the_bytes_of_one(
    how: list[str], made_folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface, "_CHUNK", ranks.CHUNKS)
    arguments = [
        made_folders[0],
        "--benchmark",
        "mmlu",
        "--shots",
        "1",
        "--data",
        made_folders[1],
        *how,
        "--json",
    ]
    alone = openflan("evaluate", *arguments, "--run", tmp_path / "one")
    assert alone.returncode == 0, alone.stderr
    (uninterrupted,) = (tmp_path / "one/generations").iterdir()
    texts = {json.loads(line)["generation"] for line in uninterrupted.read_text().splitlines()}
    assert len(texts) > 1, "all answers alike prove nothing"

    codes, _, complaint = by_hand(2, *arguments, "--run", tmp_path / "two", DIE="1,5")
    assert codes[1] == -signal.SIGKILL, complaint
    held = sorted(one.name for one in (tmp_path / "two/generations").iterdir())
    assert held == [uninterrupted.name, f"{uninterrupted.name}.part-1"]
    assert (tmp_path / "two/generations" / held[1]).read_bytes().count(b"\n") == 5
    again = openflan("evaluate", *arguments, "--run", tmp_path / "two")
    assert again.returncode == 0, again.stderr
    assert "more were there" in again.stderr

    codes, said, complaint = by_hand(2, *arguments, "--run", tmp_path / "three")
    assert codes == [0, 0], complaint
    assert json.loads(said) == json.loads(alone.stdout)
    for name in ("two", "three"):
        assert [one.name for one in (tmp_path / name / "generations").iterdir()] == [uninterrupted.name]
        assert (
            tmp_path / name / "generations" / uninterrupted.name
        ).read_bytes() == uninterrupted.read_bytes()
        assert (tmp_path / name / "scores.json").read_bytes() == (tmp_path / "one/scores.json").read_bytes()


def test_watching_is_for_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = openflan("evaluate", tmp_path, "--watch")
    assert (done.returncode, "start it without torchrun" in done.stderr) == (2, True)
