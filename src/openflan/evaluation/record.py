"""Generations and scores of a model, kept in a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.decoding import GREEDY, Decoding, decoding_for
from openflan.evaluation.fit_exemplars import count_exemplars
from openflan.evaluation.generate import Generated, generate_to
from openflan.evaluation.generations import read_generations
from openflan.evaluation.plan import Plan
from openflan.evaluation.process_shares import SINGLE_PROCESS, Processes, parts_of
from openflan.evaluation.score_record import EvaluationScore, RecordedOptions, stored_scores
from openflan.evaluation.score_saved import score_file
from openflan.evaluation.second_pass import answer_to, check_second_pass
from openflan.evaluation.selected_on import is_selected_on
from openflan.inference.protocol import InferenceEngine
from openflan.lock import locked
from openflan.run_folder import Run, write_json


@runtime_checkable
class LocalEngine(Protocol):
    """An engine that computes here: the number format of its weights and the kind of device they lie on."""

    @property
    def dtype(self) -> str: ...

    @property
    def device(self) -> str: ...


def evaluate_into(
    run: Run,
    label: str,
    benchmark: Benchmark,
    engine: InferenceEngine,
    *,
    limit: int | None = None,
    subset: Sequence[str] | None = None,
    max_tokens: int | None = None,
    thinking_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    generated: Callable[[Generated], None] | None = None,
    decoding: Decoding = GREEDY,
    restart: bool = False,
    processes: Processes = SINGLE_PROCESS,
    context: int | None = None,
    chat: bool = False,
    plan: Plan | None = None,
    metric: str | None = None,
) -> EvaluationScore:
    """Generate the missing answers, score all answers, and write the score to `scores.json` in place of an
    earlier one with the same key.

    `label` names the model within the run (`base`, `final`, `step-N`). An evaluation of a part (`limit`,
    `subset`) is marked `partial`. Another split than the usual one has a folder of its own, another number of
    exemplars and another decoding a file of their own. `generated` is called with what was done. The score
    also says how many exemplars the prompts had, and what was asked for; `context` and `chat` are options of
    the engine and `metric` is one of the benchmark, which are recorded only. `plan` is what
    `plan_generations` made of the same arguments. `restart` removes what was generated before. With
    `decoding.second_pass` the chains of thought are in the file of the usual evaluation, and their answers in
    one of their own (`second_pass.py`). Every process of `processes` calls this and gets the score; the main
    one writes it.
    """
    decoding = decoding_for(benchmark, decoding)
    check_second_pass(benchmark, decoding)
    path = generations_path(run, label, benchmark, decoding)
    first_path = generations_path(run, label, benchmark, replace(decoding, second_pass=False))
    busy = f"{path}: another evaluation is at work there; wait for it, or name another folder with --run"
    with locked(run.locks / path.relative_to(run.folder), busy) if processes.rank == 0 else nullcontext():
        if restart and processes.rank == 0:
            for file in {path, first_path, *parts_of(path), *parts_of(first_path)}:
                file.unlink(missing_ok=True)
        done = generate_to(
            first_path,
            benchmark,
            engine,
            limit=limit,
            subset=subset,
            max_tokens=max_tokens,
            thinking_tokens=thinking_tokens,
            progress=progress,
            decoding=decoding,
            processes=processes,
            plan=plan,
        )
        if decoding.second_pass:
            if generated:
                generated(done)
            done = answer_to(
                path,
                first_path,
                benchmark,
                engine,
                limit=limit,
                tasks=subset if plan is None else list(dict.fromkeys(one.task for one in plan.examples)),
                progress=progress,
                processes=processes,
            )
    if generated:
        generated(done)
    score = score_file(path, benchmark, partial=True, model=label, decoding=decoding)
    if benchmark.shots is not None:
        score = replace(score, key=replace(score.key, shots=benchmark.shots))
    from_dev = count_exemplars(one for _, one in read_generations(path)).from_dev
    # The file may hold more than this call asked for, from an earlier one, and the score is that of the file.
    sizes = {name: task.n for name, task in (score.tasks or (score.gold.tasks if score.gold else {})).items()}
    part = None if len(sizes) == len(benchmark.tasks) else tuple(sizes)
    largest_task = max(sizes.values(), default=0)
    local = engine if isinstance(engine, LocalEngine) else None
    options = RecordedOptions(
        benchmark=benchmark.requested_name or None,
        limit=None if limit is None else max(limit, largest_task),
        subset=part,
        max_tokens=max_tokens,
        thinking_tokens=thinking_tokens,
        context=context,
        metric=metric,
        wordings="all" if benchmark.wordings else None,
        chat=chat,
        dtype=local.dtype if local else None,
        device=local.device if local else None,
    )
    score = replace(
        score,
        options=options,
        exemplar_from_dev=from_dev or score.exemplar_from_dev,
        selected_on=is_selected_on(run, score.key),
    )
    if processes.rank:
        return score
    # Evaluations of other benchmarks may end at the same moment.
    with locked(run.locks / run.scores.name):
        other_scores = [stored for stored, other in stored_scores(run.scores) if other.key != score.key]
        write_json(run.scores, {"scores": [*other_scores, score.to_json()]})
    return score


def generations_path(run: Run, label: str, benchmark: Benchmark, decoding: Decoding = GREEDY) -> Path:
    """The file of a model's generations for a benchmark."""
    return (
        run.generations
        / benchmark.split
        / f"{label}-{benchmark.name}-{benchmark.mode}{benchmark.shots_variant}{decoding.variant}.jsonl"
    )
