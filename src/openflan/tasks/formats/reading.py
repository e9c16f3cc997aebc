"""What a user says of rows of his own: their format, and other names of their fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from openflan.errors import InputError, did_you_mean
from openflan.tasks.records import Record


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows of a user's own are read: `format` is the name of a format, None to recognise it by the
    fields. `columns` gives fields their names in that format, as the JSON text of an object such as
    `{"inputs": "prompt"}`, where `inputs` is what the file calls `prompt`; empty if all names stay."""

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
    names = dict(columns) if isinstance(columns, Mapping) else _parsed_map(columns or "")
    for kind, column_names in (("field", [*names]), ("column", [*names.values()])):
        if twice := next((name for name in column_names if column_names.count(name) > 1), None):
            raise InputError(f"the map of columns names the {kind} `{twice}` twice; name it once")
    return Reading(form, json.dumps(names, ensure_ascii=False) if names else "")


@lru_cache(maxsize=64)
def parse_columns(columns: str) -> Mapping[str, str]:
    """The name of the column for each field, of the JSON text in `Reading.columns`."""
    names: dict[str, str] = json.loads(columns) if columns else {}
    return names


def _parsed_map(text: str) -> dict[str, str]:
    pairs = [tuple(part.strip() for part in pair.split("=")) for pair in text.split(",")] if text else []
    names: dict[str, str] = {}
    for pair in pairs:
        if len(pair) != 2 or not all(pair):
            raise InputError(
                f"`{text}` is no map of columns; expected FIELD=COLUMN pairs, such as "
                "`inputs=prompt,targets=answer` (names with `,` or `=` in them: `columns:` in a recipe)"
            )
        if pair[0] in names:
            raise InputError(f"`{text}` names the field `{pair[0]}` twice; name it once")
        names[pair[0]] = pair[1]
    return names


def renamed(record: Record, columns: str) -> Record:
    """A record with the names of a map; a field of the record that has one of these names already is
    hidden."""
    names = parse_columns(columns)
    sources = set(names.values())
    kept = {name: value for name, value in record.items() if name not in sources and name not in names}
    return kept | {name: record[column] for name, column in names.items() if column in record}
