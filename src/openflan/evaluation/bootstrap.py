"""The percentile bootstrap over questions: sums of what each question adds, over questions drawn anew.

Decision: how often each question is drawn comes from one multinomial, so that several columns (models,
groups) have the same draws and their difference is paired.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
_CELLS = 1 << 20
"""Weights drawn at a time: 8 MB, where all draws at once would take 80 kB a question."""


def redrawn(shares_NK: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Sums (DRAWS, K), or (DRAWS) of one column (N), over as many questions as there are, drawn with
    replacement."""
    generator, n = np.random.default_rng(seed), len(shares_NK)
    chunk = max(1, _CELLS // n)
    # In chunks the generator gives the same numbers as at once.
    return np.concatenate(
        [
            generator.multinomial(n, np.full(n, 1 / n), size=min(chunk, DRAWS - start)) @ shares_NK
            for start in range(0, DRAWS, chunk)
        ]
    )


def interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """From the 2.5th to the 97.5th percentile."""
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
