"""Several places for one submixture: the first that has a task gives it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.mixture.open_mixture import open_mixture
from openflan.recipe.load_recipe import dump_recipe, load_recipe, recipe_from
from openflan.recipe.schema import Mixture
from openflan.tasks import sources
from openflan.tasks.places import first_of_each
from openflan.tasks.sources import find_submixture, open_submixture, open_usable
from openflan.tasks.task import NotUsable, Task

sys.path.append(str(Path(__file__).parents[1] / "cli"))

from commands import openflan

RTE = {"premise": "The ferry left.", "hypothesis": "A boat left.", "label": 0}
SST2 = {"sentence": "What a day.", "label": 1}


def put(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def recipe(folder: Path, data: Any) -> dict[str, Any]:
    return {
        "name": "mine",
        "model": {"base": "org/base"},
        "mixture": {"submixtures": {"muffin": {"data": data}}},
        "training": {"steps": 1},
    }


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders: the first has rte with one row, the second rte with two and sst2."""
    put(tmp_path / "first" / "rte.jsonl", RTE)
    put(tmp_path / "second" / "rte.jsonl", RTE, RTE)
    put(tmp_path / "second" / "sst2.jsonl", SST2)
    return tmp_path / "first", tmp_path / "second"


def test_the_first_place_that_has_a_task_gives_it(places: tuple[Path, Path]) -> None:
    first, second = places
    tasks = open_submixture("muffin", places)
    assert {name: (len(task.rows), task.place) for name, task in tasks.items()} == {
        "muffin/rte": (1, str(first)),
        "muffin/sst2": (1, str(second)),
    }
    assert len(open_submixture("muffin", places[::-1])["muffin/rte"].rows) == 2
    # One place alone is not said of every task.
    assert open_submixture("muffin", first)["muffin/rte"].place is None


def test_a_local_copy_fills_the_holes_of_the_hub(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(text: str, **_: Any) -> Any:
        raise InputError(f"{text}: no such data set on the hub")

    monkeypatch.setattr("openflan.tasks.muffin.find.hub_records", gone)
    tasks, unusable = open_usable("muffin", (Path("hub:"), places[1]))
    assert {name: task.place for name, task in tasks.items()} == {
        "muffin/rte": str(places[1]),
        "muffin/sst2": str(places[1]),
    }
    assert "no such data set" in unusable["muffin/cola"]


def test_a_task_that_no_place_can_open_says_why_of_each(tmp_path: Path) -> None:
    for name in ("first", "second"):
        put(tmp_path / name / "rte.jsonl", RTE | {"label": -1})
    with pytest.raises(NotUsable, match=r"first/rte.jsonl.*; .*second/rte.jsonl"):
        open_submixture("muffin", [tmp_path / "first", tmp_path / "second"])


def test_a_place_that_is_not_there_is_an_error(places: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file"):
        find_submixture("muffin", (places[0], tmp_path / "nowhere"))
    with pytest.raises(InputError, match="nowhere: no such file"):
        sources.check_layout("muffin", (places[0], tmp_path / "nowhere"))


def test_ready_made_rows_are_not_mixed_with_tasks(places: tuple[Path, Path], tmp_path: Path) -> None:
    ready_made = put(tmp_path / "copy" / "flan_zs_opt_train.jsonl", {"inputs": "a", "targets": "b"}).parent
    with pytest.raises(InputError, match="would count twice"):
        open_submixture("muffin", (places[0], ready_made))


def test_an_embedded_source_stands_alone(places: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="name it alone"):
        find_submixture("microflan", (Path("embedded:microflan"), places[0]))


def test_a_recipe_names_several_places(places: tuple[Path, Path], tmp_path: Path) -> None:
    loaded = recipe_from(recipe(tmp_path, ["hub:", str(places[0])]), "here")
    assert loaded.mixture.submixtures["muffin"].data == (Path("hub:"), places[0])
    file = tmp_path / "sub" / "mine.yaml"
    file.parent.mkdir()
    file.write_text(json.dumps(recipe(tmp_path, ["../first", "../second", "hub:org/name"])))
    relative = load_recipe(file)
    assert relative.mixture.submixtures["muffin"].data == (*places, Path("hub:org/name"))
    (tmp_path / "again.yaml").write_text(dump_recipe(relative))
    assert load_recipe(tmp_path / "again.yaml") == relative
    override = load_recipe(file, [f"mixture.submixtures.muffin.data=[{places[1]}, {places[0]}]"])
    assert override.mixture.submixtures["muffin"].data == places[::-1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "expected a path"),
        ([3], "expected a path"),
        (["rows", None], "expected a path"),
        (["rows", "rows"], "twice"),
        (3, "a path"),
        ({"a": "rows"}, "a path"),
    ],
)
def test_what_is_no_list_of_places_is_refused(data: Any, said: str) -> None:
    with pytest.raises(InputError, match=rf"mixture.submixtures.muffin.data`.*{said}"):
        recipe_from(recipe(Path(), data), "here")


def test_one_place_in_a_list_is_that_place(tmp_path: Path) -> None:
    alone = recipe_from(recipe(tmp_path, str(tmp_path / "a")), "here")
    assert recipe_from(recipe(tmp_path, [str(tmp_path / "a")]), "here") == alone


def test_the_tasks_of_a_mixture_say_their_place(places: tuple[Path, Path]) -> None:
    mixture = Mixture.model_validate({"submixtures": {"muffin": {"data": [str(place) for place in places]}}})
    opened = open_mixture(mixture)
    assert {task.place for task in opened.tasks.values()} == {str(place) for place in places}


def test_commands_name_the_place_of_a_task(places: tuple[Path, Path]) -> None:
    options = [word for place in places for word in ("--data", place)]
    listed = json.loads(openflan("tasks", "list", *options, "--submixture", "muffin", "--json").stdout)
    assert {task["name"]: (task["rows"], task["place"]) for task in listed} == {
        "muffin/rte": (1, str(places[0])),
        "muffin/sst2": (1, str(places[1])),
    }
    assert f"place: {places[1]}" in openflan("tasks", "show", "muffin/sst2", *options).stdout
    checked = openflan("tasks", "check", *options, "--submixture", "muffin", "--json")
    details = {row["task"]: row["detail"] for row in json.loads(checked.stdout)}
    assert f"1 rows from {places[0]}" in details["muffin/rte"]


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.booleans()), min_size=1, max_size=4))
def test_every_task_is_from_the_first_place_with_usable_rows(there: list[dict[str, bool]]) -> None:
    def opener(name: str, place: int, is_usable: bool) -> Any:
        def open_task() -> Task:
            if not is_usable:
                raise NotUsable(f"place {place}")
            return Task(f"mine/{name}", [{}] * (place + 1), frozenset(), name, "quiz")

        return open_task

    openers = first_of_each(
        {
            Path(str(place)): {name: opener(name, place, is_usable) for name, is_usable in tasks.items()}
            for place, tasks in enumerate(there)
        }
    )
    assert set(openers) == {name for tasks in there for name in tasks}
    for name, open_task in openers.items():
        usable = [place for place, tasks in enumerate(there) if tasks.get(name)]
        if usable:
            task = open_task()
            assert (task.place, len(task.rows)) == (str(usable[0]), usable[0] + 1)
        else:
            with pytest.raises(NotUsable):
                open_task()


@pytest.mark.slow  # loads a tokenizer and a model's configuration
def test_the_ledger_counts_the_tasks_of_each_place(places: tuple[Path, Path], tmp_path: Path) -> None:
    values = recipe(tmp_path, [str(place) for place in places])
    values |= {"model": {"base": "embedded:microflan-tiny"}, "packing": {"inputs": 64, "targets": 32}}
    (tmp_path / "mine.yaml").write_text(json.dumps(values), encoding="utf-8")
    done = openflan("mixture", tmp_path / "mine.yaml")
    assert f"tasks: 1 from {places[0]}, 1 from {places[1]}" in " ".join(done.stdout.split())
    ledger = json.loads(openflan("mixture", tmp_path / "mine.yaml", "--json").stdout)
    assert {row["task"]: row["place"] for row in ledger["tasks"]} == {
        "muffin/rte": str(places[0]),
        "muffin/sst2": str(places[1]),
    }
