"""Recipes of continued pretraining: read, checked and told apart from those of finetuning."""

import json
from pathlib import Path

import pytest
import yaml

from openflan.errors import InputError
from openflan.objectives.denoisers import OBJECTIVES
from openflan.recipe.chain_steps import load_chain, packaged_chains
from openflan.recipe.load_recipe import (
    dump_recipe,
    load_any_recipe,
    load_pretrain_recipe,
    load_recipe,
    pretraining_recipes,
)
from openflan.recipe.pretraining import Objective, Pretraining, PretrainRecipe
from openflan.recipe.schema import Recipe

LEAST = """
name: mine
model: { base: some/model }
pretraining: { data: texts/a.txt, objective: prefix-lm }
training: { steps: 10 }
"""


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_the_least_recipe_and_its_dump(tmp_path: Path) -> None:
    loaded = load_pretrain_recipe(written(tmp_path, LEAST), ["pretraining.data=[a.txt, hub:owner/name]"])
    assert (loaded.packing.inputs, loaded.packing.targets) == (512, 512)
    assert loaded.pretraining.data == [Path.cwd() / "a.txt", Path("hub:owner/name")]
    again = load_pretrain_recipe(written(tmp_path, dump_recipe(loaded), "again.yaml"))
    assert again == loaded
    assert load_any_recipe(tmp_path / "again.yaml") == loaded


def test_paths_start_at_the_file(tmp_path: Path) -> None:
    assert load_pretrain_recipe(written(tmp_path, LEAST)).pretraining.data == [tmp_path / "texts" / "a.txt"]


def test_a_recipe_of_the_other_kind_names_its_command(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"mine.yaml:4: a recipe with `pretraining:` is for `openflan pretrain`"
    ):
        load_recipe(written(tmp_path, LEAST))
    with pytest.raises(InputError, match="a recipe with `mixture:` is for `openflan finetune`"):
        load_pretrain_recipe("tiny-t5-cot")
    assert isinstance(load_any_recipe("tiny-t5-cot"), Recipe)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pretraining.lenght=3", r"`pretraining.lenght` is not a key of a recipe; did you mean `length`\?"),
        ("pretraining.objective=mlm", "`pretraining.objective`: expected 'span-corruption', 'prefix-lm'"),
        ("pretraining.mean_span=3", "`mean_span` does not belong to `objective: prefix-lm`; leave it out"),
        ("pretraining.shares={r: 1}", "`shares` does not belong to `objective: prefix-lm`"),
        ("pretraining.corruption_rate=1.5", "`pretraining.corruption_rate`: expected less than 1"),
        (
            "pretraining={objective: causal-lm, salient: 0.5}",
            "`salient` does not belong to `objective: causal-lm`; leave it out",
        ),
        (
            "pretraining={objective: ul2, salient: 0.5}",
            "`salient` does not belong to `objective: ul2`; leave it out",
        ),
        ("pretraining.salient=1.5", "`pretraining.salient`: expected"),
        ("pretraining.salient=0.5", "`salient` needs `salient_field`"),
        (
            "pretraining={salient: 0.5, salient_field: mark, pieces: joined}",
            "`salient` does not belong to `pieces: joined`",
        ),
        ("validation.documents=0", "`validation.documents`: expected greater than 0"),
        ("pretraining.data=[]", "`pretraining.data`: expected at least one"),
        ("evaluation.every=3", "`evaluation` is not a key of a recipe"),
    ],
)
def test_what_is_wrong_is_said(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_pretrain_recipe(written(tmp_path, LEAST), [override])


def test_marks_need_a_field_but_in_the_embedded_world(tmp_path: Path) -> None:
    loaded = load_pretrain_recipe(
        written(tmp_path, LEAST), ["pretraining.data=embedded:microflan", "pretraining.salient=0.6"]
    )
    assert loaded.pretraining.data == [Path("embedded:microflan")]
    assert (loaded.pretraining.salient, loaded.pretraining.salient_field) == (0.6, None)
    marked = load_pretrain_recipe(
        written(tmp_path, LEAST), ["pretraining.salient=0.6", "pretraining.salient_field=mark"]
    )
    assert marked.pretraining.salient_field == "mark"


def test_mixtures_take_shares_and_mode_tokens(tmp_path: Path) -> None:
    loaded = load_pretrain_recipe(
        written(tmp_path, LEAST),
        ["pretraining.objective=ul2r", "pretraining.shares={s: 1, r: 1}", "pretraining.mode_tokens={}"],
    )
    assert loaded.pretraining.shares == {"s": 1, "r": 1}
    assert loaded.pretraining.mode_tokens == {}
    with pytest.raises(InputError, match="pretraining.shares"):
        load_pretrain_recipe(
            written(tmp_path, LEAST), ["pretraining.objective=ul2r", "pretraining.shares={q: 1}"]
        )


def test_the_objectives_are_those_there_are() -> None:
    assert (
        set(OBJECTIVES)
        == set(Pretraining.model_fields["objective"].annotation.__args__)
        == set(Objective.__args__)
    )  # type: ignore[union-attr]


@pytest.mark.parametrize("name", pretraining_recipes())
def test_packaged_recipes_need_text_only(name: str) -> None:
    """But for those that learn the embedded world, which need nothing."""
    if name.startswith("microflan") or name == "ul2r-palm-tiny":
        loaded = load_pretrain_recipe(name)
        assert [str(place).partition("/")[0] for place in loaded.pretraining.data] == ["embedded:microflan"]
    else:
        with pytest.raises(InputError, match=r"`pretraining.data` is missing"):
            load_pretrain_recipe(name)
        loaded = load_pretrain_recipe(name, ["pretraining.data=texts"])
    assert isinstance(loaded, PretrainRecipe)
    assert loaded.name == name


@pytest.mark.parametrize(
    ("name", "then"), [("ul2r-palm-8b", "shapes/flan-palm-8b"), ("ul2r-palm-tiny", "palm-tiny")]
)
def test_palms_shape_is_the_one_of_its_finetuning_recipe(name: str, then: str) -> None:
    ours = load_pretrain_recipe(name, ["pretraining.data=texts"]).model
    theirs = load_recipe(then).model
    assert (ours.config, ours.tokenizer) == (theirs.config, theirs.tokenizer)


@pytest.mark.parametrize("name", packaged_chains())
def test_packaged_chains_load(name: str, tmp_path: Path) -> None:
    """A chain whose first step needs data is told; each step begins with the model of the one before."""
    steps = load_chain(
        packaged_chains()[name],
        tmp_path / "run",
        [] if name.startswith("microflan") else ["1.pretraining.data=texts"],
    )
    assert isinstance(steps[0].recipe, PretrainRecipe)
    assert [step.recipe.model.base for step in steps[1:]] == [
        str(tmp_path / "run" / step.folder / "model") for step in steps[:-1]
    ]


@pytest.mark.parametrize("size", ["8b", "tiny"])
def test_u_palms_road_lets_inputs_see_one_another_in_both_steps(size: str, tmp_path: Path) -> None:
    first, last = load_chain(
        packaged_chains()[f"ul2r-flan-u-palm-{size}"], tmp_path / "run", ["1.pretraining.data=texts"]
    )
    assert isinstance(first.recipe, PretrainRecipe)
    assert first.recipe.pretraining.objective == "ul2r"
    assert (first.recipe.model.attention, last.recipe.model.attention) == ("prefix", "prefix")
    assert last.recipe.name == f"flan-u-palm-{size}"


def chain(folder: Path, *steps: object) -> Path:
    written(folder, LEAST)
    return written(folder, yaml.safe_dump(list(steps)), "chain.yaml")


def test_a_chains_steps_start_from_one_another(tmp_path: Path) -> None:
    sets = {"name": "second", "pretraining.data": "other.txt", "training": {"steps": 3}, "model.dropout": 0.2}
    path = chain(
        tmp_path,
        {"pretrain": "mine.yaml"},
        {"pretrain": "mine.yaml", "set": sets},
        {"pretrain": "mine.yaml", "set": {"model.base": "own/model"}},
    )
    first, second, third = load_chain(path, tmp_path / "run", ["1.training.steps=7", "2.model.base=previous"])
    assert (first.folder, second.folder, third.folder) == ("1-mine", "2-second", "3-mine")
    assert (first.recipe.model.base, first.recipe.training.steps) == ("some/model", 7)
    assert second.recipe.model.base == str(tmp_path / "run" / "1-mine" / "model")
    assert second.recipe.model.dropout == 0.2
    assert second.recipe.training.steps == 3
    assert isinstance(second.recipe, PretrainRecipe)
    assert second.recipe.pretraining.data == [tmp_path / "other.txt"]
    assert third.recipe.model.base == "own/model"


def test_a_chain_sets_a_models_configuration_or_one_key_of_it(tmp_path: Path) -> None:
    config = {"model_type": "t5", "d_model": 64, "num_layers": 2}
    written(
        tmp_path, LEAST.replace("base: some/model", f"config: {json.dumps(config)}, tokenizer: some/model")
    )
    path = written(
        tmp_path,
        yaml.safe_dump(
            [
                {"pretrain": "mine.yaml", "set": {"model.config.d_model": 32, "name": "key"}},
                {
                    "pretrain": "mine.yaml",
                    "set": {
                        "model.base": None,
                        "model.tokenizer": "some/model",
                        "model.config": {"model_type": "t5", "d_kv": 8},
                    },
                },
            ]
        ),
        "chain.yaml",
    )
    first, second = load_chain(path, tmp_path / "run")
    assert first.recipe.model.config == config | {"d_model": 32}
    assert second.recipe.model.config == {"model_type": "t5", "d_kv": 8}


@pytest.mark.parametrize(
    ("steps", "overrides", "message"),
    [
        ([], [], "not a chain; expected a list of steps"),
        (["pretrain"], [], "step 1: expected a mapping such as"),
        (
            [{"pretrain": "mine.yaml", "sets": {}}],
            [],
            r"step 1: `sets` is not a key of a step; did you mean `set`\?",
        ),
        (
            [{"pretrain": "mine.yaml", "finetune": "mine.yaml"}],
            [],
            "step 1: expected one of `pretrain:` and `finetune:`",
        ),
        ([{"set": {}}], [], "step 1: expected one of"),
        ([{"pretrain": "mine.yaml", "set": 3}], [], "step 1: `set:` holds keys of the recipe"),
        (
            [{"pretrain": "mine.yaml", "set": {"model.base": "previous"}}],
            [],
            "step 1: there is no previous model; name one",
        ),
        (
            [{"pretrain": "mine.yaml"}],
            ["2.seed=3"],
            "`2.seed=3`: write N.key=value, N being a step's number from 1 to 1",
        ),
        ([{"pretrain": "mine.yaml"}], ["seed=3"], "write N.key=value"),
        ([{"finetune": "mine.yaml"}], [], "a recipe with `pretraining:` is for `openflan pretrain`"),
        ([{"pretrain": "mine.yaml", "set": {"seed": "x"}}], [], 'override `seed="x"`: `seed`: '),
    ],
)
def test_what_is_wrong_with_a_chain_is_said(
    steps: list[object], overrides: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        load_chain(chain(tmp_path, *steps), tmp_path / "run", overrides)
