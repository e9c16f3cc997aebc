"""Damaged files of rows: whatever is in a file, reading it gives rows or an error written for people, never
another exception.

Files of every format that a user's own rows may have are changed at random: bits flipped, bytes cut out,
repeated or put in, JSON values replaced by others of any type. `OPENFLAN_MUTATIONS=N` makes N changed files
for each format instead of a few.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openflan.errors import OpenflanError
from openflan.tasks.sources import open_submixture
from openflan.tasks.texts import open_texts, salient_span
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import Pattern, Wording, WordingSet, wordings_for

MUTATIONS = int(os.environ.get("OPENFLAN_MUTATIONS", "25"))

WORDED = [
    {"inputs": f"Caf\u00e9 {number}?", "targets": f"answer {number}", "score": number / 3, "id": number}
    for number in range(12)
]
FIELDS: list[dict[str, Any]] = [
    {"question": f"{number}?", "answer": str(number), "options": [str(number), "none"], "rationale": "so"}
    for number in range(12)
]
CHATS: list[dict[str, Any]] = [
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"{number}?"},
            {"role": "assistant", "content": "Yes."},
        ]
    }
    for number in range(12)
]
TEXTS: list[dict[str, Any]] = [
    {"text": f"A sentence of number {number}.", "mark": [2, 10]} for number in range(12)
]
STATE = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_fingerprint": "abc", "_split": "train"}


def wording(name: str, inputs: str, targets: str, **more: Any) -> Wording:
    return Wording(name, Pattern.parse(inputs), Pattern.parse(targets), **more)


WORDINGS = WordingSet(
    ("mine/*",),
    frozenset({"question", "answer", "rationale", "options"}),
    (
        wording("plain", "{question}", "{answer}", requires=frozenset({"question", "answer"})),
        wording(
            "listed",
            "{question}\n{options}",
            "{answer}",
            requires=frozenset({"question", "answer", "options"}),
        ),
        wording(
            "aloud",
            "{question}",
            "{rationale} {answer}",
            rationale=True,
            requires=frozenset({"question", "answer", "rationale"}),
        ),
    ),
)

STRANGE: list[Any] = [
    *(None, True, False, 0, -1, 10**400, 1e308, -1e308, 1e-320, float("nan"), float("inf")),
    *("", " ", "\0", "\ud800", "\udc80x", "../../etc/passwd", "a" * 5000, "\u2028", "assistant", "tool"),
    *(
        [],
        [[]],
        {},
        {"text": ["a"]},
        {"text": 3},
        {"": None},
        [None],
        [1, "a"],
        [{"role": "user"}],
        {"role": "assistant", "content": None},
    ),
]


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(
        pa.Table.from_pylist(rows),
        path,
        row_group_size=5,
        use_dictionary=len(rows[0]) > 3,
        compression="snappy" if len(rows[0]) % 2 else "none",
    )


def arrow(path: Path, rows: list[dict[str, Any]], stream: bool = False) -> None:
    table = pa.Table.from_pylist(rows)
    with (
        pa.OSFile(str(path), "wb") as sink,
        (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer,
    ):
        writer.write_table(table, max_chunksize=5)


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def flipped(content: bytes, draw: random.Random) -> bytes:
    """Bytes with some bits flipped, or a part of them cut out, repeated, moved or replaced."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        start = draw.randrange(len(changed) + 1)
        end = min(len(changed), start + draw.choice((1, 4, 30, 1000)))
        match draw.randrange(6):
            case 0 | 1 if changed:
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
            case 2:
                del changed[start:end]
            case 3:
                changed[start:start] = changed[start:end]
            case 4:
                changed[start:end] = draw.choice((b"\xff", b"\0", b"\x7f")) * (end - start)
            case _:
                changed[start:start] = draw.choice(
                    (
                        b"\xff\xfe",
                        b"[" * 3_000,
                        b"{" * 3_000,
                        b"9" * 5_000,
                        b"NaN",
                        b"-Infinity",
                        b"\n",
                        b'"',
                        b"\\ud800",
                        b"\xed\xa0\x80",
                    )
                )
    return bytes(changed)


def cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def strange_value(value: Any, draw: random.Random) -> Any:
    """A JSON value with something in it replaced, taken out or put in."""
    value = copy.deepcopy(value)
    holder, key = value, None
    while isinstance(holder, dict | list) and holder:
        key = draw.choice(list(holder)) if isinstance(holder, dict) else draw.randrange(len(holder))
        if draw.random() < 0.4 or not isinstance(holder[key], dict | list) or not holder[key]:
            break
        holder = holder[key]
    if key is None or draw.random() < 0.05:
        return draw.choice(STRANGE)
    if draw.random() < 0.15:
        del holder[key]
    elif isinstance(holder, dict) and draw.random() < 0.1:
        holder[draw.choice(("targets", "options", "messages", "\0", "", "task_name"))] = draw.choice(STRANGE)
    else:
        holder[key] = draw.choice(STRANGE)
    return value


def strange_lines(content: bytes, draw: random.Random) -> bytes:
    rows = content.decode().splitlines()
    for _ in range(draw.choice((1, 2, 12))):
        index = draw.randrange(len(rows))
        rows[index] = json.dumps(strange_value(json.loads(rows[index]), draw))
    return "\n".join(rows).encode()


def strange_file(content: bytes, draw: random.Random) -> bytes:
    return json.dumps(strange_value(json.loads(content), draw)).encode()


def use_rows(data: Path) -> None:
    """Opens all tasks, draws every row twice and renders some."""
    for task in open_submixture("mine", data).values():
        rows = [task.rows[index] for index in range(len(task.rows))]
        assert rows == [task.rows[index] for index in range(len(task.rows))]
        assert not any(value in ("nan", "inf", "-inf") for row in rows for value in row.values())
        renderer = Renderer(task, wordings_for(task.name, task.fields, [WORDINGS]))
        for index in range(min(3, len(rows))):
            example = renderer.render(index, Style(few_shot=index == 1), seed=0, position=index)
            (example.inputs + example.targets).encode()


def use_texts(data: Path) -> None:
    for unit in ("line", "paragraph", "file"):
        texts = open_texts([data], unit=unit, salient_field=None if data.suffix == ".txt" else "mark")
        for index in range(len(texts)):
            span, text = salient_span(texts, index), texts[index]
            assert span is None or 0 <= span[0] < span[1] <= len(text)


def saved_state(folder: Path) -> None:
    (folder / "train").mkdir(parents=True)
    arrow(folder / "train/data-00000-of-00001.arrow", WORDED, stream=True)
    (folder / "train/state.json").write_text(json.dumps(STATE))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))


Change = Callable[[bytes, random.Random], bytes]
Write = Callable[[Path], None]

BYTES: tuple[Change, ...] = (flipped, flipped, cut)
CASES: dict[str, tuple[str, Write, tuple[Change, ...], Callable[[Path], None]]] = {
    "worded.jsonl": ("", lambda path: lines(path, WORDED), (*BYTES, strange_lines, strange_lines), use_rows),
    "fields.jsonl": ("", lambda path: lines(path, FIELDS), (*BYTES, strange_lines, strange_lines), use_rows),
    "chats.jsonl": ("", lambda path: lines(path, CHATS), (*BYTES, strange_lines, strange_lines), use_rows),
    "worded.parquet": ("", lambda path: parquet(path, WORDED), BYTES, use_rows),
    "fields.parquet": ("", lambda path: parquet(path, FIELDS), BYTES, use_rows),
    "chats.parquet": ("", lambda path: parquet(path, CHATS), BYTES, use_rows),
    "worded.arrow": ("", lambda path: arrow(path, WORDED), BYTES, use_rows),
    "fields.arrow": ("", lambda path: arrow(path, FIELDS, stream=True), BYTES, use_rows),
    "chats.arrow": ("", lambda path: arrow(path, CHATS), BYTES, use_rows),
    "saved": ("train/state.json", saved_state, (*BYTES, strange_file, strange_file), use_rows),
    "splits": ("dataset_dict.json", saved_state, (*BYTES, strange_file, strange_file), use_rows),
    "texts.jsonl": ("", lambda path: lines(path, TEXTS), (*BYTES, strange_lines, strange_lines), use_texts),
    "texts.parquet": ("", lambda path: parquet(path, TEXTS), BYTES, use_texts),
    "texts.arrow": ("", lambda path: arrow(path, TEXTS), BYTES, use_texts),
    "texts.txt": ("", lambda path: lines(path, TEXTS), BYTES, use_texts),
}
"""By name of the file or folder: which file in it is changed, what writes it, how it may be changed, and what
reads it."""


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path, bytes]]:
    target = tmp_path / request.param
    inner, write, _, use = CASES[request.param]
    write(target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        use(target)  # a negative control: the file is read as long as nothing is changed
        yield request.param, target, (target / inner if inner else target).read_bytes()
    shutil.rmtree(tmp_path)


@settings(
    max_examples=MUTATIONS,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_damaged_file_gives_rows_or_an_error_for_people(case: tuple[str, Path, bytes], seed: int) -> None:
    name, target, content = case
    inner, _, changes, use = CASES[name]
    draw = random.Random(seed)
    (target / inner if inner else target).write_bytes(draw.choice(changes)(content, draw))
    try:
        use(target)
    except OpenflanError as error:
        message = str(error)
        assert message.strip()
        message.encode()
        assert str(target.parent) in message or "mine/" in message, message
