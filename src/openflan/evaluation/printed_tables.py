"""The paper's tables by number, as columns and rows: what `openflan paper table N` prints.

The files of `paper_tables/` have the forms that models are looked up in; here each becomes a plain table. A
number whose cells are not packaged is refused with the reason, and nothing is made up for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from openflan.errors import InputError
from openflan.evaluation.paper import paper_table

Cell = str | int | float | None

LAST = 26
"""The number of the paper's last table."""

_BBH = {17: (0, 9), 18: (9, 18), 19: (18, 27)}
"""The files of BIG-Bench Hard that each table has, in their order."""

_PLAIN = (2, 6, 7, 10, 22, 23)

_MMLU_BY_TASK = (
    "MMLU by task. No copy of its cells has been checked, and nothing is made up for them; the means over "
    "the 57 tasks stand in Table 5: `openflan paper table 5`"
)
_NOT_PACKAGED: Mapping[int, str] = {
    8: "a list of languages by resources, without figures",
    9: "examples of texts, without figures",
    **dict.fromkeys(range(11, 17), _MMLU_BY_TASK),
    24: "the list of the datasets; `openflan tasks list` has them",
    25: "the model card of Flan-PaLM, without figures",
    26: "the model card of Flan-T5, without figures",
}


@dataclass(frozen=True, slots=True)
class PrintedTable:
    """A table of the paper: figures as printed, None where nothing is printed. `misprints` are the known
    mistakes of the print, which the figures keep."""

    number: int
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    source: str
    note: str = ""
    misprints: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Every field under its name."""
        return asdict(self)


def packaged_numbers() -> list[int]:
    """The numbers of the tables whose cells are packaged."""
    return [number for number in range(1, LAST + 1) if number not in _NOT_PACKAGED]


def contents_of(number: int) -> str:
    """A line that says what a table is about; raises InputError for a number that the paper does not have."""
    _check(number)
    if number in _NOT_PACKAGED:
        return f"not packaged: {_NOT_PACKAGED[number].partition('.')[0]}"
    return str(paper_table(_name(number))["title"])


def printed_table(number: int) -> PrintedTable:
    """The table of that number. Raises InputError for a number that the paper does not have, and for a table
    that is not packaged, with the reason."""
    _check(number)
    if number in _NOT_PACKAGED:
        raise InputError(f"Table {number} is not packaged: it is {_NOT_PACKAGED[number]}")
    table = paper_table(_name(number))
    columns, rows = _columns_and_rows(number, table)
    return PrintedTable(
        number,
        table["title"],
        tuple(columns),
        tuple(tuple(row) for row in rows),
        table["source"].replace("Tables 17 to 19", f"Table {number}"),
        " ".join([table["note"], *_computed(number, table)]),
        tuple(table.get("misprints", ())),
    )


def _computed(number: int, table: Mapping[str, Any]) -> list[str]:
    """A sentence for each cell that no copy shows, and that is computed from the printed mean."""
    first, end = _BBH.get(number, (0, 0))
    return [
        f"The cell of {cell['name']} {cell['component'].removeprefix('bbh-')} on {cell['task']} is computed "
        "from the printed mean, as no copy shows it."
        for cell in table.get("solved", ())
        if cell["task"] in table["tasks"][first:end]
    ]


def _check(number: int) -> None:
    if not 1 <= number <= LAST:
        raise InputError(f"the paper has Tables 1 to {LAST}, and no Table {number}")


def _name(number: int) -> str:
    return "tables17to19" if number in _BBH else f"table{number}"


def _columns_and_rows(number: int, table: Mapping[str, Any]) -> tuple[list[str], list[list[Cell]]]:
    columns, rows = table.get("columns", []), table["rows"]
    if number in _PLAIN:
        return columns, rows
    if number == 3:
        return ["size", "mixture", "tasks", *columns], [
            [row["size"], row["mixture"], row["tasks"], *row["cells"]] for row in rows
        ]
    if number == 4:
        # The best results before the paper are of several systems.
        return ["model", *columns], [
            [row["model"] + (f" ({', '.join(row['systems'])})" if "systems" in row else ""), *row["cells"]]
            for row in rows
        ]
    if number == 5:
        # The rows of appendix D stand beside it in the file, and are no part of the table.
        return ["parameters", "model", *columns], [
            [row["parameters"], row["model"], *row["cells"]] for row in rows if "source" not in row
        ]
    if number in _BBH:
        first, end = _BBH[number]
        # The paper has a column for each file. Turned round, the table fits a page.
        models = [
            row["name"].removeprefix("flan-t5-") + (" cot" if row["component"] == "bbh-cot" else "")
            for row in rows
        ]
        return ["file", *models], [
            [table["tasks"][index], *(row["cells"][index] for row in rows)] for index in range(first, end)
        ]
    if number in (20, 21):
        return ["model", *table["tasks"], "average"], [
            [row["name"], *row["cells"], row["average"]] for row in rows
        ]
    return ["model", *columns], [[row["model"], *row["cells"]] for row in rows]
