"""Two ranks of FSDP2 over gloo against one process: the same parameters, the same statistics, checkpoints
that go from one to the other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sharded_steps as work
import torch
from safetensors.torch import load_file
from torch import Tensor

BOUNDS = {
    "plain-float32": 1e-6,
    "all-float64": 1e-13,
    "adamw-float32": 1e-6,
    # Sums over ranks differ in their last bit, by which a few elements are rounded to the other neighbour.
    "plain-bfloat16": 2e-2,
    # It sums nothing, so one and two ranks round every element alike.
    "adamw-bfloat16": 0.0,
}
Results = dict[str, dict[str, Tensor]]


# Two processes for each of many cases: some 25 seconds.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """CASE (one process), CASE-whole (two ranks) and CASE-resumed (two ranks, from one process's half)."""
    folder = tmp_path_factory.mktemp("ranks")
    results = {case: work.run(case, sharded=False) for case in work.CASES}
    for case, values in results.items():
        work.save(values, folder / f"{case}.safetensors")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    program = [sys.executable, str(Path(work.__file__)), str(folder)]
    ranks = [
        subprocess.Popen([*program, str(rank)], env=environment, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for rank in ranks:
        _, complaint = rank.communicate(timeout=300)
        assert rank.returncode == 0, complaint
    return results | {path.stem: load_file(path) for path in folder.glob("*-*-*.safetensors")}


def distance(found: dict[str, Tensor], expected: dict[str, Tensor], prefix: str) -> float:
    """The largest difference, each tensor measured by its own largest value."""
    names = [name for name in expected if name.startswith(prefix)]
    assert {name for name in found if name.startswith(prefix)} == set(names) != set()
    assert all(found[name].shape == expected[name].shape for name in names)
    return max(
        float(
            (found[name].double() - expected[name].double()).abs().max()
            / expected[name].double().abs().max().clamp(min=1e-30)
        )
        for name in names
    )


@pytest.mark.parametrize("case", work.CASES)
def test_two_ranks_take_the_steps_of_one(case: str, results: Results) -> None:
    one_rank, two_ranks = results[case], results[f"{case}-whole"]
    bound = BOUNDS[case]
    assert distance(two_ranks, one_rank, "half/") <= bound
    assert distance(two_ranks, one_rank, "end/") <= bound
    assert torch.allclose(one_rank["norms"], two_ranks["norms"], rtol=bound, atol=0.0)
    moved = min(
        float(
            (one_rank[f"end/{name}"] - one_rank[f"half/{name}"]).abs().max()
            / one_rank[f"end/{name}"].abs().max()
        )
        for name in work.SHAPES
    )
    assert moved > 1e-3, "nothing was learned, so nothing was tested"


@pytest.mark.parametrize("case", work.CASES)
def test_a_checkpoint_of_one_rank_goes_on_on_two(case: str, results: Results) -> None:
    assert distance(results[f"{case}-resumed"], results[case], "end/") <= BOUNDS[case]


@pytest.mark.parametrize("case", work.CASES)
def test_a_checkpoint_of_two_ranks_goes_on_on_one(case: str, results: Results) -> None:
    assert (
        distance(work.run(case, sharded=False, start=results[f"{case}-whole"]), results[case], "end/")
        <= BOUNDS[case]
    )


@pytest.mark.parametrize(("case", "a_step"), [("plain-float32", 2), ("all-float64", 3), ("adamw-float32", 1)])
def test_all_reduces_are_flat(case: str, a_step: int, results: Results) -> None:
    """However many parameters: Adafactor's two, and one for the norm where gradients are clipped."""
    assert int(results[f"{case}-whole"]["calls"]) == a_step * work.STEPS


def test_statistics_that_are_left_out_would_be_noticed(results: Results) -> None:
    """Negative control: going on without them misses the bound by far."""
    half = results["plain-float32"]
    bare = {name: value for name, value in half.items() if not name.startswith("half/statistics/")}
    assert distance(work.run("plain-float32", sharded=False, start=bare), half, "end/") > 1e-3
