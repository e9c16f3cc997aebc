"""Whose file is bad? A bad row of a user's own file stops, with file, row and remedy; a bad row of a public
copy, which its reader cannot mend, is left out and counted. Every public format is tried here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from promptsource_files import QUESTION, put, template
from row_forms import CHAT_FORMS, TEXT_FORMS, write

from openflan.errors import InputError
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import NotUsable

Lines = list[bytes]
Source = Callable[[Path, Lines], tuple[str, Path]]


def lines_of(row: Callable[[int], Mapping[str, Any]]) -> Callable[[int], bytes]:
    return lambda number: json.dumps(row(number)).encode()


def put_lines(path: Path, lines: Lines) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def promptsource(folder: Path, lines: Lines) -> tuple[str, Path]:
    put(folder, "quiz", [template("t", QUESTION)], [])
    put_lines(folder / "data/quiz/train.jsonl", lines)
    return "mine", folder


def instructions(folder: Path, lines: Lines) -> tuple[str, Path]:
    path = folder / "task001_sums.json"
    head = b'{"Definition": ["Add."], "Categories": ["Sums"], "Instances": ['
    path.write_bytes(head + b", ".join(lines) + b"]}")
    return "niv2", folder


PUBLIC: Mapping[str, tuple[Callable[[int], bytes], str, Source]] = {
    "ready-made": (
        lines_of(lambda n: {"inputs": f"{n}?", "targets": f"{n}!", "task_name": "t"}),
        "targets",
        lambda folder, lines: ("t0", put_lines(folder / "t0_zs_opt_train.jsonl", lines).parent),
    ),
    "ready-made, styles in the rows": (
        lines_of(
            lambda n: {"inputs": f"{n}?", "targets": f"{n}!", "task_source": "P3", "template_type": "zs_opt"}
        ),
        "targets",
        lambda folder, lines: ("t0", put_lines(folder / "rows.jsonl", lines)),
    ),
    "natural-instructions": (
        lines_of(lambda n: {"input": f"{n}?", "output": [f"{n}!"]}),
        "output",
        instructions,
    ),
    "natural-instructions as rows": (
        lines_of(
            lambda n: {
                "task_name": "task001_sums",
                "definition": "Add.",
                "inputs": f"{n}?",
                "targets": f"{n}!",
            }
        ),
        "targets",
        lambda folder, lines: ("niv2", put_lines(folder / "rows.jsonl", lines)),
    ),
    "muffin": (
        lines_of(lambda n: {"premise": f"{n}.", "hypothesis": "b", "idx": n, "label": 0}),
        "label",
        lambda folder, lines: ("muffin", put_lines(folder / "rte.jsonl", lines).parent),
    ),
    "P3": (
        lines_of(lambda n: {"inputs_pretokenized": f"{n}?", "targets_pretokenized": f"{n}!"}),
        "targets_pretokenized",
        lambda folder, lines: (
            "t0_sf",
            put_lines(folder / "quarel_do_not_use/train.jsonl", lines).parents[1],
        ),
    ),
    "promptsource": (
        lines_of(lambda n: {"question": f"{n}?", "answer": f"{n}!"}),
        "answer",
        promptsource,
    ),
    "chain of thought": (
        lambda n: f"{n}?\t{n}!\tBecause of {n}.".encode(),
        "",
        lambda folder, lines: ("cot", put_lines(folder / "gsm8k_train.tsv", lines)),
    ),
}

DAMAGES: Mapping[str, Callable[[bytes, str], bytes]] = {
    "cut": lambda line, target: line[: len(line) // 2],
    "missing": lambda line, target: json.dumps({**json.loads(line), target: None}).encode(),
    "nan": lambda line, target: json.dumps({**json.loads(line), target: float("nan")}).encode(),
    "empty": lambda line, target: json.dumps({**json.loads(line), target: ""}).encode(),
    "absent": lambda line, target: json.dumps(
        {name: value for name, value in json.loads(line).items() if name != target}
    ).encode(),
    "not UTF-8": lambda line, target: line.replace(b"2", b"\xe9", 1),
    "half a character": lambda line, target: line.replace(b"2", b"\\ud83d", 1),
}
NOT_OF = {
    ("natural-instructions", "cut"): "the file is one JSON object",
    ("natural-instructions", "not UTF-8"): "the file is one JSON object",
    ("chain of thought", "half a character"): "lines have no escapes",
}
"""What cannot be damaged in this way by one row alone, and why."""


def damaged_lines(form: str, damage: str) -> Lines:
    line, target, _ = PUBLIC[form]
    lines = [line(number) for number in range(4)]
    if form == "chain of thought" and damage != "not UTF-8":
        lines[2] = lines[2].rpartition(b"\t")[0]
    else:
        lines[2] = DAMAGES[damage](lines[2], target)
    return lines


@pytest.mark.parametrize(
    ("form", "damage"),
    [(form, damage) for form in PUBLIC for damage in DAMAGES if (form, damage) not in NOT_OF],
)
def test_a_bad_row_of_a_public_copy_is_left_out_and_counted(tmp_path: Path, form: str, damage: str) -> None:
    submixture, data = PUBLIC[form][2](tmp_path, damaged_lines(form, damage))
    (task,) = open_submixture(submixture, data).values()
    assert (len(task.rows), task.refused) == (3, 1)
    assert "nan" not in str([task.rows[index] for index in range(3)])


@pytest.mark.parametrize("form", PUBLIC)
def test_a_good_public_copy_loses_nothing(tmp_path: Path, form: str) -> None:
    """The negative control: without the damage no row is left out."""
    line, _, source = PUBLIC[form]
    submixture, data = source(tmp_path, [line(number) for number in range(4)])
    (task,) = open_submixture(submixture, data).values()
    assert (len(task.rows), task.refused) == (4, 0)


@pytest.mark.parametrize("form", TEXT_FORMS)
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["jsonl", "json"])
def test_a_bad_row_of_a_users_own_file_stops_with_file_and_row(
    tmp_path: Path, form: str, damage: str, kind: str
) -> None:
    target = {"question-answer": "answer", "alpaca": "output", "preference": "chosen"}.get(
        form, "completion" if form == "prompt-completion" else "targets"
    )
    lines = [json.dumps(TEXT_FORMS[form](f"{number}?", f"{number}!")).encode() for number in range(4)]
    lines[2] = DAMAGES[damage](lines[2], target)
    path = tmp_path / f"rows.{kind}"
    path.write_bytes(b"\n".join(lines) if kind == "jsonl" else b"[" + b",\n".join(lines) + b"]")
    with pytest.raises(InputError) as caught:
        open_submixture("mine", path)
    message = str(caught.value)
    place = ":3" if kind == "jsonl" else ", row 2"
    assert message.startswith(f"{path}{place}: "), message
    assert not isinstance(caught.value, NotUsable)
    assert any(
        word in message for word in ("remove", "correct", "convert", "mend", "expected", "separate")
    ), message


HUB: list[tuple[str, dict[str, Any]]] = [
    *((form, row("a?", "b")) for form, row in TEXT_FORMS.items()),
    *((form, row("a?", "b")) for form, row in CHAT_FORMS.items()),
]


@pytest.mark.parametrize(("form", "good"), HUB)
def test_a_bad_row_of_the_hub_is_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch, form: str, good: dict[str, Any]
) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra `data` (datasets) is not installed")
    target = next(name for name in reversed(good) if name not in ("rejected", "history"))
    table = pa.Table.from_pylist([good, {**good, target: None}, good, good])
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.Dataset(table))
    (task,) = open_submixture("mine", Path("hub:org/rows")).values()
    assert (len(task.rows), task.refused) == (3, 1)
    assert task.form is not None
    assert task.form.startswith(f"{form} (")


def test_a_hub_data_set_of_bad_rows_alone_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra `data` (datasets) is not installed")
    table = pa.table({"inputs": ["a", "b"], "targets": pa.array([None, None], pa.string())})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.Dataset(table))
    with pytest.raises(NotUsable, match="none of its 2 rows can be used"):
        open_submixture("mine", Path("hub:org/rows"))


def test_fields_of_the_hub_are_those_of_any_row(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra `data` (datasets) is not installed")
    rows = [{"question": "a", "answer": "b", "rationale": why} for why in (None, "c", None)]
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *_, **__: datasets.Dataset(pa.Table.from_pylist(rows))
    )
    (task,) = open_submixture("mine", Path("hub:org/rows")).values()
    assert task.fields == {"question", "answer", "rationale"}
    assert task.lacking == (("rationale", "hub:org/rows, row 0"),)


def test_a_damaged_file_and_a_good_one_are_told_apart(tmp_path: Path) -> None:
    """The negative control of a user's own files."""
    rows = [TEXT_FORMS["alpaca"](f"{number}?", f"{number}!") for number in range(4)]
    (task,) = open_submixture("mine", write(tmp_path / "rows.jsonl", rows)).values()
    assert (len(task.rows), task.refused) == (4, 0)
