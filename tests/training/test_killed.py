"""SIGKILL in the middle of a run, and another process that goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from small_runs import losses, recipe

from openflan.recipe.load_recipe import dump_recipe
from openflan.run_folder import Run, read_jsonl
from openflan.training import checkpoints
from openflan.training.finetune import finetune

KILLED = """
import os, signal, sys, time
from openflan.recipe.load_recipe import load_recipe
from openflan.run_folder import Run
from openflan.training.finetune import finetune
from openflan.training.progress import Progress
from pathlib import Path

def show(self, step, metrics):
    if step == 3:
        while not (Run(Path(sys.argv[2])).checkpoints / "step-2").is_dir():  # it is written beside training
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)

Progress.show = show
finetune(load_recipe(sys.argv[1]), Run(Path(sys.argv[2])))
"""


def test_a_killed_process_is_resumed_by_another(place: Path, tmp_path: Path) -> None:
    """SIGKILL leaves no time for anything; the run is then finished here, with the same bits."""
    run_recipe, run, uninterrupted = (
        recipe(place, dropout=0.1, steps=3),
        Run(tmp_path / "run"),
        Run(tmp_path / "whole"),
    )
    (tmp_path / "small.yaml").write_text(dump_recipe(run_recipe))
    command = [sys.executable, "-c", KILLED, str(tmp_path / "small.yaml"), str(run.folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [line["step"] for line in read_jsonl(run.metrics)] == [1, 2, 3]
    assert checkpoints.steps(run.checkpoints) == [2]
    for folder in (run, uninterrupted):
        finetune(run_recipe, folder)
    assert losses(run) == losses(uninterrupted)
    assert (run.model / "model.safetensors").read_bytes() == (
        uninterrupted.model / "model.safetensors"
    ).read_bytes()
