"""Which columns of a table can be fields of a row, and the values of their cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from openflan.tasks.table_files import Block, import_pyarrow
from openflan.tasks.task import LIST_FIELDS


def readable_columns(schema: Any, only: frozenset[str] | None, whole: frozenset[str]) -> list[str]:
    """The columns that can be fields, and those that `whole` names, in the table's order; of a name that
    occurs twice neither can."""
    names = [
        name for name in schema.names if (only is None or name in only) and schema.names.count(name) == 1
    ]
    return [
        name
        for name in names
        if name in whole
        or _is_field(name, schema.field(name).type)
        or (only is not None and _is_span(schema.field(name).type))
    ]


def _is_field(name: str, kind: Any) -> bool:
    types = import_pyarrow().types
    if types.is_null(kind):
        return True
    if name in LIST_FIELDS:
        return bool(types.is_nested(kind) or types.is_string(kind) or types.is_large_string(kind))
    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(
        test(kind)
        for test in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_integer,
            types.is_floating,
        )
    )


def cell_value(cell: Any) -> Any:
    """The value of a cell; a number that is none, and one beyond all bounds, is a missing value, as an empty
    cell is."""
    value = cell.as_py()
    return _number(value, cell.type) if isinstance(value, float) else value


def rows_of_batch(batch: Block) -> list[dict[str, Any]]:
    """The rows of a batch, values as `cell_value` gives them."""
    columns = {
        name: column.to_pylist() for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    for name, column in columns.items():
        kind = batch.schema.field(name).type
        columns[name] = [_number(value, kind) if isinstance(value, float) else value for value in column]
    return (
        [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        if columns
        else [{} for _ in range(len(batch))]
    )


def _number(value: float, kind: Any) -> float | None:
    if not math.isfinite(value):
        return None
    types = import_pyarrow().types
    kind = kind.value_type if types.is_dictionary(kind) else kind
    narrow = np.float32 if types.is_float32(kind) else np.float16 if types.is_float16(kind) else None
    return value if narrow is None else float(str(narrow(value)))


def _is_span(kind: Any) -> bool:
    types = import_pyarrow().types
    return bool(
        (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
        and types.is_integer(kind.value_type)
    )
