"""The answers of the cells of a study, by cell, seed, evaluation and group of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from openflan.errors import InputError
from openflan.studies.cells import Cell
from openflan.studies.evaluations import Layout, unpacked
from openflan.studies.statistics import Column, column, mean
from openflan.studies.study_schema import AVERAGE


@dataclass(frozen=True, slots=True)
class Scores:
    """Finished cells: `lines` are those of `cells.jsonl` by the cell's label."""

    cells: Mapping[str, Cell]
    lines: Mapping[str, Mapping[str, Any]]
    layouts: Mapping[str, Layout]
    averages: Mapping[str, list[str]]

    @classmethod
    def of(
        cls,
        cells: Iterable[Cell],
        lines: Mapping[str, Mapping[str, Any]],
        layouts: Mapping[str, Layout],
        averages: Mapping[str, list[str]],
    ) -> Scores:
        return cls({cell.label: cell for cell in cells}, lines, layouts, averages)

    def names(self) -> list[str]:
        """The cells without their seeds, in order."""
        return list(dict.fromkeys(cell.name for cell in self.cells.values()))

    def any_of(self, name: str) -> Cell:
        return next(cell for cell in self.cells.values() if cell.name == name)

    def chosen(self, axis_values: Mapping[str, str], control: str | None) -> list[str]:
        """The names of the cells with these values, of the grid or of a control."""
        return list(
            dict.fromkeys(
                cell.name
                for cell in self.cells.values()
                if cell.control == control and axis_values.items() <= cell.values.items()
            )
        )

    def trained(self, name: str) -> bool:
        return self.any_of(name).trained

    def groups(self, evaluation: str) -> list[str]:
        return [AVERAGE] if evaluation in self.averages else list(self.layouts[evaluation].groups)

    def column(self, name: str, seed: int, evaluation: str, group: str) -> Column | None:
        """None if the cell has not run under the seed. Raises InputError for a group that the evaluation does
        not have.

        The average over several evaluations is the plain mean of theirs.
        """
        if group not in self.groups(evaluation):
            raise InputError(
                f"`{evaluation}` has no group `{group}`; it has {', '.join(self.groups(evaluation))}"
            )
        line = self.lines.get(f"{name}-seed{seed}") or self.lines.get(name)
        if line is None:
            return None
        if evaluation in self.averages:
            return mean([self._column(line, one, AVERAGE) for one in self.averages[evaluation]])
        return self._column(line, evaluation, group)

    def _column(self, line: Mapping[str, Any], evaluation: str, group: str) -> Column:
        return column(unpacked(line["answers"][evaluation]), self.layouts[evaluation], group)
