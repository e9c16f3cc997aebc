"""The bundled models, rebuilt by their chains in miniature: the same steps, a few batches each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from openflan.models.folder import model_folder
from openflan.models.load_model import load_pretrained, tokenizer_of
from openflan.recipe.chain_steps import chain_path, load_chain
from openflan.run_chain import run_chain
from openflan.run_folder import Run, read_jsonl

BUNDLED = ("microflan-base", "microflan-tiny")
SHORT = (
    "training.steps=2",
    "training.batch_size=2",
    "training.warmup_steps=0",
    "pretraining.window=64",
    "validation=null",
)
MEGABYTE = 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLED)
def test_a_short_version_of_its_chain_makes_a_model_of_its_shape(name: str, tmp_path: Path) -> None:
    path, bundled = chain_path(name), model_folder(f"embedded:{name}")
    count = sum(line.startswith("- ") for line in path.read_text().splitlines())
    steps = load_chain(path, tmp_path, [f"{step}.{key}" for step in range(1, count + 1) for key in SHORT])
    model = run_chain(steps, tmp_path)
    made, shipped = (json.loads((folder / "config.json").read_text()) for folder in (model, bundled))
    assert {key: value for key, value in made.items() if key != "dtype"} == {
        key: value for key, value in shipped.items() if key != "dtype"
    }
    assert tokenizer_of(str(model)).get_vocab() == tokenizer_of(str(bundled)).get_vocab()
    assert all(
        len([line for line in read_jsonl(Run(tmp_path / step.folder).metrics) if "loss" in line]) == 2
        for step in steps
    )
    assert {parameter.shape for parameter in load_pretrained(str(model)).parameters()} == {
        item.shape for item in load_pretrained(str(bundled)).parameters()
    }


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_model_is_small_and_has_a_card(name: str) -> None:
    bundled = model_folder(f"embedded:{name}")
    assert sum(file.stat().st_size for file in bundled.iterdir()) < 8 * MEGABYTE
    with safe_open(bundled / "model.safetensors", framework="pt") as weights:
        names = weights.keys()
        kinds = {weights.get_slice(name).get_dtype() for name in names}
    assert kinds == {"BF16"}
    card = (bundled / "README.md").read_text()
    assert all(said in card for said in ("microflan-probes", "Training", "Limits"))
