"""The rows of a custom benchmark: JSON lines, or CSV with a header, every field as text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.benchmark_data.files import csv_rows, is_file
from openflan.errors import InputError, did_you_mean
from openflan.evaluation.benchmark import Target
from openflan.evaluation.custom_schema import CustomBenchmark
from openflan.json_files import json_lines

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SEPARATOR = "|"
_EXACT_BELOW = 2.0**53
_MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class CustomRow:
    """A row where it stands (`file:line`): its fields as texts, what is right, and its options."""

    position: str
    fields: Mapping[str, str]
    target: Target
    options: tuple[str, ...]


def custom_rows(path: Path, spec: CustomBenchmark) -> list[CustomRow]:
    """All rows of a file; raises InputError for a file that is absent, empty or of another kind, and for a
    row that lacks its target or options."""
    if not is_file(path):
        raise InputError(f"{path}: no such file, named in the benchmark {spec.name}")
    readers = {".jsonl": _json_lines, ".csv": _csv}
    if path.suffix not in readers:
        raise InputError(f"{path}: expected a .jsonl or a .csv file")
    rows = [_row(position, record, spec) for position, record in readers[path.suffix](path)]
    if not rows:
        raise InputError(f"{path}: no rows")
    return rows


def _json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for position, record in json_lines(path):
        if not isinstance(record, dict):
            raise InputError(f"{position} holds a {type(record).__name__}, expected an object")
        yield position, record


def _csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    rows = csv_rows(path)
    _, header = next(rows, (0, []))
    if len(set(header)) < len(header):
        raise InputError(f"{path}: its header names a column twice: {', '.join(header)}")
    for line, cells in rows:
        if not cells:
            continue
        position = f"{path}:{line}"
        if len(cells) != len(header):
            raise InputError(
                f"{position}: {len(cells)} columns, and the header has {len(header)}: quote fields that "
                "hold commas"
            )
        yield position, dict(zip(header, cells, strict=True))


def _row(position: str, record: Mapping[str, Any], spec: CustomBenchmark) -> CustomRow:
    for key in (spec.target, *([spec.options] if spec.options else [])):
        if key not in record:
            raise InputError(
                f"{position}: lacks `{key}`{did_you_mean(key, record) or '; it has ' + ', '.join(record)}"
            )
    options = _options(record[spec.options], position) if spec.options else ()
    targets = record[spec.target]
    for key in (spec.target, *([spec.options] if spec.options else [])):
        if not all(
            _is_text_or_number(item)
            for item in (record[key] if isinstance(record[key], list) else [record[key]])
        ):
            raise InputError(
                f"{position}: `{key}` is {_shown(record[key])}: expected a text, a number, or a list of them"
            )
    references = tuple(_text(one) for one in targets) if isinstance(targets, list) else (_text(targets),)
    if not references or not all(one.strip() for one in references):
        raise InputError(f"{position}: `{spec.target}` is empty: a question needs an answer")
    if spec.metric == "letter":
        references = tuple(_letter(one, options, position) for one in references)
    fields = {
        name: "\n".join(map(_text, value)) if isinstance(value, list) else _text(value)
        for name, value in record.items()
        if value is not None
    }
    return CustomRow(position, fields, references[0] if len(references) == 1 else references, options)


def _options(value: Any, position: str) -> tuple[str, ...]:
    options = (
        tuple(_text(one) for one in value)
        if isinstance(value, list)
        else tuple(one.strip() for one in str(value).split(_SEPARATOR))
    )
    if not 2 <= len(options) <= len(_LETTERS):
        raise InputError(
            f"{position}: {len(options)} options, expected 2 to {len(_LETTERS)}: a list, in CSV separated "
            f"by `{_SEPARATOR}`"
        )
    return options


def _letter(target: str, options: tuple[str, ...], position: str) -> str:
    """The letter of a target that is one, or the text of an option."""
    if target in options:
        return _LETTERS[options.index(target)]
    letter = target.strip(" ().").upper()
    if len(letter) != 1 or letter not in _LETTERS[: len(options) or None]:
        raise InputError(
            f"{position}: the target {target!r} is neither a letter nor one of the options {list(options)}"
        )
    return letter


def _text(value: Any) -> str:
    """A value as it is shown; a whole number with a decimal point, as tables write it beside missing ones,
    without."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_BELOW:
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_text_or_number(value: Any) -> bool:
    """True for a value that can be an answer: a text or a finite number, no object, no list."""
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
