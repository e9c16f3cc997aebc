"""Where a submixture's rows come from: the embedded world, or a file or folder whose layout tells its reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openflan.errors import InputError
from openflan.tasks.cot import cot_tasks
from openflan.tasks.jsonl import jsonl_tasks
from openflan.tasks.microflan import microflan_tasks, text_tasks
from openflan.tasks.natural_instructions import natural_instructions_tasks
from openflan.tasks.task import Task, select

COT = "cot"
LAYOUTS = ("*_train.tsv", "task*.json", "*.jsonl")
EMBEDDED = {"microflan": microflan_tasks, "microflan_text": text_tasks}


def open_submixture(name: str, data: Path | None, patterns: Sequence[str] | None = None) -> dict[str, Task]:
    """The tasks called `name`/..., from `data` or, for the embedded ones, from the package; `patterns` selects some.

    Layouts: a folder of `*_train.tsv` (chain of thought), of `task*.json` (natural instructions) or of `*.jsonl`, or one such file.
    Chain-of-thought tasks keep their names, cot/DATASET, so they need the submixture `cot`.
    Raises InputError if the layout is none of them, or several, or a pattern matches nothing.
    """
    if data is None:
        if name not in EMBEDDED:
            raise InputError(f"submixture `{name}` needs `data:` (a file or folder); only {' and '.join(EMBEDDED)} come with openflan")
        tasks = EMBEDDED[name]()
    else:
        tasks = _read(name, data)
    return select(tasks, patterns) if patterns else tasks


def _read(name: str, data: Path) -> dict[str, Task]:
    if not data.exists():
        raise InputError(f"{data}: no such file or folder (the data of submixture `{name}`)")
    layouts = _layouts(data)
    if not layouts:
        raise InputError(f"{data}: unknown layout; expected {', '.join(LAYOUTS)} (a file or a folder of one kind)")
    if len(layouts) > 1:
        raise InputError(f"{data}: holds {' and '.join(layouts)}; put each kind into a folder, and a submixture, of its own")
    if layouts[0] == "task*.json":
        return natural_instructions_tasks(data, name)
    if layouts[0] == "*.jsonl":
        return jsonl_tasks(data, name)
    if name != COT:
        raise InputError(f"{data}: chain-of-thought files (*_train.tsv) belong to the submixture `{COT}`, found under `{name}`; rename the submixture")
    return cot_tasks(data)


def _layouts(data: Path) -> list[str]:
    if data.is_dir():
        return [pattern for pattern in LAYOUTS if any(data.glob(pattern)) or (pattern == "task*.json" and (data / "tasks").is_dir())]
    return [pattern for pattern in LAYOUTS if data.suffix == Path(pattern).suffix]
