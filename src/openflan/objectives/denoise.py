"""Token ids become inputs and targets: spans replaced by sentinels, or a text divided in two.

Span corruption is T5's (Raffel et al. 2020, section 3.1.4; its code). Of n tokens, round(n * rate) are noise,
at least one and at most n - 1, in round(noise / mean) spans, at least one; halves round to the even number,
in float32 as there. Noise and kept tokens are each divided into that many parts, none of them empty; every
division is equally likely. Kept parts and noise parts alternate, a kept part first. A span of noise becomes
one sentinel in the inputs; the targets hold each sentinel and the span that it stands for. Three things
differ, so that nothing is ever lost. If the text itself holds sentinels, only those after the last of them in
their order are used. Spans are fewer if the sentinels do not suffice. No token of a text of one token is
noise. There is no sentinel at the end of the targets, as in T5's code and unlike its paper's figure.

All of it is a function of the ids, the settings and a key, which the caller makes of seed and position.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from openflan.randomness import Draws, shuffled

Ids: TypeAlias = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Pair:
    """Inputs and targets, without special tokens."""

    input_ids: NDArray[np.int32]
    target_ids: NDArray[np.int32]


def noise_counts(length: int, rate: float, mean: float) -> tuple[int, int]:
    """Noise tokens and spans of a text of `length` tokens; none in one of fewer than two."""
    if length < 2:
        return 0, 0
    noise = min(max(int(np.rint(np.float32(length) * np.float32(rate))), 1), length - 1)
    spans = max(int(np.rint(np.float32(noise) / np.float32(mean))), 1)
    return noise, min(spans, noise, length - noise)


def noise_mask(
    length: int, rate: float, mean: float, key: int, *, roll: bool = False, most_spans: int | None = None
) -> NDArray[np.bool_]:
    """Return a mask (length,) of the tokens that are noise; the first never is, the last always.

    `roll` rotates the pattern by a random offset, so that noise is equally likely everywhere. Noise may then
    stand at both ends, which makes one span more. `most_spans` is a limit on the spans, the additional one
    included; no token is noise if it allows none.
    """
    noise, spans = noise_counts(length, rate, mean)
    spans = spans if most_spans is None else min(spans, most_spans - roll)
    if spans < 1:
        return np.zeros(length, dtype=np.bool_)
    lengths = np.stack(
        [_parts(length - noise, spans, key, "kept"), _parts(noise, spans, key, "noise")], axis=1
    ).reshape(-1)
    mask = np.repeat(np.arange(2 * spans) % 2 == 1, lengths)
    return np.roll(mask, Draws(key, "roll").below(length)) if roll else mask


def corrupt_spans(
    ids: Ids, rate: float, mean: float, sentinels: Ids, key: int, *, roll: bool = False
) -> Pair:
    """Span corruption of a text; `sentinels` are the ids that may stand for spans, in the order of their
    use."""
    free = _free(ids, sentinels)
    return _replaced(ids, noise_mask(len(ids), rate, mean, key, roll=roll, most_spans=len(free)), free)


def mask_span(ids: Ids, span: tuple[int, int], sentinels: Ids) -> Pair:
    """Salient span masking (Guu et al. 2020): the noise is one given span, from its first token to its end;
    none where no sentinel is left."""
    free, mask = _free(ids, sentinels), np.zeros(len(ids), dtype=np.bool_)
    mask[slice(*span) if len(free) else slice(0, 0)] = True
    return _replaced(ids, mask, free)


def _free(ids: Ids, sentinels: Ids) -> Ids:
    held = np.flatnonzero(np.isin(sentinels, ids))
    # Not merely those that the text lacks: then the pair could be read in two ways.
    return sentinels[held[-1] + 1 :] if len(held) else sentinels


def _replaced(ids: Ids, mask: NDArray[np.bool_], free: Ids) -> Pair:
    """Each run of noise becomes a sentinel of `free`, in their order; the targets list them."""
    begins = mask & ~np.concatenate([[False], mask[:-1]])
    places = np.flatnonzero(begins)
    used = free[: len(places)].astype(np.int32)
    replaced = ids.astype(np.int32)
    replaced[places] = used
    before = np.cumsum(mask)[places] - 1
    return Pair(replaced[~mask | begins], np.insert(ids[mask].astype(np.int32), before, used))


def restore_spans(pair: Pair, sentinels: Ids) -> NDArray[np.int32]:
    """The text of which `corrupt_spans` made the pair, given the same sentinels."""
    inputs, targets = pair.input_ids, pair.target_ids
    # The targets begin with the first sentinel that was used; the text holds none from there on.
    used = sentinels[np.flatnonzero(sentinels == targets[0])[0] :] if len(targets) else sentinels[:0]
    at = np.flatnonzero(np.isin(targets, used))
    spans = {int(targets[first]): targets[first + 1 : end] for first, end in pairwise([*at, len(targets)])}
    return np.concatenate(
        [
            np.empty(0, dtype=np.int32),
            *(spans.get(int(token), np.array([token], dtype=np.int32)) for token in inputs),
        ]
    )


def split(ids: Ids, key: int, rate: float | None = None) -> Pair:
    """A text divided in two: prefix and continuation.

    Without `rate` every division that leaves each side a token is equally likely (T5's prefix LM, with which
    its LM-adapted checkpoints were made); with it the targets are that share of the tokens, rounded. A text
    of one token is all target.
    """
    if len(ids) < 2:
        split_at = 0
    elif rate is None:
        split_at = 1 + Draws(key, "split").below(len(ids) - 1)
    else:
        split_at = len(ids) - noise_counts(len(ids), rate, 1.0)[0]
    text = ids.astype(np.int32)
    return Pair(text[:split_at], text[split_at:])


def _parts(items: int, parts: int, key: int, purpose: str) -> NDArray[np.int64]:
    """Lengths (parts,) that are positive and sum to `items`, every such choice as likely: parts - 1 of the
    gaps between items, drawn without order."""
    gaps = np.sort(shuffled(items - 1, key, purpose)[: parts - 1]) + 1
    return np.diff(np.concatenate([[0], gaps, [items]]))
