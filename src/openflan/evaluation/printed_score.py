"""A score as the JSON value that commands print."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from openflan.evaluation.score_record import EvaluationScore


def printed(score: EvaluationScore) -> dict[str, Any]:
    """Return the JSON value that `openflan score --json` and `evaluate --json` print for a score: every
    average stands under its own name beside the other keys."""
    key, decoding = score.key, score.key.decoding
    intervals = {
        name: {
            "stderr": interval.stderr,
            "ci95": list(interval.ci95),
            "n": interval.n,
            "clusters": interval.clusters,
        }
        for name, interval in score.intervals.items()
    }
    return {
        **({"model": key.model} if key.model else {}),
        "benchmark": key.benchmark,
        "mode": key.mode,
        **score.averages,
        "normalized": score.normalized,
        "partial": score.partial,
        "missing": score.missing,
        "duplicates": score.duplicates,
        "samples": decoding.samples,
        "exemplars": score.exemplars,
        "exemplars_dropped": score.exemplars_dropped,
        "prompts_shortened": score.prompts_shortened,
        "prompt_hash": score.prompt_hash,
        **({"exemplar_from_dev": list(score.exemplar_from_dev)} if score.exemplar_from_dev else {}),
        "split": key.split,
        "shots": key.shots,
        "decoding": decoding.kind,
        "prompt_version": score.prompt_version,
        "intervals": intervals,
        "tasks": {name: task.as_json() for name, task in score.tasks.items()},
        **({"agreement": score.agreement, "curve": dict(score.curve)} if decoding.samples > 1 else {}),
        **({"variant": decoding.variant} if decoding.variant else {}),
        **({"thinking": asdict(score.thinking)} if score.thinking else {}),
        **({"signatures": dict(score.signatures)} if score.signatures else {}),
        **({"selected_on": True} if score.selected_on else {}),
        **({"bits_per_byte": asdict(score.gold)} if score.gold else {}),
        **(
            {"wordings": {task: asdict(effect) for task, effect in score.wordings.items()}}
            if score.wordings
            else {}
        ),
    }
