"""Mean tokens of each task's examples, for rates by tokens (`mixture.unit: tokens`).

They are estimated before the first step from a seeded sample of every task, rendered, pruned, tokenised and
truncated as in training; a dropped example has no tokens. Zero-shot and few-shot examples differ most in
length, so half of the sample is of each, weighed by the recipe's share of few-shot examples. The same recipe,
data and tokenizer give the same figures on every machine. Price: the shares of tokens that training reaches
differ from the recipe's by the error of these means (docs/rates.md).
"""

from __future__ import annotations

from openflan.mixture.stream import Sample, Stream
from openflan.packing.encode import Encoder
from openflan.packing.tokens import tokens_at

SAMPLE = 16_384
"""The examples that are measured of all tasks together, as near as LEAST and MOST of each task allow."""

LEAST, MOST = 32, 1_024


def mean_tokens(stream: Stream, encoder: Encoder) -> list[float]:
    """The estimated mean tokens of an example, inputs and targets with special tokens, for each entry of the
    stream."""
    count = min(MOST, max(LEAST, SAMPLE // len(stream.entries)))
    means = []
    for number, entry in enumerate(stream.entries):
        few_shot = entry.styles.few_shot
        kinds = [(share, kind) for share, kind in ((1 - few_shot, False), (few_shot, True)) if share > 0]
        means.append(
            sum(
                share * _mean(stream.sample(number, few_shot=kind), count // len(kinds), encoder)
                for share, kind in kinds
            )
        )
    return means


def _mean(sample: Sample, count: int, encoder: Encoder) -> float:
    """The mean tokens of `count` examples; of those that are dropped none count, unless all are."""
    fit = encoder.fit(tokens_at(sample, 0, count, encoder.tokenize)[1])
    tokens_N = fit.lengths_N2.sum(axis=1)
    kept = fit.kept
    return float(tokens_N[kept].sum() / count) if len(kept) else float(tokens_N.mean())
