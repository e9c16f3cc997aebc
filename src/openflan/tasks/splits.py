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
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from openflan.errors import InputError
from openflan.json_files import reading
from openflan.tasks.row_files import KINDS, PACKED, ROW_FILES, TABLES, Kind, holds_rows, kind_of, stem_of

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
    stem = re.sub(rf"({'|'.join(map(re.escape, [*KINDS, *PACKED]))}|\.txt)+$", "", name, flags=re.IGNORECASE)
    stem = re.sub(r"([a-z])([A-Z])", r"\1 \2", stem).lower()
    stem = re.sub(r"(?<![a-z])(held|hold)[\W_]?out(?![a-z])", "heldout", stem)
    words = [re.sub(r"\d+k?$", "", word) for word in re.split(r"[\W_]+", stem) if not _SILENT.fullmatch(word)]
    return [word for word in words if not _SILENT.fullmatch(word)]


def topic_of(path: Path) -> str:
    """What the name of a file says besides its split and the number of a shard: `quiz` for `quiz-train.jsonl`
    and `test_quiz-00000-of-00002.jsonl`, empty for `train.jsonl`."""
    stem = stem_of(path)
    parts = re.findall(r"[^\W_]+|[\W_]+", stem)
    words = [position for position, part in enumerate(parts) if re.match(r"[^\W_]", part)]
    of_split = [position for position in words if split_of(parts[position]) is not None]
    if split_of(path.name) is None or not of_split:
        return stem
    telling = [position for position in words if not _SILENT.fullmatch(parts[position].lower())]
    first = not telling or telling[0] in of_split
    dropped = of_split[0] if first else of_split[-1]
    kept = parts[dropped + 1 :] if first else parts[:dropped]
    return re.sub(r"[\W_]*(\d+[\W_]+of[\W_]+\d+|\d+)$", "", "".join(kept)).strip(" -_.")


def choose(data: Path, kinds: Collection[Kind] = (*KINDS.values(),)) -> ChosenFiles:
    """The files of some kinds that are trained on where `data` is named: `data` itself if it is a file,
    whatever its name.

    Of a folder, the files in it, or in its `data`, `default` or training folder (the first of these that has
    some), but not those of other splits: these are set aside, and what lies in folders named after other
    splits. Tables are shards of one: where some are named `train`, others are set aside too. A folder that is
    named after another split itself, and has no training rows, gives that split. No files if there are none;
    raises InputError if the folder cannot be read.
    """
    if not data.is_dir():
        return ChosenFiles((data,))
    chosen = _choose(data, kinds, "train")
    own = split_of_folder(data.absolute().name)
    return chosen if chosen.files or own is None else _choose(data, kinds, own)


def training_files(data: Path, kinds: Collection[Kind], also: Sequence[Path] = ()) -> list[Path]:
    """The files of `choose`, with a warning that names those left aside, but for those that are read `also`;
    raises InputError if there are none to train on."""
    chosen = choose(data, kinds)
    if not chosen.files:
        raise (
            only_other_splits(data, chosen.aside)
            if chosen.aside
            else InputError(f"{data}: no files of rows in this folder; looked for {ROW_FILES}")
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


def split_of_file(root: Path, file: Path) -> Split | None:
    """The split of a file below a folder, by the folders between and by its own name."""
    between = [split for name in file.relative_to(root).parts[:-1] if (split := split_of_folder(name))]
    return between[0] if between else split_of(file.name)


def say_what_is_left(data: Path, aside: Sequence[Path]) -> None:
    """Warns of the files of other splits, if there are any."""
    if aside:
        num_files = f"{len(aside)} file{'s' if len(aside) > 1 else ''}"
        warnings.warn(
            f"{data}: {num_files} left aside and not trained on, as their names are of another split: "
            f"{_listed(data, aside)}; name a file itself to train on it, or measure the loss on validation "
            "rows "
            "with `mixture.validation: split`",
            stacklevel=3,
        )


def only_other_splits(data: Path, aside: Sequence[Path]) -> InputError:
    """The error of a folder that has nothing to train on."""
    return InputError(
        f"{data}: holds only files of validation or test splits ({_listed(data, aside)}), which are not "
        "trained on unless they are named themselves; "
        f"name one, such as {aside[0]}, or call the files to train on `train`"
    )


def _choose(data: Path, kinds: Collection[Kind], chosen_split: Split) -> ChosenFiles:
    chosen: list[Path] = []
    aside: list[Path] = []
    with reading(data):
        for plain in (data / name for name in PLAIN_FOLDERS):
            inside = sorted(plain.iterdir()) if plain.is_dir() else []
            folders = [(split_of_folder(path.name), path) for path in inside if path.is_dir()]
            places = [(split, _files_of(path)) for split, path in folders if split]
            aside += [file for split, files in places if split != chosen_split for file in files]
            for files in [
                [path for path in inside if holds_rows(path)],
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
                        [file for file in kept if kind_of(file) in kinds], chosen_split
                    )
                    aside += others
    return ChosenFiles(tuple(chosen), tuple(aside))


def _of_one_table(files: list[Path], chosen_split: Split) -> tuple[list[Path], list[Path]]:
    """The files that are read, and the tables that are not shards of the one that is."""
    tables = [file for file in files if kind_of(file) in TABLES]
    named = [file for file in tables if split_of(file.name) == chosen_split]
    others = [file for file in tables if file not in named] if named else []
    return [file for file in files if file not in others], others


def _files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if holds_rows(path))


def _listed(data: Path, files: Sequence[Path]) -> str:
    names = [
        str(file.relative_to(data)) if file.is_relative_to(data) else str(file) for file in files[:_NAMED]
    ]
    return ", ".join(names) + (f" and {len(files) - _NAMED} more" if len(files) > _NAMED else "")
