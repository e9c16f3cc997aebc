"""The eight worked problems that GSM8K is prompted with (Wei et al. 2022), from where they are public.

They are not part of GSM8K and no file of ours holds them. Found in this order: `exemplars.json` beside the
test file (`[{"question", "answer"}, ...]`, the answer with its rationale), a copy of lm-eval's task file
gsm8k-cot.yaml beside it, that file in the installed package `lm-eval`. The package is looked for without
importing it, which would load its model libraries.
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


def gsm8k_exemplars(folder: Path) -> list[tuple[str, str]]:
    """Questions and worked answers, in the order of the first source that is there.

    Raises InputError if that source is not of its form, SetupError if there is none.
    """
    own = folder / EXEMPLARS
    if own.is_file():
        return _pairs(read_json_file(own), "answer", own)
    for path in (folder / TASK_FILE, *_installed()):
        if path.is_file():
            return _pairs(_samples(path), "target", path)
    raise SetupError(
        f"the exemplars of gsm8k are not part of its files: run `pip install lm-eval`, put {EXEMPLARS} "
        f"or lm-eval's {TASK_FILE} into {folder}, "
        "or ask without exemplars (`--shots 0`)"
    )


def _installed() -> list[Path]:
    """Where the installed package has its task file."""
    spec = find_spec("lm_eval")
    return [Path(place) / IN_PACKAGE for place in (spec.submodule_search_locations or ())] if spec else []


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
