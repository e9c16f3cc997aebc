"""The card of an exported mixture: a README that says what the file holds, as the hub shows it.

It lies beside the file, as README.md where there is no other, else as NAME.README.md: a README that someone
wrote is never replaced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import openflan
from openflan.mixture.export import Exported
from openflan.mixture.export_records import Form
from openflan.mixture.licences import licence_of
from openflan.run_folder import replacing
from openflan.tasks.task import Task

UNKNOWN = "unknown"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGER = ((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"))


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card says besides what was written: the recipe as YAML, its name and seed, the tasks, the share
    that the recipe wants of each, the group of a task, what is left out with the reason, and how exemplars
    were pruned."""

    name: str
    seed: int
    recipe: str
    form: Form
    tasks: Mapping[str, Task]
    shares: Mapping[str, float]
    group: Callable[[str], str]
    left_out: Mapping[str, str]
    pruning: str


def write_card(done: Exported, facts: CardFacts) -> Path:
    """Writes the card of an export and returns its path. Raises SetupError if it cannot be written."""
    mark = _mark(done.path)
    path = done.path.with_name("README.md")
    if path.exists() and not _begins_with(path, mark):
        path = done.path.with_name(f"{done.path.name}.README.md")
    with replacing(path) as partial:
        partial.write_text(f"{card(done, facts)}", encoding="utf-8", newline="\n")
    return path


def card(done: Exported, facts: CardFacts) -> str:
    """The text of a card, Markdown with the front matter that the hub reads."""
    tasks = [facts.tasks[name] for name in done.tasks]
    parts = [
        _front_matter(done, tasks),
        f"# {done.path.stem}: instruction examples of the recipe `{facts.name}`\n",
        f"{done.examples:,} examples of {len(done.tasks):,} tasks, {done.size / 1e6:,.1f} MB, made by "
        f"openflan {openflan.__version__} with seed {facts.seed}. Exemplars that are too long: "
        f"{facts.pruning}. Inputs have {done.characters[0] / done.examples:,.0f} characters on average, "
        f"targets {done.characters[1] / done.examples:,.0f}. The same recipe, data and version give the "
        "same file.\n",
        "## Loading\n",
        _loading(done.path, facts.form),
        "## Shares\n",
        _shares(done, facts),
        "## Formats\n",
        _table(
            ["format", "examples", "share (%)"],
            [[name, f"{count:,}", _percent(count / done.examples)] for name, count in done.formats.items()],
        ),
        "## Licences\n",
        "Each task has the licence of its source, as its own file or the list of tasks states it. The file "
        "as a whole has no other; read the terms of the tasks that you use.\n",
        _licences(done, tasks),
        "## Tasks\n",
        _tasks(done, facts),
        *_left_out(facts.left_out),
        "## Recipe\n",
        f"```yaml\n{facts.recipe.strip()}\n```\n",
    ]
    return "\n".join(parts)


def _mark(path: Path) -> str:
    """The line that tells that a card was written for this file."""
    return f"# openflan wrote this card for {path.name}"


def _begins_with(path: Path, mark: str) -> bool:
    try:
        return path.read_text(encoding="utf-8").startswith(f"---\n{mark}\n")
    except (OSError, UnicodeDecodeError):
        return False


def _front_matter(done: Exported, tasks: Sequence[Task]) -> str:
    size = next((name for most, name in (*_SIZES, *_LARGER) if done.examples < most), "n>100M")
    lines = [
        "---",
        _mark(done.path),
        "license: other",
        "task_categories: [text-generation]",
        f"size_categories: [{size}]",
        "configs:",
        "- config_name: default",
        f'  data_files: "{done.path.name}"',
        "---",
    ]
    return "\n".join(lines) + "\n"


def _loading(path: Path, form: Form) -> str:
    kind = "json" if path.suffix == ".jsonl" else "parquet"
    columns = (
        "`messages` is a list of a user's and an assistant's message"
        if form == "messages"
        else "`inputs` is what a model reads, `targets` what it learns to write"
    )
    return (
        f'```python\nfrom datasets import load_dataset\n\ndata = load_dataset("{kind}", '
        f'data_files="{path.name}", split="train")\n```\n\n'
        f"{columns}. The examples are already mixed; `position` counts them. The other columns say where an "
        "example came from: `task`, `row`, `style`, `wording`, `exemplars` (rows of the same task), and how "
        "its parts were joined.\n"
    )


def _shares(done: Exported, facts: CardFacts) -> str:
    counted, wanted, tasks = Counter[str](), Counter[str](), Counter[str]()
    for name, share in facts.shares.items():
        group = facts.group(name)
        counted[group] += done.tasks.get(name, 0)
        wanted[group] += share  # type: ignore[assignment]
        tasks[group] += 1
    rows = [
        [
            group,
            f"{tasks[group]:,}",
            f"{counted[group]:,}",
            _percent(counted[group] / done.examples),
            _percent(wanted[group]),
        ]
        for group in sorted(wanted, key=lambda group: -wanted[group])
    ]
    return _table(["submixture or part", "tasks", "examples", "share (%)", "by the recipe (%)"], rows)


def _licences(done: Exported, tasks: Sequence[Task]) -> str:
    examples, number = Counter[str](), Counter[str]()
    for task in tasks:
        licence = licence_of(task) or UNKNOWN
        examples[licence] += done.tasks[task.name]
        number[licence] += 1
    rows = [
        [licence, f"{number[licence]:,}", f"{count:,}", _percent(count / done.examples)]
        for licence, count in examples.most_common()
    ]
    return _table(["licence", "tasks", "examples", "share (%)"], rows)


def _tasks(done: Exported, facts: CardFacts) -> str:
    rows = [
        [
            f"`{name}`",
            f"{count:,}",
            _percent(count / done.examples, 3),
            f"{len(facts.tasks[name].rows):,}",
            facts.tasks[name].category,
            ", ".join(facts.tasks[name].languages),
            licence_of(facts.tasks[name]) or UNKNOWN,
        ]
        for name, count in done.tasks.items()
    ]
    return _table(["task", "examples", "share (%)", "rows", "category", "languages", "licence"], rows)


def _left_out(reasons: Mapping[str, str]) -> list[str]:
    if not reasons:
        return []
    counts = Counter(reason.partition(":")[0] for reason in reasons.values())
    listed = ", ".join(f"{reason}: {count:,}" for reason, count in counts.most_common())
    return [f"Tasks that were left out, by reason: {listed}.\n"]


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells) + "\n"


def _cell(text: str) -> str:
    """A text as a cell: bars and line ends would end it."""
    return " ".join(text.replace("|", "\\|").split())
