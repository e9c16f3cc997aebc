"""Structured data put into words: concepts, triples and meaning representations.

All four sets train on `target`; the list of references serves evaluation only. Square brackets are rewritten,
for two reasons: T5 sees them as noise around a value, and a name such as `[TABLECONTEXT]` means nothing to a
reader.
"""

from __future__ import annotations

import re

from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.prose import complete, items, text, texts
from openflan.tasks.task import Row

_SLOT = re.compile(r"\s*([^\[\],]+)\[([^\[\]]*)\]\s*(?:,|\Z)")
_PLACEHOLDER = re.compile(r"\[([A-Za-z ]+)\]")


def common_gen(raw: Raw) -> Row | None:
    """`concepts` in one line, with commas, and `concept_lines`, a line each."""
    concepts = [concept for concept in texts(raw["concepts"], "concepts") if concept]
    return complete(
        concepts=", ".join(concepts), concept_lines="\n".join(concepts), answer=text(raw, "target")
    )


def dart(raw: Raw) -> Row | None:
    """A triple a line: subject, relation and object, with bars between; `[TITLE]` becomes `title`."""
    return complete(
        data="\n".join(_triple(triple) for triple in items(raw["tripleset"], "tripleset")),
        answer=text(raw, "target"),
    )


def e2e_nlg(raw: Raw) -> Row | None:
    """`name[The Punter], food[Indian]` becomes `name = The Punter, food = Indian`. Raises ValueError if it is
    not made of such slots."""
    meaning = text(raw, "meaning_representation")
    slots = _SLOT.findall(meaning)
    if _SLOT.sub("", meaning).strip():
        raise ValueError(
            "`meaning_representation` must be slots such as `food[Indian]`, with commas between; found "
            f"{meaning[:80]!r}"
        )
    return complete(
        data=", ".join(f"{name.strip()} = {value.strip()}" for name, value in slots),
        answer=text(raw, "target"),
    )


def web_nlg(raw: Raw) -> Row | None:
    """A triple a line, as the record has it: `Aarhus_Airport | cityServed | "Aarhus, Denmark"`."""
    return complete(data="\n".join(texts(raw["input"], "input")), answer=text(raw, "target"))


def _triple(triple: object) -> str:
    parts = texts(triple, "tripleset")
    if len(parts) != 3:
        raise ValueError(f"`tripleset` must hold triples; found one of {len(parts)} parts")
    return " | ".join(
        _PLACEHOLDER.sub(lambda found: found[1].lower().replace("tablecontext", "table"), part)
        for part in parts
    )


# The last 200 training rows are for validation.
DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "common_gen",
        "GEM/common_gen",
        "train[:-200]",
        ("concepts", "target"),
        ("concepts", "answer"),
        common_gen,
        further=("concept_lines",),
    ),
    Dataset("dart", "GEM/dart", "train[:-200]", ("tripleset", "target"), ("data", "answer"), dart),
    Dataset(
        "e2e_nlg",
        "GEM/e2e_nlg",
        "train[:-200]",
        ("meaning_representation", "target"),
        ("data", "answer"),
        e2e_nlg,
    ),
    Dataset("web_nlg_en", "GEM/web_nlg/en", "train[:-200]", ("input", "target"), ("data", "answer"), web_nlg),
)
