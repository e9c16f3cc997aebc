"""Checkpoints that several ranks write together: the union of their files is what they hold, a Hugging Face
folder, and what any number goes on from."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import shared_work as work
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from test_ranks import by_hand

from openflan.training.distributed import SINGLE_PROCESS
from openflan.training.sharded_files import File, files_of


def written(place: Path, folder: Path, kinds: Sequence[str], numbers: Sequence[int]) -> Path:
    """KIND/alone and KIND/2, KIND/3: a checkpoint of one process and of several, each beside what it should
    hold."""
    work.alone(place, folder, kinds)
    for ranks in numbers:
        # Each process checks on the way what it has; three go on from what one and what two wrote.
        codes, complaint = by_hand(ranks, "checkpoints", place, folder, *kinds)
        assert codes == [0] * ranks, complaint
    return folder


@pytest.fixture(scope="module")
def every(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(place, tmp_path_factory.mktemp("shared"), list(work.KINDS), (2, 3))


def check_restored(kind: str, ranks: str, place: Path, folder: Path) -> None:
    at = folder / kind / ranks
    weights, statistics = work.restored(place, kind, at / "step-2", SINGLE_PROCESS)
    assert work.equal(weights, load_file(at / "weights.safetensors"))
    assert work.equal(statistics, load_file(at / "statistics.safetensors"))


@pytest.mark.parametrize("kind", ["renamed", "joined"])
def test_what_transformers_renames_or_splits_when_it_writes_does_not_keep_a_run_from_going_on(
    kind: str, place: Path, tmp_path: Path
) -> None:
    """GPT-NeoX and Mixtral: `its weights do not fit this model`, said the run of its own checkpoint."""
    work.alone(place, tmp_path, [kind])
    check_restored(kind, "alone", place, tmp_path)


@pytest.mark.slow
def test_one_process_goes_on_from_what_three_wrote(place: Path, tmp_path: Path) -> None:
    """The long version is below; this one fits `make test`."""
    check_restored("t5", "3", place, written(place, tmp_path, ["t5"], [3]))


@pytest.mark.slow
@pytest.mark.parametrize("ranks", ["alone", "2", "3"])
@pytest.mark.parametrize("kind", work.KINDS)
def test_one_process_goes_on_from_what_any_number_wrote(
    kind: str, ranks: str, place: Path, every: Path
) -> None:
    check_restored(kind, ranks, place, every)


@pytest.mark.slow
@pytest.mark.parametrize("kind", work.KINDS)
def test_ranks_start_from_the_same_weights_whatever_their_number(kind: str, every: Path) -> None:
    """After two steps along the same gradients they differ by rounding; a seed of their own would show."""
    alone, two, three = (
        load_file(every / kind / ranks / "weights.safetensors") for ranks in ("alone", "2", "3")
    )
    for other in (two, three):
        assert all(torch.allclose(other[name], alone[name], rtol=1e-5, atol=1e-6) for name in alone)


@given(
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=20),
    parts=st.integers(1, 9),
    ranks=st.integers(1, 9),
)
def test_files_hold_every_tensor_once_and_none_much_more_than_its_part(
    sizes: list[int], parts: int, ranks: int
) -> None:
    values = {f"t{number}": torch.empty(size, device="meta") for number, size in enumerate(sizes)}
    files = files_of("model", values, parts, ranks)
    assert [name for file in files for name in file.tensors] == list(values)
    assert len({file.name for file in files}) == len(files) <= parts
    assert all(0 <= file.rank < ranks for file in files)
    total, largest = sum(sizes), max(sizes)
    assert all(
        sum(values[name].numel() for name in file.tensors) <= total / parts + largest for file in files
    )


def test_one_file_is_named_as_that_of_one_process() -> None:
    assert files_of("model", {"a": torch.zeros(3)}, 4, 2) == [File("model.safetensors", 0, ("a",))]
