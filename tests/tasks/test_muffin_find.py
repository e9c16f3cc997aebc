"""Muffin's data sets as files: found by name, every record converted once, what is left out counted."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from openflan.errors import InputError
from openflan.mixture.open_mixture import build_stream, open_tasks
from openflan.recipe.schema import Mixture
from openflan.tasks.catalogue import find
from openflan.tasks.muffin.families import DATASETS
from openflan.tasks.muffin.find import _open, _window
from openflan.tasks.records import JsonRecords
from openflan.tasks.sources import find_submixture, open_submixture
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import packaged_wordings, wordings_for

RTE = [
    {"premise": "The ferry left at noon.", "hypothesis": "A boat departed.", "idx": 0, "label": 0},
    {"premise": "The shop was closed.", "hypothesis": "The shop sold bread.", "idx": 1, "label": 1},
    {"premise": "Not labelled.", "hypothesis": "Nobody knows.", "idx": 2, "label": -1},
]
SQUAD = [
    {
        "id": "a",
        "title": "Ferries",
        "context": "The ferry left at noon.",
        "question": "When did the ferry leave?",
        "answers": {"text": ["at noon", "noon"], "answer_start": [15, 18]},
    }
]


def _jsonl(path: Path, records: list[dict[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def _parquet(path: Path, records: list[dict[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(records), path)
    return path


def test_every_muffin_task_of_the_catalogue_has_a_row_function_and_wordings() -> None:
    assert set(DATASETS) == {entry.name.removeprefix("muffin/") for entry in find(submixture="muffin")}
    for name, dataset in DATASETS.items():
        assert wordings_for(f"muffin/{name}", frozenset(dataset.fields), packaged_wordings()).wordings


def test_data_sets_are_found_by_name_as_files_and_folders_of_shards(tmp_path: Path) -> None:
    _jsonl(tmp_path / "rte.jsonl", RTE)
    _parquet(tmp_path / "squad_v1" / "train-00000-of-00001.parquet", SQUAD)
    assert set(find_submixture("muffin", tmp_path)) == {"muffin/rte", "muffin/squad_v1"}
    tasks = open_submixture("muffin", tmp_path)
    rte, squad = tasks["muffin/rte"], tasks["muffin/squad_v1"]
    assert (len(rte.rows), rte.refused) == (2, 1)
    assert rte.rows[0]["options"] == ["yes", "no"]
    assert [rte.rows[index]["answer"] for index in range(2)] == ["yes", "no"]
    assert rte.category == "natural language inference"
    assert squad.rows[0]["answer"] == "at noon"
    assert set(squad.rows[0]) == squad.fields


def test_nested_columns_are_the_same_from_jsonl_and_parquet(tmp_path: Path) -> None:
    task = open_submixture("muffin", _jsonl(tmp_path / "a" / "squad_v1.jsonl", SQUAD).parent)[
        "muffin/squad_v1"
    ]
    other = open_submixture("muffin", _parquet(tmp_path / "b" / "squad_v1.parquet", SQUAD).parent)[
        "muffin/squad_v1"
    ]
    assert task.rows[0] == other.rows[0]


def test_a_mixture_over_local_copies_renders(tmp_path: Path) -> None:
    _jsonl(tmp_path / "rte.jsonl", RTE)
    mixture = Mixture.model_validate(
        {"submixtures": {"muffin": {"data": str(tmp_path), "styles": {"few_shot": 0.5}}}}
    )
    with pytest.warns(
        UserWarning, match=r"1 of 3 rows left out \(unlabelled, or cleaned away: 1\) of muffin/rte \(1\)"
    ):
        tasks = open_tasks(mixture)
    stream = build_stream(mixture, tasks, seed=0)
    texts = [stream[position] for position in range(200)]
    assert {text.row for text in texts} == {0, 1}
    assert not any("{" in text.inputs + text.targets for text in texts)
    assert any("Options" in text.inputs or text.option_style for text in texts)


def test_changed_columns_are_named(tmp_path: Path) -> None:
    _jsonl(tmp_path / "rte.jsonl", [{"sentence1": "a", "sentence2": "b", "label": 0}])
    with pytest.raises(
        InputError,
        match=r"rte.jsonl:1: rte needs the columns `hypothesis`, `label`, `premise`; found .*`sentence1`",
    ):
        open_submixture("muffin", tmp_path)


def test_a_broken_record_is_left_out_and_named_with_its_line_where_no_other_is_left(tmp_path: Path) -> None:
    broken = {"premise": "a", "hypothesis": "b", "idx": 3, "label": 7}
    _jsonl(tmp_path / "rte.jsonl", [*RTE, broken])
    assert open_submixture("muffin", tmp_path)["muffin/rte"].left_out == {
        "unlabelled, or cleaned away": 1,
        "`label` not as expected": 1,
    }
    _jsonl(tmp_path / "rte.jsonl", [broken])
    with pytest.raises(InputError, match=r"rte.jsonl:1: not a record of rte: "):
        open_submixture("muffin", tmp_path)


def test_a_data_set_without_a_labelled_record_is_refused(tmp_path: Path) -> None:
    _jsonl(tmp_path / "rte.jsonl", RTE[2:])
    with pytest.raises(
        InputError,
        match=r"rte.jsonl:1: no record of rte that can be trained on .*; none of its 1 rows can be used",
    ):
        open_submixture("muffin", tmp_path)


def test_a_data_set_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    _jsonl(tmp_path / "rte.jsonl", RTE)
    _parquet(tmp_path / "rte.parquet", RTE)
    with pytest.raises(InputError, match="holds rte twice"):
        find_submixture("muffin", tmp_path)


def test_other_layouts_under_muffin_are_read_as_before(tmp_path: Path) -> None:
    _jsonl(tmp_path / "own.jsonl", [{"inputs": "a", "targets": "b"}])
    assert set(find_submixture("muffin", tmp_path)) == {"muffin/own"}


def test_the_hub_offers_every_data_set_that_has_a_place_there() -> None:
    names = set(find_submixture("muffin", Path("hub:")))
    assert names == {f"muffin/{name}" for name, dataset in DATASETS.items() if dataset.hub}
    assert len(names) > 50


def test_a_window_of_a_split_is_cut_from_local_files_too(tmp_path: Path) -> None:
    windowed = next(dataset for dataset in DATASETS.values() if "[" in dataset.split)
    assert _window("train[2:4]") == slice(2, 4)
    assert _window("train[:-600]") == slice(None, -600)
    assert _window("train") == slice(None)
    assert _window(windowed.split) != slice(None)
    opened = _open(DATASETS["rte"], lambda: JsonRecords(_jsonl(tmp_path / "rows.jsonl", RTE)), slice(1, 3))
    assert (len(opened.rows), opened.refused) == (1, 1)
    assert opened.rows[0]["answer"] == "no"


def test_two_tasks_over_the_same_rows_share_them_out(tmp_path: Path) -> None:
    rows = [
        {"premise": f"p{number}", "hypothesis": "h", "idx": number, "label": number % 3}
        for number in range(7)
    ]
    for name in ("mnli_matched", "mnli_mismatched"):
        _jsonl(tmp_path / f"{name}.jsonl", rows)
    tasks = open_submixture("muffin", tmp_path)
    premises = {
        name: {task.rows[index]["premise"] for index in range(len(task.rows))} for name, task in tasks.items()
    }
    assert len(premises) == 2
    assert not set.intersection(*premises.values())
    assert set.union(*premises.values()) == {f"p{number}" for number in range(7)}


def test_a_field_that_some_records_lack_is_named_with_the_first_of_them(tmp_path: Path) -> None:
    """Newsroom has titles, but not in every record; a task without any has no such field."""
    records = [
        {"text": f"Rain {number}.", "summary": f"Wet {number}", **({"title": "Rain"} if number != 1 else {})}
        for number in range(4)
    ]
    for name, chosen in (("some", records), ("none", records[1:2]), ("all", records[2:])):
        folder = tmp_path / name
        folder.mkdir()
        lines = "".join(json.dumps(record) + "\n" for record in chosen)
        (folder / "newsroom.jsonl").write_text(lines, encoding="utf-8")
    some, none, full = (
        open_submixture("muffin", tmp_path / name)["muffin/newsroom"] for name in ("some", "none", "all")
    )
    assert some.fields == full.fields == {"document", "answer", "title"}
    assert some.lacking == (("title", f"{tmp_path / 'some/newsroom.jsonl'}:2"),)
    assert none.fields == {"document", "answer"}
    assert none.lacking == full.lacking == ()
    renderer = Renderer(some, wordings_for(some.name, some.fields, packaged_wordings()))
    assert "Rain 1." in renderer.render(1, Style(few_shot=True), 0, 0).inputs
