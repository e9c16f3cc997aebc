"""One task file of Super-NaturalInstructions, walked key by key: what it says of its task, and where each
instance that can be used begins and ends."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.tasks.digest import hashed
from openflan.tasks.public import Excluded, Unusable, encodable
from openflan.tasks.slices import Slices

_EXAMPLES = {"positive": "Positive Examples", "negative": "Negative Examples"}
_INSTANCES = "Instances"
_SPACE = re.compile(r"[ \t\n\r]*")
_SMALL = 1 << 32
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class TaskFile:
    """What a task file holds.

    `shared` are the fields that all rows have alike: the definition, and the first examples. `texts` has the
    lists `Source`, `Categories`, `Input_language`, `Output_language` and `Instance License`. `left_out`
    counts the instances that cannot be used, by reason. `spans` are the first byte and the end of every
    other, one after the other (type code `I` for files under 4 GB, else `Q`).
    """

    shared: Mapping[str, str]
    texts: Mapping[str, list[str]]
    left_out: Mapping[str, int]
    spans: array[int]


@dataclass(slots=True)
class _Walked:
    """The object of a file without its instances, and those: usable spans in characters, and what is left
    out."""

    document: dict[str, Any] = field(default_factory=dict)
    spans: array[int] = field(default_factory=lambda: array("Q"))
    excluded: Excluded = field(default_factory=Excluded)
    instances: int = 0


def read_task_file(path: Path) -> tuple[TaskFile, bytes]:
    """What a file holds, and the hash of its bytes. Instances that lack input or output, or whose outputs are
    all empty, are left out and counted.

    Raises InputError naming file and key for unreadable JSON or a missing field, and NotUsable if no instance
    can be used.
    """
    file = Slices(path)
    data = file.read(0, file.size)
    digest = hashed()
    digest.update(data)
    try:
        text = data.decode("utf-8-sig")
        walked = _walk(text, path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits; thousands of nested lists
        raise InputError(
            f"{path}: JSON that Python cannot read: a number too long, or lists too deep"
        ) from None
    if walked is None:
        raise InputError(f"{path}: expected one JSON object with Definition, Categories and Instances")
    document = walked.document
    definition = " ".join(texts_in(document.get("Definition"))).strip()
    instances = walked.instances or document.get(_INSTANCES)
    for key, value in (("Definition", definition), (_INSTANCES, instances)):
        if not value:
            raise InputError(f"{path}: `{key}` is missing or empty")
    if _INSTANCES in document:
        raise InputError(f"{path}: `{_INSTANCES}` must be a list")
    if not walked.spans:
        walked.excluded.raise_unusable()
    shared = {"definition": definition, **_first_examples(document)}
    try:
        encodable(shared)
    except Unusable as error:
        raise InputError(f"{path}: {error}; mend the text") from None
    keys = ("Source", "Categories", "Input_language", "Output_language", "Instance License")
    first = len(_BYTE_ORDER_MARK) if data.startswith(_BYTE_ORDER_MARK) else 0
    return TaskFile(
        shared,
        {key: texts_in(document.get(key)) for key in keys},
        dict(walked.excluded.counts),
        _in_bytes(walked.spans, text, first, "I" if len(data) < _SMALL else "Q"),
    ), bytes(digest.digest())


def texts_in(value: Any) -> list[str]:
    """The texts of a field that is a text or a list."""
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def question_and_outputs(instance: Any) -> tuple[str, tuple[str, ...]]:
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


def _walk(text: str, path: Path) -> _Walked | None:
    """The object's values, and its instances; None if it is no object.

    Raises JSONDecodeError as `json.loads` would.
    """
    decoder = json.JSONDecoder()
    walked = _Walked()

    def after(position: int, mark: str) -> int:
        position = _space(text, position)
        if text[position : position + 1] != mark:
            raise json.JSONDecodeError(f"Expecting '{mark}'", text, position)
        return _space(text, position + 1)

    position = _space(text, 0)
    if text[position : position + 1] != "{":
        json.loads(text)
        return None
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
                position = after(position, ",") if walked.instances else position
                instance, end = decoder.raw_decode(text, position)
                _count(walked, instance, position, end, path)
                position = _space(text, end)
            position += 1
        else:
            walked.document[key], position = decoder.raw_decode(text, position)
        position = _space(text, position)
    end = _space(text, position + 1)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return walked


def _count(walked: _Walked, instance: Any, begin: int, end: int, path: Path) -> None:
    """Notes an instance as usable or as left out."""
    try:
        question, outputs = question_and_outputs(instance)
        encodable({"question": question, "references": outputs})
    except Unusable as error:
        walked.excluded.add(f"{path}: {_INSTANCES}[{walked.instances}]", error)
    else:
        walked.spans.extend((begin, end))
    walked.instances += 1


def _space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _in_bytes(spans: array[int], text: str, first: int, code: str) -> array[int]:
    """Positions in a text as positions in its file, where the text begins at byte `first`."""
    if text.isascii():
        return array(code, (position + first for position in spans))
    places, before, at = array(code), 0, first
    for position in spans:
        at += len(text[before:position].encode())
        places.append(at)
        before = position
    return places


def _first_examples(document: Mapping[str, Any]) -> dict[str, str]:
    """The parts of the first positive and the first negative example that are there and not empty."""
    fields = {}
    for kind, key in _EXAMPLES.items():
        examples = document.get(key)
        first = (
            examples[0] if isinstance(examples, list) and examples and isinstance(examples[0], dict) else {}
        )
        for part in ("input", "output", "explanation"):
            if texts := [text.strip() for text in texts_in(first.get(part)) if text.strip()]:
                fields[f"{kind}_{part}"] = texts[0]
    return fields
