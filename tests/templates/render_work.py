"""Wordings and tasks for tests of rendering: every field stands in marks of its own, so that a text shows how
it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openflan.tasks.task import Row, Task
from openflan.templates.formats import Formats
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import Pattern, Wording, WordingSet

FEW, ZERO = Style(few_shot=True), Style()

ONE_FORMAT = Formats(
    labels=(("Q: ", "A: "),),
    between=("\n",),
    separators=("\n\n##\n\n",),
    headers=("Options:",),
    markers=(("({}) ", "upper"),),
    endings=(";",),
)


def wording(name: str, inputs: str, targets: str, **more: Any) -> Wording:
    return Wording(name, Pattern.parse(inputs), Pattern.parse(targets), **more)


def wordings(*items: Wording) -> WordingSet:
    return WordingSet(("*",), frozenset(), items)


PLAIN = wordings(
    wording("bare", "<{question}>", "[{answer}]"),
    wording("asked", "Please: <{question}>", "[{answer}]", labels=True),
)

CHOICE = wordings(
    wording("listed", "<{question}>\n{options}", "[{answer}]"),
    wording("hidden", "<{question}>", "[{answer}]"),
)


def task(rows: Sequence[Row], name: str = "test/quiz") -> Task:
    return Task(name, rows, frozenset(rows[0]), "quiz", "testing")


def plain(num_rows: int) -> Task:
    return task([{"question": f"q{row}", "answer": f"a{row}"} for row in range(num_rows)])


def choice(num_rows: int, options: int = 3) -> Task:
    return task(
        [
            {
                "question": f"q{row}",
                "answer": f"r{row}o1",
                "options": [f"r{row}o{option}" for option in range(options)],
            }
            for row in range(num_rows)
        ]
    )


def renderer(of: Task, with_: WordingSet, formats: Formats = ONE_FORMAT) -> Renderer:
    return Renderer(of, with_, formats)
