"""Recipes: what an error says where a file is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recipe_files import LEAST, Write, refusal

from openflan.errors import InputError
from openflan.recipe.load_recipe import (
    load_pretrain_recipe,
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file below the test's folder and gives its path."""

    def write_(text: str, name: str = "mine.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_


# Refusals


@pytest.mark.parametrize(
    ("old", "new", "line", "rest"),
    [
        ("name: mine", "nam: mine", 1, "`nam` is not a key of a recipe; did you mean `name`?"),
        (
            "training:",
            "extend: other\ntraining:",
            6,
            "`extend` is not a key of a recipe; did you mean `extends`?",
        ),
        (
            "{data: rows}",
            "{data: rows, capp: 5}",
            5,
            "`mixture.submixtures.cot.capp` is not a key of a recipe; did you mean `cap`?",
        ),
        (
            "{data: rows}",
            "\n      styles:\n        few_shots: 0.5",
            7,
            "`mixture.submixtures.cot.styles.few_shots` is not a key of a recipe; did you mean `few_shot`?",
        ),
        (
            "steps: 10",
            "steps: 10\n  zebra: 1",
            8,
            "`training.zebra` is not a key of a recipe; keys here: optimizer, learning_rate,",
        ),
        (
            "steps: 10",
            "steps: ten",
            7,
            '`training.steps`: expected a valid integer, unable to parse string as an integer; found "ten"',
        ),
        ("steps: 10", "steps: 0", 7, "`training.steps`: expected greater than 0; found 0"),
        ("steps: 10", "steps: 1.5", 7, "`training.steps`: expected a valid integer"),
        (
            "steps: 10",
            "steps: yes",
            7,
            "`training.steps`: expected a number, a text or a mapping; found `true`",
        ),
        (
            "steps: 10",
            "steps: 10\n  learning_rate: .inf",
            8,
            "`training.learning_rate`: expected a finite number",
        ),
        (
            "steps: 10",
            "steps: 10\n  learning_rate: -1",
            8,
            "`training.learning_rate`: expected greater than 0; found -1",
        ),
        (
            "steps: 10",
            "steps: 10\n  precision: fp8",
            8,
            "`training.precision`: expected 'float32' or 'bf16'; found \"fp8\"",
        ),
        (
            "{base: org/base}",
            "{base: org/base, dropout: 2}",
            2,
            "`model.dropout`: expected less than or equal to 1; found 2",
        ),
        ("{base: org/base}", "[org/base]", 2, "`model`: expected a mapping of keys; found"),
        (
            "{base: org/base}",
            "{}",
            2,
            "`model`: name either `base` (a pretrained model) or `config` (random initialisation)",
        ),
        ("{base: org/base}", "{base: a, config: {model_type: t5}}", 2, "`model`: name either `base`"),
        (
            "{base: org/base}",
            "{config: {d_model: 8}, tokenizer: a}",
            2,
            "`model`: `config` needs a `model_type`",
        ),
        ("{base: org/base}", "{config: {model_type: t5}}", 2, "`model`: `config` needs a `tokenizer`"),
        (
            "{data: rows}",
            "{data: 5}",
            5,
            "`mixture.submixtures.cot.data`: expected a path or hub:OWNER/NAME, or a list of them; found 5",
        ),
        ("{data: rows}", "{tasks: []}", 5, "`mixture.submixtures.cot.tasks`: expected at least one"),
        (
            "{data: rows}",
            "{tasks: [5]}",
            5,
            "`mixture.submixtures.cot.tasks.0`: expected a valid string; found 5",
        ),
        (
            "mixture:",
            "mixture:\n  rates: proportion-c",
            4,
            "`mixture.rates`: `proportion-c` is not a preset; presets: proportion-a, proportion-b, release",
        ),
        ("mixture:", "mixture:\n  rates: {cot: much}", 4, "`mixture.rates.cot`: expected a valid number"),
        (
            "mixture:",
            "mixture:\n  rates: {cot: -1}",
            4,
            "`mixture.rates.cot`: expected greater than or equal to 0; found -1",
        ),
        (
            "mixture:",
            "mixture:\n  rates: [1, 2]",
            4,
            "`mixture.rates`: expected proportion-a or proportion-b or release, or a mapping",
        ),
        (
            "mixture:",
            "mixture:\n  rates: {niv2: 1}",
            3,
            "`mixture`: `rates` and `submixtures` name different things: niv2, cot",
        ),
        ("mixture:", "mixture:\n  rates: {cot: 0}", 3, "`mixture`: `rates` sum to 0"),
        (
            "name: mine",
            "name: ../mine",
            1,
            '`name`: expected letters, digits, `_`, `.` and `-`, a letter or digit first; found "../mine"',
        ),
        ("training:\n  steps: 10\n", "", 1, "`training` is missing"),
        ("steps: 10", "batch_size: 10", 6, "`training.steps` is missing"),
        ("steps: 10", "steps: 10\n  steps: 20", 8, "`training.steps` stands twice; keep one"),
    ],
)
def test_a_refusal_names_line_key_and_remedy(write: Write, old: str, new: str, line: int, rest: str) -> None:
    assert old in LEAST
    path = write(LEAST.replace(old, new))
    message = refusal(path)
    assert f"{path}:{line}: {rest}" in message
    for item in message.split("\n"):
        assert re.match(rf"{re.escape(str(path))}:\d+: `", item), "a line that does not say where"
    assert "pydantic" not in message
    assert "str]" not in message


def test_every_mistake_is_named_at_once(write: Write) -> None:
    message = refusal(
        write(LEAST.replace("steps: 10", "steps: ten\n  sed: 4").replace("name: mine", "nam: mine"))
    )
    assert all(
        part in message for part in ("`nam`", "`name` is missing", "`training.steps`", "`training.sed`")
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        ("# only a comment\n", "empty file"),
        ("- a\n- b\n", "not a mapping"),
        ("name: [a\n", "not valid YAML"),
        ("name: a\n---\nname: b\n", ":3: a second YAML document begins here"),
        ("name: 2024-02-31\n", "not valid YAML"),
        ("name: !!python/name:os.system\n", "not valid YAML"),
        ("model: &a {config: *a}\n", "the anchor `a` holds itself"),
    ],
)
def test_what_is_no_recipe_at_all_is_refused(write: Write, content: str, message: str) -> None:
    path = write(content)
    text = refusal(path)
    assert text.startswith(str(path))
    assert message in text


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("name: caf\xe9".encode("latin-1"))
    assert "latin.yaml:1: not UTF-8 (byte 9: 0xe9)" in refusal(tmp_path / "latin.yaml")


def test_a_missing_recipe_is_refused_with_the_nearest_packaged_name(tmp_path: Path) -> None:
    assert "did you mean `tiny-t5-cot`?" in refusal("tiny-t5-coot")
    assert "(packaged: " in refusal(tmp_path / "zzz.yaml")
    assert "no such file, nor a packaged recipe" in refusal(tmp_path)


def test_an_unknown_name_is_told_the_recipes_of_its_kind(tmp_path: Path) -> None:
    """One of the other kind is found all the same, to say what it is for."""
    assert "flan-t5-small" in refusal(tmp_path / "zzz.yaml")
    assert "lm-adapt-t5" not in refusal(tmp_path / "zzz.yaml")
    assert "is for `openflan pretrain`" in refusal("lm-adapt-t5")
    with pytest.raises(InputError) as caught:
        load_pretrain_recipe(tmp_path / "zzz.yaml")
    assert "lm-adapt-t5" in str(caught.value)
    assert "flan-t5-small" not in str(caught.value)
