"""Chain-of-thought files by their names and their first line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from openflan.errors import did_you_mean

FIELDS = ("question", "answer", "rationale")
"""The columns of a chain-of-thought file, which has no header."""

DATASETS: Mapping[str, str] = {
    "aqua": "algebra word problems",
    "creak": "commonsense fact verification",
    "ecqa": "commonsense question answering",
    "esnli": "natural language inference",
    "gsm8k": "grade school math word problems",
    "qasc": "science question answering",
    "qed": "reading comprehension",
    "sensemaking": "commonsense validation",
    "strategyqa": "implicit multi-step question answering",
}
"""The nine datasets (Chung et al. 2022, appendix E, Table 24) and their task categories."""


def dataset_of(file: Path) -> str:
    """The data set that a file is named after."""
    return file.stem.removesuffix("_train")


def is_cot_file(path: Path) -> bool:
    """Whether a `.tsv` file is one of the public release: without a header, and named after one of its
    datasets or nearly so, or `NAME_train.tsv` beside such a file."""
    if path.suffix != ".tsv" or not (_is_named(path) or _has_neighbour(path)):
        return False
    try:
        with path.open("rb") as file:
            first = file.readline(1 << 16).removeprefix(b"\xef\xbb\xbf")
    except OSError:
        return True
    return not {cell.strip().lower() for cell in first.decode("utf-8", "replace").split("\t")} & set(FIELDS)


def _is_named(path: Path) -> bool:
    dataset = dataset_of(path)
    return dataset in DATASETS or bool(did_you_mean(dataset, DATASETS))


def _has_neighbour(path: Path) -> bool:
    return path.stem.endswith("_train") and any(
        (path.parent / f"{dataset}_train.tsv").exists() for dataset in DATASETS
    )
