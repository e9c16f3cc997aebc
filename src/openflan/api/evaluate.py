"""Evaluates a model on benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from openflan.api.load_model import LoadedModel, folder_name, locate, open_located
from openflan.api.options import EvaluateOptions, LoadOptions
from openflan.api.processes import request_sharing
from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.decoding import Decoding
from openflan.evaluation.decoding_options import decoding_from_options
from openflan.evaluation.embedded_benchmarks import data_of_benchmarks
from openflan.evaluation.generate import Generated
from openflan.evaluation.process_shares import Processes
from openflan.evaluation.score_record import EvaluationScore
from openflan.evaluation.selection import check_prompts, chosen_benchmarks, fetch_files, subset_of
from openflan.evaluation.training_tasks import warn_of_training_tasks
from openflan.mixture.embedded_seeds import warn_of_other_data
from openflan.models.locate import Located
from openflan.models.quiet import quiet_libraries
from openflan.run_folder import Run

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the name and mode of a benchmark, the requests that are done, and their number."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A finished evaluation: the scores, in the order of `benchmarks`, and the folder that holds them.

    `label` is the model's name in that folder (`base`, `final`, `step-N`). `is_main` is true on the process
    that wrote the scores.
    """

    scores: list[EvaluationScore]
    run: Run
    label: str
    benchmarks: tuple[Benchmark, ...]
    is_main: bool


def evaluate(
    model: str | Path | LoadedModel,
    benchmarks: str | Sequence[str] = (),
    options: EvaluateOptions | None = None,
    *,
    progress: Progress | None = None,
) -> list[EvaluationScore]:
    """Evaluates a model on benchmarks; one score for each benchmark.

    `model` is a model of `load_model`, or any argument that `load_model` takes. `benchmarks` are names
    (`mmlu`, `bbh`, `tydiqa`, `mgsm`, `gsm8k`, `microflan`), tasks of `options.data` (`niv2/NAME`, `mine/*`),
    or YAML files of your own. Generations and `scores.json` go into a run folder (`options.run`). The same
    call again generates only what is missing there. `progress` is called after each request with the
    benchmark's name and mode, the requests that are done, and their number.

    Raises InputError for an unknown benchmark, missing or damaged files, a model that does not exist, and
    options that contradict each other; SetupError if files cannot be fetched or written.
    """
    return evaluate_all(model, benchmarks, options or EvaluateOptions(), progress=progress).scores


def evaluate_all(
    model: str | Path | LoadedModel,
    benchmarks: str | Sequence[str],
    options: EvaluateOptions,
    *,
    progress: Progress | None = None,
    generated: Callable[[Generated], None] | None = None,
) -> Evaluation:
    """Evaluates like `evaluate`, and also returns the run folder and the benchmarks. `generated` is called
    after each benchmark with the counts of its generations. Raises what `evaluate` raises."""
    names = [benchmarks] if isinstance(benchmarks, str) else list(benchmarks)
    data = None if options.data is None else Path(options.data)
    # Contradictions between options are found before any file is read.
    _decoding(options)
    if options.fetch and data is not None:
        raise InputError("`--fetch` excludes `--data`, which names files that you already have")
    if isinstance(model, LoadedModel) and options.load not in (LoadOptions(), model.options):
        raise InputError(
            "the model is already loaded: give `load` to `load_model` instead of EvaluateOptions"
        )
    with request_sharing() as processes:
        if options.fetch and processes.rank == 0:
            fetch_files(names, options.suite)
        processes.barrier()
        chosen = subset_of(
            chosen_benchmarks(
                names,
                options.suite,
                options.mode,
                data,
                shots=options.shots,
                split=options.split,
                limit=options.limit,
                metric=options.metric,
                all_wordings=options.wordings == "all",
            ),
            options.subset,
        )
        name = model.name if isinstance(model, LoadedModel) else str(model)
        located = model.located if isinstance(model, LoadedModel) else locate(name, options.load)
        if processes.rank == 0:
            known = located.run.folder if located.run else located.name
            warn_of_other_data(known, data_of_benchmarks(names, data))
            if located.run and located.label not in ("base", "random-init"):
                warn_of_training_tasks(located.run, [benchmark.name for benchmark, _ in chosen])
        # Every prompt is rendered before the model is loaded, which may take minutes.
        check_prompts(chosen)
        quiet_libraries()
        loaded = model if isinstance(model, LoadedModel) else open_located(name, located, options.load)
        run = _run_of(name, located, options)
        scores = [
            _evaluate_benchmark(run, loaded, benchmark, tasks, options, processes, progress, generated)
            for benchmark, tasks in chosen
        ]
        is_main = processes.rank == 0
    return Evaluation(scores, run, located.label, tuple(benchmark for benchmark, _ in chosen), is_main)


def _evaluate_benchmark(
    run: Run,
    model: LoadedModel,
    benchmark: Benchmark,
    tasks: Sequence[str] | None,
    options: EvaluateOptions,
    processes: Processes,
    progress: Progress | None,
    generated: Callable[[Generated], None] | None,
) -> EvaluationScore:
    """The score of one benchmark; `tasks` are the ones to evaluate, None for all."""
    from openflan.evaluation.record import evaluate_into

    title = f"{benchmark.name} {benchmark.mode}"

    def show(done: int, total: int) -> None:
        if progress is not None:
            progress(title, done, total)

    return evaluate_into(
        run,
        model.located.label,
        benchmark,
        model.engine,
        limit=options.limit,
        subset=tasks,
        max_tokens=options.max_tokens,
        progress=show,
        generated=generated,
        decoding=_decoding(options),
        restart=options.restart,
        processes=processes,
        context=model.options.context,
        chat=model.options.chat,
        metric=options.metric,
    )


def _decoding(options: EvaluateOptions) -> Decoding:
    return decoding_from_options(
        options.samples,
        options.temperature,
        options.top_k,
        options.seed,
        likelihood=options.likelihood,
        normalized=options.normalized,
        bits_per_byte=options.bits_per_byte,
    )


def _run_of(model: str, located: Located, options: EvaluateOptions) -> Run:
    """The run folder for generations and scores."""
    if options.run is not None:
        return Run(Path(options.run))
    return located.run or Run(Path("runs") / folder_name(model, options.load.model_name))
