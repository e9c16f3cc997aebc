"""The first phase of an evaluation: generate into a file; `saved.py` scores it.

It appends a line as soon as a generation is done and skips what is there, so it can be killed at any time. What was generated is known
by a key over weights, prompt, decoding and sample; a file that holds a question under another key is refused, never mixed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, Example
from openflan.evaluation.generations import Generation, checked_generations, whole_lines
from openflan.evaluation.shots import fitted
from openflan.inference.protocol import Completion, Engine, Request

_HASH_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Generated:
    """What a call did: new lines, lines found in the file, new ones whose prompt did not fit the model, and the tokens generated."""

    new: int
    found: int
    too_long: int
    tokens: int = 0


def generate_to(
    path: Path,
    benchmark: Benchmark,
    engine: Engine,
    *,
    limit: int | None = None,
    subset: Sequence[str] | None = None,
    max_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Generated:
    """Append to `path` (.jsonl) the generations it lacks: the first `limit` examples of each task, or of those in `subset`.

    Where the engine can tell that a prompt is too long, exemplars are left out, the last ones first. `progress(done, total)` is called at the start and
    after every generation. Raises InputError if the file belongs to another benchmark, model, prompt or decoding.
    """
    if path.suffix == ".gz":
        raise InputError(f"{path}: generations are appended to plain .jsonl; compress the file when it is finished")
    if limit is not None and limit < 1:
        raise InputError(f"`--limit {limit}` leaves nothing to evaluate: expected at least 1")
    room = max_tokens or benchmark.max_tokens
    examples = [fitted(example, engine, room) for task in chosen_tasks(benchmark, subset) for example in benchmark.examples(task)[:limit]]
    requests = [Request(one.prompt, room, benchmark.tasks[one.task].stop) for one in examples]
    keys = [request_key(engine.fingerprint, request) for request in requests]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    whole_lines(path)
    pending = _missing(path, benchmark, examples, keys)
    done = len(examples) - len(pending)
    if progress:
        progress(done, len(examples))
    too_long = tokens = 0
    with path.open("a", encoding="utf-8", newline="\n") as file:
        for place, completion in engine.generate([requests[position] for position in pending]):
            position = pending[place]
            file.write(_line(benchmark, examples[position], completion, keys[position]))
            file.flush()
            too_long += completion.finish == "too-long"
            tokens += completion.tokens
            done += 1
            if progress:
                progress(done, len(examples))
    if done != len(examples):
        raise RuntimeError(f"the engine answered {done - len(examples) + len(pending)} of {len(pending)} requests")
    return Generated(len(pending), len(examples) - len(pending), too_long, tokens)


def chosen_tasks(benchmark: Benchmark, subset: Sequence[str] | None) -> list[str]:
    """The tasks of `subset` in the benchmark's order, all without one; InputError for an unknown name."""
    if subset is None:
        return list(benchmark.tasks)
    for name in subset:
        benchmark.task(name)
    if not subset:
        raise InputError(f"an empty subset leaves nothing of {benchmark.name} to evaluate: name one of its tasks")
    return [name for name in benchmark.tasks if name in subset]


def request_key(fingerprint: str, request: Request, sample: int = 0) -> str:
    """What a generation depends on, as 64 hexadecimal digits: weights, prompt, decoding, and which sample it is."""
    decoding = {"greedy": True, "max_tokens": request.max_tokens, "stop": request.stop}
    return hashlib.sha256(json.dumps([fingerprint, request.prompt, decoding, sample]).encode()).hexdigest()


def _missing(path: Path, benchmark: Benchmark, examples: Sequence[Example], keys: Sequence[str]) -> list[int]:
    """Positions of examples that the file does not hold yet."""
    there = {question: generation.request for question, generation in _by_question(path, benchmark).items()}
    for example, key in zip(examples, keys, strict=True):
        if there.get((example.task, example.index), key) != key:
            raise InputError(
                f"{path} holds {example.task} {example.index} from another model, prompt or decoding: use another file, or start anew with `--restart`"
            )
    return [position for position, example in enumerate(examples) if (example.task, example.index) not in there]


def _by_question(source: Path | Iterable[str], benchmark: Benchmark) -> dict[tuple[str, int], Generation]:
    """Generations by (task, index), each checked to be one of this benchmark's and the only one."""
    found: dict[tuple[str, int], Generation] = {}
    for place, one in checked_generations(source, benchmark):
        if one.sample != 0:
            raise InputError(f"{place}: sample {one.sample} of {one.task} {one.index}; only one sample (0) of each question is scored")
        if (one.task, one.index) in found:
            raise InputError(f"{place}: {one.task} {one.index} is there twice: keep one of the lines")
        found[one.task, one.index] = one
    return found


def _line(benchmark: Benchmark, example: Example, completion: Completion, key: str) -> str:
    fields = {
        "benchmark": benchmark.name,
        "mode": benchmark.mode,
        "task": example.task,
        "index": example.index,
        "sample": 0,
        "generation": completion.text,
        "target": example.target,
        "finish": completion.finish,
        "tokens": completion.tokens,
        "exemplars": example.exemplars,
        "exemplars_dropped": example.exemplars_dropped,
        **({"exemplar_split": example.exemplar_split} if example.exemplar_split else {}),
        "prompt_version": benchmark.prompt_version,
        "prompt_hash": hashlib.sha256(example.prompt.encode()).hexdigest()[:_HASH_DIGITS],
        "request": key,
        **({"cluster": example.cluster} if example.cluster is not None else {}),
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"
