"""What all training tests stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_runs import furnish


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `words` (a tokenizer) and `data` (two JSONL files)."""
    return furnish(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small gain nothing from threads, and lose much where other processes hold the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
