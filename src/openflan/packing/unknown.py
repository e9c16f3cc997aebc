"""Targets that a vocabulary cannot write: those that hold its unknown token.

A model that learns `<unk>` answers with it, and no reader can tell which characters were meant. So such
targets are counted before training, with the characters, an example and what can be done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from openflan.packing.tokens import Tokenize, Tokens
from openflan.templates.render import Rendered

_READ = 200
"""Rows whose characters are looked for; the others are only counted."""

_SHOWN = 12
"""Characters or words that are shown."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Of `rows`, `count` have targets with unknown tokens; `parts` are the texts behind them, the most
    frequent first, `task` and `row` the first such row with its `targets`."""

    rows: int
    count: int
    parts: tuple[str, ...]
    task: str
    row: int
    targets: str

    def values(self) -> dict[str, Any]:
        """Return plain values for ledger.json."""
        return {
            "rows": self.rows,
            "count": self.count,
            "parts": list(self.parts),
            "task": self.task,
            "row": self.row,
            "targets": self.targets[:200],
        }


def unknown_targets(tokens: Tokens, examples: Sequence[Rendered], tokenize: Tokenize) -> Unknown | None:
    """The rows whose targets hold the unknown token, each counted once however often it was drawn; None where
    there are none, and for a tokenizer that has no such token."""
    unknown = tokenize.unknown
    if unknown is None:
        return None
    numbers = [number for number in range(len(tokens)) if np.any(tokens.targets(number) == unknown)]
    if not numbers:
        return None
    parts: Counter[str] = Counter()
    bad_rows = {(examples[number].task, examples[number].row): number for number in reversed(numbers)}
    for number in sorted(bad_rows.values())[:_READ]:
        parts.update(unknown_parts(examples[number].targets, tokenize))
    first = examples[numbers[0]]
    return Unknown(
        len({(example.task, example.row) for example in examples}),
        len(bad_rows),
        tuple(part for part, _ in parts.most_common(_SHOWN)),
        first.task,
        first.row,
        first.targets,
    )


def unknown_parts(text: str, tokenize: Tokenize) -> list[str]:
    """The parts of a text that become unknown tokens: single characters where each of them is unknown by
    itself, else words."""
    words = text.split()
    ids, lengths = tokenize(words)
    ends = np.cumsum(lengths)
    bad_words = [
        word
        for word, first, end in zip(words, ends - lengths, ends, strict=True)
        if np.any(ids[first:end] == tokenize.unknown)
    ]
    characters = {
        character
        for word in bad_words
        for character in word
        if np.any(tokenize([character])[0] == tokenize.unknown)
    }
    return [part for word in bad_words for part in ([one for one in word if one in characters] or [word])]


def unknown_line(values: Mapping[str, Any]) -> str:
    """A line about such targets for the user; `values` are those of `Unknown.values`."""
    parts = " ".join(values["parts"])
    targets = values["targets"].replace("\n", "\\n")
    shown = targets if len(targets) <= 80 else f"{targets[:79]}…"
    return (
        f"the targets of {values['count']:,} of {values['rows']:,} rows looked at hold characters "
        f"that "
        f"the vocabulary cannot write ({parts}), and the model would learn its unknown token instead, as in "
        f"{values['task']} row {values['row']}: {shown}. Use a model whose tokenizer knows all characters "
        f"(one "
        "with bytes), or replace these characters in the rows"
    )
