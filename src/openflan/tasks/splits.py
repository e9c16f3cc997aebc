"""Which split a data file belongs to, by its name and that of its folder, and which files of a folder are
trained on.

All formats follow one rule. A name is split at everything but letters and digits (`squad-test.v2.jsonl` is
squad, test, v2); shard numbers, versions and words such as `part` say nothing; the first or the last word
that is left may name a split, in capitals or not, and numbers at its end do not matter (`TEST_01`,
`dev-v1.1`, `rows_validation_00000-of-00002`). Words in the middle are the topic: `driving_test_questions` is
no test set. Price: a topic that begins or ends with such a word is left aside too, which is said, and the
file can be named itself.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from openflan.errors import InputError
from openflan.json_files import reading

Split: TypeAlias = Literal["train", "validation", "test"]

WORDS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training", "trainset", "trn"),
    "validation": (
        "validation",
        "validate",
        "valid",
        "val",
        "dev",
        "devel",
        "development",
        "validationset",
        "valset",
        "devset",
    ),
    "test": ("test", "testing", "tst", "testset", "eval", "evaluation", "evalset", "heldout", "holdout"),
}
"""The words that name a split, in lower case."""

SUFFIXES = (".jsonl", ".parquet", ".arrow")
"""The files of rows that belong to splits."""

_SPLIT_OF_WORD = {word: split for split, words in WORDS.items() for word in words}
_SILENT = re.compile(
    r"v?\d.*|[a-z]{0,2}|part|shard|chunk|split|set|data|dataset|rows|file|final|full|default|clean"
)
"""Words of a name that say nothing of its split."""

PLAIN_FOLDERS = (".", "data", "default")
"""The folders in which a copy of a data set keeps its rows, besides those that are named after a split."""

_NAMED = 5
"""Files that a message names; more are counted."""


@dataclass(frozen=True, slots=True)
class ChosenFiles:
    """The files of a folder that are trained on, in their order, and those of its other splits."""

    files: tuple[Path, ...]
    aside: tuple[Path, ...] = ()


def split_of(name: str) -> Split | None:
    """The split that a file's name (with its suffixes) names; None if it names none."""
    words = _words(name)
    return next((split for word in words[:1] + words[-1:] if (split := _SPLIT_OF_WORD.get(word))), None)


def split_of_folder(name: str) -> Split | None:
    """The split that a folder is named after, with nothing else in its name but what says nothing: a folder
    is as often named after its topic."""
    splits = {_SPLIT_OF_WORD.get(word) for word in _words(name)}
    return splits.pop() if len(splits) == 1 else None


def _words(name: str) -> list[str]:
    """The words of a name in lower case, without numbers at their ends and without shard numbers and the
    like."""
    stem = re.sub(
        rf"({'|'.join(map(re.escape, SUFFIXES))}|\.json|\.txt|\.gz)+$", "", name, flags=re.IGNORECASE
    )
    stem = re.sub(r"([a-z])([A-Z])", r"\1 \2", stem).lower()
    stem = re.sub(r"(?<![a-z])(held|hold)[\W_]?out(?![a-z])", "heldout", stem)
    words = [re.sub(r"\d+k?$", "", word) for word in re.split(r"[\W_]+", stem) if not _SILENT.fullmatch(word)]
    return [word for word in words if not _SILENT.fullmatch(word)]


def choose(data: Path, suffix: str) -> ChosenFiles:
    """The files with `suffix` that are trained on where `data` is named: `data` itself if it is a file,
    whatever its name.

    Of a folder, the files in it, or in its `data`, `default` or training folder (the first of these that has
    some), but not those of other splits: these are set aside, and what lies in folders named after other
    splits. Files of tables (all but JSONL) are shards of one: where some are named `train`, others are set
    aside too. A folder that is named after another split itself, and has no training rows, gives that split.
    No files if there are none; raises InputError if the folder cannot be read.
    """
    if not data.is_dir():
        return ChosenFiles((data,))
    chosen = _choose(data, suffix, "train")
    own = split_of_folder(data.absolute().name)
    return chosen if chosen.files or own is None else _choose(data, suffix, own)


def training_files(data: Path, suffix: str, also: Sequence[Path] = ()) -> list[Path]:
    """The files of `choose`, with a warning that names those left aside, but for those that are read `also`;
    raises InputError if there are none to train on."""
    chosen = choose(data, suffix)
    if not chosen.files:
        raise (
            only_other_splits(data, chosen.aside)
            if chosen.aside
            else InputError(f"{data}: no {suffix} files in this folder")
        )
    say_what_is_left(data, [file for file in chosen.aside if file not in also])
    return list(chosen.files)


def training_only(root: Path, files: Sequence[Path]) -> list[Path]:
    """The files below a folder that are not of a validation or test split, by their names and the folders'
    between; others are named in a warning.

    Raises InputError if all of them are.
    """
    splits = {
        file: {split_of(file.name), *map(split_of_folder, file.relative_to(root).parts[:-1])}
        for file in files
    }
    for split in ("train", split_of_folder(root.absolute().name)):
        if chosen := [file for file in files if splits[file] <= {None, split}]:
            say_what_is_left(root, [file for file in files if file not in set(chosen)])
            return chosen
    raise only_other_splits(root, files)


def say_what_is_left(data: Path, aside: Sequence[Path]) -> None:
    """Warns of the files of other splits, if there are any."""
    if aside:
        num_files = f"{len(aside)} file{'s' if len(aside) > 1 else ''}"
        warnings.warn(
            f"{data}: {num_files} left aside and not trained on, as their names are of another split: "
            f"{_listed(data, aside)}; name a file itself to train on it",
            stacklevel=3,
        )


def only_other_splits(data: Path, aside: Sequence[Path]) -> InputError:
    """The error of a folder that has nothing to train on."""
    return InputError(
        f"{data}: holds only files of validation or test splits ({_listed(data, aside)}), which are not "
        "trained on unless they are named themselves; "
        f"name one, such as {aside[0]}, or call the files to train on `train`"
    )


def _choose(data: Path, suffix: str, chosen_split: Split) -> ChosenFiles:
    chosen: list[Path] = []
    aside: list[Path] = []
    with reading(data):
        for plain in (data / name for name in PLAIN_FOLDERS):
            inside = sorted(plain.iterdir()) if plain.is_dir() else []
            folders = [(split_of_folder(path.name), path) for path in inside if path.is_dir()]
            places = [(split, _files_of(path)) for split, path in folders if split]
            aside += [file for split, files in places if split != chosen_split for file in files]
            for files in [
                [path for path in inside if _has_rows(path)],
                *(files for split, files in places if split == chosen_split),
            ]:
                splits = {file: split_of(file.name) for file in files}
                # In a folder named after a split its name decides, not the topics of the files in it.
                kept = (
                    files
                    if files and files[0].parent != plain
                    else [file for file in files if splits[file] in (None, chosen_split)]
                )
                aside += [file for file in files if file not in kept]
                if not chosen:
                    chosen, others = _of_one_table(
                        [file for file in kept if file.suffix == suffix], suffix, chosen_split
                    )
                    aside += others
    return ChosenFiles(tuple(chosen), tuple(aside))


def _of_one_table(files: list[Path], suffix: str, chosen_split: Split) -> tuple[list[Path], list[Path]]:
    """The files that are read, and those that are not shards of the same table."""
    named = [file for file in files if split_of(file.name) == chosen_split]
    if suffix == ".jsonl" or not named:
        return files, []
    return named, [file for file in files if file not in named]


def _files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _has_rows(path))


def _has_rows(path: Path) -> bool:
    return path.suffix in SUFFIXES and path.is_file()


def _listed(data: Path, files: Sequence[Path]) -> str:
    names = [
        str(file.relative_to(data)) if file.is_relative_to(data) else str(file) for file in files[:_NAMED]
    ]
    return ", ".join(names) + (f" and {len(files) - _NAMED} more" if len(files) > _NAMED else "")
