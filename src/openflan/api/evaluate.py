"""Evaluates a model on benchmarks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from openflan.api.load_model import LoadedModel, folder_name, locate, open_located
from openflan.api.options import EvaluateOptions, LoadOptions
from openflan.api.own_rows import base_options, is_of_own_rows, open_own_rows
from openflan.api.processes import request_sharing
from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.decoding import Decoding, decoding_for
from openflan.evaluation.decoding_options import decoding_from_options
from openflan.evaluation.embedded_benchmarks import data_of_benchmarks
from openflan.evaluation.generate import Generated
from openflan.evaluation.plan import Plan, plan_generations
from openflan.evaluation.process_shares import Processes
from openflan.evaluation.score_record import EvaluationScore, labelled
from openflan.evaluation.second_pass import check_second_pass, check_second_pass_options
from openflan.evaluation.selection import check_prompts, chosen_benchmarks, fetch_files, subset_of
from openflan.evaluation.training_tasks import warn_of_training_tasks
from openflan.inference.http import is_address
from openflan.mixture.embedded_seeds import warn_of_other_data
from openflan.models.device import choose_device
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


def _unheard(text: str) -> None:
    """Takes a line that nobody reads."""


def evaluate_all(
    model: str | Path | LoadedModel,
    benchmarks: str | Sequence[str],
    options: EvaluateOptions,
    *,
    progress: Progress | None = None,
    generated: Callable[[Generated], None] | None = None,
    notice: Callable[[str], None] = _unheard,
    sharing: Processes | None = None,
) -> Evaluation:
    """Evaluates like `evaluate`, and also returns the run folder and the benchmarks. `generated` is called
    after each benchmark with the counts of its generations, `notice` with lines about the user's own rows.
    `sharing` are the processes that share the evaluation, those of `torchrun` if it is None. Raises what
    `evaluate` raises."""
    names = [benchmarks] if isinstance(benchmarks, str) else list(benchmarks)
    data = None if options.data is None else Path(options.data)
    # Contradictions between options are found before any file is read.
    if _decoding(options).second_pass and options.suite is None:
        check_second_pass_options(options.mode, options.shots)
    if options.fetch and data is not None:
        raise InputError("`--fetch` excludes `--data`, which names files that you already have")
    if isinstance(model, LoadedModel) and options.load not in (LoadOptions(), model.options):
        raise InputError(
            "the model is already loaded: give `load` to `load_model` instead of EvaluateOptions"
        )
    if options.load.device is not None and not isinstance(model, LoadedModel) and not is_address(str(model)):
        choose_device(options.load.device)
    with nullcontext(sharing) if sharing else request_sharing() as processes:
        if options.fetch and processes.rank == 0:
            fetch_files(names, options.suite)
        processes.barrier()
        name = model.name if isinstance(model, LoadedModel) else str(model)
        located = model.located if isinstance(model, LoadedModel) else locate(name, options.load)
        chosen = _chosen(names, options, located, notice if processes.rank == 0 else _unheard)
        if processes.rank == 0:
            known = located.run.folder if located.run else located.name
            warn_of_other_data(known, data_of_benchmarks(names, data))
            if located.run and located.label not in ("base", "random-init"):
                warn_of_training_tasks(located.run, [benchmark.name for benchmark, _ in chosen])
        for benchmark, _ in chosen:
            check_second_pass(benchmark, _decoding(options))
        # Every prompt is rendered before the model is loaded, which may take minutes.
        check_prompts(chosen)
        quiet_libraries()
        loaded = model if isinstance(model, LoadedModel) else open_located(name, located, options.load)
        if processes.rank == 0:
            _warn_of_unused_template(loaded)
        run = _run_of(name, located, options)
        label = labelled(located.label, options.label)
        plans = [_planned(run, label, loaded, benchmark, tasks, options) for benchmark, tasks in chosen]
        scores = [
            _evaluate_planned(run, label, loaded, plan, options, processes, progress, generated)
            for plan in plans
        ]
        is_main = processes.rank == 0
    return Evaluation(scores, run, label, tuple(benchmark for benchmark, _ in chosen), is_main)


def evaluate_with_base(
    model: str | Path,
    options: EvaluateOptions,
    *,
    progress: Progress | None = None,
    generated: Callable[[Generated], None] | None = None,
    notice: Callable[[str], None] = _unheard,
) -> tuple[Evaluation | None, Evaluation]:
    """Evaluates a model on the user's own rows, `options.data`, and before it the base that it started from:
    the two evaluations, the base's None where there is none to compare with (the model is no run, is the base
    itself, or started from random weights).

    The base gets the same prompts in the same layout. `notice` is called with lines for the user. The other
    arguments, and what is raised, are those of `evaluate_all`.
    """
    base = base_options(locate(str(model), options.load), options.load)
    with request_sharing() as processes:
        before = (
            evaluate_all(
                model,
                (),
                replace(options, load=base),
                progress=progress,
                generated=generated,
                notice=notice,
                sharing=processes,
            )
            if base
            else None
        )
        after = evaluate_all(
            model,
            (),
            options,
            progress=progress,
            generated=generated,
            notice=_unheard if before else notice,
            sharing=processes,
        )
    return before, after


def _chosen(
    names: Sequence[str], options: EvaluateOptions, located: Located, notice: Callable[[str], None]
) -> list[tuple[Benchmark, list[str] | None]]:
    """The benchmarks to evaluate, each with its tasks, None for all; without a name the rows of
    `options.data`."""
    if is_of_own_rows(names, options):
        rows = open_own_rows(located.run, options)
        for line in rows.lines:
            notice(line)
        return subset_of([rows.benchmark], options.subset)
    if options.format is not None or options.columns is not None:
        raise InputError(
            "`--format` and `--map` say how your own rows are read (`--data` alone): leave out "
            "`--benchmark` and `--suite`, or these"
        )
    return subset_of(
        chosen_benchmarks(
            names,
            options.suite,
            options.mode,
            None if options.data is None else Path(options.data),
            shots=options.shots,
            split=options.split,
            limit=options.limit,
            metric=options.metric,
            all_wordings=options.wordings == "all",
        ),
        options.subset,
    )


def _planned(
    run: Run,
    label: str,
    model: LoadedModel,
    benchmark: Benchmark,
    tasks: Sequence[str] | None,
    options: EvaluateOptions,
) -> Plan:
    """All questions of one benchmark, checked against what its file holds; `tasks` are the ones to evaluate,
    None for all."""
    from openflan.evaluation.record import generations_path

    decoding = decoding_for(benchmark, _decoding(options))
    # The questions are those of the first pass; a second one asks about their answers.
    return plan_generations(
        generations_path(run, label, benchmark, replace(decoding, second_pass=False)),
        benchmark,
        model.engine,
        limit=options.limit,
        subset=tasks,
        max_tokens=options.max_tokens,
        thinking_tokens=options.thinking_tokens,
        decoding=decoding,
        anew=options.restart,
    )


def _evaluate_planned(
    run: Run,
    label: str,
    model: LoadedModel,
    plan: Plan,
    options: EvaluateOptions,
    processes: Processes,
    progress: Progress | None,
    generated: Callable[[Generated], None] | None,
) -> EvaluationScore:
    """The score of one benchmark."""
    from openflan.evaluation.record import evaluate_into

    benchmark = plan.benchmark
    title = f"{benchmark.name} {benchmark.mode}"

    def show(done: int, total: int) -> None:
        if progress is not None:
            progress(title, done, total)

    return evaluate_into(
        run,
        label,
        benchmark,
        model.engine,
        limit=options.limit,
        max_tokens=options.max_tokens,
        thinking_tokens=options.thinking_tokens,
        progress=show,
        generated=generated,
        decoding=plan.decoding,
        restart=options.restart,
        processes=processes,
        context=model.options.context,
        chat=bool(model.options.chat),
        plan=plan,
        metric=options.metric,
    )


def _warn_of_unused_template(model: LoadedModel) -> None:
    """Warns where a model that openflan did not finetune has a chat template and its prompts stay plain."""
    if model.has_unused_template:
        warnings.warn(
            f"{model.name} has a chat template, which is left aside: published protocols are plain; `--chat` "
            "puts each prompt into it",
            stacklevel=2,
        )


def _decoding(options: EvaluateOptions) -> Decoding:
    return decoding_from_options(
        options.samples,
        options.temperature,
        options.top_k,
        options.seed,
        likelihood=options.likelihood,
        normalized=options.normalized,
        extract=options.extract,
        bits_per_byte=options.bits_per_byte,
    )


def _run_of(model: str, located: Located, options: EvaluateOptions) -> Run:
    """The run folder for generations and scores."""
    if options.run is not None:
        return Run(Path(options.run))
    return located.run or Run(Path("runs") / folder_name(model, options.load.model_name))
