"""Where a benchmark's files are on this machine."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path

from openflan.errors import InputError, did_you_mean
from openflan.evaluation.bbh_tasks import BBH_TASKS
from openflan.evaluation.mgsm_languages import LANGUAGES
from openflan.evaluation.mmlu_subjects import SUBJECTS
from openflan.evaluation.tydiqa_languages import TYDIQA_LANGUAGES
from openflan.json_files import reading

FILES: dict[str, tuple[str, ...]] = {
    "bbh": (*(f"{task}.json" for task in BBH_TASKS), *(f"cot-prompts/{task}.txt" for task in BBH_TASKS)),
    "mgsm": ("exemplars.json", *(f"mgsm_{language}.tsv" for language in LANGUAGES)),
    "mmlu": (
        "mmlu-cot.json",
        *(f"{split}/{subject}_{split}.csv" for split in ("dev", "val", "test") for subject in SUBJECTS),
    ),
    "tydiqa": tuple(f"dev/{language}.json" for language in TYDIQA_LANGUAGES),
    "gsm8k": ("test.jsonl",),
}
"""Files relative to a benchmark's folder, as in suzgunmirac/BIG-Bench-Hard, google-research/url-nlp (its
exemplars as JSON), the release of MMLU with the prompts of jasonwei20/flan-2 beside it, TyDi QA's gold
passages by language, and openai/grade-school-math."""

_NAMED = 3


def mmlu_files(mode: str, split: str) -> tuple[str, ...]:
    """The files that prompts of a mode and a split (`val`, `test`) need: a folder may hold one split only."""
    kept = ("mmlu-cot.json", f"{split}/") if mode == "cot" else ("dev/", f"{split}/")
    return tuple(file for file in FILES["mmlu"] if file.startswith(kept))


def locate(data: Path, name: str, files: tuple[str, ...] = ()) -> Path:
    """The folder with the files of benchmark `name`, or those of them that are named: `data` itself or
    `data/name`.

    Raises InputError that names what is missing and the layout expected.
    """
    if name not in FILES:
        raise InputError(
            "no local files are known for "
            f"`{name}`{did_you_mean(name, FILES) or '; known: ' + ', '.join(FILES)}"
        )
    if not os.path.isdir(data):
        raise InputError(f"{data} is not a folder: `--data` names the folder that holds `{name}/`")
    files = files or FILES[name]
    folder = next(
        (place for place in (data / name, data) if any(is_file(place / file) for file in files)), None
    )
    if folder is None:
        raise InputError(f"{data} holds neither `{name}/` nor its files: expected {_listed(files)}")
    missing = tuple(file for file in files if not is_file(folder / file))
    if missing:
        raise InputError(
            f"{folder} lacks {len(missing)} of the {len(files)} files of {name}: {_listed(missing)}"
        )
    return folder


def text_of(path: Path) -> str:
    """A file's text with its line ends as they are; InputError if it cannot be read or is not UTF-8."""
    with reading(path):
        content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}): fetch it again") from error


def is_file(path: Path) -> bool:
    """Whether there is a file, also for what can be no path: with a NUL in it, or too long."""
    return os.path.isfile(path)


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line (its last one, counted from 1) and cells of each row; raises InputError for a file that is not
    UTF-8 or a row that is none."""
    reader = csv.reader(io.StringIO(text_of(path).removeprefix("\ufeff"), newline=""))
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: no row of CSV ({error}); correct or remove it") from None


def _listed(files: tuple[str, ...]) -> str:
    return ", ".join(files[:_NAMED]) + (f" and {len(files) - _NAMED} more" if len(files) > _NAMED else "")
