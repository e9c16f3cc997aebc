"""What studies of the embedded world and dry runs of the paper's stand on."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_study import tiny_base

sys.path.append(str(Path(__file__).parents[1] / "evaluation"))  # made_up_data


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny T5 with random weights."""
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module", autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
