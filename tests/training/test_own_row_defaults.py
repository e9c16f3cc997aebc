"""What a user's own rows get where the recipe is silent: wordings, styles, capacities, steps and windows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import furnish

from openflan.api.finetune import recipe_from_rows, recipe_with_epochs
from openflan.errors import InputError
from openflan.mixture.open_mixture import build_stream, open_tasks
from openflan.mixture.stream import Stream
from openflan.packing.pack import WINDOW
from openflan.recipe.load_recipe import dump_recipe, load_recipe
from openflan.recipe.schema import Mixture, Recipe
from openflan.training.epochs import epochs_lines
from openflan.training.own_recipe import proposed
from openflan.training.prepare import layout_of, parts_of, prepare

TINY = "embedded:microflan-tiny"
INSTRUCTIONS = [
    {"definition": "Name the capital.", "question": f"State {number}?", "answer": f"City {number}"}
    for number in range(8)
]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def stream_of(data: Path, styles: dict[str, Any] | None = None) -> Stream:
    mixture = Mixture.model_validate({"submixtures": {"own": {"data": str(data), "styles": styles or {}}}})
    return build_stream(mixture, open_tasks(mixture), 0)


def questions(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"question": f"Is {n} even?", "answer": "no" if n % 2 else "yes", **more} for n in range(count)]


def test_rows_with_a_question_and_an_answer_need_no_wordings_of_their_own(tmp_path: Path) -> None:
    stream = stream_of(write(tmp_path / "quiz.jsonl", questions(9, source="atlas")))
    examples = [stream[position] for position in range(90)]
    assert len({example.wording for example in examples}) >= 6
    assert all(f"Is {example.row} even?" in example.inputs for example in examples)
    assert {example.targets for example in examples} == {"yes", "no"}
    assert not any("atlas" in example.inputs for example in examples)


@pytest.mark.parametrize("few_shot", [None, 1.0])
def test_own_rows_have_exemplars_only_if_asked(tmp_path: Path, few_shot: float | None) -> None:
    asked = {} if few_shot is None else {"few_shot": few_shot}
    for rows in (questions(9), [{"inputs": f"{n}?", "targets": str(n)} for n in range(9)]):
        stream = stream_of(write(tmp_path / "rows.jsonl", rows), asked)
        shown = {stream[position].style.few_shot for position in range(40)}
        assert shown == ({False} if few_shot is None else {True})


def test_options_and_rationales_are_shown_where_rows_have_them(tmp_path: Path) -> None:
    rows = questions(12, options=["yes", "no"], rationale="Halve it.")
    for row in rows[::3]:
        del row["rationale"]
    stream = stream_of(write(tmp_path / "quiz.jsonl", rows))
    examples = [stream[position] for position in range(120)]
    assert {example.targets.startswith("Halve it. The answer is ") for example in examples} == {True, False}
    assert {"yes" in example.inputs for example in examples} == {True, False}
    for example in examples:
        assert ("Halve it." in example.targets) == (example.row % 3 != 0)
        assert rows[example.row]["answer"] in example.targets


def test_instructions_under_another_name_have_the_wordings_of_natural_instructions(tmp_path: Path) -> None:
    stream = stream_of(write(tmp_path / "mine.jsonl", INSTRUCTIONS))
    examples = [stream[position] for position in range(60)]
    assert all("Name the capital." in example.inputs for example in examples)
    assert len({example.wording for example in examples}) >= 6


def test_fields_without_a_question_are_refused_with_a_remedy(tmp_path: Path) -> None:
    data = write(tmp_path / "x.jsonl", [{"premise": "a", "answer": "b"}])
    with pytest.raises(InputError, match=r"no wordings for rows with the fields answer, premise.*--map"):
        stream_of(data)


def test_capacities_come_from_the_rows_and_the_steps_from_epochs(tmp_path: Path) -> None:
    rows = [{"inputs": "copy " * (1 + n % 90), "targets": "a " * (1 + n % 9)} for n in range(180)]
    data = write(tmp_path / "rows.jsonl", rows)
    recipe = recipe_from_rows(data, TINY, epochs=2)
    assert recipe.packing.inputs % 64 == recipe.packing.targets % 64 == 0
    assert 64 < recipe.packing.inputs < 1_024
    assert recipe.packing.targets == 64
    assert recipe_from_rows(data, TINY, epochs=2) == recipe, "the same command goes on with its run"
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(path) == recipe
    assert recipe_from_rows(data, TINY, epochs=4).training.steps in range(
        2 * recipe.training.steps - 1, 2 * recipe.training.steps + 1
    )
    assert recipe_with_epochs(recipe, 2.0) == recipe
    stated = recipe_from_rows(data, TINY, overrides=["packing.inputs=256"])
    assert (stated.packing.inputs, stated.packing.targets, stated.training.steps) == (256, 256, 100)


def test_epochs_beside_steps_are_refused(tmp_path: Path) -> None:
    data = write(tmp_path / "rows.jsonl", questions(3))
    for override in ("training.steps=3", "training={steps: 3, batch_size: 8}"):
        with pytest.raises(InputError, match="both say how long to train"):
            recipe_from_rows(data, TINY, epochs=1, overrides=[override])
    for epochs in (0, -1, float("inf"), float("nan")):
        with pytest.raises(InputError, match="expected a number above 0"):
            recipe_from_rows(data, TINY, epochs=epochs)


@given(
    lengths=st.lists(st.tuples(st.integers(1, 9_000), st.integers(1, 9_000)), min_size=1, max_size=30),
    context=st.none() | st.integers(2, 5_000),
)
@settings(max_examples=200, deadline=None)
def test_proposed_capacities_hold_the_examples_or_fill_the_context(
    lengths: list[tuple[int, int]], context: int | None
) -> None:
    lengths_N2 = np.array(lengths)
    inputs, targets = proposed(lengths_N2, context)
    assert min(inputs, targets) >= 1
    if context is None:
        assert inputs >= min(4_096, lengths_N2[:, 0].max())
        assert targets >= min(4_096, lengths_N2[:, 1].max())
        return
    assert inputs + targets <= context
    whole = sum(-(-int(lengths_N2[:, side].max()) // 64) * 64 for side in (0, 1))
    assert whole > context or inputs + targets == whole
    assert whole <= context or inputs + targets == context or targets < context // 2 + 1


@pytest.mark.parametrize(("rows", "window"), [(3, 256), (256, 256), (257, 512), (900, 1_024), (5_000, 1_024)])
def test_a_handful_of_rows_has_small_windows(tmp_path: Path, rows: int, window: int) -> None:
    data = write(tmp_path / "rows.jsonl", [{"inputs": f"{n}?", "targets": str(n)} for n in range(rows)])
    assert layout_of(stream_of(data)).window == window


def _prepared(styles: dict[str, Any], submixture: dict[str, Any], place: Path) -> str:
    recipe = Recipe.model_validate(
        {
            "name": "x",
            "model": {"tokenizer": str(place / "words"), "config": {"model_type": "t5"}},
            "mixture": {"submixtures": {"microflan": submixture | {"styles": styles}}},
            "training": {"steps": 1, "batch_size": 1},
        }
    )
    from openflan.models.load_model import load_tokenizer

    tokenizer, tasks = load_tokenizer(recipe.model), open_tasks(recipe.mixture)
    stream, encoder = prepare(recipe, tasks, tokenizer, joint=False)
    return parts_of(recipe, tasks, encoder, tokenizer, layout=layout_of(stream)).tokens_key


def test_public_data_keep_their_windows_and_their_builds(tmp_path: Path) -> None:
    """A share that is not stated stands for what it was when it was a default; of own rows it is another."""
    furnish(tmp_path)
    public = {"tasks": ["microflan/person_colour-qa"]}
    stated = {"few_shot": 0.5, "inverted": 0.3 / 1.3}
    assert _prepared({}, public, tmp_path) == _prepared(stated, public, tmp_path)
    own = {"data": str(write(tmp_path / "own.jsonl", questions(4)))}
    assert _prepared({}, own, tmp_path) != _prepared(stated, own, tmp_path)
    mixture = Mixture.model_validate({"submixtures": {"microflan": public}})
    assert layout_of(build_stream(mixture, open_tasks(mixture), 0)).window == WINDOW


def test_many_epochs_over_few_rows_are_said_in_one_line() -> None:
    def lines(epochs: float, own: str = "own/quiz") -> list[str]:
        task = {"task": "own/quiz", "rows": 12, "epochs": epochs}
        return epochs_lines({"tasks": [task], "own_data": [{"task": own}], "examples": 300})

    assert lines(20.0) == lines(99.0, own="other/x") == epochs_lines({}) == []
    (line,) = lines(25.0)
    assert "12 rows (own/quiz) are read 25 times" in line
    assert "--epochs" in line
