"""What the mixture gives each task, before any training: the ledger.

Shares are exact; lengths, truncation and packing are measured on the first examples of the very stream that will be trained on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from openflan.mixture.overlap.drop import dropped_rows
from openflan.mixture.stream import Stream
from openflan.recipe.schema import Mixture
from openflan.tasks.task import Task
from openflan.templates.render import Rendered


def shares_table(mixture: Mixture, tasks: Mapping[str, Task], stream: Stream, examples: int) -> list[dict[str, Any]]:
    """One row a task: submixture, category, rows, those left out as overlaps or as nothing to learn from (`refused`; neither are among `rows`), cap,
    weight, share of the mixture, and passes over its rows in `examples` examples."""
    table = []
    for entry in stream.entries:
        task = tasks[entry.task.name]
        cap = mixture.cap(task.submixture)
        rows = len(task.rows)
        table.append(
            {
                "task": task.name,
                "submixture": task.submixture,
                "category": task.category,
                "rows": rows,
                "overlaps_dropped": dropped_rows(task),
                "refused": task.refused,
                "cap": cap,
                "weight": rows if cap is None else min(rows, cap),
                "share": entry.share,
                "passes": entry.share * examples / rows,
            }
        )
    return table


def by_submixture(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, summed over the tasks of each submixture."""
    names = dict.fromkeys(row["submixture"] for row in table)
    return [
        {"submixture": name, "tasks": len(rows), "rows": sum(row["rows"] for row in rows), "share": sum(row["share"] for row in rows)}
        for name in names
        for rows in [[row for row in table if row["submixture"] == name]]
    ]


def formats(examples: Iterable[Rendered]) -> dict[str, int]:
    """How many of the examples have each style."""
    return dict(Counter(example.style.name for example in examples).most_common())
