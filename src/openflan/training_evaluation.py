"""Evaluates a model on benchmarks while it trains, as `evaluation:` of a recipe describes.

The model in memory is evaluated between two steps, so that nothing is loaded twice. Generations and scores of
every step go into `while-training/` of the run folder, separate from those of finished models. With several
ranks no rank has all weights; there `openflan evaluate RUN --watch` evaluates checkpoints in a process of its
own.
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
    """A function that takes a step and its model and returns scores in percent, by benchmark (`bbh`,
    `mgsm:cot`), and their mean under MEAN. None if the recipe has no benchmarks.

    Raises InputError for an unknown benchmark, or one whose files are not there.
    """
    section = recipe.evaluation
    benchmarks = benchmarks_of(section)
    if section is None or not benchmarks:
        return None
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        warnings.warn(
            f"held-out scores need a whole model: run `openflan evaluate {run.folder} --watch` beside "
            "this one",
            stacklevel=2,
        )
        return None
    tokenizer, scores_run = load_tokenizer(recipe.model), Run(run.folder / "while-training")
    separator: Separator = "eos" if recipe.packing.layout == "paper" else "none"

    def evaluate(step: int, model: Any) -> Mapping[str, float]:
        engine = HuggingFaceEngine.of(
            model,
            tokenizer,
            separator=separator,
            chat=recipe.packing.layout == "chat",
            added_tokens=recipe.packing.added_tokens,
        )
        scores = {}
        for name, benchmark in benchmarks.items():
            score = evaluate_into(
                scores_run,
                f"step-{step}",
                benchmark,
                engine,
                limit=section.limit,
                max_tokens=section.max_tokens,
            )
            scores[name] = float("nan") if score.average is None else score.average
        return scores | {MEAN: fmean(scores.values())}

    return evaluate


def benchmarks_of(section: Evaluation | None) -> dict[str, Benchmark]:
    """The benchmarks of `evaluation:` by name. Raises InputError for an unknown benchmark, and for one whose
    files are missing."""
    benchmarks = {name: _open_benchmark(name, section) for name in section.benchmarks} if section else {}
    check_prompts([(benchmark, None) for benchmark in benchmarks.values()])
    return benchmarks


def _open_benchmark(name: str, section: Evaluation) -> Benchmark:
    benchmark, _, mode = name.partition(":")
    try:
        return open_benchmark(benchmark, find_mode(mode or "direct"), section.data, limit=section.limit)
    except InputError as error:
        raise InputError(f"evaluation.benchmarks, `{name}`: {error}") from None
