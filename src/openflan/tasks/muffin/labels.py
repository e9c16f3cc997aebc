"""Replaces a class number by a class word: the row function of most classification datasets.

Class numbers mean what the hub's copy says; the words and the order in which they are offered are the
collection's (FLAN 2021, kept in 2022). A blank text is left out, as nothing can be asked about it; the price
is a handful of rows that the release trains on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from openflan.tasks.muffin.dataset import Raw
from openflan.tasks.task import Row


def labelled(
    raw: Raw,
    *,
    texts: Mapping[str, str],
    classes: tuple[str, ...],
    label: str = "label",
    offered: tuple[str, ...] = (),
    clean: Callable[[str], str] = str.strip,
) -> Row | None:
    """The fields of a record with a class label; None if it is unlabelled or one of its texts is blank.

    `texts`: the column of each field. `classes`: the word of each class number of column `label`. `offered`:
    the order of the options, if it is not that of the numbers. Raises ValueError for a text that is none, and
    a number that is no class.
    """
    class_index = class_number(raw, label, len(classes))
    fields = {field: clean(text(raw, column)).strip() for field, column in texts.items()}
    if class_index is None or not all(fields.values()):
        return None
    return {**fields, "options": list(offered or classes), "answer": classes[class_index]}


def text(raw: Raw, column: str) -> str:
    """A column's text without outer white space; raises ValueError if it holds none."""
    value = raw.get(column)
    if not isinstance(value, str):
        raise ValueError(f"`{column}` is {_shortened(value)}, expected a text")
    return value.strip()


def class_number(raw: Raw, column: str, count: int) -> int | None:
    """A class number from 0 to `count` - 1, or None where the record is unlabelled (-1 or nothing); raises
    ValueError for anything else."""
    value = raw.get(column)
    if value is None or value == -1:
        return None
    if (
        not isinstance(value, int) or not 0 <= value < count
    ):  # True and False are 1 and 0, as in SuperGLUE's own files
        raise ValueError(
            f"`{column}` is {_shortened(value)}, expected a class number from 0 to {count - 1}, or -1 for "
            "unlabelled"
        )
    return int(value)


def _shortened(value: object) -> str:
    return (
        f"`{str(value)[:60]}`" if isinstance(value, str | int | float) else f"of type {type(value).__name__}"
    )
