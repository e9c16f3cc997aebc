"""One line of the catalogue, and how its rows come to a user's disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Submixture:
    """One of the four parts that the paper mixes. `fetch` says where all of its tasks are to be had at
    once."""

    title: str
    fetch: str


SUBMIXTURES: Mapping[str, Submixture] = {
    "muffin": Submixture(
        "Muffin",
        "`openflan collection fetch muffin --to FLAN`, then pass --data FLAN; or ready-made rows: "
        "`openflan collection fetch ready-made --to FLAN`, then pass --data FLAN/ready-made; "
        "one task: `openflan tasks show muffin/TASK` says what to fetch and where to put it",
    ),
    "t0_sf": Submixture(
        "T0-SF",
        "`openflan collection fetch t0_sf --to FLAN`, then pass --data FLAN; or --data hub:bigscience/P3, "
        "or ready-made rows: --data hub:DataProvenanceInitiative/t0_submix_original; "
        "one task: `openflan tasks show t0_sf/TASK` says what to fetch and where to put it",
    ),
    "niv2": Submixture(
        "NIV2",
        (
            "`openflan collection fetch niv2 --to FLAN`, then pass --data FLAN; or git clone --depth 1 "
            "https://github.com/allenai/natural-instructions, then pass --data natural-instructions"
        ),
    ),
    "cot": Submixture(
        "CoT",
        (
            "`openflan collection fetch cot --to FLAN`, then pass --data FLAN; or git clone --depth 1 "
            "https://github.com/google-research/FLAN, then pass --data FLAN/flan/v2/cot_data"
        ),
    ),
}
"""The submixtures by the names that recipes use, in the order of the paper's Table 23."""

POLICIES: Mapping[str, str] = {
    "mmlu": (
        "made from MMLU, which the paper evaluates on: the public code leaves these tasks out of "
        "training by name, and so do we"
    ),
}
"""Why a task is listed but not trained on."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A task of the collection, whether or not its rows are at hand.

    `name` is `submixture/task` with the published name; a number such as task184 is no key. `part` says which
    of Muffin's three parts a task belongs to (`flan2021`, `dialog`, `program_synthesis`), None elsewhere.
    `dataset` and `category` are lower-case labels as published (CoT categories: ours). `source` says where
    the rows are, `link` is its address, `hub` the hub id of the original dataset. `licence` is that of the
    data, None if not known from its own publication; natural-instructions files name theirs. `options`: rows
    carry a list of options beside the text, which a style can show or hide; None if unknown. `rows`: lines of
    the published file (CoT), instances of the task file (NIV2), training rows of P3 (T0-SF), examples of the
    public release's zero-shot form, which are the training rows rounded down to tens (Muffin), or None where
    nothing is published. `held_out`: a key of POLICIES for what is not trained on. `variants`: categories of
    the inverted forms made from the same rows; they are augmentation, not tasks.
    """

    name: str
    part: str | None
    dataset: str
    category: str
    source: str
    link: str
    hub: str | None
    languages: tuple[str, ...]
    licence: str | None
    options: bool | None
    rows: int | None
    held_out: str | None
    variants: tuple[str, ...]

    @property
    def submixture(self) -> str:
        return self.name.partition("/")[0]


def how_to_get(entry: Entry) -> str:
    """The end of a sentence that says what to fetch for one task and how to pass it."""
    bare = entry.name.partition("/")[2]
    if entry.submixture == "cot":
        return f"curl -O {entry.link}, then pass its folder with --data"
    if entry.submixture == "niv2":
        return f"{SUBMIXTURES['niv2'].fetch} ({entry.source.partition(' of ')[0]})"
    if entry.submixture == "t0_sf":
        return f"pass --data hub:bigscience/P3, or the folder of a copy of {entry.link} (config {bare})"
    return (
        f"fetch {entry.link}, write its rows as they are to muffin/{bare}.jsonl (or .parquet) and pass "
        "--data muffin"
    )
