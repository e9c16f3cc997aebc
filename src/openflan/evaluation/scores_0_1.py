"""Converts the `scores.json` of version 0.1 to the present form.

In version 0.1 the averages were keys of the score itself, distinguished by a list of names. The number of
exemplars was part of the prompt's version only, and the decoding was a `variant`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from openflan.evaluation.decoding import decoding_of_variant
from openflan.evaluation.fit_exemplars import shots_in
from openflan.evaluation.known_benchmarks import usual_shots

# fmt: off
_NO_AVERAGES = frozenset({
    "model", "benchmark", "mode", "split", "variant", "averages", "normalized", "partial", "prompt_version",
    "tasks", "intervals", "agreement", "curve", "samples", "missing", "duplicates", "exemplars",
    "exemplars_dropped", "prompts_shortened", "exemplar_from_dev", "prompt_hash",
})
"""The keys of a score of version 0.1 that are not averages; its averages are all other keys with a number."""

_NO_METRICS = frozenset({
    "accuracy", "stderr", "ci95", "extracted", "n", "too_long", "truncated", "truncation", "chance",
    "normalized", "metric", "samples", "agreement", "value", "metrics",
})
"""The keys of a task of version 0.1 that are not metrics; its metrics are all other keys with a number.

No program writes that form any more, so the list is complete.
"""
# fmt: on

FEW_SHOT = "few-shot"
"""The name of version 0.1 for the quickstart's questions with exemplars, which it counted as a split of the
data."""


def is_0_1(value: Mapping[str, Any]) -> bool:
    """True for a score in the form of version 0.1, which has no decoding."""
    return "decoding" not in value


def upgraded(value: Mapping[str, Any]) -> dict[str, Any]:
    """A score of version 0.1 in the present form; what is wrong in it stays wrong, for the check that
    follows."""
    outer_averages = {
        name: mean for name, mean in value.items() if name not in _NO_AVERAGES and _is_mean(mean)
    }
    inner_averages, tasks = value.get("averages"), value.get("tasks")
    samples, variant = value.get("samples", 1), value.get("variant")
    decoding = decoding_of_variant(
        variant if isinstance(variant, str) else "", samples if isinstance(samples, int) else 1
    )
    split, shots = value.get("split", ""), _shots(value)
    return {
        **{name: value[name] for name in _NO_AVERAGES & value.keys()},
        "split": "" if split == FEW_SHOT else split,
        "shots": shots,
        "decoding": asdict(decoding),
        "averages": {
            "average": value.get("average"),
            **outer_averages,
            **(inner_averages if isinstance(inner_averages, Mapping) else {}),
        },
        "tasks": {name: _task(task) for name, task in tasks.items()}
        if isinstance(tasks, Mapping)
        else tasks or {},
        "usual_shots": _usual_shots(value, shots),
    }


def _task(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    metrics = {name: mean for name, mean in value.items() if name not in _NO_METRICS and _is_mean(mean)}
    return {**value, "metrics": metrics, "value": metrics.get(value.get("metric", ""), value.get("accuracy"))}


def _shots(value: Mapping[str, Any]) -> int | None:
    """The requested number of exemplars: from the prompt's version, else the number in all prompts if none
    was shortened."""
    shots = shots_in(value.get("prompt_version")) if _is_of_its_benchmark(value) else None
    mean = value.get("exemplars")
    if shots is None and not value.get("exemplars_dropped") and isinstance(mean, float) and mean.is_integer():
        return int(mean)
    return shots


def _usual_shots(value: Mapping[str, Any], shots: int | None) -> int | None:
    """The benchmark's own number of exemplars: 0 for tasks and embedded worlds, the requested number for
    benchmarks described by a file."""
    published = usual_shots(value.get("benchmark"), value.get("mode"))
    if published is not None:
        return published
    return (
        0 if value.get("split") == FEW_SHOT or str(value.get("prompt_version")).endswith("-shot-1") else shots
    )


def _is_of_its_benchmark(value: Mapping[str, Any]) -> bool:
    return str(value.get("prompt_version")).startswith(f"{value.get('benchmark')}-{value.get('mode')}-")


def _is_mean(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
