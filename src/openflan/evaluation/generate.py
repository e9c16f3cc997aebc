"""The first phase of an evaluation: generate into a file; `saved.py` scores it.

It appends a line as soon as a generation is done, on one process or several (`shares.py`), so it can be
killed at any time. What was generated is known by a key over weights, prompt, decoding and sample; a file
that holds a question under another key is refused, never mixed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, Example
from openflan.evaluation.bits_per_byte import gold_text
from openflan.evaluation.decoding import GREEDY, Decoding, decoding_for
from openflan.evaluation.fit_exemplars import ContextLimited, with_fitting_exemplars
from openflan.evaluation.generations import Generation, checked_generations, whole_lines
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
    InferenceEngine,
    LikelihoodEngine,
    LikelihoodRequest,
    OptionScores,
    Request,
)
from openflan.run_folder import Lines
from openflan.stopping import stoppable

_HASH_DIGITS = 16

_OPTIONS = {"sum": "--likelihood", "mean": "--likelihood", "gold": "--bits-per-byte"}
"""The option of the command by likelihood."""


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
    progress: Callable[[int, int], None] | None = None,
    decoding: Decoding = GREEDY,
    processes: Processes = SINGLE_PROCESS,
) -> Generated:
    """Append to `path` (.jsonl) the generations it lacks, of the first `limit` examples of each task, or of
    those in `subset`. In the end its lines stand in the order of the requests.

    If the engine can tell that a prompt is too long, exemplars are left out, the last ones first. If the
    benchmark's own `max_tokens` fill the context, no question is answered. `progress(done, total)` is called
    at the start and after every generation of this process; `total` counts its share and the generations that
    existed before. If some samples of a question are missing, its whole chunk is generated again
    (`process_shares.py`); existing lines stay. Every process of `processes` must call this, with the same
    arguments, and returns when all are done.

    Raises InputError if the file belongs to another benchmark, model, prompt or decoding, or if `max_tokens`
    leave no room for a prompt. It is also raised if likelihoods are required of a benchmark without options,
    or of an engine that computes none. Raises SetupError on a full disk. Raises Terminated after SIGTERM and
    Interrupted after Ctrl-C, once the current generation is in the file. Lines that were written stay in
    every case.
    """
    if path.suffix == ".gz":
        raise InputError(
            f"{path}: generations are appended to plain .jsonl; compress the file when it is finished"
        )
    if limit is not None and limit < 1:
        raise InputError(f"`--limit {limit}` leaves nothing to evaluate: expected at least 1")
    if max_tokens is not None and isinstance(engine, ContextLimited) and not engine.fits("?", max_tokens):
        raise InputError(
            f"{max_tokens} tokens to generate leave no room for a prompt in this model's context: lower "
            "`--max-tokens`"
        )
    decoding = decoding_for(benchmark, decoding)
    room = max_tokens or benchmark.max_tokens
    examples = [
        with_fitting_exemplars(example, engine, room)
        for task in chosen_tasks(benchmark, subset)
        for example in benchmark.examples(task)[:limit]
    ]
    questions = [_question(benchmark, one, room, decoding) for one in examples]
    requested = [
        (position, sample) for position in range(len(examples)) for sample in range(decoding.samples)
    ]
    keys = {
        (position, sample): request_key(engine.fingerprint, questions[position], sample)
        for position, sample in requested
    }
    if processes.rank == 0:
        with Lines(path):
            whole_lines(path)
        if parts_of(path):
            put_together(path, benchmark)
    processes.barrier()
    missing = _missing(path, benchmark, examples, keys)
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
                file.write(_line(benchmark, examples[position], answer, keys[position, answer.sample]))
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


def chosen_tasks(benchmark: Benchmark, subset: Sequence[str] | None) -> list[str]:
    """The tasks of `subset` in the benchmark's order, all without one; InputError for an unknown name."""
    if subset is None:
        return list(benchmark.tasks)
    for name in subset:
        benchmark.task(name)
    if not subset:
        raise InputError(
            f"an empty subset leaves nothing of {benchmark.name} to evaluate: name one of its tasks"
        )
    return [name for name in benchmark.tasks if name in subset]


def request_key(fingerprint: str, request: Request | LikelihoodRequest, sample: int = 0) -> str:
    """The key of a generation, 64 hexadecimal digits. It changes with the weights, the prompt, the decoding
    and the number of the sample."""
    decoding: dict[str, object]
    if isinstance(request, LikelihoodRequest):
        decoding = {"likelihood": request.options}
    elif request.temperature == 0:
        decoding = {"greedy": True, "max_tokens": request.max_tokens, "stop": request.stop}
    else:
        drawn = {"temperature": request.temperature, "top_k": request.top_k, "seed": request.seed}
        decoding = {"greedy": False, "max_tokens": request.max_tokens, "stop": request.stop, **drawn}
    return sha256_of(json.dumps([fingerprint, request.prompt, decoding, sample]))


def _question(
    benchmark: Benchmark, example: Example, room: int, decoding: Decoding
) -> Request | LikelihoodRequest:
    if not decoding.likelihood:
        how = {
            "samples": decoding.samples,
            "temperature": decoding.temperature,
            "top_k": decoding.top_k,
            "seed": decoding.seed,
        }
        stop = benchmark.tasks[example.task].stop
        return Request(example.prompt, room, stop, **how)  # type: ignore[arg-type]
    if decoding.likelihood == "gold":
        return LikelihoodRequest(example.prompt, (gold_text(example.prompt, example.target),))
    if not example.options:
        raise InputError(
            f"{example.task} {example.index} of {benchmark.name} {benchmark.mode} has no options to "
            "choose among: leave `--likelihood` out, "
            "or choose tasks that have them with `--subset` (all of mmlu; of microflan those ending in "
            "-mc), in `--mode direct`"
        )
    return LikelihoodRequest(example.prompt, example.options)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The content of a line: the text, how it ended, and the likelihoods of the options."""

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
            yield (
                index_in_call,
                _Answer(generation.text, generation.tokens, generation.finish, generation.sample, {}),
            )
        return
    if not isinstance(engine, LikelihoodEngine):
        raise InputError(
            f"{benchmark.name} cannot be scored by likelihood here: this engine only generates text; "
            + ("" if benchmark.by_likelihood else f"leave `{_OPTIONS[decoding.likelihood]}` out, or ")
            + "give local weights"
        )
    requests = [question for question in questions if isinstance(question, LikelihoodRequest)]
    for index_in_call, scores in engine.loglikelihood(requests):
        if scores.too_long:
            yield index_in_call, _Answer("", 0, "too-long", 0, {})
        else:
            yield index_in_call, _chosen(requests[index_in_call].options, scores, decoding.likelihood)


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


def _missing(
    path: Path, benchmark: Benchmark, examples: Sequence[Example], keys: Mapping[tuple[int, int], str]
) -> set[tuple[int, int]]:
    """Positions of examples and samples that the file does not hold yet."""
    stored = {question: generation.request for question, generation in _by_question(path, benchmark).items()}
    missing = set()
    for (position, sample), key in keys.items():
        example = examples[position]
        held = stored.get((example.task, example.index, sample))
        if held is None:
            missing.add((position, sample))
        elif held != key:
            raise InputError(
                f"{path} holds {example.task} {example.index} from another model, prompt or decoding: "
                "use another file, or start anew with `--restart`"
            )
    return missing


def _by_question(
    source: Path | Iterable[str], benchmark: Benchmark
) -> dict[tuple[str, int, int], Generation]:
    """Generations by (task, index, sample), each checked to be one of this benchmark's and the only one."""
    by_question: dict[tuple[str, int, int], Generation] = {}
    for position, generation in checked_generations(source, benchmark):
        if (generation.task, generation.index, generation.sample) in by_question:
            which = f" sample {generation.sample}" if generation.sample else ""
            raise InputError(
                f"{position}: {generation.task} {generation.index}{which} is there twice: "
                "keep one of the lines"
            )
        by_question[generation.task, generation.index, generation.sample] = generation
    return by_question


def _line(benchmark: Benchmark, example: Example, answer: _Answer, key: str) -> str:
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
        "prompt_hash": sha256_of(example.prompt)[:_HASH_DIGITS],
        "request": key,
        **({"cluster": example.cluster} if example.cluster is not None else {}),
        **({"rule": dict(benchmark.rules[example.task])} if example.task in benchmark.rules else {}),
    }
    return json.dumps(fields, ensure_ascii=False)
