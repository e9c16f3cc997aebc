"""Documents of a flat buffer in buckets of like length: what lets a GPU attend to all of them in a few calls.

The documents of a bucket are padded to one width of queries and one of keys. Decision: few buckets whose
borders are found for this batch, by dynamic programming over lengths rounded up, instead of a fixed ladder of
widths, as every bucket is launches in every layer: with lengths like those of chain-of-thought rows, six of
these make 1.4 of the documents' own area, the seven powers of two 2.0. Trade-off: shapes change with every
batch, as those of the flat buffer do anyway.

Everything is a function of the lengths alone, made on the host once for a batch; layers only read it. A slot
is a place in the padded buckets, laid out one after another, documents within each in their own order.

Shape suffixes: N documents, Q query tokens, K key tokens, S query slots, Z key slots, B buckets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from openflan.packing.batch import Ids

Flags: TypeAlias = NDArray[np.bool_]

MOST = 6
"""Buckets of an attention layer at most."""

_ROUND = 16
"""Widths are multiples of this, which fused attention wants of a bias."""

_WORTH = 0.05
"""The share of the padded area that one more bucket must save."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """`shapes_B3` are documents, query width and key width of each bucket, `order_N` the documents as they
    stand in the buckets.

    `query_slots_S` is the token in each slot (0 in padding), `query_padding_S` tells padding,
    `query_places_Q` is the slot of each token; so for keys.
    """

    shapes_B3: Ids
    order_N: Ids
    query_slots_S: Ids
    query_padding_S: Flags
    query_places_Q: Ids
    key_slots_Z: Ids
    key_padding_Z: Flags
    key_places_K: Ids

    @property
    def area(self) -> int:
        """Pairs of a query and a key, of one document a bucket: the size of biases that a bucket shares."""
        return int((self.shapes_B3[:, 1] * self.shapes_B3[:, 2]).sum())


def bucketed(query_offsets: Ids, key_offsets: Ids, most: int = MOST) -> Buckets:
    """The buckets of documents whose queries and keys begin at these offsets (N + 1): the same ones for
    attention to itself."""
    queries, keys = np.diff(query_offsets), np.diff(key_offsets)
    bucket_N = _buckets(queries, keys, most)
    order = np.argsort(bucket_N, kind="stable")
    counts = np.bincount(bucket_N)
    wide = _widest(queries, bucket_N, len(counts)), _widest(keys, bucket_N, len(counts))
    shapes = np.stack([counts, *wide], axis=1).astype(np.int64)
    query_side = _side(query_offsets, wide[0][bucket_N], order)
    key_side = query_side if query_offsets is key_offsets else _side(key_offsets, wide[1][bucket_N], order)
    return Buckets(shapes, order, *query_side, *key_side)


def _buckets(queries: Ids, keys: Ids, most: int) -> Ids:
    """The bucket of each document: documents of neighbouring key widths are together, so that the padded area
    is the least for so many buckets."""
    widths, run_N = np.unique(_rounded(keys), return_inverse=True)
    counts = np.bincount(run_N)
    tall = _widest(queries, run_N, len(widths))
    runs = len(widths)
    # area[i, j]: of one bucket of the runs i ... j.
    until = np.concatenate([[0], np.cumsum(counts)])
    area = np.full((runs, runs), np.inf)
    for first in range(runs):
        area[first, first:] = (
            (until[first + 1 :] - until[first]) * np.maximum.accumulate(tall[first:]) * widths[first:]
        )
    # least[j]: of runs 0 ... j in so many buckets; the last of them begins at begins[-1][j].
    least, begins = area[0], [np.zeros(runs, dtype=np.int64)]
    for _ in range(1, min(most, runs)):
        before = np.concatenate([[np.inf], least[:-1]])[:, None] + area
        better = before.min(0)
        if better[-1] > (1 - _WORTH) * least[-1]:
            break
        begins.append(before.argmin(0))
        least = better
    bucket_of_run = np.zeros(runs, dtype=np.int64)
    end = runs
    for number in range(len(begins) - 1, -1, -1):
        first = int(begins[number][end - 1])
        bucket_of_run[first:end], end = number, first
    return bucket_of_run[run_N]


def _side(offsets: Ids, width_N: Ids, order: Ids) -> tuple[Ids, Flags, Ids]:
    """Slots, padding and places of queries or keys, whose documents take `width_N` slots each."""
    ends = np.cumsum(width_N[order])
    begin_N = np.empty_like(ends)
    begin_N[order] = ends - width_N[order]
    places = np.arange(offsets[-1]) + np.repeat(begin_N - offsets[:-1], np.diff(offsets))
    slots, padding = np.zeros(ends[-1], dtype=np.int64), np.ones(ends[-1], dtype=np.bool_)
    slots[places], padding[places] = np.arange(offsets[-1]), False
    return slots, padding, places.astype(np.int64)


def _widest(lengths: Ids, group_N: Ids, groups: int) -> Ids:
    widest = np.zeros(groups, dtype=np.int64)
    np.maximum.at(widest, group_N, _rounded(lengths))
    return widest


def _rounded(lengths: Ids) -> Ids:
    return np.maximum(1, -(-lengths // _ROUND)) * _ROUND
