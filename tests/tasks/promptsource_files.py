"""Files of promptsource templates and their rows, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from openflan.randomness import Draws
from openflan.tasks.p3.sandbox import compiled
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task

Record = dict[str, Any]
QUESTION = "Look at this: {{ question }} ||| {{ answer }}"


def template(
    name: str,
    jinja: str,
    answer_choices: str | list[str] | None = None,
    choices_in_prompt: bool | None = None,
) -> str:
    """An entry of a templates file, in the true layout."""
    shown = json.dumps(choices_in_prompt)
    metadata = (
        f"choices_in_prompt: {shown}\n      languages:\n      - en\n      metrics:\n      - Accuracy\n   "
        "   original_task: true"
    )
    return (
        f"  id-of-{name}: !Template\n    answer_choices: {json.dumps(answer_choices)}\n    id: "
        f"id-of-{name}\n    jinja: {json.dumps(jinja)}\n"
        f"    metadata: !TemplateMetadata\n      {metadata}\n    name: {json.dumps(name)}\n    "
        "reference: ''\n"
    )


def put(data: Path, dataset: str, templates: list[str], records: list[Record]) -> Path:
    """Templates and rows of a dataset (or dataset/subset); gives the file of templates."""
    file = data / "templates" / dataset / "templates.yaml"
    rows = data / "data" / dataset / "train.jsonl"
    for path in (file, rows):
        path.parent.mkdir(parents=True, exist_ok=True)
    name, _, subset = dataset.partition("/")
    file.write_text(
        f"dataset: {name}\n{f'subset: {subset}' if subset else ''}\ntemplates:\n{''.join(templates)}",
        encoding="utf-8",
    )
    rows.write_text(
        "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8"
    )
    return file


def opened(data: Path, submixture: str = "mine") -> dict[str, Task]:
    return open_submixture(submixture, data)


def only(data: Path) -> Task:
    (task,) = opened(data).values()
    return task


def pairs(task: Task) -> list[tuple[Any, Any]]:
    return [(task.rows[index]["inputs"], task.rows[index]["targets"]) for index in range(len(task.rows))]


def one(data: Path, jinja: str, records: list[Record], **more: Any) -> Task:
    put(data, "quiz", [template("t", jinja, **more)], records)
    return only(data)


# The sandbox


def rendered(text: str, **values: Any) -> str:
    return compiled(text).render(values, Draws(0))
