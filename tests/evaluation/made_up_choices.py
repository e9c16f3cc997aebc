"""Tiny files in the layouts of ARC, HellaSwag and SVAMP, by their authors and on the hub; every text is
invented."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ARC: list[dict[str, Any]] = [
    {"question": "What melts first?", "texts": ["ice", "iron", "a stone"], "labels": "ABC", "key": "A"},
    {"question": "Which is a plant?", "texts": ["dog", "fern", "rock", "sea"], "labels": "1234", "key": "2"},
]
ARC_TRAIN: list[dict[str, Any]] = [
    {"question": f"Is {number} even?", "texts": ["yes", "no"], "labels": "AB", "key": "AB"[number % 2]}
    for number in range(6)
]

HELLASWAG: list[dict[str, Any]] = [
    {
        "ind": 4,
        "activity_label": "Making tea",
        "ctx_a": "A man fills a kettle.",
        "ctx_b": "the man",
        "ctx": "A man fills a kettle. the man",
        "endings": ["waits until it boils.", "eats the kettle.", "paints it.", "swims."],
        "label": 0,
    },
    {
        "ind": 9,
        "activity_label": "Home and Garden",
        "ctx_a": "[header] How to plant a fern [title] Dig a hole. [step] Use a spade.",
        "ctx_b": "",
        "ctx": "[header] How to plant a fern [title] Dig a hole. [step] Use a spade.",
        "endings": ["[substeps] Cook it.", "Put the fern in [title] Water it.", "Sell it.", "Sleep."],
        "label": 1,
    },
]

SVAMP: list[dict[str, Any]] = [
    {
        "ID": f"chal-{number + 1}",
        "Body": f"Ana has {number} pens ",
        "Question": "How many are half of them?",
        "Equation": f"( {number} / 2.0 )",
        "Answer": number / 2,
        "Type": "Common-Division",
    }
    for number in range(4)
]


def arc_authors(row: dict[str, Any]) -> dict[str, Any]:
    choices = [
        {"text": text, "label": label} for text, label in zip(row["texts"], row["labels"], strict=True)
    ]
    return {"id": "x", "question": {"stem": row["question"], "choices": choices}, "answerKey": row["key"]}


def arc_hub(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "x",
        "question": row["question"],
        "choices": {"text": row["texts"], "label": list(row["labels"])},
        "answerKey": row["key"],
    }


def make_arc(folder: Path, *, hub: bool = False) -> Path:
    for name in ("ARC-Easy", "ARC-Challenge"):
        for rows, split, file in ((ARC, "test", "Test"), (ARC[:1], "validation", "Dev"),
                                  (ARC_TRAIN, "train", "Train")):  # fmt: skip
            if hub:
                _parquet(folder / f"arc/{name}/{split}-00000-of-00001.parquet", [*map(arc_hub, rows)])
            else:
                _json_lines(folder / f"arc/{name}/{name}-{file}.jsonl", [*map(arc_authors, rows)])
    return folder


def make_hellaswag(folder: Path, *, hub: bool = False) -> Path:
    for rows, split, file in ((HELLASWAG, "validation", "val"), (HELLASWAG[::-1], "train", "train")):
        if hub:
            texts = [{**row, "label": str(row["label"])} for row in rows]
            _parquet(folder / f"hellaswag/data/{split}-00000-of-00001.parquet", texts)
        else:
            _json_lines(folder / f"hellaswag/hellaswag_{file}.jsonl", rows)
    return folder


def make_svamp(folder: Path, *, hub: bool = False, exemplars: int = 8) -> Path:
    root = folder / "svamp"
    if hub:
        texts = [{**row, "Answer": str(row["Answer"])} for row in SVAMP]
        _parquet(root / "data/train-00000-of-00001.parquet", texts[1:3][::-1])
        _parquet(root / "data/test-00000-of-00001.parquet", [texts[3], texts[0]])
    else:
        root.mkdir(parents=True, exist_ok=True)
        (root / "SVAMP.json").write_text(json.dumps(SVAMP), encoding="utf-8")
    solved = [
        {"question": f"What is {index} + 1?", "answer": f"One more. The answer is {index + 1}."}
        for index in range(exemplars)
    ]
    (root / "exemplars.json").write_text(json.dumps(solved), encoding="utf-8")
    return folder


def _json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
