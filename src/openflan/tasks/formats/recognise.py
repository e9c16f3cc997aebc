"""Which format a file has, by the fields of all its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from openflan.errors import InputError, did_you_mean
from openflan.tasks.formats.hints import unknown_fields
from openflan.tasks.formats.rated import LABEL, truth_of
from openflan.tasks.formats.reading import Reading, parse_columns
from openflan.tasks.formats.table import (
    ANY_FIELDS,
    CHAIN_OF_THOUGHT,
    FORMATS,
    PROMPT_COMPLETION,
    RATED,
    Format,
)
from openflan.tasks.formats.values import TARGET_FIELDS, is_missing
from openflan.tasks.records import Record

_LIST_NAMES = frozenset(name for form in FORMATS.values() for name in form.lists)


@dataclass(slots=True)
class Fields:
    """The fields of a file's rows, in the order in which they come: `columns` occur in a row, `filled` have a
    value in one, `lists` have a list in one, and `truths` true or false. `unread` are columns of a table that
    are not read, because they cannot be fields; messages name them."""

    columns: dict[str, None] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)
    truths: set[str] = field(default_factory=set)
    unread: tuple[str, ...] = ()

    @property
    def named(self) -> list[str]:
        """All columns, for messages."""
        return [*self.columns, *self.unread]

    def add(self, record: Record) -> None:
        """Takes the fields of one more row."""
        if record.keys() - self.filled:
            self.columns |= dict.fromkeys(record)
            self.filled.update(name for name, value in record.items() if not is_missing(value))
        if len(self.lists) + len(self.truths) < len(self.filled):
            for name, value in record.items():
                if type(value) is list:
                    self.lists.add(name)
                elif truth_of(value) is not None:
                    self.truths.add(name)


@dataclass(frozen=True, slots=True)
class Recognised:
    """The format of a file, whether its rows are conversations, and the map of its columns."""

    form: Format
    is_chat: bool
    columns: str
    fields: tuple[str, ...]

    @property
    def rule(self) -> tuple[str, bool]:
        """What decides how a record becomes a row."""
        return self.form.name, self.is_chat

    @property
    def shown(self) -> str:
        """`alpaca (instruction, input, output)`: the format and those of its fields that the file has."""
        names = parse_columns(self.columns)
        shown = [f"{name}={names[name]}" if name in names else name for name in self.fields]
        return f"{self.form.name} ({', '.join(shown)})"


def recognise(fields: Fields, reading: Reading, place: str, *, has_header: bool = True) -> Recognised:
    """The format of a file with these fields.

    Raises InputError for fields that fit no format or two, and for a map or a format that needs a field which
    no row has; `place` begins the message. `has_header` is false for a table whose columns have no names.
    """
    columns = _mapped(fields.columns, reading, place)
    if reading.format is not None:
        return _recognised(_named(reading.format, columns, fields, place), columns, fields, reading)
    if not has_header:
        return _recognised(CHAIN_OF_THOUGHT, columns, fields, reading)
    mapped = parse_columns(reading.columns)
    filled = {name: None for name, column in columns.items() if column in fields.filled}
    for names in (dict.fromkeys(mapped), filled, columns):
        fitting = [
            form
            for form in FORMATS.values()
            if form not in (ANY_FIELDS, CHAIN_OF_THOUGHT) and all(name in names for name in form.needs)
        ]
        if RATED in fitting:
            # A column `label` that holds anything but true and false is a side column.
            is_rated = columns.get(LABEL) in fields.truths
            fitting = [form for form in fitting if form is not (PROMPT_COMPLETION if is_rated else RATED)]
        if len(fitting) > 1:
            first, second = fitting[:2]
            raise InputError(
                f"{place}: its fields fit two formats, {first.shown} and {second.shown}; say which one with "
                f"`--format {first.name}` or `--format {second.name}` (`format:` in a recipe)"
            )
        if fitting:
            return _recognised(fitting[0], columns, fields, reading)
    if any(name in columns for name in TARGET_FIELDS):
        return _recognised(ANY_FIELDS, columns, fields, reading)
    raise InputError(f"{place}: {unknown_fields(fields.named)}")


def _mapped(columns: Iterable[str], reading: Reading, place: str) -> dict[str, str]:
    """The column of each field, after the map of names. Raises InputError for a column that no row has."""
    names = parse_columns(reading.columns)
    there = [*columns]
    for name, column in names.items():
        if column not in there:
            hint = did_you_mean(column, there) or f"; found {', '.join(f'`{one}`' for one in there)}"
            raise InputError(
                f"{place}: no row has the column `{column}`, which `{name}={column}` names{hint}"
            )
    sources = set(names.values())
    return {column: column for column in there if column not in sources and column not in names} | dict(names)


def _named(name: str, columns: dict[str, str], fields: Fields, place: str) -> Format:
    """The format of that name. Raises InputError if the file lacks a field that it needs."""
    form = FORMATS[name]
    needs = form.needs if form is not ANY_FIELDS or not any(one in columns for one in TARGET_FIELDS) else ()
    if missing := [one for one in needs if one not in columns]:
        raise InputError(
            f"{place}: the format {form.shown} needs {' and '.join(f'`{one}`' for one in missing)}; "
            f"{unknown_fields(fields.named, form)}"
        )
    return form


def _recognised(form: Format, columns: dict[str, str], fields: Fields, reading: Reading) -> Recognised:
    is_chat = form.conversation is not None and (
        form.row is None
        or any(columns.get(name) in fields.lists for name in form.lists)
        or any(columns.get(name) in fields.filled for name in form.beside)
    )
    order = [name for name in form.takes if name in columns]
    return Recognised(form, is_chat, reading.columns, tuple(order))
