"""Reads a `Study` from a YAML file; relative paths start at the file's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from openflan.embedded import parse_benchmark
from openflan.errors import InputError, did_you_mean
from openflan.recipe.packaged import file_or_packaged, packaged
from openflan.studies.study_schema import Ask, Study
from openflan.yaml_files import read_yaml


def packaged_studies() -> dict[str, Path]:
    """Studies that come with openflan, by name."""
    return packaged("studies")


def study_path(name: str) -> Path:
    """The file of a study, or of a packaged one by name; raises InputError if there is neither."""
    return file_or_packaged(name, packaged_studies(), "study")


def load_study(path: Path) -> Study:
    """Raises InputError for a file that cannot be read, broken YAML, and every key that is unknown, missing
    or of the wrong kind."""
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise InputError(
            f"{path}: not a study; expected `name:`, `question:`, `recipe:`, `axes:` and `evaluations:`"
        )
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        raise InputError(
            "\n".join(_message(path, problem) for problem in error.errors(include_url=False))
        ) from None


def on_dev(study: Study) -> Study:
    """The study with the development set of every embedded benchmark in place of its test set."""
    return study.model_copy(
        update={"evaluations": {name: _on_dev(ask) for name, ask in study.evaluations.items()}}
    )


def _on_dev(ask: Ask) -> Ask:
    embedded = parse_benchmark(ask.benchmark)
    return ask.model_copy(update={"benchmark": embedded.dev_label}) if embedded else ask


def _message(path: Path, problem: Any) -> str:
    keys = [str(part) for part in problem["loc"] if part != "[key]"]
    dotted = ".".join(keys)
    if problem["type"] == "extra_forbidden":
        known = list(Study.model_fields) if len(keys) == 1 else []
        return f"{path}: `{dotted}` is not a key of a study{did_you_mean(keys[-1], known)}"
    if problem["type"] == "missing":
        return f"{path}: `{dotted}` is missing"
    detail = str(problem["msg"]).removeprefix("Value error, ")
    return f"{path}: `{dotted}`: {detail}" if dotted else f"{path}: {detail}"
