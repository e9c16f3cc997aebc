"""A chain's `set` within a model's configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from openflan.recipe.chain_steps import load_chain
from openflan.recipe.load_recipe import load_recipe

BASE = "name: base\nmodel: {config: {model_type: t5, d_model: 32, num_layers: 2}, tokenizer: org/t}\n"
REST = "mixture: {submixtures: {cot: {data: rows}}}\ntraining: {steps: 1}\n"


@pytest.mark.parametrize("value", ["model.config.d_model: 64", "model.config.d_model: 0x40"])
def test_one_key_of_a_configuration_is_set_and_the_others_stay(value: str, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(BASE + REST, encoding="utf-8")
    (tmp_path / "c.yaml").write_text(f"- finetune: r.yaml\n  set: {{{value}}}\n", encoding="utf-8")
    (step,) = load_chain(tmp_path / "c.yaml", tmp_path / "runs")
    assert step.recipe.model.config == {"model_type": "t5", "d_model": 64, "num_layers": 2}
    assert load_recipe(tmp_path / "r.yaml").model.config == {
        "model_type": "t5",
        "d_model": 32,
        "num_layers": 2,
    }
