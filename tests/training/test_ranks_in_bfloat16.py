"""Full finetuning with weights in bfloat16 on two ranks of torchrun, beside one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_runs import losses, recipe
from torch import Tensor

from openflan.recipe.load_recipe import dump_recipe
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run
from openflan.training.finetune import finetune

pytestmark = pytest.mark.slow


def weights_of(run: Run) -> dict[str, Tensor]:
    return load_file(run.model / "model.safetensors")


def trained_by_two(wanted: Recipe, folder: Path) -> Run:
    (folder / "recipe.yaml").write_text(dump_recipe(wanted))
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    verb = ["-m", "--", "openflan", "finetune", str(folder / "recipe.yaml"), "--run", str(folder / "two")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*program, *verb], env=environment, check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return Run(folder / "two")


@pytest.mark.parametrize("kind", ["gated", "llama"])
def test_two_ranks_round_as_one(kind: str, place: Path, tmp_path: Path) -> None:
    """Of a batch of one sequence, one rank adds gradients of 0, so that no sum is rounded: all bits are those
    of one process. At another learning rate hardly a weight would be the same."""
    training = {"optimizer": "adamw", "statistics": "bf16", "learning_rate": 0.002, "batch_size": 1}
    wanted = recipe(place, kind, weights="bf16", **training)
    two, one, other = trained_by_two(wanted, tmp_path), Run(tmp_path / "one"), Run(tmp_path / "other")
    finetune(wanted, one)
    first, second = weights_of(one), weights_of(two)
    assert first.keys() == second.keys()
    assert all(value.dtype == torch.bfloat16 for value in first.values())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert losses(one) == losses(two)
    finetune(recipe(place, kind, weights="bf16", **training | {"learning_rate": 0.0021}), other)
    third = weights_of(other)
    assert sum(int((first[name] != third[name]).sum()) for name in first) > 1000
    # One process goes on from a checkpoint of two, to the same bits.
    for name in ("checkpoints/step-7", "model"):
        for path in (two.folder / name).iterdir():
            path.unlink()
        (two.folder / name).rmdir()
    finetune(wanted, two)
    resumed = weights_of(two)
    assert all(torch.equal(first[name], resumed[name]) for name in first)
