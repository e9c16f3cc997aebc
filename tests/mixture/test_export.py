"""The mixture as a file: the stream's own examples, in its order, whole or not at all."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from openflan.errors import InputError, SetupError
from openflan.mixture.export import CHUNK, export, hf_dataset, record
from openflan.mixture.open_mixture import build_stream, open_tasks, rows_of_one_epoch
from openflan.mixture.stream import Stream
from openflan.recipe.schema import Mixture
from openflan.templates.render import Rendered

FIELDS = [
    "inputs",
    "targets",
    "position",
    "task",
    "row",
    "style",
    "wording",
    "exemplars",
    "pruned",
    "labels",
    "between",
    "separator",
    "options",
]


@pytest.fixture(scope="module")
def stream() -> Stream:
    """The embedded world, half of it few-shot, with options shown and hidden."""
    mixture = Mixture.model_validate(
        {"submixtures": {"microflan": {"tasks": ["*_colour-*", "microflan/person_food-*"], "cap": 50}}}
    )
    return build_stream(mixture, open_tasks(mixture), seed=5)


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return rows
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_file_holds_the_first_examples_of_the_stream(suffix: str, stream: Stream, tmp_path: Path) -> None:
    count = CHUNK + 100
    path = tmp_path / f"mixture{suffix}"
    done = export(stream, path, count)
    rows = read(path)
    assert list(rows[0]) == FIELDS
    assert [row["position"] for row in rows] == list(range(count))
    for position in [*range(40), CHUNK - 1, CHUNK, count - 1]:
        example = stream[position]
        assert rows[position] == {
            "inputs": example.inputs,
            "targets": example.targets,
            "position": position,
            **example.provenance(),
        }
    assert {row["style"] for row in rows} >= {
        "zero-shot",
        "zero-shot-no-options",
        "few-shot",
        "few-shot-exemplars-only",
    }
    assert (done.path, done.examples, done.size) == (path, count, path.stat().st_size)
    assert sum(done.tasks.values()) == sum(done.formats.values()) == count
    assert set(done.formats) == {row["style"] for row in rows}
    assert [file.name for file in tmp_path.iterdir()] == [path.name], "no temporary file stays"


def test_both_formats_hold_the_same_and_parquet_says_how_it_was_made(stream: Stream, tmp_path: Path) -> None:
    for suffix in (".jsonl", ".parquet"):
        export(stream, tmp_path / f"mixture{suffix}", 300, {"openflan.recipe": "name: x"})
    assert read(tmp_path / "mixture.jsonl") == read(tmp_path / "mixture.parquet")
    assert parquet.read_schema(tmp_path / "mixture.parquet").metadata[b"openflan.recipe"] == b"name: x"


def test_exporting_again_gives_the_same_bytes(stream: Stream, tmp_path: Path) -> None:
    for suffix in (".jsonl", ".parquet"):
        for name in ("one", "two"):
            export(stream, tmp_path / f"{name}{suffix}", 200)
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


class Awkward:
    """Texts that a careless writer would break."""

    TEXTS = ("two\nlines", "\u2028 and \x85", '"quoted"\t{x}', "émigré 数", "")

    def __init__(self, example: Rendered) -> None:
        self._example = example

    def __getitem__(self, position: int) -> Rendered:
        return replace(
            self._example,
            inputs=self.TEXTS[position % len(self.TEXTS)],
            targets=self.TEXTS[position % len(self.TEXTS)],
        )


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_any_text_survives(suffix: str, stream: Stream, tmp_path: Path) -> None:
    export(Awkward(stream[0]), tmp_path / f"x{suffix}", 10)
    assert [(row["inputs"], row["targets"]) for row in read(tmp_path / f"x{suffix}")] == [
        (text, text) for text in Awkward.TEXTS * 2
    ]


class Broken:
    """Fails late, as a bad row does."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __getitem__(self, position: int) -> Rendered:
        if position > CHUNK:
            raise InputError("row 7 is broken")
        return self._stream[position]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_what_fails_midway_leaves_what_was_there(suffix: str, stream: Stream, tmp_path: Path) -> None:
    path = tmp_path / f"mixture{suffix}"
    path.write_bytes(b"before")
    with pytest.raises(InputError, match="row 7 is broken"):
        export(Broken(stream), path, 2 * CHUNK)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_bad_places_are_named(stream: Stream, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"mixture\.csv: expected a file name that ends in \.jsonl or \.parquet"
    ):
        export(stream, tmp_path / "mixture.csv", 1)
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        export(stream, tmp_path / "folder.jsonl", 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="could not be written"):
        export(stream, tmp_path / "file" / "x.jsonl", 1)


def test_a_pass_counts_rows_up_to_their_cap(tmp_path: Path) -> None:
    for name, rows in (("few", 30), ("many", 500)):
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(f'{{"inputs": "{number}", "targets": "x"}}\n' for number in range(rows))
        )
    for cap, expected in ((None, 530), (90, 120)):
        mixture = Mixture.model_validate({"submixtures": {"own": {"data": str(tmp_path), "cap": cap}}})
        assert rows_of_one_epoch(mixture, open_tasks(mixture)) == expected


def test_a_record_is_the_example_and_its_provenance(stream: Stream) -> None:
    assert list(record(0, stream[0])) == FIELDS


def _opened() -> Stream:
    mixture = Mixture.model_validate(
        {"submixtures": {"microflan": {"tasks": ["*_colour-*", "microflan/person_food-*"], "cap": 50}}}
    )
    return build_stream(mixture, open_tasks(mixture), seed=5)


@pytest.mark.parametrize("shards", [1, 3])
def test_a_hugging_face_dataset_holds_what_a_file_holds(shards: int, tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the extra `data` is not installed")
    dataset = hf_dataset(_opened, 100, shards)
    export(_opened(), tmp_path / "mixture.jsonl", 100)
    assert dataset.num_shards == shards
    assert list(dataset.features) == FIELDS
    rows = list(dataset)
    assert rows == read(tmp_path / "mixture.jsonl")
    assert [list(row) for row in rows] == [FIELDS] * 100
    assert list(dataset) == rows, "it can be read again"


def test_without_datasets_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(SetupError, match=r"pip install 'openflan\[data\]'"):
        hf_dataset(_opened, 10)
