"""A smallest recipe, and the error that loading one raises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.recipe.load_recipe import (
    load_recipe,
)

LEAST = """\
name: mine
model: {base: org/base}
mixture:
  submixtures:
    cot: {data: rows}
training:
  steps: 10
"""

Write = Callable[..., Path]


def refusal(path: Path | str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_recipe(path, overrides)
    return str(caught.value)


# Round trip and differences

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,12}", fullmatch=True)
