"""Rendered examples for people to read: Markdown with a few examples of each task, in formats as different as
the task has.

Reading is how a wording is judged: whether its fields are filled, its question can be answered, its answer is
not given away, and its class words are those of the task. Decision: the formats are drawn from the task's
name, a kind at a time (without exemplars, with exemplars, and anything further, such as inverted), so that
few examples show much. Price: a document shows a sample of a task's wordings, never all (`openflan wordings
list` names those).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openflan.errors import InputError
from openflan.randomness import Draws
from openflan.tasks.task import Task
from openflan.templates.render import Rendered, Renderer
from openflan.templates.style import ALL_STYLES, Style
from openflan.templates.wording import WordingSet

MOST = 1_600
"""Characters of a text that are shown, unless asked otherwise."""

_LOOKED_AT = 20
"""Rows that tell a task's formats, where rows differ in their fields."""

_MARKUP = re.compile(r"([\\`*_\[\]<>#|~&])")
_TICKS = re.compile(r"`+")


@dataclass(frozen=True, slots=True)
class ReviewedTask:
    """A task and the examples of it that are shown."""

    task: Task
    examples: tuple[Rendered, ...]


def examples(task: Task, wordings: WordingSet, num_examples: int, seed: int = 0) -> ReviewedTask:
    """The given number of examples of a task, of successive rows, each in another format as long as the task
    has further ones.

    Raises InputError if the task has fewer rows than that, or for what no row can be rendered with.
    """
    if num_examples > len(task.rows):
        raise InputError(
            f"{task.name}: {num_examples} examples of {len(task.rows):,} rows; ask for fewer with --number, "
            "or add rows"
        )
    renderer = Renderer(task, wordings)
    styles = _styles(renderer, num_examples, seed)
    return ReviewedTask(
        task, tuple(renderer.render(row, style, seed, position=row) for row, style in enumerate(styles))
    )


def document(reviewed: Sequence[ReviewedTask], title: str, introduction: str, max_chars: int = MOST) -> str:
    """The Markdown: a table of the tasks, then a section each. `introduction` is Markdown; texts longer than
    `max_chars` characters are cut in their middle."""
    lines = [
        f"# {escaped(title)}",
        "",
        introduction,
        "",
        "| task | dataset | category | formats shown |",
        "|---|---|---|---|",
    ]
    for part in reviewed:
        formats = ", ".join(dict.fromkeys(example.style.name for example in part.examples))
        cells = [code(part.task.name), code(part.task.dataset), escaped(part.task.category), formats]
        lines.append(f"| {' | '.join(cells)} |")
    for part in reviewed:
        lines += ["", *_section(part, max_chars)]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text on one line, with everything that Markdown would read as markup escaped."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Text on one line as a code span; bars are escaped, as tables split at them even there."""
    line = " ".join(text.split()).replace("|", "\\|")
    ticks = "`" * (_longest(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def fenced(text: str) -> str:
    """Text as a block in which nothing is markup: its fence is longer than any run of backticks within."""
    fence = "`" * max(3, _longest(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def cut(text: str, max_chars: int) -> str:
    """Text of at most `max_chars` characters, with a note in its middle that says how many are left out. The
    end is kept as well as the beginning: the question mostly stands there."""
    if len(text) <= max_chars:
        return text
    head, tail = text[: max_chars // 2], text[len(text) - max_chars // 2 :]
    return f"{head}\n[... {len(text) - len(head) - len(tail):,} characters are not shown here ...]\n{tail}"


def _section(reviewed: ReviewedTask, max_chars: int) -> Iterable[str]:
    task = reviewed.task
    yield f"## {code(task.name)}"
    yield ""
    yield f"Dataset: {code(task.dataset)}. Category: {escaped(task.category)}."
    for example_number, example in enumerate(reviewed.examples, start=1):
        yield ""
        yield (
            f"**{example_number}. {example.style.name}** (row {example.row}, wording "
            f"{code(example.wording)}{_exemplars(example)})"
        )
        for name, text in (("Inputs", example.inputs), ("Targets", example.targets)):
            yield ""
            yield f"{name}:"
            yield ""
            yield fenced(cut(text, max_chars))


def _exemplars(example: Rendered) -> str:
    if not example.exemplars:
        return ""
    rows = ", ".join(map(str, example.exemplars))
    return f", exemplars: row{'s' if len(example.exemplars) > 1 else ''} {rows}"


def _styles(renderer: Renderer, num_examples: int, seed: int) -> list[Style]:
    """A style for each example: of the forms that the task really has, one of each kind by turns, none twice
    before all were shown."""
    rows = range(min(_LOOKED_AT, len(renderer.task.rows)) if renderer.task.lacking else 1)
    forms = list(
        dict.fromkeys(
            renderer.render(row, style, seed, position=0).style for style in ALL_STYLES for row in rows
        )
    )
    kinds = [
        [style for style in forms if not style.few_shot and not style.inverted],
        [style for style in forms if style.few_shot and not style.inverted],
        [style for style in forms if style.inverted]
        or [style for style in forms if style.rationale]
        or [style for style in forms if not style.options],
    ]
    chosen: list[Style] = []
    for turn in range(num_examples):
        kind = kinds[turn % len(kinds)] or forms
        draws = Draws(seed, "review", renderer.task.name, turn)
        chosen.append(
            draws.choice(
                [style for style in kind if style not in chosen]
                or [style for style in forms if style not in chosen]
                or kind
            )
        )
    return chosen


def _longest(text: str) -> int:
    return max(map(len, _TICKS.findall(text)), default=0)
