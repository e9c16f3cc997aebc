"""Folders that `Dataset.save_to_disk` and `DatasetDict.save_to_disk` wrote: which Arrow files hold their
rows."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.json_files import read_json_file
from openflan.tasks.splits import Split, say_what_is_left, split_of

_SPLITS, _STATE = "dataset_dict.json", "state.json"
_AGAIN = "save the data set again with `save_to_disk`"


def is_saved(folder: Path) -> bool:
    """Whether a path is a folder that `datasets` saved (`save_to_disk`)."""
    return folder.is_dir() and any((folder / name).is_file() for name in (_SPLITS, _STATE))


def saved_files(folder: Path) -> list[Path]:
    """The Arrow files of a saved folder, in their order; of several splits those of `train`, with a warning
    that names the others.

    Raises InputError if the folder says nothing of its files, if none of its splits is for training, or if
    its rows are only a selection from the files.
    """
    if (folder / _SPLITS).is_file():
        splits = _splits(folder / _SPLITS)
        others = [folder / name for name in splits if split_of(name) in ("validation", "test")]
        training = [name for name in splits if split_of(name) == "train"] or [
            name for name in splits if folder / name not in others
        ]
        if not training:
            raise InputError(
                f"{folder}: a saved data set with the splits {', '.join(splits)} and no train; name the "
                f"folder of one of them, such as {folder}/{splits[0]}"
            )
        if len(training) > 1:
            raise InputError(
                f"{folder}: a saved data set with several splits to train on ({', '.join(training)}); "
                "name the folder of one of them"
            )
        say_what_is_left(folder, [folder / name for name in splits if name not in training])
        return saved_files(folder / training[0])
    state = read_json_file(folder / _STATE, remedy=_AGAIN)
    files = state.get("_data_files") if isinstance(state, dict) else None
    names = (
        [file.get("filename") if isinstance(file, dict) else None for file in files]
        if isinstance(files, list)
        else []
    )
    if not names or not all(_is_name(name) for name in names):
        raise InputError(f"{folder}: a saved data set whose state.json does not name its files; {_AGAIN}")
    if state.get("_indices_data_files"):
        raise InputError(
            f"{folder}: a saved selection of rows; call `flatten_indices()` before `save_to_disk`"
        )
    return [folder / str(name) for name in names]


def saved_splits(folder: Path) -> dict[Split, list[Path]]:
    """The Arrow files of the validation and test splits of a saved folder; those that cannot be read are left
    out, because nothing is trained on them."""
    splits: dict[Split, list[Path]] = {}
    if (folder / _SPLITS).is_file():
        for name in _splits(folder / _SPLITS):
            if (split := split_of(name)) in ("validation", "test"):
                with suppress(InputError):
                    splits.setdefault(split, saved_files(folder / name))
    return splits


def _splits(path: Path) -> list[str]:
    value = read_json_file(path, remedy=_AGAIN)
    splits = value.get("splits") if isinstance(value, dict) else None
    if not isinstance(splits, list) or not splits or not all(_is_name(name) for name in splits):
        raise InputError(f"{path}: does not name the splits of the data set; {_AGAIN}")
    return splits


def _is_name(value: Any) -> bool:
    """Whether a value names a file or folder in the folder itself, not elsewhere."""
    return (
        isinstance(value, str) and value not in ("", ".", "..") and not any(mark in value for mark in "/\\\0")
    )
