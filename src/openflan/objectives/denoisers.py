"""The objectives by name: what each does to a piece of text, how often, and where the numbers come from.

Where sources disagree the one that is used stands here with its reason; a recipe may set the shares of a
mixture's modes and the spans itself.

Sources: T5 is Raffel et al. 2020 and its code; UL2 is Tay et al. 2022a (arXiv 2205.05131), UL2R and U-PaLM
Tay et al. 2022b (arXiv 2210.11399).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from openflan.errors import InputError
from openflan.objectives.denoise import Ids, Pair, corrupt_spans, mask_span, noise_counts, split
from openflan.randomness import Draws

Objective: TypeAlias = Literal["span-corruption", "prefix-lm", "causal-lm", "ul2", "ul2r"]
Mode: TypeAlias = Literal["r", "s", "x"]


@dataclass(frozen=True, slots=True)
class Denoiser:
    """One way to make inputs and targets of a text.

    `share`: how often, relative to the others of its mixture. `spans`: `rate` of the tokens are noise, in
    spans of `mean` tokens on average, rolled round with `roll`. `prefix`: divided in two, the targets being
    `rate` of the tokens, or of any length without. `causal`: all of it is target. `mode` names the token that
    tells the model which it is.
    """

    name: str
    kind: Literal["spans", "prefix", "causal"]
    share: float = 1.0
    mean: float = 3.0
    rate: float | None = None
    roll: bool = False
    mode: Mode | None = None

    def apply(self, ids: Ids, sentinels: Ids, key: int, span: tuple[int, int] | None = None) -> Pair:
        """A piece of text as inputs and targets; `sentinels` in the order of their use, `key` made of seed
        and position.

        `span` (first token, end) is then the noise, or where the text is divided, whatever would have been
        drawn.
        """
        if span is not None and self.kind == "spans":
            return mask_span(ids, span, sentinels)
        if span is not None and self.kind == "prefix":
            return Pair(ids[: span[0]].astype(np.int32), ids[span[0] :].astype(np.int32))
        if self.kind == "spans":
            return corrupt_spans(ids, self.rate or 0.0, self.mean, sentinels, key, roll=self.roll)
        if self.kind == "prefix":
            return split(ids, key, self.rate)
        return Pair(np.empty(0, dtype=np.int32), ids.astype(np.int32))

    def spans(self, length: int) -> int:
        """The most sentinels that a text of up to `length` tokens needs."""
        spans = noise_counts(length, self.rate or 0.0, self.mean)[1] if self.kind == "spans" else 0
        return spans + self.roll if spans else 0

    def most_per_side(self, length: int) -> tuple[int, int]:
        """The most input and the most target tokens that a text of `length` tokens can give, special tokens
        apart."""
        if self.kind == "spans":
            noise, spans = noise_counts(length, self.rate or 0.0, self.mean)[0], self.spans(length)
            return length - noise + spans, noise + spans
        if self.kind == "causal" or length < 2:
            return 0, length
        if self.rate is None:
            return length - 1, length - 1
        targets = noise_counts(length, self.rate, 1.0)[0]
        return length - targets, targets

    def longest(self, length: int) -> int:
        """The most tokens, inputs and targets together, that a text of `length` tokens can give, special
        tokens apart."""
        return length + 2 * self.spans(length)


SPAN_CORRUPTION = (Denoiser("spans of 3, 15 %", "spans", mean=3.0, rate=0.15),)
"""T5's: spans of three tokens on average, 15 % of the tokens (Raffel et al. 2020, section 3.3.4)."""

PREFIX_LM = (Denoiser("prefix", "prefix"),)
"""The objective of the LM-adapted T5 checkpoints, 100,000 steps of it (Lester et al. 2021; T5's code: the
point of division is drawn uniformly)."""

CAUSAL_LM = (Denoiser("causal", "causal"),)
"""PaLM's: every token from those before it (Chowdhery et al. 2022)."""

UL2 = (
    Denoiser("R spans of 3, 15 %", "spans", 0.2, 3.0, 0.15, True, "r"),
    Denoiser("R spans of 8, 15 %", "spans", 0.2, 8.0, 0.15, True, "r"),
    Denoiser("S last 25 %", "prefix", 0.2, rate=0.25, mode="s"),
    Denoiser("X spans of 3, 50 %", "spans", 0.1, 3.0, 0.5, True, "x"),
    Denoiser("X spans of 8, 50 %", "spans", 0.1, 8.0, 0.5, True, "x"),
    Denoiser("X spans of 64, 15 %", "spans", 0.1, 64.0, 0.15, True, "x"),
    Denoiser("X spans of 64, 50 %", "spans", 0.1, 64.0, 0.5, True, "x"),
)
"""UL2's seven denoisers. Spans and rates: Table 1 of UL2, as several public pretraining files restate it; one
port has (8, 15 %) in X where these have (8, 50 %). The latter fits the table's description of X: long or many
spans. S, a quarter of the text: Table 1; public files cut it anywhere instead. Shares: those files' 0.4 for
R, 0.2 for S, 0.4 for X; the port has a third each. Rolled: without it a single span of 64 would always be the
end of the piece."""

UL2R = (
    Denoiser("R spans of 3, 15 %", "spans", 0.25, 3.0, 0.15, True, "r"),
    Denoiser("S prefix", "prefix", 0.5, mode="s"),
    Denoiser("X spans of 32, 15 %", "spans", 0.125, 32.0, 0.15, True, "x"),
    Denoiser("X spans of 3, 50 %", "spans", 0.125, 3.0, 0.5, True, "x"),
)
"""U-PaLM's: 50 % S, 25 % R, 25 % X (UL2R, section 3). Of X it says spans of 32 tokens or a rate of up to 50
%; hence one denoiser of each, in equal shares, as a public implementation has it (another: 32 and 64 tokens
at 50 % or 20 %). Its S states no rate; 1,024 tokens a side suit a uniform cut."""

OBJECTIVES: Mapping[Objective, tuple[Denoiser, ...]] = {
    "span-corruption": SPAN_CORRUPTION,
    "prefix-lm": PREFIX_LM,
    "causal-lm": CAUSAL_LM,
    "ul2": UL2,
    "ul2r": UL2R,
}

MODE_TOKENS: Mapping[Mode, str] = {"r": "[NLU]", "s": "[S2S]", "x": "[NLG]"}
"""The token that begins the inputs of each mode (UL2R; public UL2 files agree). Some ports write [R], [S] and
[X]."""


def choose(denoisers: Sequence[Denoiser], draws: Draws) -> Denoiser:
    """Draw a denoiser of a mixture by its share."""
    point = draws.bits() / 2.0**64 * sum(denoiser.share for denoiser in denoisers)
    for denoiser in denoisers:
        point -= denoiser.share
        if point < 0:
            return denoiser
    return next(denoiser for denoiser in reversed(denoisers) if denoiser.share > 0)


def with_shares(denoisers: Sequence[Denoiser], shares: Mapping[Mode, float]) -> tuple[Denoiser, ...]:
    """A mixture whose modes have other shares; within a mode its denoisers keep their proportions. A mode
    that is not named is left out.

    Raises InputError for a mode that the mixture has not, or if nothing remains.
    """
    totals: dict[Mode, float] = {}
    for denoiser in denoisers:
        if denoiser.mode is not None:
            totals[denoiser.mode] = totals.get(denoiser.mode, 0.0) + denoiser.share
    if absent := sorted(set(shares) - set(totals)):
        remedy = f"its modes are {', '.join(totals)}" if totals else "leave the key out"
        raise InputError(f"pretraining.shares: this objective has no mode {absent[0]}; {remedy}")
    chosen = tuple(
        replace(denoiser, share=denoiser.share / totals[denoiser.mode] * shares[denoiser.mode])
        for denoiser in denoisers
        if denoiser.mode is not None and shares.get(denoiser.mode, 0.0) > 0
    )
    if not chosen:
        raise InputError("pretraining.shares: they sum to 0, so nothing would be trained on")
    return chosen
