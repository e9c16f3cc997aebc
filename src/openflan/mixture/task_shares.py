"""What the mixture gives each task, before any training: the shares of the ledger.

They are exact. Lengths, truncation and packing are measured on the first examples of the stream
(`packing.measure`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from openflan.mixture.open_mixture import capped_tasks
from openflan.mixture.overlap.drop import dropped_rows
from openflan.mixture.stream import Stream
from openflan.recipe.schema import Mixture
from openflan.tasks.task import Task
from openflan.templates.render import Rendered


def shares_table(
    mixture: Mixture, tasks: Mapping[str, Task], stream: Stream, examples: int
) -> list[dict[str, Any]]:
    """Return one dictionary per task: submixture, category, rows, cap, weight, share of the mixture and
    `epochs`.

    With rates by tokens `share` is still of examples; `token_share` and `mean_tokens` (estimated, of one
    example) are there too. `overlaps_dropped` and `refused` (`left_out` by reason) count rows that are left
    out; `rows` does not contain them. `hidden_by_cap` counts rows beyond the cap. `epochs` is for `examples`
    examples in all. `place` says which of several places of a submixture gave the task.
    """
    table = []
    capped = capped_tasks(mixture, {entry.task.name: entry.task for entry in stream.entries})
    for entry in stream.entries:
        # The stream's own, whose rows may be the examples of conversations.
        task = entry.task
        cap, weight = capped[task.name].cap, capped[task.name].weight
        rows = len(task.rows)
        table.append(
            {
                "task": task.name,
                "submixture": task.submixture,
                "category": task.category,
                "rows": rows,
                "overlaps_dropped": dropped_rows(tasks[task.name]),
                "refused": task.refused,
                "left_out": dict(task.left_out),
                "place": task.place,
                "cap": cap,
                "weight": weight,
                "hidden_by_cap": rows - weight,
                "share": entry.share,
                "epochs": entry.share * examples / rows,
            }
        )
        if entry.token_share is not None:
            table[-1] |= {"token_share": entry.token_share, "mean_tokens": entry.mean_tokens}
    return table


def by_submixture(table: list[dict[str, Any]], examples: int) -> list[dict[str, Any]]:
    """Return `table` summed over the tasks of each submixture; epochs are over all of its rows together."""
    return _summed(table, "submixture", examples)


def by_category(table: list[dict[str, Any]], examples: int) -> list[dict[str, Any]]:
    """Return `table` summed over categories, which may span submixtures, the largest share first."""
    return sorted(_summed(table, "category", examples), key=lambda row: -row["share"])


def _summed(table: list[dict[str, Any]], key: str, examples: int) -> list[dict[str, Any]]:
    members: dict[str, list[dict[str, Any]]] = {}
    for row in table:
        members.setdefault(row[key], []).append(row)
    table_of_groups = []
    for name, rows in members.items():
        total, share = sum(row["rows"] for row in rows), sum(row["share"] for row in rows)
        table_of_groups.append(
            {
                key: name,
                "tasks": len(rows),
                "rows": total,
                "weight": sum(row["weight"] for row in rows),
                "hidden_by_cap": sum(row["hidden_by_cap"] for row in rows),
                "share": share,
                "epochs": share * examples / total,
            }
        )
        if all("token_share" in row for row in rows):
            table_of_groups[-1]["token_share"] = sum(row["token_share"] for row in rows)
    return table_of_groups


def formats(examples: Iterable[Rendered]) -> dict[str, int]:
    """Return how many of the examples have each style, the most frequent first."""
    return dict(Counter(example.style.name for example in examples).most_common())
