"""The second pass of a zero-shot chain of thought (Kojima et al. 2022): "Therefore, the answer (...) is".

The first pass is the usual file of mode `cot` with no exemplar, and is shared with an evaluation in one pass.
The second pass sends prompt, reasoning and the trigger that fits the answers of the task (`answer_form.py`),
greedily, and appends to a file of its own. Each of its lines has both texts, so it is scored by itself.
Reasoning that a model did not end (an unclosed thinking block) or that was never written (the prompt is too
long) is not asked about: the question is unanswered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openflan.errors import InputError
from openflan.evaluation.answer_form import AnswerForm, form_of_question, form_of_task
from openflan.evaluation.benchmark import Benchmark, Example
from openflan.evaluation.decoding import THINKING, Decoding
from openflan.evaluation.generate import Generated, thinking_fields
from openflan.evaluation.generations import Generation, checked_generations, whole_lines
from openflan.evaluation.plan import request_key
from openflan.evaluation.process_shares import (
    SINGLE_PROCESS,
    Processes,
    part_of_process,
    parts_of,
    put_together,
    share_of_process,
)
from openflan.hashes import SHORT, sha256_of
from openflan.inference.protocol import Completion, Finish, InferenceEngine, Request
from openflan.run_folder import Lines
from openflan.stopping import stoppable


@dataclass(frozen=True, slots=True)
class _Asked:
    """A chain of thought and the request for its answer; None where there is nothing to ask about."""

    first: Generation
    form: AnswerForm
    request: Request | None
    key: str


def check_second_pass(benchmark: Benchmark, decoding: Decoding) -> None:
    """Raises InputError if a benchmark cannot be answered in two passes with these options."""
    if not decoding.second_pass:
        return
    if benchmark.by_likelihood or decoding.likelihood:
        raise InputError(
            f"{benchmark.name}: `--extract second-pass` asks for the answer to a generated chain of thought, "
            "and this evaluation compares likelihoods: leave one out"
        )
    check_second_pass_options(benchmark.mode, benchmark.shots, benchmark.name)


def check_second_pass_options(mode: str, shots: int | None, name: str = "") -> None:
    """Raises InputError if a second pass cannot follow, in this mode or after so many exemplars (None: not
    known yet)."""
    named = f"{name}: " if name else ""
    if mode != "cot":
        raise InputError(
            f"{named}`--extract second-pass` asks for the answer to a chain of thought: add "
            "`--mode cot --shots 0`"
        )
    if shots:
        raise InputError(
            f"{named}`--extract second-pass` follows a chain of thought without exemplars, and {shots} are "
            "asked for: add `--shots 0`"
        )


def second_pass_prompt(prompt: str, reasoning: str, form: AnswerForm) -> str:
    """The prompt of the second pass: that of the first, what the model wrote, and the trigger."""
    blank = "" if reasoning[:1].isspace() or prompt[-1:].isspace() else " "
    return f"{prompt}{blank}{reasoning.rstrip()}\n{form.trigger}"


def answer_to(
    path: Path,
    first_path: Path,
    benchmark: Benchmark,
    engine: InferenceEngine,
    *,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    processes: Processes = SINGLE_PROCESS,
    tasks: Sequence[str] | None = None,
) -> Generated:
    """Append to `path` (.jsonl) the answers it lacks to the chains of thought in `first_path`: those to the
    first `limit` examples of each of `tasks`, None for all. Resumes, shares and raises as `generate_to`."""
    asked = _asked(first_path, benchmark, engine.fingerprint, limit, tasks)
    if processes.rank == 0:
        with Lines(path):
            whole_lines(path)
        if parts_of(path):
            put_together(path, benchmark)
    processes.barrier()
    stored = _stored(path, benchmark)
    processes.barrier()  # before anybody writes where others still read
    pending = []
    for position, item in enumerate(asked):
        question = (item.first.task, item.first.index, item.first.sample)
        if question not in stored:
            pending.append(position)
        elif stored[question] != item.key:
            raise InputError(
                f"{path} holds {item.first.task} {item.first.index} from another chain of thought, model or "
                "prompt: keep both with `--label NAME`, or start anew with `--restart`"
            )
    calls = share_of_process(pending, engine, 1, len(asked), processes)
    missing = set(pending)
    unanswered = {position for call in calls for position in call} & missing
    num_present, new, too_long, tokens = len(asked) - len(pending), len(unanswered), 0, 0
    if progress:
        progress(num_present, num_present + new)
    with stoppable("item") as stop_request, Lines(part_of_process(path, processes)) as file:
        for call in calls:
            for position, completion in _completions(engine, [(one, asked[one]) for one in call]):
                if position not in unanswered:
                    continue
                unanswered.discard(position)
                file.write(_line(benchmark, asked[position], completion))
                too_long += completion.finish == "too-long"
                tokens += completion.tokens
                if progress:
                    progress(num_present + new - len(unanswered), num_present + new)
                if stop_request and unanswered:
                    raise stop_request.ended(
                        f"after {new - len(unanswered):,} new answers, which are in {file.path}"
                    )
        file.sync()
    if unanswered:
        raise RuntimeError(f"the engine left {len(unanswered)} of {new} answers out")
    processes.barrier()
    if processes.rank == 0:
        put_together(path, benchmark)
    all_new, all_too_long, all_tokens = map(int, processes.all_reduce_sum([new, too_long, tokens]))
    return Generated(all_new, num_present, all_too_long, all_tokens)


def _asked(
    first_path: Path,
    benchmark: Benchmark,
    fingerprint: str,
    limit: int | None,
    tasks: Sequence[str] | None,
) -> list[_Asked]:
    """The chains of thought of the file, in its order, with the requests for their answers."""
    generations = [
        one for _, one in checked_generations(first_path, benchmark) if tasks is None or one.task in tasks
    ]
    examples: dict[tuple[str, int], Example] = {}
    forms: dict[str, AnswerForm] = {}
    counted: dict[str, set[int]] = {}
    for task in dict.fromkeys(one.task for one in generations):
        rows = benchmark.examples(task)
        forms[task] = form_of_task(row.target for row in rows)
        examples |= {(task, row.index): row for row in rows}
        counted[task] = {row.index for row in rows[:limit]}
    return [
        _asked_of(one, examples[one.task, one.index], forms[one.task], benchmark, fingerprint)
        for one in generations
        if one.index in counted[one.task]
    ]


def _asked_of(
    first: Generation, example: Example, task_form: AnswerForm, benchmark: Benchmark, fingerprint: str
) -> _Asked:
    form = form_of_question(task_form, example.prompt)
    request = None
    if first.finish != "too-long" and first.thinking_closed:
        prompt = second_pass_prompt(example.prompt, first.generation, form)
        stop = benchmark.tasks[first.task].stop
        request = Request(prompt, form.max_tokens, stop, thinking_tokens=THINKING * form.max_tokens)
    key = sha256_of(first.request) if request is None else request_key(fingerprint, request)
    return _Asked(first, form, request, key)


def _stored(path: Path, benchmark: Benchmark) -> Mapping[tuple[str, int, int], str]:
    """The keys of the answers in the file, by task, index and sample."""
    return {(one.task, one.index, one.sample): one.request for _, one in checked_generations(path, benchmark)}


def _completions(
    engine: InferenceEngine, items: Sequence[tuple[int, _Asked]]
) -> Iterator[tuple[int, Completion]]:
    """The answers to some chains of thought, each with its position."""
    for position, item in items:
        if item.request is None:
            # "too-long" stays what it is; thinking that did not end is said by its own field.
            finish: Finish = "too-long" if item.first.finish == "too-long" else "length"
            yield position, Completion("", 0, finish, thinking_closed=item.first.thinking_closed)
    sent = [(position, item.request) for position, item in items if item.request is not None]
    for index, completion in engine.generate([request for _, request in sent]):
        yield sent[index][0], completion


def _with_first_thinking(completion: Completion, first: Generation) -> Completion:
    """The completion of the second pass with the thinking of both."""
    if first.thinking is None:
        return completion
    blocks = [block for block in (first.thinking, completion.thinking) if block is not None]
    counts = [first.thinking_tokens, completion.thinking_tokens if completion.thinking is not None else 0]
    known = [count for count in counts if count is not None]
    return replace(
        completion,
        thinking="\n\n".join(blocks),
        thinking_closed=first.thinking_closed and completion.thinking_closed,
        thinking_tokens=sum(known) if len(known) == len(counts) else None,
    )


def _line(benchmark: Benchmark, item: _Asked, completion: Completion) -> str:
    first = item.first
    prompt_hash = {} if item.request is None else {"prompt_hash": sha256_of(item.request.prompt)[:SHORT]}
    fields = {
        "benchmark": benchmark.name,
        "mode": benchmark.mode,
        "task": first.task,
        "index": first.index,
        "sample": first.sample,
        "pass": 2,
        "first_pass": first.generation,
        "trigger": item.form.trigger,
        "answer_form": item.form.to_json(),
        "generation": completion.text,
        "target": first.target,
        "finish": completion.finish,
        "tokens": completion.tokens,
        "first_finish": first.finish,
        **thinking_fields(_with_first_thinking(completion, first)),
        "exemplars": first.exemplars,
        "exemplars_dropped": first.exemplars_dropped,
        "prompt_version": first.prompt_version,
        **prompt_hash,
        "request": item.key,
        **({"settings": {**first.settings, "extract": "second-pass"}} if first.settings is not None else {}),
        **({"cluster": first.cluster} if first.cluster is not None else {}),
        **({"rule": dict(first.rule)} if first.rule is not None else {}),
    }
    return json.dumps(fields, ensure_ascii=False)
