"""Small recipes and data, shared with the tests of training."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "training"))

from small_runs import furnish


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `words` (a tokenizer) and `data` (two JSONL files)."""
    return furnish(tmp_path_factory.mktemp("place"))
