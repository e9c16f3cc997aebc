"""Super-NaturalInstructions as rows with a `task_name`, the form of its hub copies: many tasks in one table,
or many files of one task each.

The rows have no examples of the definition and, of several accepted outputs, one each.
"""

from __future__ import annotations

import re
from functools import partial

from openflan.tasks.catalogue import catalogue, real_name
from openflan.tasks.public import PublicGroup, usable
from openflan.tasks.records import Record, Records
from openflan.tasks.rows import BadRow, EmptyTarget
from openflan.tasks.task import Opener, Row, Task, name_of

COLUMNS = frozenset({"task_name", "definition", "inputs", "targets"})
MMLU = "mmlu"

_MMLU_TASK = re.compile(r"task(\d+)_mmmlu")


def is_mmlu(name: str) -> bool:
    """Whether a task was made from MMLU: numbers 664 to 667 and 685 to 737 with `mmmlu` in the name, 57 in
    all. The collection's code leaves these out because MMLU is held out; the paper counts 44."""
    match = _MMLU_TASK.match(folded(name))
    return match is not None and (664 <= int(match[1]) <= 667 or 685 <= int(match[1]) <= 737)


def folded(name: str) -> str:
    """The one spelling of a task's name: copies differ in hyphens and underscores."""
    return name.replace("-", "_")


def published(name: str) -> str:
    """The name that the public list of tasks has for a file's or row's: with underscores for hyphens, and cut
    at its first dot where the list has it so (task1530_scitail1 for
    task1530_scitail1.1_sentence_generation)."""
    full = real_name(f"niv2/{folded(name)}")
    return full.partition("/")[2] if full in catalogue() else folded(name)


def instruction_row(record: Record) -> Row:
    """`definition`, `question`, `answer` and `references` of a row; inputs may be empty. Raises BadRow for
    values that are no texts."""
    for name in ("definition", "inputs", "targets"):
        if not isinstance(record.get(name), str):
            raise BadRow(f"`{name}` must be a text; found {record.get(name)!r:.60}")
    answer = record["targets"].strip()
    if not answer:
        raise EmptyTarget("targets")
    return {
        "definition": record["definition"].strip(),
        "question": record["inputs"].strip(),
        "answer": answer,
        "references": (answer,),
    }


def find_tasks_in_rows(records: Records, submixture: str) -> dict[str, Opener]:
    """One task for each `task_name`, found and checked in one pass over all rows. Rows without name,
    definition, inputs or targets are left out and counted. Raises InputError naming the first row if none can
    be used.
    """
    groups = usable(records, instruction_row, _task_name)
    return {
        name_of(submixture, task): partial(_task, records, group, submixture, task)
        for task, group in groups.items()
    }


def _task_name(record: Record) -> str:
    name = record.get("task_name")
    if not isinstance(name, str) or not name:
        raise BadRow(f"`task_name` must be a text; found {name!r:.60}")
    return published(name)


def _task(records: Records, group: PublicGroup, submixture: str, task: str) -> Task:
    name = name_of(submixture, task)
    return Task(
        name,
        group.rows(records, instruction_row),
        group.fields,
        dataset=task,
        category="natural instructions",
        held_out=MMLU if is_mmlu(task) else None,
        left_out=dict(group.excluded.counts),
    )
