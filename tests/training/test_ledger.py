"""The parts of the ledger that belong to training: operations, the optimiser's memory, and that proposed
capacities keep what they promise."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import CONFIGS, recipe

from openflan.errors import InputError
from openflan.models.estimate import Hardware, device_named
from openflan.recipe.schema import Recipe, Training
from openflan.training.finetune import survey
from openflan.training.optimizers import make_optimizer, state_bytes


@pytest.mark.parametrize(
    "wanted", [{}, {"momentum": 0.9}, {"optimizer": "adamw"}], ids=["adafactor", "momentum", "adamw"]
)
@pytest.mark.parametrize("size", [(3,), (127, 130), (128, 130), (2, 128, 129)])
def test_the_optimiser_keeps_as_many_numbers_as_are_counted(
    size: tuple[int, ...], wanted: dict[str, Any]
) -> None:
    training = Training(steps=1, **wanted)
    parameter = torch.nn.Parameter(torch.ones(size))
    parameter.grad = torch.ones(size)
    optimizer = make_optimizer([("matrix", parameter)], training)
    optimizer.step()
    kept = sum(
        value.numel()
        for value in optimizer.state[parameter].values()
        if isinstance(value, torch.Tensor) and value.ndim
    )
    assert 4 * kept == state_bytes(size, training)


@pytest.mark.parametrize("kind", ["gated", "llama"])
def test_the_ledger_of_a_recipe_adds_up(kind: str, place: Path) -> None:
    run_recipe = recipe(place, kind, steps=50)
    ledger = survey(run_recipe, examples=8_192, hardware=Hardware(device_named("h100"), devices=4, mfu=0.5))
    measured, costs = ledger["measured"], ledger["estimates"]
    assert (
        measured["examples"]
        == 8_192
        == sum(task["drawn"] for task in ledger["tasks"])
        == sum(one["drawn"] for one in ledger["categories"])
    )
    for key in ("weight", "rows", "share", "hidden_by_cap"):
        assert sum(task[key] for task in ledger["tasks"]) == pytest.approx(
            sum(one[key] for one in ledger["submixtures"])
        )
    kept = {task["task"]: task["drawn"] - task["dropped"] for task in ledger["tasks"]}
    assert sum(kept[task["task"]] * task["mean_input_tokens"] for task in ledger["tasks"]) == pytest.approx(
        measured["input_tokens"]
    )
    assert sum(measured["lengths"]["inputs"]["histogram"].values()) == 8_192
    rows = 50 * run_recipe.training.batch_size
    assert costs["tokens"] == round(
        rows * (measured["input_tokens"] + measured["target_tokens"]) / measured["rows"]
    )
    assert costs["full_row_tokens"] == rows * (run_recipe.packing.inputs + run_recipe.packing.targets)
    # Table 2: 6 operations a parameter and token, 3 for an encoder-decoder.
    assert costs["flops"] == (6 if kind == "llama" else 3) * costs["parameters"] * costs["tokens"]
    assert costs["seconds"] == pytest.approx(costs["flops"] / (989e12 * 4 * 0.5))
    assert costs["rows_at_a_time"] == -(-run_recipe.training.batch_size // 4)
    assert json.loads(json.dumps(ledger)) == ledger


def test_more_windows_change_what_is_measured_and_nothing_else(place: Path) -> None:
    step, two = (survey(recipe(place, steps=5), examples=count) for count in (4_096, 8_192))
    assert [task["share"] for task in step["tasks"]] == [task["share"] for task in two["tasks"]]
    assert (step["measured"]["examples"], two["measured"]["examples"]) == (4_096, 8_192)
    assert step["estimates"]["seconds"] is None


def _long(place: Path, folder: Path, limits: dict[str, Any]) -> Recipe:
    """Few-shot examples of rows with up to 40 words of inputs and 12 of targets."""
    folder.mkdir(exist_ok=True)
    lines = [
        {"inputs": " ".join(["copy"] * (1 + index % 40)), "targets": " ".join(["a"] * (1 + index % 12))}
        for index in range(400)
    ]
    (folder / "long.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    values = recipe(place, "gated", steps=5).model_dump()
    values["mixture"]["submixtures"] = {"own": {"data": str(folder), "styles": {"few_shot": 0.5}}}
    return Recipe.model_validate(values | {"packing": limits})


def test_lengths_do_not_depend_on_the_limits_and_a_proposal_keeps_its_word(
    place: Path, tmp_path: Path
) -> None:
    """Measured under limits that cut, drop and prune a lot, the proposal for 1 % touches no more than that
    when it is taken."""
    tight = survey(_long(place, tmp_path / "data", {"inputs": 40, "targets": 8}), examples=4_096)
    counts = tight["measured"]["counts"]
    assert min(counts["pruned exemplars"], counts["dropped: targets too long"]) > 400
    assert "truncated" in counts
    proposal = next(one for one in tight["capacities"] if one["loss"] == 0.01)
    wide = survey(
        _long(place, tmp_path / "data", {"inputs": proposal["inputs"], "targets": proposal["targets"]}),
        examples=4_096,
    )
    assert wide["measured"]["lengths"] == tight["measured"]["lengths"]
    again = wide["measured"]["counts"]
    assert sum(count for name, count in again.items() if name != "examples") <= 0.01 * 4_096 * 5
    assert wide["measured"]["fill"] == pytest.approx(proposal["fill"], abs=0.03)


def test_a_tokenizer_of_another_model_is_refused_before_anything_is_measured(place: Path) -> None:
    values = recipe(place, steps=5).model_dump()
    values["model"]["config"] = CONFIGS["t5"] | {"vocab_size": 13}
    with pytest.raises(InputError, match="has 14 tokens, the model embeds 13; use the model's own tokenizer"):
        survey(Recipe.model_validate(values))


def test_rows_longer_than_a_causal_model_knows_are_refused_before_anything_is_measured(place: Path) -> None:
    values = recipe(place, "llama", steps=5).model_dump()
    with pytest.raises(
        InputError, match="packing.inputs .* packing.targets is 200, but the model has 128 positions"
    ):
        survey(Recipe.model_validate(values | {"packing": {"inputs": 150, "targets": 50}}))
