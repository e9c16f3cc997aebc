"""Generations and scores of a model, kept in a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.generations import read_generations
from openflan.evaluation.run import GREEDY, Decoding, Generated, generate_to
from openflan.evaluation.saved import score_file
from openflan.evaluation.shares import ALONE, Processes, parts_of
from openflan.evaluation.shots import shown
from openflan.inference.protocol import Engine
from openflan.lock import locked
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
    generated: Callable[[Generated], None] | None = None,
    decoding: Decoding = GREEDY,
    restart: bool = False,
    world: Processes = ALONE,
) -> dict[str, Any]:
    """Generates what is missing, scores what is there, and puts the score into `scores.json` in place of an earlier one of the same model,
    benchmark, mode, split and decoding.

    `label` names the model within the run (`base`, `final`, `step-N`). An evaluation of a part (`limit`, `subset`) is marked `partial`. Another split
    than the usual one has a folder of its own. `generated` is told what was done. The score also says how many exemplars the prompts had. `restart`
    removes what was generated before. Every process of `world` calls this and gets the score; the main one writes it.
    """
    path = generations_path(run, label, benchmark, decoding)
    busy = f"{path}: another evaluation is at work there; wait for it, or name another folder with --run"
    with locked(run.locks / path.relative_to(run.folder), busy) if world.rank == 0 else nullcontext():
        if restart and world.rank == 0:
            for file in (path, *parts_of(path)):
                file.unlink(missing_ok=True)
        done = generate_to(path, benchmark, engine, limit=limit, subset=subset, max_tokens=max_tokens, progress=progress, decoding=decoding, world=world)
    if generated:
        generated(done)
    score = {
        "model": label,
        **score_file(path, benchmark, partial=True),
        "split": benchmark.split,
        **({"variant": decoding.variant} if decoding.variant else {}),
    }
    score |= shown(one for _, one in read_generations(path)).as_json()
    if world.rank:
        return score
    same = ("model", "benchmark", "mode", "split", "variant")
    # Evaluations of other benchmarks may end at the same moment.
    with locked(run.locks / run.scores.name):
        others = [other for other in read_json(run.scores, {"scores": []})["scores"] if any(other.get(key, "") != score.get(key, "") for key in same)]
        write_json(run.scores, {"scores": [*others, score]})
    return score


def generations_path(run: Run, label: str, benchmark: Benchmark, decoding: Decoding = GREEDY) -> Path:
    """Where a model's generations for a benchmark lie."""
    return run.generations / benchmark.split / f"{label}-{benchmark.name}-{benchmark.mode}{decoding.variant}.jsonl"
