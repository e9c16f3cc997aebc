"""The first phase of an evaluation: generate into a file; `saved.py` scores it.

What is asked is planned before (`plan.py`). A line is appended as soon as a generation is done, on one
process or several (`process_shares.py`), so an evaluation can be killed at any time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.decoding import GREEDY, Decoding
from openflan.evaluation.generations import whole_lines
from openflan.evaluation.plan import PROMPT_DIGITS, Plan, missing_requests, no_likelihood, plan_generations
from openflan.evaluation.process_shares import (
    SINGLE_PROCESS,
    Processes,
    part_of_process,
    parts_of,
    put_together,
    share_of_process,
)
from openflan.hashes import sha256_of
from openflan.inference.protocol import (
    Completion,
    InferenceEngine,
    LikelihoodEngine,
    LikelihoodRequest,
    OptionScores,
    Request,
)
from openflan.run_folder import Lines
from openflan.stopping import stoppable

_DECIMALS = 6
"""Decimals of the log-probabilities in the file."""


@dataclass(frozen=True, slots=True)
class Generated:
    """Counts of one call: new lines, lines that were in the file before, new lines whose prompt did not fit
    the model, and generated tokens."""

    new: int
    found: int
    too_long: int
    tokens: int = 0


def generate_to(
    path: Path,
    benchmark: Benchmark,
    engine: InferenceEngine,
    *,
    limit: int | None = None,
    subset: Sequence[str] | None = None,
    max_tokens: int | None = None,
    thinking_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    decoding: Decoding = GREEDY,
    processes: Processes = SINGLE_PROCESS,
    plan: Plan | None = None,
) -> Generated:
    """Append to `path` (.jsonl) the generations it lacks, of the first `limit` examples of each task, or of
    those in `subset`. In the end its lines stand in the order of the requests.

    If the engine can tell that a prompt is too long, exemplars are left out, the last ones first. If the
    benchmark's own `max_tokens` fill the context, no question is answered. `max_tokens` are those of an
    answer, `thinking_tokens` those of a thinking block before it (None: four times as many).
    `progress(done, total)` is called at the start and after every generation of this process; `total` counts
    its share and the generations that existed before. If some samples of a question are missing, its whole
    chunk is generated again (`process_shares.py`); existing lines stay. `plan` is what `plan_generations`
    made of the same arguments, None to make it now. Every process of `processes` must call this, with the
    same arguments, and returns when all are done.

    Raises InputError if the file belongs to another benchmark, model, prompt or decoding, or if `max_tokens`
    leave no room for a prompt. It is also raised if likelihoods are required of a benchmark without options,
    or of an engine that computes none. Raises SetupError on a full disk. Raises Terminated after SIGTERM and
    Interrupted after Ctrl-C, once the current generation is in the file. Lines that were written stay in
    every case.
    """
    if plan is None:
        plan = plan_generations(
            path,
            benchmark,
            engine,
            limit=limit,
            subset=subset,
            max_tokens=max_tokens,
            thinking_tokens=thinking_tokens,
            decoding=decoding,
        )
    decoding, examples, questions = plan.decoding, plan.examples, plan.questions
    requested = list(plan.keys)
    if processes.rank == 0:
        with Lines(path):
            whole_lines(path)
        if parts_of(path):
            put_together(path, benchmark)
    processes.barrier()
    missing = missing_requests(path, plan)
    processes.barrier()  # before anybody writes where others still read
    pending = list(dict.fromkeys(position for position, sample in requested if (position, sample) in missing))
    calls = share_of_process(pending, engine, decoding.samples, len(examples), processes)
    num_present = len(requested) - len(missing)
    mine = {
        (position, sample) for call in calls for position in call for sample in range(decoding.samples)
    } & missing
    new, unanswered, too_long, tokens = len(mine), set(mine), 0, 0
    if progress:
        progress(num_present, num_present + new)
    with stoppable("item") as stop_request, Lines(part_of_process(path, processes)) as file:
        for call in calls:
            for index_in_call, answer in _answers(
                engine, benchmark, [questions[position] for position in call], decoding
            ):
                position = call[index_in_call]
                if (position, answer.sample) not in unanswered:
                    continue
                unanswered.discard((position, answer.sample))
                file.write(_line(plan, position, answer))
                too_long += answer.finish == "too-long"
                tokens += answer.tokens
                if progress:
                    progress(num_present + new - len(unanswered), num_present + new)
                if stop_request and unanswered:
                    raise stop_request.ended(
                        f"after {new - len(unanswered):,} new generations, which are in {file.path}"
                    )
        file.sync()
    if unanswered:
        raise RuntimeError(f"the engine left {len(unanswered)} of {new} generations out")
    processes.barrier()
    if processes.rank == 0:
        put_together(path, benchmark)
    all_new, all_too_long, all_tokens = map(int, processes.all_reduce_sum([new, too_long, tokens]))
    return Generated(all_new, num_present, all_too_long, all_tokens)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The content of a line: the text, how it ended, and further fields: the likelihoods of the options, or
    the thinking block."""

    text: str
    tokens: int
    finish: str
    sample: int
    scored: dict[str, object]


def _answers(
    engine: InferenceEngine,
    benchmark: Benchmark,
    questions: Sequence[Request | LikelihoodRequest],
    decoding: Decoding,
) -> Iterator[tuple[int, _Answer]]:
    if not decoding.likelihood:
        for index_in_call, generation in engine.generate(
            [question for question in questions if isinstance(question, Request)]
        ):
            fields = thinking_fields(generation)
            yield (
                index_in_call,
                _Answer(generation.text, generation.tokens, generation.finish, generation.sample, fields),
            )
        return
    if not isinstance(engine, LikelihoodEngine):
        raise no_likelihood(benchmark, decoding)
    requests = [question for question in questions if isinstance(question, LikelihoodRequest)]
    for index_in_call, scores in engine.loglikelihood(requests):
        if scores.too_long:
            yield index_in_call, _Answer("", 0, "too-long", 0, {})
        else:
            yield index_in_call, _chosen(requests[index_in_call].options, scores, decoding.likelihood)


def thinking_fields(completion: Completion) -> dict[str, object]:
    """The fields of a line for a thinking block; none without one."""
    if completion.thinking is None:
        return {}
    counted = {} if completion.thinking_tokens is None else {"thinking_tokens": completion.thinking_tokens}
    return {"thinking": completion.thinking, "thinking_closed": completion.thinking_closed, **counted}


def _chosen(
    options: Sequence[str], scores: OptionScores, likelihood: Literal["sum", "mean", "gold"]
) -> _Answer:
    """The likeliest option, the first of equals: by a whole text's probability (`sum`), or that of a token of
    it on average (`mean`). With `gold` the one text is the right answer, and the answer is empty."""
    values = [
        value / count if likelihood == "mean" else value
        for value, count in zip(scores.log_probabilities, scores.tokens, strict=True)
    ]
    best = max(range(len(values)), key=values.__getitem__)
    fields = {
        "options": list(options),
        "log_probabilities": [round(value, _DECIMALS) for value in scores.log_probabilities],
        "option_tokens": list(scores.tokens),
    }
    return _Answer(
        "" if likelihood == "gold" else options[best].strip(),
        sum(scores.tokens),
        "eos",
        0,
        {**fields, "likelihood": likelihood},
    )


def _line(plan: Plan, position: int, answer: _Answer) -> str:
    benchmark, example = plan.benchmark, plan.examples[position]
    fields = {
        "benchmark": benchmark.name,
        "mode": benchmark.mode,
        "task": example.task,
        "index": example.index,
        "sample": answer.sample,
        "generation": answer.text,
        "target": example.target,
        "finish": answer.finish,
        "tokens": answer.tokens,
        **answer.scored,
        "exemplars": example.exemplars,
        "exemplars_dropped": example.exemplars_dropped,
        **({"exemplar_split": example.exemplar_split} if example.exemplar_split else {}),
        "prompt_version": benchmark.prompt_version,
        "prompt_hash": sha256_of(example.prompt)[:PROMPT_DIGITS],
        "request": plan.keys[position, answer.sample],
        "settings": plan.settings[position],
        **({"cluster": example.cluster} if example.cluster is not None else {}),
        **({"rule": dict(benchmark.rules[example.task])} if example.task in benchmark.rules else {}),
    }
    return json.dumps(fields, ensure_ascii=False)
