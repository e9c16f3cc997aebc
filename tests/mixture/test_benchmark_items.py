"""Items of benchmarks for the overlap report: what the readers give, and the errors for broken files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from made_up_benchmarks import PASSAGE, TYDIQA, write_benchmarks

from openflan.benchmark_data.items import benchmark_items, find_benchmark_files
from openflan.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_benchmarks(tmp_path_factory.mktemp("benchmarks"))


def test_the_readers_give_every_item(folder: Path) -> None:
    items = list(benchmark_items(folder))
    assert Counter(item.group for item in items) == {
        "bbh": 1, "mmlu": 6, "mmlu options": 24, "mgsm": 5, "gsm8k": 1, "tydiqa": 3, "tydiqa passages": 2,
    }  # fmt: skip
    assert [
        (item.task, item.index, item.text)
        for item in items
        if item.benchmark == "tydiqa" and item.part == "question"
    ] == [
        ("english", 0, TYDIQA["english"][0]),
        ("english", 1, TYDIQA["english"][1]),
        ("finnish", 0, TYDIQA["finnish"][0]),
    ]


def test_cells_with_newlines_and_odd_line_ends_stay_whole(tmp_path: Path) -> None:
    (tmp_path / "mmlu/test").mkdir(parents=True)
    (tmp_path / "mmlu/test/x_test.csv").write_text(
        '"One\ntwo, ""three""",None,NA,x\u2028y,d,A\nfour,a,b,c,d,B\n', encoding="utf-8"
    )
    items = [item for item in benchmark_items(tmp_path) if item.part == "question"]
    assert [(item.index, item.text) for item in items] == [(0, 'One\ntwo, "three"'), (1, "four")]
    assert [item.text for item in benchmark_items(tmp_path) if item.part == "option"][:3] == [
        "None",
        "NA",
        "x\u2028y",
    ]


def test_a_passage_of_several_questions_is_one_item(tmp_path: Path) -> None:
    (tmp_path / "tydiqa/dev").mkdir(parents=True)
    paragraphs = [
        {"context": PASSAGE, "qas": [{"id": text, "question": text, "answers": [{"text": "masons"}]}]}
        for text in ("who?", "what?")
    ]
    (tmp_path / "tydiqa/dev/english.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    assert [(item.part, item.index) for item in benchmark_items(tmp_path)] == [
        ("passage", 0),
        ("question", 0),
        ("question", 1),
    ]


def test_what_is_missing_is_named_and_the_rest_is_used(tmp_path: Path) -> None:
    write_benchmarks(tmp_path)
    (tmp_path / "gsm8k/test.jsonl").unlink()
    (tmp_path / "mmlu/val/zoology_val.csv").unlink()
    benchmark_files = find_benchmark_files(tmp_path)
    assert benchmark_files.missing[:2] == ("mmlu/val/*.csv", "gsm8k/test.jsonl")
    assert set(benchmark_files.files) == {"bbh", "mmlu", "mgsm", "tydiqa"}
    assert {item.benchmark for item in benchmark_items(tmp_path)} == set(benchmark_files.files)


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("bbh/x.json", b'{"rows": []}', "examples"),
        ("bbh/x.json", b"{", "not valid JSON"),
        ("mmlu/dev/x_dev.csv", b"a,b,c\n", "question, four options, letter"),
        ("mgsm/mgsm_en.tsv", b"a\tb\tc\n", "one tab"),
        ("gsm8k/test.jsonl", b"[1]\n", "question"),
        ("tydiqa/dev/english.json", b'{"data": [{}]}', "SQuAD"),
        ("gsm8k/test.jsonl", b'{"question": "\xff"}\n', "not UTF-8"),
    ],
)
def test_broken_files_are_named(file: str, content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=f"{file}.*{expected}"):
        list(benchmark_items(tmp_path))


def test_a_folder_without_benchmarks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no benchmark; expected some of .*bbh/\*\.json"):
        find_benchmark_files(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_benchmark_files(tmp_path / "nowhere")
