"""The task of a user's own rows, or of a data set of the hub in one of the same formats.

Every row is converted once when its task is opened, so that a bad row is reported before any training, and
again when it is drawn, which keeps memory constant. A user's own file is refused at a bad row; of a public
copy, which its reader cannot mend, bad rows are left out and counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from openflan.errors import InputError
from openflan.tasks.columns import ColumnRecords
from openflan.tasks.delimited import Delimited
from openflan.tasks.formats.rated import rated_true
from openflan.tasks.formats.reading import AS_IT_IS, Reading, parse_columns
from openflan.tasks.formats.recognise import Fields, Recognised, recognise
from openflan.tasks.formats.table import CHAIN_OF_THOUGHT, FIELD_NAMES, RATED, row_in_format
from openflan.tasks.json_array import JsonArray
from openflan.tasks.lines import Lines
from openflan.tasks.public import each, usable_rows
from openflan.tasks.records import Joined, JsonRecords, Records
from openflan.tasks.row_files import TABLES, is_rows_json, kind_of
from openflan.tasks.rows import CheckedRows, checked_rows
from openflan.tasks.table_files import open_table
from openflan.tasks.task import Task

_FIRST = 200
"""Rows whose fields are looked at before all rows are checked; what the others have besides is seen then."""


def open_own_rows(
    records: Callable[[], Records],
    name: str,
    dataset: str,
    reading: Reading = AS_IT_IS,
    splits: Mapping[str, Callable[[], Task]] | None = None,
    split: str | None = None,
    *,
    is_public: bool = False,
) -> Task:
    """The task called `name` of some records; `splits` opens the rows of its other splits, `split` says which
    one these rows are, if they are not for training.

    Raises InputError for fields that fit no format or two; for a user's own rows also for a bad row, with
    file and row, and for public ones NotUsable if none can be used.
    """
    source = records()
    recognised, checked, left_out = _read(source, reading, is_public)
    return Task(
        name,
        checked.rows,
        checked.fields,
        dataset=dataset,
        category="own data",
        finished=recognised.is_chat,
        lacking=checked.lacking,
        left_out=left_out,
        split=split,
        form=recognised.shown,
        notice=recognised.form.notice,
        splits=splits or {},
    )


def records_of(files: Sequence[Path], reading: Reading = AS_IT_IS) -> Records:
    """The records of one or more files of one kind, one after the other. Raises InputError for a file that is
    missing, damaged or empty."""
    if kind_of(files[0]) in TABLES:
        whole = FIELD_NAMES | frozenset(parse_columns(reading.columns).values())
        return ColumnRecords([open_table(file) for file in files], whole=whole)
    parts = [_records_of_file(file, reading) for file in files]
    return parts[0] if len(parts) == 1 else Joined(parts)


def _records_of_file(file: Path, reading: Reading) -> Records:
    kind = kind_of(file)
    if kind == "json":
        return JsonArray(file) if not _is_lines(file) else JsonRecords(file)
    if kind in ("csv", "tsv"):
        named = parse_columns(reading.columns)
        header = False if reading.format == CHAIN_OF_THOUGHT.name else True if named else None
        return Delimited(file, FIELD_NAMES, header=header)
    return JsonRecords(file)


def _is_lines(file: Path) -> bool:
    """Whether a `.json` file has an object a line instead of one array; one object alone is a row if it has a
    field that a format knows."""
    lines = Lines(file)
    first = next((line for line in lines if line.strip()), "").lstrip()
    if not first.startswith("{"):
        return False
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return is_rows_json(file) or (isinstance(record, dict) and not FIELD_NAMES.isdisjoint(record))


def _read(
    source: Records, reading: Reading, is_public: bool
) -> tuple[Recognised, CheckedRows, dict[str, int]]:
    """The format of some records and their rows.

    All rows decide the format. The first ones propose it, and the pass that checks every row with it also
    notes every field; only where the other rows have fields that make it another format is there a second
    pass.
    """
    where = re.sub(r"(:\d+|, row \d+)$", "", source.place(0))
    fields = _fields(source, is_public, _FIRST)
    while True:
        try:
            recognised = _recognise(fields, source, reading, where)
        except InputError:
            recognised = _recognise(_fields(source, is_public), source, reading, where)
        convert = partial(row_in_format, recognised.form.name, recognised.columns, recognised.is_chat)
        seen = _columns_alone(source)
        learned, left_out = source, dict[str, int]()
        if recognised.form is RATED:
            learned, left_out = rated_true(source, recognised.columns)
        try:
            if is_public:
                checked, unusable = usable_rows(learned, convert, seen.add)
                left_out |= unusable
            else:
                checked = checked_rows(learned, convert, seen.add)
        except InputError:
            seen = _fields(source, is_public)
            if _recognise(seen, source, reading, where).rule == recognised.rule:
                raise
            fields = seen
            continue
        final = _recognise(seen, source, reading, where)
        if final.rule == recognised.rule:
            return final, checked, left_out
        fields = seen


def _recognise(fields: Fields, source: Records, reading: Reading, where: str) -> Recognised:
    has_header = not isinstance(source, Delimited) or source.has_header
    return recognise(fields, reading, where, has_header=has_header)


def _fields(source: Records, is_public: bool, count: int | None = None) -> Fields:
    """The fields of the first `count` rows, or of all. A row that cannot be read has none in public data, and
    is refused in a user's own."""
    fields = _columns_alone(source)
    records = (record for _, record, _ in each(source)) if is_public else iter(source)
    for record in islice(records, count):
        fields.add(record)
    return fields


def _columns_alone(source: Records) -> Fields:
    """The columns of a table, which its rows may all be without."""
    columns = source.columns if isinstance(source, ColumnRecords | Delimited) else ()
    every = source.all_columns if isinstance(source, ColumnRecords) else ()
    return Fields(dict.fromkeys(columns), unread=tuple(name for name in every if name not in columns))
