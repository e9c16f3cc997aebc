"""Other embedded worlds by their seed: the same tasks about other facts, and a warning where a base has read
of another."""

import json
import warnings
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from openflan.cli.main import app
from openflan.embedded import MICROFLAN, EmbeddedData, parse_benchmark, parse_data
from openflan.errors import InputError
from openflan.evaluation.embedded_benchmarks import data_of_benchmarks
from openflan.evaluation.selection import open_benchmark
from openflan.microflan.world import plain_sentences, world
from openflan.mixture.embedded_seeds import data_of_mixture, trained_data, warn_of_other_data
from openflan.recipe.load_recipe import load_recipe
from openflan.tasks.sources import open_submixture
from openflan.tasks.texts import open_texts

OTHER = Path("embedded:microflan@7")


def worlds(*seeds: int) -> set[EmbeddedData]:
    return {EmbeddedData(MICROFLAN, seed) for seed in seeds}


def answer_in(seed: int, person: str) -> str:
    """From the table of facts, not from a task."""
    return world(seed).tables()["colour"][person]


def test_the_same_tasks_about_other_facts() -> None:
    name = "microflan/person_colour-qa"
    here, there = (open_submixture("microflan", data, [name])[name] for data in (None, OTHER))
    assert len(here.rows) == len(there.rows)
    for task, seed in ((here, 0), (there, 7)):
        assert all(
            row["answer"]
            == answer_in(seed, row["question"].removeprefix("What is the colour of ").rstrip("?"))
            for row in task.rows
        )
    assert [row["answer"] for row in here.rows] != [row["answer"] for row in there.rows]


def test_plain_text_and_benchmarks_are_of_the_world_that_is_named() -> None:
    known = {seed: set(plain_sentences(seed)) for seed in (0, 7)}
    of_people = [f"The colour of Ann is {answer_in(seed, 'Ann')}." for seed in (0, 7)]
    assert of_people[0] in known[0] - known[7]
    assert of_people[1] in known[7] - known[0]
    texts = open_texts([OTHER])
    assert texts.place(3) == "embedded:microflan@7, document 3"
    assert [texts[number] for number in range(9)] != [
        open_texts([Path("embedded:microflan")])[index] for index in range(9)
    ]
    for benchmark in ("microflan-dev", "microflan-probes"):
        here, there = (
            open_benchmark(name, "direct", None, limit=2) for name in (benchmark, f"{benchmark}@7")
        )
        assert (here.name, there.name) == (benchmark, f"{benchmark}@7")
        both = [task for task in here.tasks if task in there.tasks]
        assert len(both) > 0.9 * len(here.tasks), "but for the pairs held out, which each world draws"
        assert any(here.examples(task)[0].target != there.examples(task)[0].target for task in both)


@pytest.mark.parametrize(
    ("named", "seed_and_mix"),
    [
        ("embedded:microflan", (0, "")),
        ("embedded:microflan@12", (12, "")),
        ("embedded:microflan@3/facts", (3, "facts")),
        ("hub:a/b@1", None),
    ],
)
def test_names_of_worlds(named: str, seed_and_mix: tuple[int, str] | None) -> None:
    parsed = parse_data(named)
    assert (None if parsed is None else (parsed.seed, parsed.mix)) == seed_and_mix


@pytest.mark.parametrize(
    "name", ["embedded:microflan@", "embedded:microflan@-1", "embedded:microflan@x/facts"]
)
def test_a_seed_is_a_number(name: str) -> None:
    with pytest.raises(
        InputError, match="the seed of a world is a whole number from 0 on, such as embedded:microflan@1"
    ):
        parse_data(name)
    with pytest.raises(InputError, match="such as microflan-dev@1"):
        parse_benchmark("microflan-dev@x")


def test_only_what_tells_of_worlds_comes_from_one() -> None:
    with pytest.raises(
        InputError,
        match="submixture `niv2` does not come from embedded:microflan@7; microflan and microflan_text do",
    ):
        open_submixture("niv2", OTHER)
    with pytest.raises(InputError, match="mixes of kinds are for `pretraining.data`"):
        open_submixture("microflan", Path("embedded:microflan@7/facts"))


def run_folder(folder: Path, **recipe: object) -> Path:
    (folder / "model").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "model"


def test_what_a_base_has_read_of_is_told_by_the_recipes_behind_it(tmp_path: Path) -> None:
    read = run_folder(
        tmp_path / "read", model={"base": None}, pretraining={"data": ["embedded:microflan@3/facts", "texts"]}
    )
    taught = run_folder(
        tmp_path / "taught",
        model={"base": str(read)},
        mixture={"submixtures": {"microflan": {"data": "embedded:microflan@4"}, "cot": {"data": "x"}}},
    )
    assert trained_data("embedded:microflan-base") == worlds(0)
    assert trained_data(read) == worlds(3)
    assert trained_data(taught) == trained_data(tmp_path / "taught") == worlds(3, 4)
    assert trained_data("somebody/some-model") == trained_data(None) == set()


def test_a_base_that_knows_another_world_is_warned_of(tmp_path: Path) -> None:
    recipe = load_recipe("microflan", ["mixture.submixtures.microflan.data=embedded:microflan@7"])
    assert data_of_mixture(recipe.mixture) == worlds(0, 7)
    with pytest.warns(
        UserWarning,
        match=(
            "the base was trained on another embedded world: embedded:microflan-base on microflan, and this "
            "is about microflan@7"
        ),
    ):
        warn_of_other_data(recipe.model.base, data_of_mixture(recipe.mixture))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_other_data(recipe.model.base, worlds(0))
        warn_of_other_data(
            run_folder(tmp_path / "read", pretraining={"data": "embedded:microflan@7"}), worlds(7)
        )
        warn_of_other_data("somebody/some-model", worlds(7))


@pytest.mark.parametrize(
    ("name", "data", "seeds"),
    [
        ("microflan-dev@7", None, [7]),
        ("microflan", None, [0]),
        ("microflan/person_colour-qa", None, [0]),
        ("microflan/person_colour-qa", OTHER, [7]),
        ("microflan_text/*", OTHER, [7]),
        ("microflan/own.yaml", None, []),
        ("mmlu", None, []),
        ("niv2/task1356_xlsum", Path("rows"), []),
    ],
)
def test_which_world_an_evaluation_asks_about(name: str, data: Path | None, seeds: list[int]) -> None:
    assert data_of_benchmarks([name], data) == [EmbeddedData(MICROFLAN, seed) for seed in seeds]


def test_tasks_of_another_world_can_be_looked_at() -> None:
    done = CliRunner().invoke(
        app, ["tasks", "show", "microflan/person_colour-qa", "--data", str(OTHER), "--json"]
    )
    assert done.exit_code == 0, done.output
    (shown,) = json.loads(done.stdout)
    (person,) = {name for name in world(7).tables()["colour"] if name in shown["inputs"]}
    assert shown["answer"] == answer_in(7, person)
