"""What a user says of rows of his own: their format, and other names of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from openflan.errors import InputError, did_you_mean
from openflan.tasks.records import Record


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows of a user's own are read: `format` is the name of a format, None to recognise it by the
    fields. `columns` gives fields their names in that format, as `inputs=prompt,targets=answer`: `inputs` is
    what the file calls `prompt`."""

    format: str | None = None
    columns: str = ""

    @property
    def is_given(self) -> bool:
        """Whether the user says anything of the rows."""
        return self.format is not None or bool(self.columns)


AS_IT_IS = Reading()
"""The format is recognised by the fields, whose names stay."""


def make_reading(form: str | None, columns: str | Mapping[str, str] | None) -> Reading:
    """The reading of the options `--format` and `--map`, or of the keys `format` and `columns` of a recipe.

    Raises InputError for a format that does not exist, with the nearest name, and for a map that is not of
    the form `inputs=prompt,targets=answer`.
    """
    from openflan.tasks.formats.table import FORMATS

    if form is not None and form not in FORMATS:
        hint = did_you_mean(form, FORMATS) or f"; there are {', '.join(FORMATS)}"
        raise InputError(f"there is no format `{form}`{hint}")
    if isinstance(columns, Mapping):
        columns = ",".join(f"{name}={column}" for name, column in columns.items())
    parse_columns(columns or "")
    return Reading(form, columns or "")


@lru_cache(maxsize=64)
def parse_columns(columns: str) -> Mapping[str, str]:
    """The name of the column for each field of a map such as `inputs=prompt,targets=answer`. Raises
    InputError for a text of another form, and for a field or column that stands twice."""
    pairs = (
        [tuple(part.strip() for part in pair.split("=")) for pair in columns.split(",")] if columns else []
    )
    for pair in pairs:
        if len(pair) != 2 or not all(pair):
            raise InputError(
                f"`{columns}` is no map of columns; expected FIELD=COLUMN pairs, such as "
                "`inputs=prompt,targets=answer`"
            )
    for position, kind in ((0, "field"), (1, "column")):
        names = [pair[position] for pair in pairs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"`{columns}` names the {kind} `{twice}` twice; name it once")
    return {pair[0]: pair[1] for pair in pairs}


def renamed(record: Record, columns: str) -> Record:
    """A record with the names of a map; a field of the record that has one of these names already is
    hidden."""
    names = parse_columns(columns)
    sources = set(names.values())
    kept = {name: value for name, value in record.items() if name not in sources and name not in names}
    return kept | {name: record[column] for name, column in names.items() if column in record}
