"""The same rows in every form and every kind of file, for tests of what is read of them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from openflan.tasks.formats.reading import AS_IT_IS, Reading
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Row, Task

Pair = tuple[str, str]
Records = Sequence[Mapping[str, Any]]


def said(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


TEXT_FORMS: Mapping[str, Callable[[str, str], dict[str, Any]]] = {
    "inputs-targets": lambda question, answer: {"inputs": question, "targets": answer},
    "prompt-completion": lambda question, answer: {"prompt": question, "completion": answer},
    "question-answer": lambda question, answer: {"question": question, "answer": answer},
    "alpaca": lambda question, answer: {"instruction": question, "output": answer},
    "preference": lambda question, answer: {"prompt": question, "chosen": answer, "rejected": "No."},
}
"""Forms that any kind of file can hold."""

CHAT_FORMS: Mapping[str, Callable[[str, str], dict[str, Any]]] = {
    "messages": lambda question, answer: {"messages": [said("user", question), said("assistant", answer)]},
    "sharegpt": lambda question, answer: {
        "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    },
    "prompt-completion": lambda question, answer: {
        "prompt": [said("user", question)],
        "completion": [said("assistant", answer)],
    },
    "preference": lambda question, answer: {
        "prompt": [said("user", question)],
        "chosen": [said("assistant", answer)],
        "rejected": [said("assistant", "No.")],
    },
    "alpaca": lambda question, answer: {"instruction": question, "output": answer, "history": []},
}
"""Forms of conversations; CSV and TSV cannot hold them."""


def write(path: Path, rows: Records) -> Path:
    """Rows as a file of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.lower()
    if name.endswith(".gz"):
        inner = write(path.with_name(path.name[:-3]), rows)
        path.write_bytes(gzip.compress(inner.read_bytes(), 1))
        inner.unlink()
    elif name.endswith((".jsonl", ".ndjson")):
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif name.endswith(".json"):
        path.write_text(json.dumps([*rows], ensure_ascii=False, indent=1), encoding="utf-8")
    elif name.endswith((".csv", ".tsv")):
        path.write_bytes(delimited(rows, "\t" if name.endswith(".tsv") else ",").encode())
    elif name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist([*rows]), path, row_group_size=3)
    else:
        table = pa.Table.from_pylist([*rows])
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
    return path


def delimited(rows: Records, delimiter: str) -> str:
    """Rows as CSV with a header and CRLF."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(names)
    writer.writerows([row.get(name) for name in names] for row in rows)
    return text.getvalue()


def only(data: Path, reading: Reading = AS_IT_IS) -> Task:
    """The one task of a file or folder."""
    (task,) = open_submixture("mine", data, reading=reading).values()
    return task


def rows_of(task: Task) -> list[Row]:
    return [task.rows[index] for index in range(len(task.rows))]


def pairs_of(task: Task) -> list[Pair]:
    """What is asked and what is answered, whatever the fields are called."""
    return [
        (str(row.get("inputs", row.get("question"))), str(row.get("targets", row.get("answer"))))
        for row in rows_of(task)
    ]
