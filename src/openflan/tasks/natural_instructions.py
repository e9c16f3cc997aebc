"""Super-NaturalInstructions task files: one JSON object a task, as in a checkout's `tasks/` folder.

A file holds the task's definition, explained examples of good and bad answers, and its instances; almost
every field is a list, the definition and the outputs too. An instance with several accepted outputs trains on
the first and is scored against all.

The instances of the whole collection take some gigabytes, so only their places in the files are kept (8 bytes
each) and each is parsed when it is drawn. Price: the file is walked key by key when it is opened.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.tasks.digest import file_digest, joined
from openflan.tasks.natural_instructions_rows import MMLU, is_mmlu, published
from openflan.tasks.public import Excluded, Unusable, encodable, public
from openflan.tasks.slices import Slices
from openflan.tasks.task import Opener, Row, Task, name_of, one_file_each

FIELDS = frozenset({"definition", "question", "answer", "references"})
"""The fields of every row; tasks with examples have `positive_input`, `positive_output`,
`positive_explanation` too, and `negative_...`."""

_EXAMPLES = {"positive": "Positive Examples", "negative": "Negative Examples"}
_INSTANCES = "Instances"
_SPACE = re.compile(r"[ \t\n\r]*")


class NaturalInstructionsRows:
    """The instances of one task file."""

    def __init__(self, file: Slices, spans: array[int], shared: Mapping[str, str]) -> None:
        """`spans`: first byte and end of every instance, one after the other; `shared`: the fields that all
        rows have alike."""
        self._file = file
        self._spans = spans
        self._shared = shared

    def __len__(self) -> int:
        return len(self._spans) // 2

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(index)
        instance = json.loads(self._file.read(self._spans[2 * index], self._spans[2 * index + 1]))
        question, outputs = _pair(instance)
        return {**self._shared, "question": question, "answer": outputs[0], "references": outputs}

    def digest(self) -> bytes | None:
        return joined("instances", [file_digest(self._file.path), self._spans.tobytes()])


def find_natural_instructions(data: Path, submixture: str) -> dict[str, Opener]:
    """The tasks of a folder of `task*.json` files (or its `tasks/` folder), or of one file; names are those
    of the public list of tasks (see `published`).

    Raises InputError if there is none, or if two files name one task.
    """
    folder = data / "tasks" if (data / "tasks").is_dir() else data
    files = sorted(folder.glob("task*.json")) if folder.is_dir() else [data]
    if not files:
        raise InputError(
            f"{folder}: no task*.json files; expected the `tasks` folder of a natural-instructions checkout"
        )
    named = one_file_each(files, lambda file: name_of(submixture, published(file.stem)))
    return {name: public(partial(read_task, file, submixture)) for name, file in named.items()}


def read_task(path: Path, submixture: str) -> Task:
    """The task of one file. Instances that lack input or output, or whose outputs are all empty, are left out
    and counted; inputs may be empty.

    Raises InputError naming file and key for unreadable JSON or a missing field, and NotUsable if no instance
    can be used.
    """
    file = Slices(path)
    try:
        text = file.read(0, file.size).decode("utf-8-sig")
        document, spans = _walk(text)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits; thousands of nested lists
        raise InputError(
            f"{path}: JSON that Python cannot read: a number too long, or lists too deep"
        ) from None
    if document is None:
        raise InputError(f"{path}: expected one JSON object with Definition, Categories and Instances")
    definition = " ".join(_texts(document.get("Definition"))).strip()
    for key, value in (("Definition", definition), (_INSTANCES, spans or document.get(_INSTANCES))):
        if not value:
            raise InputError(f"{path}: `{key}` is missing or empty")
    if _INSTANCES in document:
        raise InputError(f"{path}: `{_INSTANCES}` must be a list")
    spans, excluded = _usable(text, spans, path)
    shared = {"definition": definition, **_first_examples(document)}
    try:
        encodable(shared)
    except Unusable as error:
        raise InputError(f"{path}: {error}; mend the text") from None
    name = name_of(submixture, published(path.stem))
    return Task(
        name=name,
        rows=NaturalInstructionsRows(
            file, _in_bytes(spans, text, len(file.read(0, file.size)) - len(text.encode())), shared
        ),
        fields=FIELDS | shared.keys(),
        dataset=", ".join(_texts(document.get("Source"))) or path.stem,
        category=", ".join(_texts(document.get("Categories"))).lower() or "uncategorised",
        languages=tuple(
            sorted(set(_texts(document.get("Input_language")) + _texts(document.get("Output_language"))))
            or ["English"]
        ),
        licence=", ".join(_texts(document.get("Instance License"))) or None,
        held_out=MMLU if is_mmlu(path.stem) else None,
        left_out=dict(excluded.counts),
    )


def _usable(text: str, spans: array[int], path: Path) -> tuple[array[int], Excluded]:
    """The places of the instances that can be used, and what is left out. Raises NotUsable if none can be
    used."""
    kept, excluded = array("Q"), Excluded()
    for index in range(len(spans) // 2):
        begin, end = spans[2 * index], spans[2 * index + 1]
        try:
            question, outputs = _pair(json.loads(text[begin:end]))
            encodable({"question": question, "references": outputs})
        except Unusable as error:
            excluded.add(f"{path}: {_INSTANCES}[{index}]", error)
        else:
            kept.extend((begin, end))
    if not kept:
        excluded.raise_unusable()
    return kept, excluded


def _walk(text: str) -> tuple[dict[str, Any] | None, array[int]]:
    """The object's values without its list of instances, and where each of those begins and ends in the text;
    None if it is no object.

    Raises JSONDecodeError as `json.loads` would.
    """
    decoder = json.JSONDecoder()
    spans = array("Q")

    def after(position: int, mark: str) -> int:
        position = _space(text, position)
        if text[position : position + 1] != mark:
            raise json.JSONDecodeError(f"Expecting '{mark}'", text, position)
        return _space(text, position + 1)

    position = _space(text, 0)
    if text[position : position + 1] != "{":
        json.loads(text)
        return None, spans
    document: dict[str, Any] = {}
    first = position = _space(text, position + 1)
    while text[position : position + 1] != "}":
        if position != first:
            position = after(position, ",")
        if text[position : position + 1] != '"':
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, position)
        key, position = decoder.raw_decode(text, position)
        position = after(position, ":")
        if key == _INSTANCES and text[position : position + 1] == "[":
            position = _space(text, position + 1)
            while text[position : position + 1] != "]":
                position = after(position, ",") if spans else position
                _, end = decoder.raw_decode(text, position)
                spans.extend((position, end))
                position = _space(text, end)
            position += 1
        else:
            document[key], position = decoder.raw_decode(text, position)
        position = _space(text, position)
    end = _space(text, position + 1)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return document, spans


def _space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _in_bytes(spans: array[int], text: str, first: int) -> array[int]:
    """Positions in a text as positions in its file, where the text begins at byte `first`."""
    if text.isascii():
        return array("Q", (position + first for position in spans)) if first else spans
    places, before, at = array("Q"), 0, first
    for position in spans:
        at += len(text[before:position].encode())
        places.append(at)
        before = position
    return places


def _pair(instance: Any) -> tuple[str, tuple[str, ...]]:
    """Input and accepted outputs. Raises Unusable for an instance without them."""
    source, outputs = (
        (instance.get("input"), instance.get("output")) if isinstance(instance, dict) else (None, None)
    )
    outputs = [outputs] if isinstance(outputs, str) else outputs
    if (
        not isinstance(source, str)
        or not isinstance(outputs, list)
        or not all(isinstance(text, str) for text in outputs)
    ):
        raise Unusable("must have `input` (text) and `output` (list of texts)", "no input and output")
    accepted = tuple(text.strip() for text in outputs if text.strip())
    if not accepted:
        raise Unusable("has no output that is not empty", "empty output")
    return source.strip(), accepted


def _first_examples(document: Mapping[str, Any]) -> dict[str, str]:
    """The parts of the first positive and the first negative example that are there and not empty."""
    fields = {}
    for kind, key in _EXAMPLES.items():
        examples = document.get(key)
        first = (
            examples[0] if isinstance(examples, list) and examples and isinstance(examples[0], dict) else {}
        )
        for part in ("input", "output", "explanation"):
            if texts := [text.strip() for text in _texts(first.get(part)) if text.strip()]:
                fields[f"{kind}_{part}"] = texts[0]
    return fields


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
