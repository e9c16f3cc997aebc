"""The plain text of the world as documents for pretraining, without end in practice: `embedded:microflan`.

A document is one sentence, or a passage with what follows from it, drawn by kind. Decision: the shares below are weights of attention, not of how many
sentences a kind has: operations on lists take far longer to learn than facts. Price: a pass over the documents repeats facts many times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate

from openflan.randomness import Draws, combine
from openflan.tasks.microflan.ordinary import ordinary_sentence
from openflan.tasks.microflan.text import sources
from openflan.tasks.microflan.world import world
from openflan.tasks.records import Record

SHARES: Mapping[str, float] = {
    "attributes": 0.12,
    "relations": 0.06,
    "places": 0.05,
    "words": 0.06,
    "linked": 0.04,
    "numbers": 0.09,
    "comparisons": 0.05,
    "terms": 0.08,
    "sharing": 0.02,
    "lists": 0.20,
    "reading": 0.08,
    "rules": 0.06,
    "formats": 0.04,
    "steps": 0.04,
    "ordinary": 0.01,
}
"""How often a document is of each kind."""

DOCUMENTS = 1 << 24


class WorldText:
    """Documents by number, each `{"text": ..., "salient": [begin, end]}`; `salient` counts characters and is absent where nothing is."""

    def __init__(self, seed: int = 0) -> None:
        self._key = combine(seed, "documents")
        self._sources = sources(world(seed))
        self._kinds = list(zip(SHARES, accumulate(SHARES.values()), strict=True))

    def __len__(self) -> int:
        return DOCUMENTS

    def __getitem__(self, index: int) -> Record:
        draws = Draws(self._key, index)
        point = draws.bits() / 2.0**64 * self._kinds[-1][1]
        kind = next(name for name, upto in self._kinds if point < upto)
        if kind == "ordinary":
            return {"text": ordinary_sentence(draws)}
        source = self._sources[kind]
        sentence = source.make(draws.below(source.size), draws)
        return {"text": sentence.text, "salient": [sentence.begin, sentence.end]}

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    def place(self, index: int) -> str:
        return f"embedded:microflan, document {index:,}"
