"""How the questions of a benchmark are answered: greedily, by samples, or by the likelihoods of their
options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark

Kind: TypeAlias = Literal["greedy", "sampled", "likelihood"]

_LIKELIHOODS: Mapping[Literal["sum", "mean", "gold"], str] = {
    "sum": "-likelihood",
    "mean": "-likelihood-normalized",
    "gold": "-gold",
}
"""The part of a file's name by likelihood."""

_SAMPLED = re.compile(r"-t(?P<temperature>[0-9.e+-]+?)-k(?P<top_k>\d+)(?:-seed(?P<seed>\d+))?")

THINKING = 4
"""Tokens of a thinking block for each token of an answer, unless their number is given."""

SECOND_PASS = "-second-pass"
"""The end of the variant of chains of thought that are answered in a second pass."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How questions are answered: greedily at `temperature` 0, else by `samples` draws from the `top_k`
    likeliest tokens (0: all), or by choosing the option with the highest log-probability, that of the whole
    text (`sum`) or a token's on average (`mean`). `gold` answers nothing: it computes the log-probability of
    the right answer. Several samples at temperature 0 stand for a file of samples that does not say how they
    were drawn.

    With `second_pass` the generations are chains of thought, and a second request asks for the answer to each
    (`second_pass.py`).
    """

    samples: int = 1
    temperature: float = 0.0
    top_k: int = 0
    seed: int = 0
    likelihood: Literal["sum", "mean", "gold"] | None = None
    second_pass: bool = False

    @property
    def kind(self) -> Kind:
        if self.likelihood:
            return "likelihood"
        return "greedy" if self.temperature == 0 and self.samples == 1 else "sampled"

    @property
    def variant(self) -> str:
        """The part of a file's name after the mode: empty for greedy decoding. The number of samples is not
        in it, because samples are added to a file."""
        if self.likelihood:
            return _LIKELIHOODS[self.likelihood]
        passes = SECOND_PASS if self.second_pass else ""
        if self.temperature == 0:
            return passes
        seed = f"-seed{self.seed}" if self.seed else ""
        return f"-t{self.temperature:g}-k{self.top_k}{seed}{passes}"

    @property
    def described(self) -> str:
        """The text that tables show; empty for greedy decoding."""
        samples = f"{self.samples} samples" if self.samples > 1 else ""
        return " ".join(part for part in (self.variant.removeprefix("-"), samples) if part)


GREEDY = Decoding()


def decoding_for(benchmark: Benchmark, decoding: Decoding) -> Decoding:
    """The decoding with which a benchmark is answered: likelihood instead of greedy generation if the
    benchmark is answered by likelihood only.

    Raises InputError if samples are requested of such a benchmark.
    """
    if not benchmark.by_likelihood or decoding.likelihood:
        return decoding
    if decoding.kind == "sampled":
        raise InputError(
            f"{benchmark.name} is answered by the likelihoods of its options: leave `--samples` and "
            "`--temperature` out"
        )
    return Decoding(likelihood="sum")


def decoding_of_variant(variant: str, samples: int = 1) -> Decoding:
    """The decoding whose `Decoding.variant` is `variant`; for an unknown variant only `samples` counts."""
    for kind, part in _LIKELIHOODS.items():
        if variant == part:
            return Decoding(likelihood=kind)
    second_pass = variant.endswith(SECOND_PASS)
    drawn = _SAMPLED.fullmatch(variant.removesuffix(SECOND_PASS))
    try:
        temperature = float(drawn["temperature"]) if drawn else 0.0
    except ValueError:
        temperature = 0.0
    if not drawn or not temperature:
        return Decoding(samples, second_pass=second_pass)
    top_k, seed = int(drawn["top_k"]), int(drawn["seed"] or 0)
    return Decoding(samples, temperature, top_k, seed, second_pass=second_pass)
