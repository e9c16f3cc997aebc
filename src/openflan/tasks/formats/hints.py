"""What to say of fields that fit no format: the nearest one, and a map of columns that can be copied."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence

from openflan.tasks.formats.table import ANY_FIELDS, CHAIN_OF_THOUGHT, FORMATS, INPUTS_TARGETS, Format

_NEAR = 0.6
_MOST_NAMED = 12

_ALIKE: Mapping[str, tuple[str, ...]] = {
    "inputs": ("input", "source", "src", "text", "query", "context", "request", "document", "x"),
    "targets": ("target", "output", "label", "response", "result", "summary", "translation", "y"),
    "prompt": ("query", "request", "input", "user", "human"),
    "completion": ("response", "reply", "generation", "assistant"),
    "question": ("query", "q", "problem"),
    "answer": ("a", "solution", "reply", "final_answer"),
    "instruction": ("task", "command"),
    "output": ("response",),
    "messages": ("conversation", "dialog", "dialogue", "chat", "turns"),
    "conversations": ("conversation", "dialog", "dialogue"),
}
"""Other names that people give to a field; they serve messages alone, nothing is guessed from them."""


def unknown_fields(columns: Sequence[str], form: Format | None = None) -> str:
    """What stands in a file, the nearest format (or the one that was asked for), and a map to copy."""
    names = [name for name in columns if name]
    found = ", ".join(f"`{name}`" for name in names[:_MOST_NAMED])
    found = f"found the fields {found}" if names else "found no field that openflan reads"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    nearest = form or nearest_format(names)
    mapped = map_line(nearest, names)
    near = "" if form else f"expected those of a known format, of which {nearest.shown} is nearest; "
    return f"{found}{more}; {near}name the columns, such as {_ready(mapped)}"


def _ready(mapped: Mapping[str, str]) -> str:
    """A map to copy: as an option, or where the names of columns forbid it, as a key of a recipe."""
    if any(mark in column for column in mapped.values() for mark in ",=`'"):
        return f"`columns: {json.dumps(dict(mapped), ensure_ascii=False)}` in a recipe"
    line = ",".join(f"{field}={column}" for field, column in mapped.items())
    quote = "'" if re.search(r"[^\w=,.-]", line) else ""
    return f"`--map {quote}{line}{quote}` (`columns:` in a recipe)"


def nearest_format(names: Sequence[str]) -> Format:
    """The format whose needed fields have the names that are most like these."""
    forms = [form for form in FORMATS.values() if form not in (ANY_FIELDS, CHAIN_OF_THOUGHT)]

    def likeness(form: Format) -> float:
        return sum(
            max((_likeness(field, name) for name in names), default=0.0) for field in form.needs
        ) / len(form.needs)

    best = max(forms, key=likeness)
    return best if likeness(best) >= _NEAR / 2 else INPUTS_TARGETS


def map_line(form: Format, names: Sequence[str]) -> dict[str, str]:
    """A column for each field that a format needs: the most alike, else the next one in the file's order."""
    line: dict[str, str] = {}
    for field in form.needs:
        free = [name for name in names if name not in line.values()]
        alike = max(free, key=lambda name: _likeness(field, name), default="")
        if alike and _likeness(field, alike) >= _NEAR:
            line[field] = alike
    for field in form.needs:
        free = [name for name in names if name not in line.values()]
        line.setdefault(field, free[0] if free else "COLUMN")
    return {field: line[field] for field in form.needs if line[field] != field}


def _likeness(field: str, name: str) -> float:
    folded = name.strip().lower()
    if folded == field:
        return 1.0
    if folded in _ALIKE.get(field, ()):
        return 0.9
    ratio = difflib.SequenceMatcher(None, field, folded).ratio()
    return ratio if ratio >= _NEAR else 0.0
