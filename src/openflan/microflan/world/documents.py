"""The plain text of the world as documents for pretraining, practically endless: `embedded:microflan`, or
another mix of kinds, `embedded:microflan/MIX`.

A document is one sentence, or a passage with what follows from it, drawn by kind. Decision: the shares below
are weights of attention, not of how many sentences a kind has: operations on lists take far longer to learn
than facts. Price: an epoch repeats facts many times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate

from openflan.embedded import EMBEDDED, MICROFLAN, EmbeddedData
from openflan.errors import InputError, did_you_mean
from openflan.microflan.world.ordinary import ordinary_sentence
from openflan.microflan.world.recall import recalled
from openflan.microflan.world.text import sources
from openflan.microflan.world.world_facts import world
from openflan.randomness import Draws, combine
from openflan.tasks.digest import code_digest, joined
from openflan.tasks.records import Record

KINDS = (
    *("attributes", "relations", "places", "words", "linked", "numbers", "comparisons", "terms"),
    *("sharing", "lists", "reading", "rules", "formats", "steps", "recall", "ordinary"),
)

SHARES: Mapping[str, tuple[float, ...]] = {
    "": (0.05, 0.03, 0.03, 0.04, 0.03, 0.06, 0.04, 0.05, 0.01, 0.17, 0.18, 0.12, 0.03, 0.03, 0.12, 0.01),
    "facts": (0.12, 0.06, 0.05, 0.06, 0.04, 0.09, 0.05, 0.08, 0.02, 0.20, 0.08, 0.06, 0.04, 0.04, 0.0, 0.01),
    "recall": (
        0.018,
        0.009,
        0.009,
        0.015,
        0.009,
        0.018,
        0.012,
        0.015,
        0.003,
        0.078,
        0.051,
        0.036,
        0.015,
        0.009,
        0.7,
        0.003,
    ),
    "lookups": (
        0.03,
        0.02,
        0.02,
        0.03,
        0.02,
        0.05,
        0.03,
        0.03,
        0.01,
        0.12,
        0.27,
        0.13,
        0.02,
        0.02,
        0.19,
        0.01,
    ),
}
"""The share of documents of each of KINDS, by the name of the mix: `embedded:microflan`, or
`embedded:microflan/facts`, where to begin, then `recall` and `lookups`. Facts come soon in any mix; looking
things up came only after a stretch of little else
(artifacts/microflan-base-training.md)."""

DOCUMENTS = 1 << 24


class GeneratedDocuments:
    """Documents by number, each `{"text": ..., "salient": [begin, end]}`; `salient` counts characters and is
    absent where nothing is."""

    def __init__(self, seed: int = 0, mix: str = "") -> None:
        """Raises InputError for a mix that there is not."""
        if mix not in SHARES:
            raise InputError(
                f"the embedded world has no text `{mix}`{did_you_mean(mix, SHARES)}; there are "
                + ", ".join(f"`{one}`" for one in SHARES if one)
            )
        self._name = EMBEDDED + EmbeddedData(MICROFLAN, seed).label
        self._key = combine(seed, "documents")
        self._sources = sources(world(seed))
        self._kinds = list(zip(KINDS, accumulate(SHARES[mix]), strict=True))

    def __len__(self) -> int:
        return DOCUMENTS

    def __getitem__(self, index: int) -> Record:
        draws = Draws(self._key, index)
        point = draws.bits() / 2.0**64 * self._kinds[-1][1]
        kind = next(name for name, upto in self._kinds if point < upto)
        if kind == "ordinary":
            return {"text": ordinary_sentence(draws)}
        source = self._sources.get(kind)
        sentence = source.make(draws.below(source.size), draws) if source else recalled(draws)
        return {"text": sentence.text, "salient": [sentence.begin, sentence.end]}

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    def digest(self) -> bytes | None:
        """The hash of the code that makes the documents, and of its inputs."""
        return joined(f"text {self._key} {self._kinds}", [code_digest("openflan.microflan.world")])

    def place(self, index: int) -> str:
        return f"{self._name}, document {index:,}"
