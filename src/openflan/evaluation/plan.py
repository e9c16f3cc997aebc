"""What an evaluation will ask of a model, and what of it a file of generations holds already.

A plan is made before anything is answered, so that a suite finds what is wrong with its last benchmark before
it answers the first. What was generated is known by a key over weights, prompt, decoding and sample; a file
that holds a question under another key is refused, never mixed, and the error names what changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, Example
from openflan.evaluation.bits_per_byte import gold_text
from openflan.evaluation.changed_request import change_of, changed_settings, settings_of
from openflan.evaluation.decoding import GREEDY, THINKING, Decoding, decoding_for
from openflan.evaluation.fit_exemplars import ContextLimited, with_fitting_exemplars
from openflan.evaluation.generations import Generation, checked_generations
from openflan.hashes import sha256_of
from openflan.inference.protocol import InferenceEngine, LikelihoodEngine, LikelihoodRequest, Request

PROMPT_DIGITS = 16
"""Hexadecimal digits of the hash of a prompt in the file."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The questions of one benchmark as they will be sent, before any is answered.

    `examples` and `questions` stand in one order. `keys` are the keys of the requests by position in it and
    number of the sample, `settings` those of each question (`changed_request.py`).
    """

    benchmark: Benchmark
    decoding: Decoding
    examples: Sequence[Example]
    questions: Sequence[Request | LikelihoodRequest]
    keys: Mapping[tuple[int, int], str]
    settings: Sequence[Mapping[str, object]]


def plan_generations(
    path: Path,
    benchmark: Benchmark,
    engine: InferenceEngine,
    *,
    limit: int | None = None,
    subset: Sequence[str] | None = None,
    max_tokens: int | None = None,
    thinking_tokens: int | None = None,
    decoding: Decoding = GREEDY,
    anew: bool = False,
) -> Plan:
    """The questions that `generate_to` would send for the same arguments.

    Everything that it would refuse is refused here, so that of several benchmarks all are checked before the
    first is answered: raises InputError for a file that belongs to another benchmark, model, prompt or
    decoding (not with `anew`: what it holds will be removed), for `max_tokens` that leave no room for a
    prompt, and for likelihoods that the benchmark or the engine does not have.
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
    if decoding.likelihood and not isinstance(engine, LikelihoodEngine):
        raise no_likelihood(benchmark, decoding)
    room = max_tokens or benchmark.max_tokens
    examples = [
        with_fitting_exemplars(example, engine, room)
        for task in chosen_tasks(benchmark, subset)
        for example in benchmark.examples(task)[:limit]
    ]
    thinking_room = THINKING * room if thinking_tokens is None else thinking_tokens
    questions = [_question(benchmark, one, room, thinking_room, decoding) for one in examples]
    plan = Plan(
        benchmark,
        decoding,
        examples,
        questions,
        {
            (position, sample): request_key(engine.fingerprint, questions[position], sample)
            for position in range(len(examples))
            for sample in range(decoding.samples)
        },
        [settings_of(question, engine) for question in questions],
    )
    if path.is_file() and not anew:
        missing_requests(path, plan)
    return plan


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
    parts: list[object] = [fingerprint, request.prompt, decoding, sample]
    if isinstance(request, Request):
        if request.thinking_tokens not in (0, THINKING * request.max_tokens):
            decoding["thinking_tokens"] = request.thinking_tokens
        if request.conversation is not None:
            parts.append(request.conversation)
        if request.before:
            parts.append([turn.message() for turn in request.before])
    return sha256_of(json.dumps(parts))


def _question(
    benchmark: Benchmark, example: Example, room: int, thinking_room: int, decoding: Decoding
) -> Request | LikelihoodRequest:
    if not decoding.likelihood:
        how = {
            "samples": decoding.samples,
            "temperature": decoding.temperature,
            "top_k": decoding.top_k,
            "seed": decoding.seed,
            "thinking_tokens": thinking_room,
        }
        stop = benchmark.tasks[example.task].stop
        return Request(example.prompt, room, stop, conversation=example.conversation, **how)  # type: ignore[arg-type]
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


def no_likelihood(benchmark: Benchmark, decoding: Decoding) -> InputError:
    """The error of an engine that computes no likelihoods."""
    option = "--bits-per-byte" if decoding.likelihood == "gold" else "--likelihood"
    return InputError(
        f"{benchmark.name} cannot be scored by likelihood here: this engine only generates text; "
        + ("" if benchmark.by_likelihood else f"leave `{option}` out, or ")
        + "give local weights"
    )


def missing_requests(path: Path, plan: Plan) -> set[tuple[int, int]]:
    """Positions of examples and samples that the file does not hold yet. Raises InputError if the file is of
    other requests, and names what changed."""
    stored = _by_question(path, plan.benchmark)
    missing = set()
    for (position, sample), key in plan.keys.items():
        example = plan.examples[position]
        held = stored.pop((example.task, example.index, sample), None)
        if held is None:
            missing.add((position, sample))
        elif held.request != key:
            changed = change_of(held, plan.settings[position], sha256_of(example.prompt)[:PROMPT_DIGITS])
            raise _other_request(path, held, changed)
    # What is not asked now counts in the score of the file as well, so it must be of the same decoding.
    for held in stored.values():
        if held.settings is not None and (changes := changed_settings(held.settings, plan.settings[0])):
            raise _other_request(path, held, "; ".join(changes))
    return missing


def _other_request(path: Path, held: Generation, changed: str) -> InputError:
    return InputError(
        f"{path} holds {held.task} {held.index} from another request; what changed: {changed}. Keep both "
        "with `--label NAME`, or start anew with `--restart`"
    )


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
