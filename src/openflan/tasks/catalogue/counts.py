"""How many tasks, datasets, categories and languages there are, beside the paper's figures, with a sentence
for every difference.

Ours are counted from the catalogue each time. The paper does not say how its own were counted, so that some
differences can only be narrowed down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from openflan.tasks.catalogue.entry import SUBMIXTURES, Entry
from openflan.tasks.catalogue.table import aliases, find

PAPER: Mapping[str, int] = {
    "tasks": 1836,
    "datasets": 473,
    "categories": 146,
    "languages": 60,
    "muffin": 80,
    "t0_sf": 193,
    "niv2": 1554,
    "cot": 9,
    "MMLU-derived tasks removed": 44,
}
"""Chung et al. 2022: section 2.1 and appendix E, Table 23 for the submixtures. Languages: those of the public
task lists behind it."""

_MUFFIN_TEXT = (62, 26)
"""Section 2.1 makes Muffin of tasks of earlier work and new ones; they do not add up to Table 23's 80."""

_ADDED = ("lambada", "unified_qa_science_inst")
"""Of Table 24's ten additions to Muffin, those that the public list files under its first part; the others
are its second and third part."""


@dataclass(frozen=True, slots=True)
class Count:
    """What one submixture holds, or `total` all of them: there a dataset, category or language of several
    submixtures counts once.

    `variants` are inverted forms, which are not tasks. `paper_tasks` is the paper's number.
    """

    submixture: str
    tasks: int
    datasets: int
    categories: int
    languages: int
    variants: int
    held_out: int
    paper_tasks: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of the paper, ours, and why they differ (or what stands behind an equal one)."""

    figure: str
    ours: int
    paper: int
    why: str


@dataclass(frozen=True, slots=True)
class Counts:
    """The table of submixtures and the reconciliation."""

    submixtures: tuple[Count, ...]
    total: Count
    differences: tuple[Difference, ...]


def counts() -> Counts:
    """The catalogue counted and reconciled with the paper."""
    by_submixture = tuple(_count(name, PAPER[name]) for name in SUBMIXTURES)
    total = _count("total", PAPER["tasks"])
    counted = {count.submixture: count for count in by_submixture}
    return Counts(
        by_submixture,
        total,
        (*_tasks(counted, total), _datasets(counted, total), _categories(total), _languages(total)),
    )


def _count(submixture: str, paper_tasks: int) -> Count:
    within = None if submixture == "total" else submixture
    entries = find(submixture=within)
    return Count(
        submixture=submixture,
        tasks=len(entries),
        datasets=len({entry.dataset for entry in entries}),
        categories=len({entry.category for entry in entries}),
        languages=len({language for entry in entries for language in entry.languages}),
        variants=sum(len(entry.variants) for entry in entries),
        held_out=len(find(submixture=within, held_out=True)),
        paper_tasks=paper_tasks,
    )


def _tasks(counted: Mapping[str, Count], total: Count) -> list[Difference]:
    niv2, muffin = counted["niv2"], counted["muffin"]
    names = [entry.name for entry in find(submixture="niv2")]
    doubled = sum(number > 1 for number in Counter(name.partition("_")[0] for name in names).values())
    added = [
        entry
        for entry in find(submixture="muffin")
        if entry.part != "flan2021" or entry.name.partition("/")[2] in _ADDED
    ]
    return [
        Difference(
            "tasks",
            total.tasks,
            PAPER["tasks"],
            (
                f"The difference of {total.tasks - PAPER['tasks']} is NIV2's; the {total.variants} inverted "
                "forms are augmentation, which neither figure counts."
            ),
        ),
        Difference(
            "tasks of NIV2",
            niv2.tasks,
            PAPER["niv2"],
            f"The public list has {niv2.tasks - PAPER['niv2']} tasks more than the paper, and which ones "
            "the paper leaves out is not known; "
            f"{len(aliases())} names that differ from another only in hyphens are spellings, not tasks, "
            f"and {doubled} numbers are used by two tasks each, "
            "so names are the keys.",
        ),
        Difference(
            "NIV2 tasks removed for MMLU",
            niv2.held_out,
            PAPER["MMLU-derived tasks removed"],
            (
                f"The paper's text gives {PAPER['MMLU-derived tasks removed']}, the public code removes "
                f"{niv2.held_out} by name, one for each subject of MMLU."
            ),
        ),
        Difference(
            "tasks of Muffin in the text",
            muffin.tasks,
            sum(_MUFFIN_TEXT),
            f"The paper's Table 23 has {PAPER['muffin']}, as the public list; its text states "
            f"{_MUFFIN_TEXT[0]} and {_MUFFIN_TEXT[1]} new ones, which is "
            f"{sum(_MUFFIN_TEXT)}; by the additions it names, the list has {muffin.tasks - len(added)} "
            f"and {len(added)} new ones.",
        ),
    ]


def _datasets(counted: Mapping[str, Count], total: Count) -> Difference:
    without_cot = sum(count.datasets for name, count in counted.items() if name != "cot")
    everywhere = _labels(find())
    merged = len({label.replace("_", "") for label in everywhere})
    equal = (
        "which equals the paper's figure, perhaps by chance"
        if without_cot == PAPER["datasets"]
        else f"against the paper's {PAPER['datasets']}"
    )
    return Difference(
        "datasets",
        total.datasets,
        PAPER["datasets"],
        "We count a label once wherever it occurs; counted anew in each of Muffin, T0-SF and NIV2 and "
        f"without CoT there are {without_cot}, {equal}. "
        "Labels are kept as published, so that some datasets have two spellings "
        f"({len(everywhere) - merged} pairs differ in an underscore alone).",
    )


def _categories(total: Count) -> Difference:
    entries = find()
    categories = {entry.category for entry in entries}
    inverted = {variant for entry in entries for variant in entry.variants} - categories
    plain = {variant for variant in inverted if not variant.startswith("inverted ")}
    ours = {entry.category for entry in find(submixture="cot")} - {
        entry.category for entry in entries if entry.submixture != "cot"
    }
    return Difference(
        "categories",
        total.categories,
        PAPER["categories"],
        f"We found no way of counting that gives {PAPER['categories']}: the tasks have "
        f"{len(categories)}, with the inverted forms' own kinds "
        f"{len(categories) + len(plain)}, with every label that starts with Inverted as well "
        f"{len(categories) + len(inverted)}; "
        f"{len(ours)} of them are our own labels of CoT's datasets.",
    )


def _languages(total: Count) -> Difference:
    entries = find()
    foreign = sum(entry.languages != ("English",) for entry in entries)
    return Difference(
        "languages",
        total.languages,
        PAPER["languages"],
        f"The names of languages agree in number; {foreign:,} of {len(entries):,} tasks involve one "
        "besides English, nearly all of them in NIV2 "
        f"({sum(entry.languages != ('English',) for entry in entries if entry.submixture == 'niv2'):,}).",
    )


def _labels(entries: Iterable[Entry]) -> set[str]:
    return {entry.dataset for entry in entries}
