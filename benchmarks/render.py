"""Rendering speed on one core: chain of thought, zero-shot and with five exemplars; rows are read, text is
made, nothing is tokenised.

    python benchmarks/render.py --data FOLDER     # with *_train.tsv; without --data: rows of like size that
    are made up

CPU seconds, so that other processes matter little; the median of three runs over all rows.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Row, Task
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import packaged_wordings, wordings_for

RUNS = 3
CASES = {"zero-shot": (Style(rationale=True), None), "five-shot": (Style(few_shot=True, rationale=True), 5)}
QUESTION, RATIONALE = (
    "A cart carries nine sacks of twenty kilograms each. What does its load weigh? " * 3,
    "Nine sacks weigh 9 x 20 = 180. " * 6,
)


def made_up_tasks(rows: int = 10_000) -> dict[str, Task]:
    made: list[Row] = [
        {"question": f"{QUESTION} ({row})", "answer": str(row), "rationale": RATIONALE} for row in range(rows)
    ]
    return {"cot/gsm8k": Task("cot/gsm8k", made, frozenset(made[0]), "made up", "made up")}


def examples_per_second(renderers: list[Renderer], style: Style, shots: int | None) -> float:
    """Of one run over all rows."""
    began, count = time.process_time(), 0
    for renderer in renderers:
        for row in range(len(renderer.task.rows)):
            renderer.render(row, style, 0, row, shots=shots)
        count += len(renderer.task.rows)
    return count / (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with *_train.tsv")
    data: Path | None = parser.parse_args().data
    tasks = open_submixture("cot", data) if data else made_up_tasks()
    renderers = [
        Renderer(task, wordings_for(name, task.fields, packaged_wordings())) for name, task in tasks.items()
    ]
    print(f"{sum(len(task.rows) for task in tasks.values()):,} rows of {len(tasks)} tasks")
    for name, (style, shots) in CASES.items():
        speeds = [examples_per_second(renderers, style, shots) for _ in range(RUNS)]
        print(
            f"{name}: {statistics.median(speeds):,.0f} examples/s (runs: "
            f"{', '.join(f'{speed:,.0f}' for speed in speeds)})"
        )


if __name__ == "__main__":
    main()
