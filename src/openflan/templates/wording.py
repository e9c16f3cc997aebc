"""How a row is said: pairs of patterns, kept as YAML that anyone can read, override and extend.

A pattern is text with `{field}` in it and nothing more clever: no code, no formatting, doubled braces for literal ones. Patterns are split once at
load, where an unknown field is refused with its file and line; rendering is then a join of strings, so the text of a row can never be read as a
pattern.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml

from openflan.errors import InputError, did_you_mean

Shots: TypeAlias = Literal["any", "zero", "few"]

_KEYS = {"id", "inputs", "targets", "rationale", "shots", "labels"}


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text with `{field}` placeholders, split into what stands between them: `literals` has one more item than `fields`."""

    text: str
    literals: tuple[str, ...]
    fields: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises ValueError for anything but plain `{field}` placeholders."""
        literals, fields = [""], []
        for literal, name, spec, conversion in string.Formatter().parse(text):
            literals[-1] += literal
            if name is None:
                continue
            if not name.isidentifier() or spec or conversion:
                raise ValueError(f"`{{{name}}}` is not a plain {{field}}; double the braces if they are meant literally")
            fields.append(name)
            literals.append("")
        return cls(text, tuple(literals), tuple(fields))

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with every field filled in; KeyError if one is missing."""
        parts = [self.literals[0]]
        for name, literal in zip(self.fields, self.literals[1:], strict=True):
            parts.append(values[name])
            parts.append(literal)
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class Wording:
    """A template pair and where it may be used.

    `rationale`: its targets show the chain of thought. `shots`: used for zero-shot examples, for few-shot ones, or for both. `labels`: its inputs
    are bare enough to wear drawn labels (`Q:`, `A:`) in few-shot examples.
    """

    id: str
    inputs: Pattern
    targets: Pattern
    rationale: bool = False
    shots: Shots = "any"
    labels: bool = False
    source: str = ""

    @property
    def options(self) -> bool:
        """Whether it lists the row's options (a wording without `{options}` is for when they are hidden)."""
        return "options" in self.inputs.fields

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(self.inputs.fields) | frozenset(self.targets.fields)


@dataclass(frozen=True, slots=True)
class WordingSet:
    """The wordings of the tasks whose names match `tasks`."""

    tasks: tuple[str, ...]
    fields: frozenset[str]
    wordings: tuple[Wording, ...] = field(repr=False)
    source: str = ""

    def covers(self, task: str) -> bool:
        return any(fnmatchcase(task, pattern) for pattern in self.tasks)


READY_MADE = WordingSet(
    tasks=("*",),
    fields=frozenset({"inputs", "targets"}),
    wordings=(Wording("ready-made", Pattern.parse("{inputs}"), Pattern.parse("{targets}"), source="rows that are already worded"),),
    source="rows that are already worded",
)


def load_wordings(path: Path) -> list[WordingSet]:
    """The wording sets of a YAML file (one document a set).

    Raises InputError with file and line for unknown or repeated keys, duplicate ids, empty lists, and wordings that name a field which their set does
    not declare.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such wordings file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read as a wordings file ({error.strerror})") from None
    try:
        documents = [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node is not None]
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not documents:
        raise InputError(f"{path}: empty; expected `tasks:`, `fields:` and `wordings:`")
    return [_read_set(node, path) for node in documents]


@cache
def packaged_wordings() -> tuple[WordingSet, ...]:
    """All wordings that come with openflan."""
    folder = Path(str(files("openflan.templates") / "wordings"))
    return tuple(found for path in sorted(folder.rglob("*.yaml")) for found in load_wordings(path))


def wordings_for(task: str, fields: frozenset[str], sets: Sequence[WordingSet]) -> WordingSet:
    """The first set that covers the task, else the ready-made one if the rows are already worded.

    Raises InputError if there is none, or if the set needs a field the task's rows lack, naming the wording.
    """
    found = next((candidate for candidate in sets if candidate.covers(task)), None)
    if found is None:
        if READY_MADE.fields <= fields:
            return READY_MADE
        raise InputError(
            f"{task}: no wordings for rows with the fields {', '.join(sorted(fields))}; name a file with `wordings:`, or use the fields inputs and targets"
        )
    for wording in found.wordings:
        missing = wording.fields - fields
        if missing:
            raise InputError(
                f"{wording.source}: wording `{wording.id}` names {_listed(missing)}, which the rows of {task} lack (they have {', '.join(sorted(fields))})"
            )
    return found


def _read_set(node: yaml.Node, path: Path) -> WordingSet:
    place = f"{path}:{node.start_mark.line + 1}"
    document = _construct(node, place)
    if not isinstance(document, dict) or not isinstance(node, yaml.MappingNode):
        raise InputError(f"{place}: expected a mapping with `tasks:`, `fields:` and `wordings:`")
    for key in document:
        if key not in {"tasks", "fields", "wordings"}:
            raise InputError(f"{place}: `{key}` is not a key of a wordings file{did_you_mean(str(key), ['tasks', 'fields', 'wordings'])}")
    tasks, fields = (_strings(document.get(key), place, key) for key in ("tasks", "fields"))
    items = next((value for key, value in node.value if key.value == "wordings"), None)
    if not isinstance(items, yaml.SequenceNode) or not items.value:
        raise InputError(f"{place}: `wordings:` must list at least one wording")
    wordings: list[Wording] = []
    for item in items.value:
        item_place = f"{path}:{item.start_mark.line + 1}"
        wording = _read_wording(_construct(item, item_place), frozenset(fields), item_place)
        if any(wording.id == other.id for other in wordings):
            raise InputError(f"{wording.source}: wording `{wording.id}` stands twice")
        wordings.append(wording)
    return WordingSet(tuple(tasks), frozenset(fields), tuple(wordings), str(path))


def _read_wording(item: Any, fields: frozenset[str], place: str) -> Wording:
    if not isinstance(item, dict):
        raise InputError(f"{place}: expected a wording with `id`, `inputs` and `targets`")
    for key in item:
        if key not in _KEYS:
            raise InputError(f"{place}: `{key}` is not a key of a wording{did_you_mean(str(key), _KEYS)}")
    for key in ("id", "inputs", "targets"):
        if not isinstance(item.get(key), str) or not item[key].strip():
            raise InputError(f"{place}: a wording needs `{key}`, a text that is not empty")
    shots = item.get("shots", "any")
    if shots not in ("any", "zero", "few"):
        raise InputError(f"{place}: `shots: {shots}` is none of any, zero, few")
    for key in ("rationale", "labels"):
        if not isinstance(item.get(key, False), bool):
            raise InputError(f"{place}: `{key}: {item[key]}` must be true or false, without quotes")
    try:
        inputs, targets = Pattern.parse(item["inputs"]), Pattern.parse(item["targets"])
    except ValueError as error:
        raise InputError(f"{place}: wording `{item['id']}`: {error}") from None
    unknown = (set(inputs.fields) | set(targets.fields)) - fields
    if unknown:
        raise InputError(
            f"{place}: wording `{item['id']}` names {_listed(unknown)}{did_you_mean(min(unknown), fields) or '.'} The fields are {', '.join(sorted(fields))}"
        )
    return Wording(item["id"], inputs, targets, item.get("rationale", False), shots, item.get("labels", False), place)


def _construct(node: yaml.Node, place: str) -> Any:
    keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)] if isinstance(node, yaml.MappingNode) else []
    repeated = next((key for key in keys if keys.count(key) > 1), None)
    if repeated is not None:  # YAML itself would silently keep the last
        raise InputError(f"{place}: `{repeated}:` stands twice; keep one")
    try:
        return yaml.SafeLoader("").construct_document(node)
    except (yaml.YAMLError, ValueError) as error:  # foreign tags, keys that are lists; ValueError: impossible dates
        raise InputError(f"{place}: not valid YAML: {' '.join(str(error).split())}") from None


def _strings(value: Any, place: str, key: str) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise InputError(f"{place}: `{key}:` must be a list of names")
    return value


def _listed(names: set[str] | frozenset[str]) -> str:
    return " and ".join(f"`{{{name}}}`" for name in sorted(names))
