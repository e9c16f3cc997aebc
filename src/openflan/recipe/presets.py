"""The paper's numbers that recipes choose by name. Each stands here once, with its source."""

from __future__ import annotations

from collections.abc import Mapping

RATES: Mapping[str, Mapping[str, float]] = {
    "proportion-a": {"muffin": 52.0, "t0_sf": 15.0, "cot": 3.0, "niv2": 30.0},
    "proportion-b": {"muffin": 46.0, "t0_sf": 27.9, "cot": 1.8, "niv2": 24.2},
}
"""Shares of the submixtures in percent (Chung et al. 2022, Table 23).

A: the scaling study and the ablations; B: the other runs, Flan-T5 among them. B sums to 99.9.
"""

CAPS: Mapping[str, int] = {"muffin": 30_000, "t0_sf": 20_000, "cot": 100_000, "niv2": 5_000}
"""The most examples of a task that count towards its rate, by submixture (Chung et al. 2022, Table 23)."""

INVERTED = 0.3 / 1.3
"""The share of inverted examples: the release of the collection (flan/v2/mixtures.py) weighs an inverted chain-of-thought task 0.3 beside its direct one."""

EXEMPLARS_ONLY = 0.34
"""The share of few-shot examples without instruction: in the release (flan/v2/templates.py) 357 of 1,060 few-shot templates hold fields alone."""
