"""Values of a record's fields as texts, and what is wrong with those that are none."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from openflan.tasks.records import Record
from openflan.tasks.rows import BadRow, EmptyTarget, MissingField, MissingTarget
from openflan.tasks.task import LIST_FIELDS, Row

TARGET_FIELDS = ("targets", "answer")


def number_text(value: int | float) -> str:
    """A finite number as people write it: `3` for 3.0, `0.1`, `0.00001`; beyond 21 places before or 10 after
    the point with an exponent."""
    if isinstance(value, int):
        return str(value)
    if value == 0:
        return "0"
    text = repr(value)
    if not 1e-10 <= abs(value) < 1e21:
        return text.replace("e+", "e")
    text = format(Decimal(text), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def is_missing(value: Any) -> bool:
    """Whether a value is null, NaN or infinite."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def required_text(record: Record, name: str, *, target: bool = False) -> str:
    """A field as a text. Raises BadRow for a value that is none, MissingField for an absent or null one, and
    for a target MissingTarget and EmptyTarget instead."""
    value = record.get(name)
    if type(value) is not str:
        if is_missing(value):
            raise MissingTarget(name) if target else MissingField(name)
        value = _text(name, value)
    if target and not value.strip():
        raise EmptyTarget(name)
    return value


def optional_text(record: Record, name: str) -> str:
    """A field as a text, empty where it is absent or null. Raises BadRow for a value that is no text."""
    value = record.get(name)
    return value if type(value) is str else "" if is_missing(value) else _text(name, value)


def text_fields(record: Record, checked: Collection[str]) -> dict[str, str | list[str]]:
    """The fields that can be shown, numbers as texts and options as lists of texts. Of the other fields,
    those that are `checked` must be null; the rest are left out, because side columns may hold anything.

    Raises BadRow for a checked field that is no text, or no list of texts where a list belongs.
    """
    row: dict[str, str | list[str]] = {}
    for name, value in record.items():
        if type(value) is str and name not in LIST_FIELDS:
            row[name] = value
        elif is_missing(value):
            continue
        elif name in checked:
            row[name] = _texts(name, value) if name in LIST_FIELDS else _text(name, value)
        elif name in LIST_FIELDS:
            if texts := _list_of_texts(value):
                row[name] = texts
        elif isinstance(value, int | float) and not isinstance(value, bool):
            row[name] = number_text(value)
    return row


def field_row(record: Record, needed: Collection[str], checked: Collection[str]) -> Row:
    """The fields of a record (see `text_fields`), which must have all that are `needed`. Raises
    MissingTarget, EmptyTarget or MissingField for those that it lacks."""
    row = text_fields(record, checked)
    for name in needed:
        if name in TARGET_FIELDS:
            if name not in row:
                raise MissingTarget(name)
            if not str(row[name]).strip():
                raise EmptyTarget(name)
        elif name not in row:
            raise MissingField(name)
    return row


def short(value: Any) -> str:
    """The beginning of a value as JSON, for messages."""
    return json.dumps(value, ensure_ascii=False, default=str)[:60]


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    kind = (
        "true or false" if isinstance(value, bool) else "a list" if isinstance(value, list) else "an object"
    )
    raise BadRow(f"`{name}` is {kind}; expected a text (only {' and '.join(LIST_FIELDS)} are lists)")


def _texts(name: str, value: Any) -> list[str]:
    if texts := _list_of_texts(value):
        return texts
    raise BadRow(f"`{name}` must be a list of texts; found {short(value)}")


def _list_of_texts(value: Any) -> list[str]:
    """The texts of a list, or of an object that stands for one; empty if it is neither."""
    if isinstance(value, Mapping):
        texts = value.get("text")
        value = texts if isinstance(texts, list) else [item for item in value.values() if item is not None]
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else []
