"""Files for readers of rows, and the error that reading one raises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openflan.errors import InputError
from openflan.tasks.custom import find_own
from openflan.tasks.task import Row, Task

GOOD = b"How many?\tfour\tTwo and two.\n"
File = Callable[[str, bytes | str], Path]


def jsonl_tasks(data: Path, submixture: str = "mine") -> dict[str, Task]:
    return {name: opener() for name, opener in find_own(data, submixture).items()}


def custom_rows(path: Path) -> list[Row]:
    (task,) = jsonl_tasks(path).values()
    return [task.rows[index] for index in range(len(task.rows))]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


# Super-NaturalInstructions


def document(**changes: Any) -> dict[str, Any]:
    """A task file in the layout of the public release."""
    return {
        "Contributors": ["A. Person"],
        "Source": ["mathset"],
        "URL": ["https://example.org"],
        "Categories": ["Question Answering"],
        "Reasoning": ["Numerical Reasoning"],
        "Definition": ["Answer the question.", "Write a digit."],
        "Input_language": ["English"],
        "Output_language": ["Spanish"],
        "Instruction_language": ["English"],
        "Domains": ["Mathematics"],
        "Positive Examples": [{"input": "1+1?", "output": "2", "explanation": "Sum."}],
        "Negative Examples": [],
        "Instances": [
            {"id": "task7-1", "input": " 2+2?\n", "output": ["4", " four "]},
            {"id": "task7-1", "input": "3+3?", "output": ["6"]},
            {"id": "task7-2", "input": "", "output": "free text"},
        ],
        "Instance License": ["MIT"],
        **changes,
    }
