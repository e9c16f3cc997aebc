"""The eight worked problems that stand in the prompts of GSM8K and SVAMP (Wei et al. 2022).

They are part of neither benchmark and of no file of openflan. First, `exemplars.json` beside the benchmark's
files is read: `[{"question", "answer"}, ...]`, the answer with its rationale. Next comes a copy of lm-eval's
task file gsm8k-cot.yaml beside them, and last that file in the installed package `lm-eval`. The package is
looked for without importing it, which would load its model libraries.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from openflan.errors import InputError, SetupError
from openflan.json_files import read_json_file
from openflan.yaml_files import read_yaml

EXEMPLARS = "exemplars.json"
TASK_FILE = "gsm8k-cot.yaml"
IN_PACKAGE = Path("tasks") / "gsm8k" / TASK_FILE


def gsm8k_exemplars(folder: Path, benchmark: str = "gsm8k") -> list[tuple[str, str]]:
    """Questions and worked answers, in the order of the first source that exists. `folder` is that of
    `benchmark`, which messages name.

    Raises InputError if that source is not of its form, SetupError if there is none.
    """
    custom = folder / EXEMPLARS
    if custom.is_file():
        return _pairs(read_json_file(custom), "answer", custom)
    for path in (folder / TASK_FILE, *_installed()):
        if path.is_file():
            return _pairs(_samples(path), "target", path)
    raise SetupError(
        f"the exemplars of {benchmark} are not part of its files: run `pip install lm-eval`, put {EXEMPLARS} "
        f"or lm-eval's {TASK_FILE} into {folder}, "
        "or use no exemplars (`--shots 0`)"
    )


def _installed() -> list[Path]:
    """The paths of the task file in the installed package; empty if it is not installed."""
    spec = find_spec("lm_eval")
    return [Path(folder) / IN_PACKAGE for folder in (spec.submodule_search_locations or ())] if spec else []


def _samples(path: Path) -> Any:
    # Task files may name functions (`!function`); no value that is used here needs them, and none is run.
    document = read_yaml(path, any_tag=True, repeated_keys=True)
    try:
        return document["fewshot_config"]["samples"]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path} has no samples under `fewshot_config:` ({type(error).__name__}): expected lm-eval's "
            f"{TASK_FILE}"
        ) from error


def _pairs(rows: Any, answer: str, path: Path) -> list[tuple[str, str]]:
    fields = ("question", answer)
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and all(isinstance(row.get(field), str) for field in fields) for row in rows
    ):
        raise InputError(f"{path}: expected a list of objects with texts `question` and `{answer}`")
    return [(row["question"].strip(), row[answer].strip()) for row in rows]
