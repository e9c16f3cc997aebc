"""Recipes: what a file may say, how files and overrides combine, and what a person is told when one is
wrong."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from openflan.errors import InputError
from openflan.mixture.rates import cap_of, relative_rates
from openflan.recipe.load_recipe import (
    differences,
    dump_recipe,
    load_pretrain_recipe,
    load_recipe,
    packaged_recipes,
    recipe_from,
)
from openflan.recipe.presets import CAPS, RATES
from openflan.recipe.schema import Recipe, Section

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


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file below the test's folder and gives its path."""

    def write_(text: str, name: str = "mine.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_


def refusal(path: Path | str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_recipe(path, overrides)
    return str(caught.value)


# Defaults and presets


def test_what_a_recipe_leaves_out_has_the_documented_defaults(write: Write) -> None:
    recipe = load_recipe(write(LEAST))
    assert (recipe.seed, recipe.model.dropout, recipe.mixture.rates) == (0, None, None)
    assert (recipe.packing.inputs, recipe.packing.targets, recipe.packing.on_overflow) == (
        1024,
        256,
        "truncate-inputs",
    )
    assert (recipe.training.learning_rate, recipe.training.batch_size, recipe.training.precision) == (
        5e-4,
        64,
        "float32",
    )
    assert (recipe.training.optimizer, recipe.training.step_offset, recipe.training.micro_batch_size) == (
        "adafactor",
        0,
        None,
    )
    assert (recipe.checkpoints.every, recipe.checkpoints.keep) == (1000, 3)
    cot = recipe.mixture.submixtures["cot"]
    assert (cot.tasks, cot.cap, cot.styles.few_shot, cot.styles.rationale, cot.styles.options) == (
        ["*"],
        None,
        0.5,
        1.0,
        0.5,
    )


def test_presets_are_those_of_table_23() -> None:
    assert {name: dict(shares) for name, shares in RATES.items()} == {
        "proportion-a": {"muffin": 52, "t0_sf": 15, "cot": 3, "niv2": 30},
        "proportion-b": {"muffin": 46.0, "t0_sf": 27.9, "cot": 1.8, "niv2": 24.2},
        # Not of the table: the public release's.
        "release": {
            "muffin/flan2021": 40,
            "muffin/dialog": 3,
            "muffin/program_synthesis": 0,
            "t0_sf": 32,
            "niv2": 20,
            "cot": 5,
        },
    }
    assert dict(CAPS) == {"muffin": 30_000, "t0_sf": 20_000, "cot": 100_000, "niv2": 5_000}


def test_a_cap_is_the_papers_unless_stated(write: Write) -> None:
    text = LEAST.replace("cot: {data: rows}", "cot: {data: rows}\n    niv2: {cap: 7}\n    mine: {}")
    mixture = load_recipe(write(text)).mixture
    assert [cap_of(mixture, name) for name in ("cot", "niv2", "mine")] == [100_000, 7, None]


def test_preset_rates_stand_for_their_numbers(write: Write) -> None:
    recipe = load_recipe(write(LEAST), ["mixture.rates=proportion-b"])
    assert relative_rates(recipe.mixture) == {"muffin": 46.0, "t0_sf": 27.9, "cot": 1.8, "niv2": 24.2}


def sections(section: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The section and all that stand in its fields."""
    yield section
    for field in section.model_fields.values():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from sections(part)


def test_every_key_has_a_line_of_help() -> None:
    found = list(sections(Recipe))
    names = {
        "Recipe",
        "Model",
        "Mixture",
        "Submixture",
        "Styles",
        "Packing",
        "Training",
        "Checkpoints",
        "Evaluation",
    }
    assert {section.__name__ for section in found} == names
    for section in found:
        assert issubclass(section, Section)
        bare = [
            name
            for name, field in section.model_fields.items()
            if not field.description or len(field.description) < 8
        ]
        assert bare == [], f"{section.__name__}: no description"


# Packaged recipes


def test_there_are_packaged_recipes() -> None:
    assert "tiny-t5-cot" in packaged_recipes()


@pytest.mark.parametrize("name", packaged_recipes())
def test_every_packaged_recipe_loads_by_name_and_says_how_to_run_it(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert f"openflan finetune {name}" in packaged_recipes()[name].read_text(encoding="utf-8")


def test_a_packaged_recipe_takes_the_overrides_it_asks_for(tmp_path: Path) -> None:
    recipe = load_recipe(
        "tiny-t5-cot", [f"mixture.submixtures.cot.data={tmp_path}", "model.tokenizer=org/other"]
    )
    assert recipe.mixture.submixtures["cot"].data == tmp_path
    assert recipe.model.tokenizer == "org/other"
    assert recipe.mixture.submixtures["cot"].tasks == ["cot/*"]


# extends


def test_a_chain_of_recipes_overrides_section_by_section(write: Write) -> None:
    write(LEAST.replace("steps: 10", "steps: 10\n  batch_size: 8"), "base/grand.yaml")
    write(
        "extends: base/grand.yaml\nname: parent\ntraining: {batch_size: 16}\nmixture: {submixtures: "
        "{mine: {cap: 5}}}\n",
        "parent.yaml",
    )
    recipe = load_recipe(write("extends: parent.yaml\nname: child\ntraining: {steps: 20}\n", "child.yaml"))
    assert (recipe.name, recipe.training.steps, recipe.training.batch_size, recipe.model.base) == (
        "child",
        20,
        16,
        "org/base",
    )
    assert list(recipe.mixture.submixtures) == ["cot", "mine"]


def test_a_packaged_recipe_can_be_extended_even_by_a_file_of_its_name(write: Write) -> None:
    recipe = load_recipe(
        write("extends: tiny-t5-cot\nname: mine\ntraining: {steps: 7}\n", "tiny-t5-cot.yaml")
    )
    assert (recipe.name, recipe.training.steps, recipe.training.batch_size) == (
        "mine",
        7,
        load_recipe("tiny-t5-cot").training.batch_size,
    )


def test_a_stated_config_replaces_the_inherited_one_whole(write: Write) -> None:
    """Keys of one architecture would be wrong in another."""
    recipe = load_recipe(
        write("extends: tiny-t5-cot\nmodel: {config: {model_type: llama, hidden_size: 8}}\n")
    )
    assert recipe.model.config == {"model_type": "llama", "hidden_size": 8}


def test_a_circle_of_extends_is_named(write: Write) -> None:
    write("extends: two.yaml\n", "one.yaml")
    path = write("extends: one.yaml\n", "two.yaml")
    assert "circle: two.yaml -> one.yaml -> two.yaml" in refusal(path)
    assert "circle" in refusal(write("extends: self.yaml\n", "self.yaml"))


def test_a_parent_that_is_missing_or_no_name_is_refused(write: Write) -> None:
    assert "did you mean `tiny-t5-cot`?" in refusal(write("extends: tiny-t5-cott\n"))
    assert "mine.yaml:2: `extends:` must name one recipe" in refusal(write("name: a\nextends: [one, two]\n"))


def test_a_mistake_in_a_parent_names_the_parents_line(write: Write) -> None:
    parent = write(LEAST.replace("steps: 10", "stepz: 10"), "parent.yaml")
    child = write("extends: parent.yaml\nname: child\n", "child.yaml")
    assert f"{parent}:7: `training.stepz`" in refusal(child)
    write(LEAST, "parent.yaml")
    assert f"{child}:3: `training.steps`" in refusal(
        write("extends: parent.yaml\ntraining:\n  steps: many\n", "child.yaml")
    )


# Overrides


def test_overrides_are_read_as_yaml_and_the_last_one_holds(write: Write) -> None:
    overrides = [
        "training.steps=5",
        "training.steps=6",
        "training.learning_rate=1.0e-3",
        "seed=3",
        "mixture.rates={cot: 2}",
        "model.dropout=null",
    ]
    recipe = load_recipe(
        write(LEAST), [*overrides, "mixture.submixtures.cot.tasks=[cot/gsm8k, cot/qasc]", "name=other-1"]
    )
    assert (recipe.training.steps, recipe.training.learning_rate, recipe.seed, recipe.name) == (
        6,
        1e-3,
        3,
        "other-1",
    )
    assert relative_rates(recipe.mixture) == {"cot": 2}
    assert recipe.mixture.submixtures["cot"].tasks == ["cot/gsm8k", "cot/qasc"]


def test_a_value_may_hold_an_equals_sign(write: Write) -> None:
    assert load_recipe(write(LEAST), ["model.base=org/a=b"]).model.base == "org/a=b"


def test_one_pattern_may_stand_alone(write: Write) -> None:
    assert load_recipe(write(LEAST), ["mixture.submixtures.cot.tasks=cot/gsm8k"]).mixture.submixtures[
        "cot"
    ].tasks == ["cot/gsm8k"]


def test_an_override_inside_config_keeps_the_rest_of_it() -> None:
    before, after = (
        load_recipe("tiny-t5-cot").model.config,
        load_recipe("tiny-t5-cot", ["model.config.num_layers=1"]).model.config,
    )
    assert before is not None
    assert after == {**before, "num_layers": 1}
    assert before["num_layers"] != 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "training.stepz=5",
            "override `training.stepz=5`: `training.stepz` is not a key of a recipe; did you mean `steps`?",
        ),
        (
            "trainin.steps=5",
            "override `trainin.steps=5`: `trainin` is not a key of a recipe; did you mean `training`?",
        ),
        (
            "training.steps=many",
            (
                "override `training.steps=many`: `training.steps`: expected a valid integer, unable to "
                "parse "
                'string as an integer; found "many"'
            ),
        ),
        (
            "mixture.submixtures.cot={data: x, cap: none}",
            "`mixture.submixtures.cot.cap`: expected a valid integer",
        ),
        ("training=5", "override `training=5`: `training`: expected a mapping of keys; found 5"),
        ("steps", "`steps` is not an override; write key=value"),
        ("=5", "`=5` is not an override; write key=value"),
        ("training.steps=[5", "`training.steps=[5`: the value is not valid YAML"),
        ("name=2024-02-31", "`name=2024-02-31`: the value is not valid YAML"),
        ("extends=tiny-t5-cot", "only a recipe file can extend another"),
    ],
)
def test_a_wrong_override_is_named_itself(write: Write, override: str, message: str) -> None:
    text = refusal(write(LEAST), override)
    assert message in text
    assert override in text


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
        ("{data: rows}", "{data: 5}", 5, "`mixture.submixtures.cot.data`: expected a path; found 5"),
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
    for one in message.split("\n"):
        assert re.match(rf"{re.escape(str(path))}:\d+: `", one), "a line that does not say where"
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


# Paths


def test_relative_paths_start_at_the_file_that_states_them(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "base/tokenizer").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    parent = LEAST.replace("{base: org/base}", "{base: org/base, tokenizer: tokenizer}").replace(
        "{data: rows}", "{data: rows, wordings: ../own.yaml}"
    )
    write(parent, "base/parent.yaml")
    child = write(
        "extends: ../base/parent.yaml\nmixture: {submixtures: {mine: {data: more.jsonl}}}\n",
        "child/child.yaml",
    )
    monkeypatch.chdir(tmp_path / "here")
    recipe = load_recipe("../child/child.yaml", ["mixture.submixtures.third.data=x.jsonl"])
    assert child.is_file()
    data = {name: submixture.data for name, submixture in recipe.mixture.submixtures.items()}
    assert data == {
        "cot": tmp_path / "base/rows",
        "mine": tmp_path / "child/more.jsonl",
        "third": tmp_path / "here/x.jsonl",
    }
    assert recipe.mixture.submixtures["cot"].wordings == tmp_path / "own.yaml"
    assert recipe.model.tokenizer == str(tmp_path / "base/tokenizer")
    assert recipe.model.base == "org/base"


def test_the_home_folder_may_be_abbreviated(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert (
        load_recipe(write(LEAST.replace("data: rows", "data: ~/rows"))).mixture.submixtures["cot"].data
        == tmp_path / "home/rows"
    )


# Values that come from elsewhere


def given_values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(LEAST)
    return values


def test_values_are_checked_under_the_name_of_their_place() -> None:
    with pytest.raises(
        InputError, match=r"^the command line: `nme` is not a key of a recipe; did you mean `name`\?"
    ):
        recipe_from({**given_values(), "nme": "a"}, "the command line")


def test_values_given_are_left_as_they_were_and_their_paths_start_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = given_values()
    before = copy.deepcopy(values)
    recipe = recipe_from(values, "here", ["training.steps=99", "mixture.submixtures.cot.cap=4"])
    assert values == before
    assert (recipe.training.steps, recipe.mixture.submixtures["cot"].cap) == (99, 4)
    assert recipe.mixture.submixtures["cot"].data == tmp_path / "rows"


# Round trip and differences

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,12}", fullmatch=True)
plain = (
    st.none()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.text(st.characters(codec="utf-8"), max_size=12)
)
configs = st.dictionaries(
    st.text("abcdef_", min_size=1),
    plain | st.lists(plain, max_size=3) | st.dictionaries(st.text("ab", min_size=1), plain, max_size=2),
    max_size=4,
)
share = st.floats(0, 1)


@example(
    name="a",
    seed=0,
    config={"a": "one\x85two\u2028three"},
    tasks=["\x85", "a\u2029", "\ufeff\r\n\t"],
    cap=None,
    few_shot=0.0,
    rates=None,
    learning_rate=1.0,
)
@settings(deadline=None, max_examples=60)
@given(
    name=names | st.sampled_from(["null", "yes", "1e5", "0123", "12.5"]),
    seed=st.integers(0, 2**53),
    config=configs,
    tasks=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=10), min_size=1, max_size=3),
    cap=st.none() | st.integers(1, 10**6),
    few_shot=share,
    rates=st.none() | st.just("proportion-a") | st.fixed_dictionaries({"cot": st.floats(1e-9, 1e9)}),
    learning_rate=st.floats(1e-12, 10),
)
def test_a_dumped_recipe_loads_as_itself(
    tmp_path_factory: pytest.TempPathFactory, name: str, seed: int, config: dict[str, Any], **rest: Any
) -> None:
    values = {
        "name": name,
        "seed": seed,
        "model": {"config": {**config, "model_type": "t5"}, "tokenizer": "org/a"},
        "mixture": {
            "submixtures": {
                "cot": {"tasks": rest["tasks"], "cap": rest["cap"], "styles": {"few_shot": rest["few_shot"]}}
            },
            "rates": rest["rates"],
        },
        "training": {"steps": 3, "learning_rate": rest["learning_rate"]},
    }
    recipe = recipe_from(values, "here")
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    again = load_recipe(path)
    assert again == recipe
    assert differences(recipe, again) == []
    assert again.model.config == {**config, "model_type": "t5"}


@pytest.mark.parametrize("name", packaged_recipes())
def test_a_dumped_packaged_recipe_loads_as_itself(name: str, write: Write) -> None:
    assert load_recipe(write(dump_recipe(load_recipe(name)))) == load_recipe(name)


def test_a_dump_states_every_default(write: Write) -> None:
    dumped = yaml.safe_load(dump_recipe(load_recipe(write(LEAST))))
    assert dumped["packing"] == {
        "inputs": 1024,
        "targets": 256,
        "layout": "paper",
        "on_overflow": "truncate-inputs",
    }
    assert dumped["mixture"]["submixtures"]["cot"]["styles"] == {
        "few_shot": 0.5,
        "rationale": 1.0,
        "options": 0.5,
        "inverted": pytest.approx(0.3 / 1.3),
        "exemplars_only": 0.34,
    }


def test_differences_name_key_old_and_new(write: Write) -> None:
    path = write(LEAST)
    old = load_recipe(path)
    new = load_recipe(
        path,
        ["training.steps=20", "mixture.rates={cot: 2}", "seed=1", "mixture.submixtures.cot.tasks=[cot/qed]"],
    )
    assert differences(old, new) == [
        "mixture.rates.cot: None -> 2.0",
        "mixture.submixtures.cot.tasks: ['*'] -> ['cot/qed']",
        "seed: 0 -> 1",
        "training.steps: 10 -> 20",
    ]
    assert differences(old, load_recipe(path)) == []


def test_a_recipe_cannot_be_changed(write: Write) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_recipe(write(LEAST)).seed = 5  # type: ignore[misc]
