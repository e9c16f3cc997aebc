"""Numbers of the paper that recipes select by name, each with its source."""

from __future__ import annotations

from collections.abc import Mapping

RATES: Mapping[str, Mapping[str, float]] = {
    "proportion-a": {"muffin": 52.0, "t0_sf": 15.0, "cot": 3.0, "niv2": 30.0},
    "proportion-b": {"muffin": 46.0, "t0_sf": 27.9, "cot": 1.8, "niv2": 24.2},
    "release": {
        "muffin/flan2021": 40.0,
        "muffin/dialog": 3.0,
        "muffin/program_synthesis": 0.0,
        "t0_sf": 32.0,
        "niv2": 20.0,
        "cot": 5.0,
    },
}
"""Shares in percent, of submixtures or of their parts.

`proportion-a`, `proportion-b` (Chung et al. 2022, Table 23): A for the scaling study and the ablations; B for
the other runs, Flan-T5 among them. B sums to 99.9. `release`: the public release of the collection
(google-research/FLAN, flan/v2/run_example.py), which has no program synthesis.
"""

SOURCES: Mapping[str, float] = {"flan2021": 40.0, "t0": 32.0, "niv2": 20.0, "cot": 5.0, "dialog": 3.0}
"""What the public release builds (flan/v2/run_example.py), in percent: how the sources of a ready-made copy
stand to each other where one group of a recipe takes several, as the copies do not keep the release's
ratios."""

NOT_BUILT: Mapping[str, frozenset[str]] = {
    "release": frozenset({"muffin/task_master", "muffin/trivia_qa_wiki_missing"})
}
"""The tasks of the public list that a preset leaves out: the release lists these two and builds neither
(flan/v2/README.md, task_configs.py)."""

PARTS: Mapping[str, tuple[str, ...]] = {"muffin": ("flan2021", "dialog", "program_synthesis")}
"""The parts of submixtures that rates may name, as `muffin/dialog`: those of the public list of tasks."""

CAPS: Mapping[str, int] = {"muffin": 30_000, "t0_sf": 20_000, "cot": 100_000, "niv2": 5_000}
"""The most examples of a task that count towards its rate, by submixture (Chung et al. 2022, Table 23)."""

PRESET_CAPS: Mapping[str, Mapping[str, int | None]] = {"release": {"muffin/dialog": 200_000, "niv2": None}}
"""Where a preset's caps are others: the release (flan/v2/constants.py and mixtures.py) lets 200,000 examples
of a dialog set count, and as all of NIV2 is one task to it, every instance of a natural instruction."""

INVERTED = 0.3 / 1.3
"""The share of inverted examples: the release of the collection (flan/v2/mixtures.py) weighs an inverted
chain-of-thought task 0.3 beside its direct one."""

INVERTED_TENTHS: Mapping[str, int] = {
    "aeslc": 2,
    "ag_news_subset": 2,
    "anli_r1": 1,
    "anli_r2": 1,
    "anli_r3": 1,
    "arc_challenge": 3,
    "arc_easy": 3,
    "cb": 1,
    "cnn_dailymail": 3,
    "cola": 2,
    "common_gen": 4,
    "copa": 1,
    "coqa": 1,
    "cosmos_qa": 2,
    "dart": 2,
    "drop": 3,
    "gigaword": 2,
    "imdb_reviews": 1,
    "multi_news": 2,
    "multirc": 2,
    "newsroom": 3,
    "openbookqa": 3,
    "opinion_abstracts_idebate": 4,
    "opinion_abstracts_rotten_tomatoes": 3,
    "para_crawl_enes": 4,
    "piqa": 2,
    "qnli": 1,
    "quac": 2,
    "rte": 1,
    "samsum": 3,
    "sentiment140": 4,
    "snli": 1,
    "squad_v1": 2,
    "sst2": 2,
    "story_cloze": 2,
    "stsb": 2,
    "trec": 1,
    "true_case": 1,
    "web_nlg_en": 2,
    "wiki_lingua_english_en": 2,
    "wmt14_enfr": 4,
    "wmt16_translate_csen": 7,
    "wmt16_translate_deen": 7,
    "wmt16_translate_fien": 7,
    "wmt16_translate_roen": 7,
    "wmt16_translate_ruen": 7,
    "wmt16_translate_tren": 7,
    "word_segment": 2,
    "xsum": 2,
    "yelp_polarity_reviews": 3,
}
"""Of the ten zero-shot templates of a Muffin task in the release (flan/v2/templates.py), those that ask for
anything but what our rows call the answer: a title, a passage, the other direction of a translation (our rows
of WMT 16 go into English). Sets that are not here have none."""

NIV2_SHOTS = 2
"""The exemplars of a few-shot natural instruction in the release (flan/v2/preprocessors.py), where they are
not the task's own explained example."""

EXEMPLARS_ONLY = 0.34
"""The share of few-shot examples without instruction: in the release (flan/v2/templates.py) 357 of 1,060
few-shot templates hold fields alone."""

PARAMETERS: Mapping[str, float] = {
    "flan-t5-small": 60e6,
    "flan-t5-base": 220e6,
    "flan-t5-large": 770e6,
    "flan-t5-xl": 3e9,
    "flan-t5-xxl": 11e9,
    "flan-palm-8b": 8e9,
    "flan-palm-62b": 62e9,
    "flan-palm-540b": 540e9,
    "flan-cont-palm-62b": 62e9,
    "flan-u-palm-540b": 540e9,
}
"""The parameters that Table 2's FLOPs count, by recipe: solved from them (for T5 the sizes of T5 1.0, not
those of its first column)."""
