"""Held-out benchmarks while a model trains: what `evaluation:` of a recipe asks for.

The model in memory is asked between two steps, so nothing is loaded twice; generations and scores of every
step lie in `while-training/` of the run, apart from those of finished models. Under several ranks no rank
holds a whole model: there `openflan evaluate RUN --watch` scores checkpoints beside training, as a process of
its own.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.known_benchmarks import find_mode
from openflan.evaluation.record import evaluate_into
from openflan.evaluation.selection import check_prompts, open_benchmark
from openflan.inference.huggingface import HuggingFaceEngine
from openflan.models.folder import Separator
from openflan.models.load_model import load_tokenizer
from openflan.recipe.schema import Evaluation, Recipe
from openflan.run_folder import Run

MEAN = "mean"
"""The score that chooses the best checkpoint where the recipe names none: the mean of the benchmarks'
averages."""


def evaluator(recipe: Recipe, run: Run) -> Callable[[int, Any], Mapping[str, float]] | None:
    """A function from a step and its model to scores in percent, by benchmark (`bbh`, `mgsm:cot`) and their
    mean; None if the recipe asks for none.

    Raises InputError for an unknown benchmark, or one whose files are not there.
    """
    wanted = recipe.evaluation
    benchmarks = benchmarks_of(wanted)
    if wanted is None or not benchmarks:
        return None
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        warnings.warn(
            f"held-out scores need a whole model: run `openflan evaluate {run.folder} --watch` beside "
            "this one",
            stacklevel=2,
        )
        return None
    tokenizer, beside = load_tokenizer(recipe.model), Run(run.folder / "while-training")
    separator: Separator = "eos" if recipe.packing.layout == "paper" else "none"

    def evaluate(step: int, model: Any) -> Mapping[str, float]:
        engine = HuggingFaceEngine.of(
            model, tokenizer, separator=separator, chat=recipe.packing.layout == "chat"
        )
        scores = {}
        for name, benchmark in benchmarks.items():
            score = evaluate_into(
                beside, f"step-{step}", benchmark, engine, limit=wanted.limit, max_tokens=wanted.max_tokens
            )
            scores[name] = float("nan") if score.average is None else score.average
        return scores | {MEAN: fmean(scores.values())}

    return evaluate


def benchmarks_of(wanted: Evaluation | None) -> dict[str, Benchmark]:
    """What `evaluation:` asks for, by name. Raises InputError for an unknown benchmark, or one whose files
    are not there."""
    benchmarks = {name: _opened(name, wanted) for name in wanted.benchmarks} if wanted else {}
    check_prompts([(benchmark, None) for benchmark in benchmarks.values()])
    return benchmarks


def _opened(name: str, wanted: Evaluation) -> Benchmark:
    bare, _, mode = name.partition(":")
    try:
        return open_benchmark(bare, find_mode(mode or "direct"), wanted.data, limit=wanted.limit)
    except InputError as error:
        raise InputError(f"evaluation.benchmarks, `{name}`: {error}") from None
