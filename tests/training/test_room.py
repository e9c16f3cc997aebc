"""What fits into a memory, and what a recipe's model takes, before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from openflan.api.finetune import finetune, recipe_from_rows
from openflan.api.options import FinetuneOptions
from openflan.errors import InputError, SetupError
from openflan.models import adapter as adapters
from openflan.models.adapter import shape_with_adapter
from openflan.models.load_model import empty_model
from openflan.recipe.load_recipe import recipe_from
from openflan.recipe.schema import Recipe
from openflan.training import room
from openflan.training.memory_of_recipe import memory_of_recipe
from openflan.training.room import bytes_of, fit

TINY = "embedded:microflan-tiny"
SIZES = [1.0, 0.9, 0.7, 0.55]


def recipe_of(*overrides: str, base: str = TINY) -> Recipe:
    values = {
        "name": "room",
        "model": {"base": base},
        "mixture": {"submixtures": {"own": {"data": "rows.jsonl"}}},
        "packing": {"inputs": 16, "targets": 8},
        "training": {"steps": 5, "batch_size": 4},
    }
    return recipe_from(values, "the test", overrides)


def needed(recipe: Recipe) -> int:
    return memory_of_recipe(recipe, shape_with_adapter(recipe.model, empty_model(recipe.model))).total


@pytest.fixture(autouse=True)
def _with_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimates need no adapter layers, only their sizes."""
    monkeypatch.setattr(adapters, "find_spec", lambda name: True)


@pytest.mark.parametrize("share", SIZES)
def test_the_chosen_recipe_fits(share: float) -> None:
    recipe = recipe_of()
    memory = int(needed(recipe) / 0.9 * share)
    fitted = fit(recipe, memory)
    assert needed(fitted.recipe) <= 0.9 * memory
    assert all(choice.bytes > 0.9 * memory for choice in fitted.choices[:-1])
    assert fitted.choices[-1].bytes == needed(fitted.recipe)
    assert fitted.lines(memory)[-1].startswith(fitted.choices[-1].text)


def test_the_least_change_is_taken() -> None:
    """More than enough: nothing; then smaller micro-batches, layers again, bfloat16, an adapter."""
    recipe = recipe_of("packing.inputs=512", "packing.targets=256")
    chosen = []
    for share in [1.1, 0.6, 0.2, 0.12, 0.09, 0.06, 0.04]:
        try:
            changed = fit(recipe, int(needed(recipe) / 0.9 * share)).recipe
        except InputError:
            break
        settings = changed.training
        chosen.append(
            (
                changed.model.adapter is not None,
                settings.weights == "bf16",
                settings.activation_checkpointing == "full",
                -(settings.micro_batch_size or settings.batch_size),
            )
        )
        if changed.model.adapter is not None:
            assert settings.optimizer == "adamw"
    assert chosen[0] == (False, False, False, -4)
    assert chosen[1] == (False, False, False, -2)
    # Shares fall, so a later choice never changes less.
    assert chosen == sorted(chosen, key=lambda item: item[:2])


def test_weights_decide_where_sequences_are_short() -> None:
    recipe = recipe_of("training.optimizer=adamw", "training.batch_size=1", "packing.inputs=4")
    whole = needed(recipe)
    halved = fit(recipe, int(whole / 0.9 * 0.85)).recipe
    assert (halved.training.weights, halved.training.precision) == ("bf16", "bf16")
    adapted = fit(recipe, int(whole / 0.9 * 0.6)).recipe
    assert adapted.model.adapter is not None
    with pytest.raises(InputError, match=r"--fit .* does not fit: .*model.adapter.rank=16.*smaller base"):
        fit(recipe, whole // 20)


@pytest.mark.parametrize(
    ("text", "number"),
    [("24GB", 24e9), ("24 gb", 24e9), ("500M", 5e8), ("1.5TB", 1.5e12), ("80GiB", 80e9), ("7", 7)],
)
def test_sizes_of_memory(text: str, number: float) -> None:
    assert bytes_of(text) == number


@pytest.mark.parametrize("text", ["", "GB", "-3GB", "24XB", "0", "1e999GB", "nan", "2 4GB"])
def test_other_texts_are_no_sizes(text: str) -> None:
    with pytest.raises(InputError, match="expected a size of memory, such as 24GB"):
        bytes_of(text)


@pytest.mark.parametrize("overrides", [[], ["training.weights=bf16"]])
def test_without_room_for_the_weights_nothing_is_begun(
    overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"inputs": "a", "targets": "b"}\n')
    recipe = recipe_from_rows(tmp_path / "rows.jsonl", TINY, overrides=overrides)
    shape = shape_with_adapter(recipe.model, empty_model(recipe.model))
    memory = memory_of_recipe(recipe, shape)
    held = memory.weights + memory.gradients + memory.optimizer
    monkeypatch.setattr(room, "machine_memory", lambda: held - 1)
    with pytest.raises(SetupError, match=r"microflan-tiny: no room: .*training.weights=bf16.*--fit 24GB"):
        finetune(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_command_fits_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The recipe of the run has what was chosen, so that the same command continues it."""
    from openflan.api.finetune import finetune_into
    from openflan.recipe.load_recipe import load_recipe
    from openflan.run_folder import Run

    (tmp_path / "rows.jsonl").write_text(
        "".join(f'{{"inputs": "say {number}", "targets": "{number}"}}\n' for number in range(9))
    )
    recipe = recipe_from_rows(
        tmp_path / "rows.jsonl",
        TINY,
        overrides=["training.steps=1", "packing.inputs=64", "packing.targets=16"],
    )
    size = f"{needed(recipe) / 0.9 / 10**6 * 0.7:.2f}MB"
    finetune_into(recipe, Run(tmp_path / "run"), FinetuneOptions(fit=size), label="finetune")
    printed = capsys.readouterr().err
    assert "fit: the recipe as it is" in printed or "fit: training.micro_batch_size" in printed
    assert "by the estimate, fits into" in printed
    assert load_recipe(tmp_path / "run" / "recipe.yaml") == fit(recipe, bytes_of(size)).recipe


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
@pytest.mark.parametrize(
    "formats", [[], ["training.weights=bf16"], ["training.weights=bf16", "training.statistics=bf16"]]
)
def test_bytes_of_weights_gradients_and_statistics_are_exact(optimizer: str, formats: list[str]) -> None:
    from openflan.models.load_model import load_pretrained
    from openflan.training.distributed import SINGLE_PROCESS
    from openflan.training.optimizers import make_optimizer
    from openflan.training.trainable import trainable_view

    recipe = recipe_of(*formats, f"training.optimizer={optimizer}", "training.momentum=0.9")
    model = load_pretrained(TINY)
    estimate = memory_of_recipe(recipe, shape_with_adapter(recipe.model, empty_model(recipe.model)))
    view = trainable_view(model, recipe, SINGLE_PROCESS)
    made = make_optimizer(view.parameters(), recipe.training)
    for _, parameter in view.parameters():
        parameter.grad = torch.ones_like(parameter)
    made.step()

    def size(tensors: Any) -> int:
        return sum(value.numel() * value.element_size() for value in tensors)

    assert size(model.parameters()) == estimate.weights
    assert size(value.grad for _, value in view.parameters()) == estimate.gradients
    kept = [value for state in made.state.values() for value in state.values() if value.ndim]
    assert size(kept) == estimate.optimizer
