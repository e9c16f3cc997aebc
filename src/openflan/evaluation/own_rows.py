"""The rows of a benchmark of one's own: JSON lines, or CSV with a header, every field as text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import InputError, did_you_mean
from openflan.evaluation.benchmark import Target
from openflan.evaluation.local_files import text_of
from openflan.evaluation.own_schema import OwnBenchmark

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class OwnRow:
    """A row where it stands (`file:line`): its fields as texts, what is right, and its options."""

    place: str
    fields: Mapping[str, str]
    target: Target
    options: tuple[str, ...]


def own_rows(path: Path, own: OwnBenchmark) -> list[OwnRow]:
    """All rows of a file; raises InputError for a file that is absent, empty or of another kind, and for a row that lacks its target or options."""
    if not path.is_file():
        raise InputError(f"{path}: no such file, named in the benchmark {own.name}")
    readers = {".jsonl": _json_lines, ".csv": _csv}
    if path.suffix not in readers:
        raise InputError(f"{path}: expected a .jsonl or a .csv file")
    rows = [_row(place, record, own) for place, record in readers[path.suffix](path)]
    if not rows:
        raise InputError(f"{path}: no rows")
    return rows


def _json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(text_of(path).removeprefix("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number} is not JSON ({error.msg}): expected one object a line") from error
        if not isinstance(record, dict):
            raise InputError(f"{path}:{number} holds a {type(record).__name__}, expected an object")
        yield f"{path}:{number}", record


def _csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.reader(io.StringIO(text_of(path).removeprefix("\ufeff"), newline=""))
    header = next(reader, [])
    if len(set(header)) < len(header):
        raise InputError(f"{path}: its header names a column twice: {', '.join(header)}")
    for cells in reader:
        if not cells:
            continue
        place = f"{path}:{reader.line_num}"
        if len(cells) != len(header):
            raise InputError(f"{place}: {len(cells)} columns, and the header has {len(header)}: quote fields that hold commas")
        yield place, dict(zip(header, cells, strict=True))


def _row(place: str, record: Mapping[str, Any], own: OwnBenchmark) -> OwnRow:
    for key in (own.target, *([own.options] if own.options else [])):
        if key not in record:
            raise InputError(f"{place}: lacks `{key}`{did_you_mean(key, record) or '; it has ' + ', '.join(record)}")
    options = _options(record[own.options], place) if own.options else ()
    found = record[own.target]
    references = tuple(_text(one) for one in found) if isinstance(found, list) else (_text(found),)
    if not references or not all(one.strip() for one in references):
        raise InputError(f"{place}: `{own.target}` is empty: a question needs an answer")
    if own.metric == "letter":
        references = tuple(_letter(one, options, place) for one in references)
    fields = {name: "\n".join(map(_text, value)) if isinstance(value, list) else _text(value) for name, value in record.items() if value is not None}
    return OwnRow(place, fields, references[0] if len(references) == 1 else references, options)


def _options(value: Any, place: str) -> tuple[str, ...]:
    options = tuple(_text(one) for one in value) if isinstance(value, list) else tuple(one.strip() for one in str(value).split(_SEPARATOR))
    if not 2 <= len(options) <= len(_LETTERS):
        raise InputError(f"{place}: {len(options)} options, expected 2 to {len(_LETTERS)}: a list, in CSV separated by `{_SEPARATOR}`")
    return options


def _letter(target: str, options: tuple[str, ...], place: str) -> str:
    """The letter of a target that is one, or the text of an option."""
    if target in options:
        return _LETTERS[options.index(target)]
    letter = target.strip(" ().").upper()
    if len(letter) != 1 or letter not in _LETTERS[: len(options) or None]:
        raise InputError(f"{place}: the target {target!r} is neither a letter nor one of the options {list(options)}")
    return letter


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
