"""Wordings as YAML text that a person can read and change, and that loads as the same wordings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import yaml

from openflan.templates.wording import Wording, WordingSet


def dump_wordings(wording_set: WordingSet, head: str = "") -> str:
    """The set as one YAML document under the comment `head`; a wording's defaults are left out."""
    document: dict[str, Any] = {
        "tasks": _Names(wording_set.tasks),
        "fields": _Names(sorted(wording_set.fields)),
    }
    if wording_set.inverted_share is not None:
        document["inverted_share"] = asdict(wording_set.inverted_share)
    document["wordings"] = [_item(wording) for wording in wording_set.wordings]
    return head + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100_000)


def kind(wording: Wording) -> str:
    """The uses of a wording, such as `few-shot, options` or `zero-shot, rationale, inverted`."""
    shots = {"any": "any shots", "zero": "zero-shot", "few": "few-shot", "inside": "exemplar inside"}[
        wording.shots
    ]
    marks = {
        "options": wording.options,
        "rationale": wording.rationale,
        "inverted": wording.inverted,
        "on top": wording.instruction is not None,
    }
    return ", ".join([shots, *(mark for mark, true in marks.items() if true)])


def _item(wording: Wording) -> dict[str, Any]:
    item: dict[str, Any] = {"id": wording.id}
    if wording.shots != "any":
        item["shots"] = wording.shots
    marks = {
        "rationale": wording.rationale,
        "inverted": wording.inverted,
        "labels": wording.labels,
        "on_top": wording.instruction is not None,
        "plain_options": wording.plain_options,
    }
    item |= {name: True for name, true in marks.items() if true}
    if wording.requires:
        item["requires"] = _Names(sorted(wording.requires))
    if wording.frame is not None:
        item["frame"] = {
            "labels": _Names(wording.frame.labels),
            "between": wording.frame.between,
            "separator": wording.frame.separator,
        }
    return item | {"inputs": wording.inputs.text, "targets": wording.targets.text}


class _Names(list[str]):
    """A list that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks; in quotes whatever a block or a plain text would not give back
    unchanged, such as Unicode's own line breaks."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    lines = text.split("\n")
    clean = text == text.strip() and all(line.isprintable() and line == line.rstrip() for line in lines)
    style = '"' if not clean else "|" if len(lines) > 1 else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_names(dumper: _Dumper, names: _Names) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", names, flow_style=True)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(_Names, _represent_names)
