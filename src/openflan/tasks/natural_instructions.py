"""Super-NaturalInstructions task files: one JSON object a task, as in a checkout's `tasks/` folder.

A file holds the task's definition and its instances; almost every field is a list, the definition and the outputs too. An instance with several
accepted outputs trains on the first and is scored against all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.tasks.task import Row, Task

FIELDS = frozenset({"definition", "question", "answer", "references"})


class NaturalInstructionsRows:
    """The instances of one task file."""

    def __init__(self, path: Path, definition: str, instances: list[dict[str, Any]]) -> None:
        """Raises InputError naming the instance that lacks its input or output, or whose outputs are all empty; inputs may be empty."""
        self._definition = definition
        self._pairs: list[tuple[str, tuple[str, ...]]] = []
        for number, instance in enumerate(instances):
            source, outputs = (instance.get("input"), instance.get("output")) if isinstance(instance, dict) else (None, None)
            outputs = [outputs] if isinstance(outputs, str) else outputs
            if not isinstance(source, str) or not isinstance(outputs, list) or not all(isinstance(text, str) for text in outputs):
                raise InputError(f"{path}: Instances[{number}] must have `input` (text) and `output` (list of texts)")
            accepted = tuple(text.strip() for text in outputs if text.strip())
            if not accepted:
                raise InputError(f"{path}: Instances[{number}] has no output that is not empty; remove it or give it one")
            self._pairs.append((source.strip(), accepted))

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Row:
        source, outputs = self._pairs[index]
        return {"definition": self._definition, "question": source, "answer": outputs[0], "references": outputs}


def natural_instructions_tasks(data: Path, submixture: str = "niv2") -> dict[str, Task]:
    """The tasks of a folder of `task*.json` files (or its `tasks/` folder), or of one file.

    Raises InputError naming file and key for unreadable JSON or a missing field.
    """
    folder = data / "tasks" if (data / "tasks").is_dir() else data
    files = sorted(folder.glob("task*.json")) if folder.is_dir() else [data]
    if not files:
        raise InputError(f"{folder}: no task*.json files; expected the `tasks` folder of a natural-instructions checkout")
    tasks = (_read(file, submixture) for file in files)
    return {task.name: task for task in tasks}


def _read(path: Path, submixture: str) -> Task:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected one JSON object with Definition, Categories and Instances")
    definition = " ".join(_texts(document.get("Definition"))).strip()
    for key, value in (("Definition", definition), ("Instances", document.get("Instances"))):
        if not value:
            raise InputError(f"{path}: `{key}` is missing or empty")
    if not isinstance(document["Instances"], list):
        raise InputError(f"{path}: `Instances` must be a list")
    languages = sorted(set(_texts(document.get("Input_language")) + _texts(document.get("Output_language")))) or ["English"]
    return Task(
        name=f"{submixture}/{path.stem}",
        rows=NaturalInstructionsRows(path, definition, document["Instances"]),
        fields=FIELDS,
        dataset=", ".join(_texts(document.get("Source"))) or path.stem,
        category=", ".join(_texts(document.get("Categories"))).lower() or "uncategorised",
        languages=tuple(languages),
        licence=", ".join(_texts(document.get("Instance License"))) or None,
    )


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
