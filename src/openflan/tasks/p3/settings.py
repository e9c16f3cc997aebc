"""Changes of the texts of P3 and promptsource on their way to rows, set in `openflan.yaml` of the data
folder.

    clean: flan     newlines of inputs become blanks, those of targets and options are deleted,
                    as in the public release of the collection
    clip: 2048      every value that a template prints is shortened to this length, at a blank, and ends
                    in "..."; promptsource does so by default
    seed: 7         what the templates' random choices derive from

Decision: nothing of it happens unless asked for. `clean: flan` joins the lines of a target without a blank
("first line\nsecond" becomes "first linesecond"). Clipped passages can lose the sentence that a question is
about. Price: texts differ from the release's wherever they hold newlines, and from P3's wherever a passage is
longer than 2,048 characters. T5's tokenizer reads a newline as a blank in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from openflan.errors import InputError, did_you_mean
from openflan.tasks.task import Row
from openflan.yaml_files import read_yaml

FILE = "openflan.yaml"

Clean: TypeAlias = Literal["flan", "none"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that the module's docstring explains; `clip` is in characters, None for no limit."""

    clean: Clean = "none"
    clip: int | None = None
    seed: int = 0


def settings_of(folder: Path) -> Settings:
    """The settings of `openflan.yaml` in the folder, or the defaults. Raises InputError for an unknown key or
    value."""
    path = folder / FILE
    if not path.is_file():
        return Settings()
    document = read_yaml(path)
    known = [field.name for field in fields(Settings)]
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected a mapping with any of {', '.join(known)}")
    for key, value in document.items():
        if key not in known:
            raise InputError(
                f"{path}: `{key}` is not a setting{did_you_mean(str(key), known) or ': ' + ', '.join(known)}"
            )
        if not _fits(key, value):
            expected = {
                "clean": " or ".join(get_args(Clean)),
                "clip": "a number of characters, 1 or more",
                "seed": "a whole number, 0 or more",
            }[key]
            raise InputError(f"{path}: `{key}: {value}` must be {expected}")
    return Settings(**document)


def row_of(inputs: str, targets: str, options: Sequence[str] | None, clean: Clean) -> Row:
    """`inputs` and `targets`, under their other names `question` and `answer` too, and `options` if there are
    any; each stripped.

    The other names are for wordings: those of the collection wrap a P3 text as a question, and only an
    `answer` can have its options listed.
    """
    inputs_text, targets_text = _cleaned(inputs, " ", clean), _cleaned(targets, "", clean)
    row: dict[str, str | Sequence[str]] = {
        "inputs": inputs_text,
        "targets": targets_text,
        "question": inputs_text,
        "answer": targets_text,
    }
    if options is not None:
        row["options"] = [_cleaned(option, "", clean) for option in options]
    return row


def _cleaned(text: str, newline: str, clean: Clean) -> str:
    text = text.strip()
    return text.replace("\n", newline) if clean == "flan" else text


def _fits(key: str, value: Any) -> bool:
    if key == "clean":
        return value in get_args(Clean)
    if value is None:
        return key == "clip"
    return type(value) is int and value >= (1 if key == "clip" else 0)
