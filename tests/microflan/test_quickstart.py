"""The quickstart's refusals; `make quickstart` is its whole run."""

from __future__ import annotations

from pathlib import Path

import pytest

from openflan.errors import InputError
from openflan.microflan.quickstart import BASE, quickstart
from openflan.recipe.load_recipe import dump_recipe, load_recipe


def test_a_folder_with_the_run_of_another_seed_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "recipe.yaml").write_text(
        dump_recipe(load_recipe("microflan", [f"name={tmp_path.name}", "seed=0", f"model.base={BASE}"]))
    )
    with pytest.raises(InputError, match="seed: 0 -> 1"):
        quickstart(tmp_path, said.append, 1)
    assert not said
