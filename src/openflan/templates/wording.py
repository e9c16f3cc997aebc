"""Wordings: pairs of patterns that make inputs and targets out of a row, kept as YAML files.

A file holds one or more sets: `tasks` (names or patterns), `fields` (all that its wordings may name) and
`wordings`, each with

    id, inputs, targets   a name and two patterns
    rationale: true       the targets show the chain of thought
    inverted: true        the targets are what is usually given, such as the question of an answer
    shots                 `any` (default), `zero` or `few`; `inside`: the inputs themselves hold an exemplar
    labels: true          drawn labels (`Q:`, `A:`) may be added in few-shot examples
    frame                 labels, between and separator of few-shot examples, instead of drawn ones
    on_top: true          the first paragraph of the inputs is the instruction, which may be given once,
                          above the exemplars
    requires              fields that not every task's rows have; tasks without them do not use the wording
    plain_options: true   options are always a dash list and the answer one of their texts, where other
                          option lists have drawn markers

A set may also have `inverted_share`, with `zero` and `few`: the share of inverted ones among zero-shot and
few-shot examples that a recipe takes with `inverted: release`. An unknown key or field is refused at load
with its file and line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import translate
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml

from openflan.errors import InputError, did_you_mean
from openflan.tasks.task import EXCLUDED
from openflan.templates.formats import Frame
from openflan.templates.inverted_share import InvertedShare as InvertedShare
from openflan.templates.inverted_share import read_inverted_share
from openflan.templates.pattern import Pattern as Pattern
from openflan.yaml_files import Document, read_documents

Shots: TypeAlias = Literal["any", "zero", "few", "inside"]

_SET_KEYS = ("tasks", "fields", "inverted_share", "wordings")
_KEYS = {
    "id",
    "inputs",
    "targets",
    "rationale",
    "inverted",
    "shots",
    "labels",
    "frame",
    "on_top",
    "requires",
    "plain_options",
}


JOINED = "-joined"
"""In the id of an imported wording whose template was changed for rows that hold two of its fields as one."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A pair of templates and where it may be used; the module's docstring explains its keys.

    `instruction` and `item` are the two parts of the inputs of a wording that is `on_top`: the first
    paragraph, and what follows the blank line. `rationale`: its targets show the chain of thought; if it is
    inverted, its inputs or its targets do.
    """

    id: str
    inputs: Pattern
    targets: Pattern
    rationale: bool = False
    shots: Shots = "any"
    labels: bool = False
    source: str = ""
    frame: Frame | None = None
    inverted: bool = False
    instruction: Pattern | None = None
    item: Pattern | None = None
    requires: frozenset[str] = frozenset()
    plain_options: bool = False

    @property
    def bare(self) -> bool:
        """Whether it is for few-shot examples without any instruction: nothing but the row's fields, a
        definition not among them."""
        return (
            self.shots == "few"
            and self.inputs.bare
            and self.instruction is None
            and "definition" not in self.inputs.fields
        )

    @property
    def closes(self) -> bool:
        """Whether its targets put a full stop behind the answer."""
        return any(
            name == "answer" and literal.startswith(".")
            for name, literal in zip(self.targets.fields, self.targets.literals[1:], strict=True)
        )

    @property
    def options(self) -> bool:
        """Whether it lists the row's options (a wording without `{options}` is for when they are hidden)."""
        return "options" in self.inputs.fields

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(self.inputs.fields) | frozenset(self.targets.fields)


@dataclass(frozen=True, slots=True)
class WordingSet:
    """The wordings of the tasks whose names match `tasks`. `inverted_share`: that of the public release,
    where the set says it."""

    tasks: tuple[str, ...]
    fields: frozenset[str]
    wordings: tuple[Wording, ...] = field(repr=False)
    source: str = ""
    packaged: bool = False
    inverted_share: InvertedShare | None = None

    def covers(self, task: str) -> bool:
        """Return whether a pattern of the set matches the task and no pattern with `!` takes it away."""
        wanted, unwanted = _patterns(self.tasks)
        return bool(wanted.match(task)) and not (unwanted and unwanted.match(task))


@cache
def _patterns(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    """What a name must match, and what it must not; with a thousand tasks each set is asked a thousand
    times."""
    wanted = [pattern for pattern in patterns if not pattern.startswith(EXCLUDED)] or ["*"]
    unwanted = [pattern.removeprefix(EXCLUDED) for pattern in patterns if pattern.startswith(EXCLUDED)]
    return re.compile("|".join(map(translate, wanted))), (
        re.compile("|".join(map(translate, unwanted))) if unwanted else None
    )


READY_MADE = WordingSet(
    tasks=("*",),
    fields=frozenset({"inputs", "targets"}),
    wordings=(
        Wording(
            "ready-made",
            Pattern.parse("{inputs}"),
            Pattern.parse("{targets}"),
            source="rows that are already worded",
        ),
    ),
    source="rows that are already worded",
)


def load_wordings(path: Path) -> list[WordingSet]:
    """The wording sets of a YAML file (one document a set).

    Raises InputError with file and line for unknown or repeated keys, duplicate ids, empty lists, and
    wordings that name a field which their set does not declare.
    """
    if not os.path.exists(path):
        raise InputError(f"{path}: no such wordings file")
    documents = read_documents(path)
    if not documents:
        raise InputError(f"{path}: empty; expected `tasks:`, `fields:` and `wordings:`")
    return [_read_set(document, path) for document in documents]


@cache
def packaged_wordings() -> tuple[WordingSet, ...]:
    """All wordings that come with openflan."""
    folder = Path(str(files("openflan.templates") / "wordings"))
    return tuple(
        replace(wording_set, packaged=True)
        for path in sorted(folder.rglob("*.yaml"))
        for wording_set in load_wordings(path)
    )


def wordings_for(task: str, fields: frozenset[str], sets: Sequence[WordingSet]) -> WordingSet:
    """The wordings of a task: the direct ones of the first set that covers it and has such, likewise the
    inverted ones.

    Rows that are already worded pass over packaged sets for other fields, and use the ready-made one if no
    other is left; a task that no set names gets those of `generic_wordings`. Raises InputError if there is
    none, or if one needs a field the task's rows lack, naming the wording; those that `require` it are
    skipped.
    """
    worded = fields >= READY_MADE.fields
    covering = [
        wording_set
        for wording_set in sets
        if wording_set.covers(task)
        and not (worded and wording_set.packaged and wording_set.fields.isdisjoint(fields))
    ]
    chosen: list[Wording] = []
    for inverted in (False, True):
        usable = [
            [one for one in wording_set.wordings if one.inverted == inverted and one.requires <= fields]
            for wording_set in covering
        ]
        chosen += next((wordings for wordings in usable if wordings), [])
    if not chosen and worded:
        return READY_MADE
    if not chosen:
        from openflan.templates.generic import generic_wordings  # it imports this module

        return generic_wordings(task, fields, sets)
    for wording in chosen:
        missing = wording.fields - fields
        if missing:
            raise InputError(
                f"{wording.source}: wording `{wording.id}` names {_listed(missing)}, which the rows of "
                f"{task} lack (they have {', '.join(sorted(fields))})"
            )
    if all(wording.shots == "inside" for wording in chosen):
        raise InputError(
            f"{chosen[0].source}: all wordings for {task} hold an exemplar (`shots: inside`); add one "
            "for examples without"
        )
    first = next(wording_set for wording_set in covering if chosen[0] in wording_set.wordings)
    return WordingSet(
        (task,),
        frozenset().union(*(wording.fields for wording in chosen)),
        tuple(chosen),
        first.source,
        inverted_share=first.inverted_share,
    )


def _read_set(read: Document, path: Path) -> WordingSet:
    node, document = read.node, read.value
    location = f"{path}:{node.start_mark.line + 1}"
    if not isinstance(document, dict) or not isinstance(node, yaml.MappingNode):
        raise InputError(f"{location}: expected a mapping with `tasks:`, `fields:` and `wordings:`")
    for key in document:
        if key not in _SET_KEYS:
            raise InputError(
                f"{location}: `{key}` is not a key of a wordings file{did_you_mean(str(key), _SET_KEYS)}"
            )
    tasks, fields = (_strings(document.get(key), location, key) for key in ("tasks", "fields"))
    items = next((value for key, value in node.value if key.value == "wordings"), None)
    if not isinstance(items, yaml.SequenceNode) or not items.value:
        raise InputError(f"{location}: `wordings:` must list at least one wording")
    wordings: list[Wording] = []
    for item, value in zip(items.value, document["wordings"], strict=True):
        wording = _read_wording(value, frozenset(fields), f"{path}:{item.start_mark.line + 1}")
        if any(wording.id == other.id for other in wordings):
            raise InputError(f"{wording.source}: wording `{wording.id}` stands twice")
        wordings.append(wording)
    share = read_inverted_share(document.get("inverted_share"), location)
    return WordingSet(tuple(tasks), frozenset(fields), tuple(wordings), str(path), inverted_share=share)


def _read_wording(item: Any, fields: frozenset[str], location: str) -> Wording:
    if not isinstance(item, dict):
        raise InputError(f"{location}: expected a wording with `id`, `inputs` and `targets`")
    for key in item:
        if key not in _KEYS:
            raise InputError(f"{location}: `{key}` is not a key of a wording{did_you_mean(str(key), _KEYS)}")
    for key in ("id", "inputs", "targets"):
        if not isinstance(item.get(key), str) or not item[key].strip():
            raise InputError(f"{location}: a wording needs `{key}`, a text that is not empty")
    shots = item.get("shots", "any")
    if shots not in ("any", "zero", "few", "inside"):
        raise InputError(f"{location}: `shots: {shots}` is none of any, zero, few, inside")
    for key in ("rationale", "inverted", "labels", "on_top", "plain_options"):
        if not isinstance(item.get(key, False), bool):
            raise InputError(f"{location}: `{key}: {item[key]}` must be true or false, without quotes")
    requires = (
        frozenset(_strings(item["requires"], location, "requires")) if "requires" in item else frozenset()
    )
    try:
        inputs, targets = Pattern.parse(item["inputs"]), Pattern.parse(item["targets"])
        parts = inputs.paragraphs() if item.get("on_top", False) else None
    except ValueError as error:
        raise InputError(f"{location}: wording `{item['id']}`: {error}") from None
    unknown = (set(inputs.fields) | set(targets.fields) | requires) - fields
    if unknown:
        raise InputError(
            f"{location}: wording `{item['id']}` names "
            f"{_listed(unknown)}{did_you_mean(min(unknown), fields) or '.'} The fields are "
            f"{', '.join(sorted(fields))}"
        )
    if item.get("on_top", False) and (parts is None or not parts[1].fields or shots in ("zero", "inside")):
        raise InputError(
            f"{location}: wording `{item['id']}` is `on_top`, so its inputs must be an instruction, a blank "
            "line and the item, for `shots: any` or `few`"
        )
    wording = Wording(
        item["id"],
        inputs,
        targets,
        rationale=item.get("rationale", False),
        shots=shots,
        labels=item.get("labels", False),
        source=location,
        frame=_frame(item.get("frame"), location),
        inverted=item.get("inverted", False),
        instruction=parts[0] if parts else None,
        item=parts[1] if parts else None,
        requires=requires,
        plain_options=item.get("plain_options", False),
    )
    return _checked_inversion(wording) if wording.inverted else wording


def _checked_inversion(wording: Wording) -> Wording:
    """Raises InputError if an inverted wording shows all it asks for; whether it shows a chain of thought, on
    either side, is seen from its fields."""
    asked = set(wording.targets.fields)
    if asked <= set(wording.inputs.fields):
        raise InputError(
            f"{wording.source}: wording `{wording.id}` is inverted, but its inputs show "
            f"{_listed(asked)}, which its targets ask for"
        )
    return replace(wording, rationale="rationale" in wording.fields)


def _frame(value: Any, location: str) -> Frame | None:
    match value:
        case None:
            return None
        case {"labels": [str(before), str(after)], "between": str(between), "separator": str(separator)} if (
            len(value) == 3
        ):
            return Frame((before, after), between, separator)
    raise InputError(
        f"{location}: `frame:` needs `labels` (two texts, before inputs and before targets), `between` and "
        "`separator`, each a text"
    )


def _strings(value: Any, location: str, key: str) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise InputError(f"{location}: `{key}:` must be a list of names")
    return value


def _listed(names: set[str] | frozenset[str]) -> str:
    return " and ".join(f"`{{{name}}}`" for name in sorted(names))
