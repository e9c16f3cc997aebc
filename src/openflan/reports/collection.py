"""What a mixture is made of, counted: its task categories by submixture and its languages, the paper's
Figures 17 and 18 for any mixture.

Decision: everything is counted from plain rows, one a task, and every category and language is kept; that a
figure shows the first twenty of each submixture is the drawing's affair. Price: none worth naming, as the
whole collection has fewer than two hundred of either. Ties are broken by name, so that the same tasks always
give the same order (Chung et al. 2022, appendix, Figures 17 and 18).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

SHOWN = 20
"""Categories of a submixture that a figure shows (the paper's Figure 17)."""

By: TypeAlias = Literal["tasks", "share"]


@dataclass(frozen=True, slots=True)
class TaskLine:
    """A task of a mixture; `share` is its part of the mixture in [0, 1], None if it is unknown."""

    task: str
    submixture: str
    category: str
    languages: tuple[str, ...]
    share: float | None = None


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """A category within one submixture.

    `share` is that of its tasks together, None if no share of any of them is known. Ranks count from 1 within
    the submixture, by number of tasks and by share; without a share there is no rank by it.
    """

    submixture: str
    category: str
    tasks: int
    rank: int
    share: float | None = None
    share_rank: int | None = None


@dataclass(frozen=True, slots=True)
class LanguageCount:
    """A language and the tasks that involve it. A task in two languages counts, with its whole share, for
    both."""

    language: str
    tasks: int
    rank: int
    share: float | None = None
    submixtures: tuple[tuple[str, int], ...] = ()
    """Its tasks in each submixture that has any."""


def categories(lines: Iterable[TaskLine]) -> tuple[CategoryCount, ...]:
    """Return every category of every submixture; submixtures in the order in which they first occur,
    categories by number of tasks."""
    groups: dict[str, dict[str, list[TaskLine]]] = {}
    for line in lines:
        groups.setdefault(line.submixture, {}).setdefault(line.category, []).append(line)
    return tuple(counted for submixture, named in groups.items() for counted in _ranked(submixture, named))


def largest_categories(
    counts: Iterable[CategoryCount], by: By = "tasks", limit: int = SHOWN
) -> dict[str, list[CategoryCount]]:
    """Return the first `limit` categories of each submixture, by number of tasks or by share. By share, a
    submixture without shares is left out."""
    kept_by_submixture: dict[str, list[CategoryCount]] = {}
    for count in counts:
        rank = count.rank if by == "tasks" else count.share_rank
        if rank is not None and rank <= limit:
            kept_by_submixture.setdefault(count.submixture, []).append(count)
    return {
        name: sorted(categories, key=lambda count: count.rank if by == "tasks" else count.share_rank or 0)
        for name, categories in kept_by_submixture.items()
    }


def languages(lines: Iterable[TaskLine]) -> tuple[LanguageCount, ...]:
    """Return every language, ordered by number of tasks."""
    lines_by_language: dict[str, list[TaskLine]] = {}
    for line in lines:
        for language in dict.fromkeys(line.languages):
            lines_by_language.setdefault(language, []).append(line)
    ordered = sorted(lines_by_language.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return tuple(
        LanguageCount(name, len(task_lines), rank, _together(task_lines), _by_submixture(task_lines))
        for rank, (name, task_lines) in enumerate(ordered, start=1)
    )


def as_records(counts: Iterable[CategoryCount | LanguageCount]) -> list[dict[str, Any]]:
    """Return plain values for JSON, a language's submixtures as a mapping."""
    return [
        {key: dict(value) if key == "submixtures" else value for key, value in asdict(count).items()}
        for count in counts
    ]


def as_csv(counts: Sequence[CategoryCount | LanguageCount]) -> str:
    """Return the counts as CSV with a header. Each submixture of a language is a column; an unknown share is
    an empty cell."""
    records = as_records(counts)
    names = list(dict.fromkeys(name for record in records for name in record.get("submixtures", ())))
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    if records:
        plain = [key for key in records[0] if key != "submixtures"]
        writer.writerow([*plain, *names])
        for record in records:
            inside: Mapping[str, int] = record.get("submixtures", {})
            writer.writerow([*(record[key] for key in plain), *(inside.get(name, 0) for name in names)])
    return written.getvalue()


def _ranked(submixture: str, named: Mapping[str, Sequence[TaskLine]]) -> Iterator[CategoryCount]:
    sums = {category: _together(lines) for category, lines in named.items()}
    known = sorted(
        (category for category, share in sums.items() if share is not None),
        key=lambda category: (-(sums[category] or 0.0), category),
    )
    ranks = {category: rank for rank, category in enumerate(known, start=1)}
    ordered = sorted(named, key=lambda category: (-len(named[category]), category))
    for rank, category in enumerate(ordered, start=1):
        yield CategoryCount(
            submixture, category, len(named[category]), rank, sums[category], ranks.get(category)
        )


def _together(lines: Sequence[TaskLine]) -> float | None:
    """Return the sum of the known shares, or None. It is rounded, so that the order of addition does not
    change a file."""
    shares = [line.share for line in lines if line.share is not None]
    return round(sum(shares), 9) if shares else None


def _by_submixture(lines: Sequence[TaskLine]) -> tuple[tuple[str, int], ...]:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.submixture] = counts.get(line.submixture, 0) + 1
    return tuple(counts.items())
