"""A run notices whatever of its data, tokenizer and template has changed, however many rows there are."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import furnish, recipe

from openflan.errors import InputError
from openflan.mixture.fingerprints import fingerprint
from openflan.mixture.open_mixture import open_tasks
from openflan.models.load_model import load_tokenizer
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run
from openflan.tasks.shuffled import ShuffledAnswers
from openflan.tasks.sources import open_submixture
from openflan.tasks.subset import RowsOnly, RowsWithout
from openflan.tasks.task import Task
from openflan.tasks.texts import open_texts
from openflan.training.finetune import finetune
from openflan.training.prepare import parts_of, prepare
from openflan.training.pretraining_data import texts_fingerprint

MANY = 2_500
"""More than a thousand rows: a sample of them would pass over some."""


def _rows(changed: int | None = None) -> list[dict[str, str]]:
    return [
        {"inputs": f"copy {'abcdefgh'[index % 8]}", "targets": "b" if index == changed else "a"}
        for index in range(MANY)
    ]


def _jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _parquet(path: Path, rows: list[dict[str, str]]) -> None:
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def _arrow(path: Path, rows: list[dict[str, str]]) -> None:
    table = pyarrow.Table.from_pylist(rows)
    with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


FORMS: dict[str, Callable[[Path, list[dict[str, str]]], None]] = {
    "jsonl": _jsonl,
    "parquet": _parquet,
    "arrow": _arrow,
}


def _task(path: Path) -> Task:
    return open_submixture("own", path, ("*",))["own/rows"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("every"))


def _long(place: Path, folder: Path, changed: int | None = None) -> Recipe:
    folder.mkdir(exist_ok=True)
    _jsonl(folder / "rows.jsonl", _rows(changed))
    return recipe(place, data=str(folder), steps=1)


def test_one_changed_row_of_many_is_refused(place: Path, tmp_path: Path) -> None:
    run, data = Run(tmp_path / "run"), tmp_path / "data"
    finetune(_long(place, data), run)
    finetune(_long(place, data), run)  # the same rows: nothing is said
    with pytest.raises(InputError, match="changed since the run began: the rows or wordings of own/rows"):
        finetune(_long(place, data, changed=1_001), run)


def test_a_build_of_other_rows_is_not_fresh(place: Path, tmp_path: Path) -> None:
    keys = []
    for changed in (None, None, 1_001):
        run_recipe = _long(place, tmp_path / "data", changed)
        tasks, tokenizer = open_tasks(run_recipe.mixture), load_tokenizer(run_recipe.model)
        keys.append(
            parts_of(
                run_recipe, tasks, prepare(run_recipe, tasks, tokenizer, joint=False)[1], tokenizer
            ).tokens_key
        )
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=12, deadline=None)
@given(changed=st.integers(0, MANY - 1))
def test_any_row_counts(form: str, changed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    first, other = (tmp_path_factory.mktemp(form) / f"rows.{form}" for _ in range(2))
    FORMS[form](first, _rows())
    FORMS[form](other, _rows())
    assert fingerprint(_task(first)) == fingerprint(_task(other))  # where they lie does not matter
    FORMS[form](other, _rows(changed))
    assert fingerprint(_task(first)) != fingerprint(_task(other))


SELECTIONS: dict[str, Callable[[Any, int], Any]] = {
    "without": lambda rows, number: RowsWithout(rows, {number}),
    "only": lambda rows, number: RowsOnly(rows, [number, number + 1]),
    "shuffled": lambda rows, number: ShuffledAnswers(rows, f"own/{number}"),
}


@pytest.mark.parametrize("selection", SELECTIONS)
def test_which_rows_are_taken_counts(selection: str, tmp_path: Path) -> None:
    from dataclasses import replace

    _jsonl(tmp_path / "rows.jsonl", _rows())
    task, take = _task(tmp_path / "rows.jsonl"), SELECTIONS[selection]
    taken = [fingerprint(replace(task, rows=take(task.rows, number))) for number in (3, 3, 1_001)]
    assert taken[0] == taken[1] != taken[2]
    assert fingerprint(task) not in taken


def test_embedded_rows_are_known_without_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from openflan.microflan.world import forms

    read: list[int] = []
    own = forms.GeneratedRows.__getitem__
    monkeypatch.setattr(
        forms.GeneratedRows, "__getitem__", lambda self, index: read.append(index) or own(self, index)
    )
    tasks = open_submixture("microflan", None, ("*",))
    name, task = max(tasks.items(), key=lambda item: len(item[1].rows))
    other = open_submixture("microflan", Path("embedded:microflan@7"), (name,))[name]
    assert (
        fingerprint(task)
        == fingerprint(open_submixture("microflan", None, (name,))[name])
        != fingerprint(other)
    )
    assert len(read) < 100 < len(task.rows)


@pytest.mark.parametrize("unit", ["line", "paragraph", "file"])
def test_every_document_counts(unit: Any, tmp_path: Path) -> None:
    path, keys = tmp_path / "text.txt", []
    for changed in (None, None, 1_001):
        path.write_text(
            "\n\n".join(f"document {index}{' changed' if index == changed else ''}" for index in range(MANY))
        )
        keys.append(texts_fingerprint(open_texts([path], unit=unit)))
    assert keys[0] == keys[1] != keys[2]


def _templated(place: Path, template: str) -> None:
    path = place / "words" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": template}))


TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}MARK {{ message['content'] }} c "
    "{% else %}{{ message['content'] }} </s>{% endif %}{% endfor %}"
)
DATED = TEMPLATE.replace("MARK", "{{ 'abcdefgh'[(strftime_now('%d') | int) % 8] }}")


def _packed(wanted: Recipe, **changes: Any) -> Recipe:
    return wanted.model_copy(update={"packing": wanted.packing.model_copy(update=changes)})


def _chat(place: Path) -> Recipe:
    return _packed(recipe(place, "llama", steps=1), layout="chat")


def test_another_chat_template_is_refused(tmp_path: Path) -> None:
    folder, run = furnish(tmp_path), Run(tmp_path / "run")
    _templated(folder, TEMPLATE.replace("MARK", "a"))
    finetune(_chat(folder), run)
    _templated(folder, TEMPLATE.replace("MARK", "b"))
    with pytest.raises(InputError, match="changed since the run began: the chat template"):
        finetune(_chat(folder), run)


def test_a_template_that_writes_the_date_is_refused_on_another_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.utils import chat_template_utils

    class Day(datetime):
        day_ = 3

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2024, 5, cls.day_)

    monkeypatch.setattr(chat_template_utils, "datetime", Day)
    folder, run = furnish(tmp_path), Run(tmp_path / "run")
    _templated(folder, DATED)
    finetune(_chat(folder), run)
    finetune(_chat(folder), run)
    Day.day_ = 4
    with pytest.raises(InputError, match=r"what the chat template writes around a text \(today's date\?\)"):
        finetune(_chat(folder), run)


def test_another_special_token_is_refused(tmp_path: Path) -> None:
    folder, run = furnish(tmp_path), Run(tmp_path / "run")
    finetune(recipe(folder, steps=1), run)
    path = folder / "words" / "tokenizer_config.json"
    path.write_text(path.read_text().replace('"pad_token": "<pad>"', '"pad_token": "<unk>"'))
    with pytest.raises(InputError, match="changed since the run began: the tokenizer"):
        finetune(recipe(folder, steps=1), run)


def _with_answers(place: Path, words: int, **packing: int) -> Recipe:
    data = place / "long"
    data.mkdir(exist_ok=True)
    rows = [
        {"inputs": f"copy {'a ' * (index % 5)}", "targets": " ".join(["b"] * (words if index % 2 else 2))}
        for index in range(200)
    ]
    _jsonl(data / "rows.jsonl", rows)
    return _packed(recipe(place, data=str(data), steps=1), **packing)


def test_what_does_not_fit_is_said_in_one_line_before_training(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "run")
    for _ in range(2):  # a finished run that is asked again says it too
        finetune(_with_answers(place, 30), run)
    lines = [line for line in capsys.readouterr().err.splitlines() if "dropped" in line]
    assert len(lines) == 2
    (share,) = {line.partition(" % are dropped")[0].rpartition(" ")[2] for line in lines}
    assert 45 < float(share) < 55
    assert "packing.targets=12 (the longest have 31 tokens)" in lines[0]
    assert lines[0].endswith("set packing.targets=32")


def test_where_all_fits_nothing_is_said(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finetune(_with_answers(place, 11), Run(tmp_path / "run"))
    assert "dropped" not in capsys.readouterr().err


def test_where_nothing_fits_it_is_an_error_that_names_the_key(place: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the longest have \d+ and 31; set packing.targets=32"):
        finetune(_with_answers(place, 30, targets=2), Run(tmp_path / "run"))
