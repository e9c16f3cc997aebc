"""A model of which a part is frozen: optimizer, checkpoint, estimate and export follow the trainable view."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import load_file
from small_runs import furnish, recipe
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from openflan.errors import InputError
from openflan.mixture.open_mixture import open_tasks
from openflan.models.estimate import shape_of_model
from openflan.models.load_model import load_model, load_tokenizer
from openflan.packing.example_windows import ExampleStream, packed_examples
from openflan.recipe.schema import Training
from openflan.run_folder import Run
from openflan.training.checkpoints import restore_weights
from openflan.training.export import export
from openflan.training.loop import train
from openflan.training.optimizers import OPTIMIZERS, state_bytes
from openflan.training.prepare import prepare
from openflan.training.setup import TrainingSetup
from openflan.training.trainable import TrainableView, freeze


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("data"))


def setup_of(
    data: Path, folder: Path, kind: str, is_frozen: Callable[[str], bool], **training: Any
) -> TrainingSetup:
    run_recipe = recipe(data, kind, **training)
    tokenizer = load_tokenizer(run_recipe.model)
    model = load_model(run_recipe.model, tokenizer, run_recipe.seed)
    stream, encoder = prepare(run_recipe, open_tasks(run_recipe.mixture), tokenizer, joint=kind == "llama")

    def open_stream(sequences_per_window: Sequence[int]) -> ExampleStream:
        return packed_examples(stream, encoder, sequences_per_window, window=12)

    folder.mkdir(parents=True, exist_ok=True)
    return TrainingSetup(run_recipe, Run(folder), freeze(model, is_frozen), tokenizer, open_stream)


def copied(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def is_embedding(name: str) -> bool:
    return "shared" in name or "embed" in name or "lm_head" in name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", ["t5", "gated", "llama"])
def test_what_is_frozen_is_neither_trained_nor_saved_and_export_is_complete(
    kind: str, optimizer: str, data: Path, tmp_path: Path
) -> None:
    setup = setup_of(data, tmp_path / "run", kind, is_embedding, steps=2, every=2, optimizer=optimizer)
    before = copied(setup.model)
    trained = {name for name, _ in setup.view.parameters()}
    assert trained == {name for name in before if not is_embedding(name)}
    assert setup.view.frozen
    train(setup)
    after = copied(setup.model)
    assert {name for name in before if not torch.equal(before[name], after[name])} == trained
    step = setup.run.checkpoints / "step-2"
    assert load_file(step / "trained.safetensors").keys() == trained
    assert not (step / "model.safetensors").exists(), "nobody must take it for a complete model"
    kept = load_file(step / "optimizer.safetensors")
    assert {name.partition("|")[0] for name in kept} == trained
    numbers = sum(value.numel() for name, value in kept.items() if not name.endswith("|step"))
    shape = shape_of_model(setup.model, setup.view.frozen)
    assert 4 * numbers == sum(state_bytes(size, setup.recipe.training) for size in shape.trained_tensors)
    assert shape.trained_parameters == sum(before[name].numel() for name in trained) < shape.parameters
    export(setup)
    family = AutoModelForCausalLM if kind == "llama" else AutoModelForSeq2SeqLM
    exported = dict(family.from_pretrained(setup.run.model).named_parameters())
    assert exported.keys() == after.keys()
    assert all(torch.equal(exported[name], after[name]) for name in after)
    export(replace(setup, view=replace(setup.view, export_all=False)))
    only = load_file(setup.run.model / "trained.safetensors")
    assert only.keys() == trained
    assert not (setup.run.model / "model.safetensors").exists()


def test_a_run_with_frozen_parameters_continues_to_the_same_bits(data: Path, tmp_path: Path) -> None:
    together = setup_of(data, tmp_path / "together", "t5", is_embedding, steps=4, every=2, dropout=0.1)
    train(together)
    first = setup_of(data, tmp_path / "parts", "t5", is_embedding, steps=2, every=2, dropout=0.1)
    train(first)
    second = setup_of(data, tmp_path / "parts", "t5", is_embedding, steps=4, every=2, dropout=0.1)
    train(second)
    expected, weights = copied(together.model), copied(second.model)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    model = load_model(first.recipe.model, first.tokenizer, first.recipe.seed)
    with pytest.raises(InputError, match="its weights do not fit this model"):
        restore_weights(tmp_path / "parts/checkpoints/step-2", TrainableView(model))


@pytest.mark.parametrize("kind", ["t5", "gated", "llama"])
def test_without_a_frozen_parameter_the_view_is_the_whole_model(
    kind: str, data: Path, tmp_path: Path
) -> None:
    setup = setup_of(data, tmp_path, kind, lambda name: False)
    view, model = setup.view, setup.model
    assert view.complete
    assert dict(view.parameters()).keys() == dict(model.named_parameters()).keys()
    assert dict(view.saved()).keys() == model.state_dict().keys()
    shape = shape_of_model(model, view.frozen)
    assert shape.trained_tensors == shape.tensors


def test_one_name_of_tied_parameters_freezes_them_all(data: Path, tmp_path: Path) -> None:
    setup = setup_of(data, tmp_path, "t5", lambda name: name == "lm_head.weight")
    assert {"shared.weight", "lm_head.weight"} <= setup.view.frozen
    assert "shared.weight" not in dict(setup.view.parameters())


def test_the_table_of_optimizers_has_those_of_the_recipe() -> None:
    assert set(get_args(Training.model_fields["optimizer"].annotation)) == set(OPTIMIZERS)
