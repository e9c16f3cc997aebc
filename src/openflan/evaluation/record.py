"""Generations and scores of a model, kept in a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.run import generate_to, score_file
from openflan.inference.protocol import Engine
from openflan.run import Run, read_json, write_json


def evaluate_into(
    run: Run,
    label: str,
    benchmark: Benchmark,
    engine: Engine,
    *,
    limit: int | None = None,
    subset: Sequence[str] | None = None,
    max_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Generates what is missing, scores what is there, and puts the score into `scores.json` in place of an earlier one of the same model,
    benchmark and mode.

    `label` names the model within the run (`base`, `final`, `step-N`). An evaluation of a part (`limit`, `subset`) is marked `partial`.
    """
    path = run.generations / f"{label}-{benchmark.name}-{benchmark.mode}.jsonl"
    generate_to(path, benchmark, engine, limit=limit, subset=subset, max_tokens=max_tokens, progress=progress)
    score = {"model": label, **score_file(path, benchmark, partial=True)}
    same = ("model", "benchmark", "mode")
    others = [other for other in read_json(run.scores, {"scores": []})["scores"] if any(other[key] != score[key] for key in same)]
    write_json(run.scores, {"scores": [*others, score]})
    return score
