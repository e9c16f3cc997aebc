"""The file between the two phases: one JSON line a generation, appended, readable by anybody.

A line needs `task`, `index`, `generation` and `target`; `sample` defaults to 0, and lines that differ in it
alone are samples of one question. Files of other programs are read as well, plain or gzipped. A last line
without its line end is what a killed run leaves behind: it is dropped when the run resumes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from openflan.errors import InputError
from openflan.evaluation.answer_form import AnswerForm, form_of_json
from openflan.evaluation.benchmark import Benchmark, OptionLikelihoods, Target
from openflan.inference.thinking import Split, split_thinking
from openflan.json_files import byte_lines, parse_json
from openflan.run_folder import unwritten

_MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Generation:
    """One line of a file of generations.

    `finish` says why the generation ended (`eos` if the line does not say). `request` is its key, empty in
    files of other programs. `cluster` names what the question shares with others (a passage). `exemplars` is
    the number in the prompt, None if unknown; `exemplars_dropped` counts those left out because the prompt
    was too long; `exemplar_split` is their split. `prompt_hash` is the start of the sha256 of the prompt.

    `settings` are those of the request (`changed_request.py`), None in files of version 0.1 and of other
    programs. `likelihood` says by which likelihood an option was chosen, None if the answer was generated;
    `gold` is the likelihood of the right answer, with no answer given;
    `option_likelihoods` are those of all options. `rule` says how the answer is judged, for benchmarks that
    are not known by name (`rules.py`).

    `generation` is without the thinking block, which is `thinking` (None without one); if the block is not
    closed, `generation` is empty. `thinking_tokens` is its length, None if unknown. `first_pass` is the
    chain of thought to which `generation` is the answer, and `answer_form` the form that was asked for;
    `pass_number` is 1 or 2 in files that have a line for each pass.
    """

    task: str
    index: int
    generation: str
    target: Target
    sample: int = 0
    finish: str = "eos"
    request: str = ""
    benchmark: str | None = None
    mode: str | None = None
    prompt_version: str | None = None
    cluster: str | None = None
    exemplars: int | None = None
    exemplars_dropped: int = 0
    exemplar_split: str | None = None
    prompt_hash: str | None = None
    likelihood: Literal["sum", "mean", "gold"] | None = None
    rule: Mapping[str, Any] | None = None
    option_likelihoods: OptionLikelihoods | None = None
    settings: Mapping[str, Any] | None = None
    thinking: str | None = None
    thinking_closed: bool = True
    thinking_tokens: int | None = None
    first_pass: str | None = None
    pass_number: int | None = None
    answer_form: AnswerForm | None = None


def read_generations(source: Path | Iterable[str]) -> Iterator[tuple[str, Generation]]:
    """Each generation with its position (`file:line`). Raises InputError for a missing or damaged file, or a
    line that is no generation."""
    for position, line, is_complete in _lines(source):
        if not line.strip():
            continue
        try:
            value = parse_json(line, position, remedy="repair or remove the line")
        except InputError:
            if not is_complete:
                return  # torn by a kill; whoever needs it finds it missing
            raise
        yield position, _generation(value, position)


def checked_generations(
    source: Path | Iterable[str], benchmark: Benchmark
) -> Iterator[tuple[str, Generation]]:
    """Each generation with its position (`file:line`), checked to belong to this benchmark: its name and mode
    where the line gives them, its task, index and sample.

    Raises InputError for the first line that does not belong to it. Repeated lines are not checked.
    """
    for position, generation in read_generations(source):
        for key, value, expected in (
            ("benchmark", generation.benchmark, benchmark.name),
            ("mode", generation.mode, benchmark.mode),
        ):
            if value not in (None, expected):
                raise InputError(f"{position} is of {key} {value!r}, expected {expected!r}")
        task = benchmark.tasks.get(generation.task)
        if task is None:
            try:
                benchmark.task(generation.task)
            except InputError as error:
                raise InputError(f"{position}: {error}") from error
        elif not 0 <= generation.index < task.size:
            raise InputError(
                f"{position}: index {generation.index} of {generation.task} is not between "
                f"0 and {task.size - 1}"
            )
        if generation.sample < 0:
            raise InputError(
                f"{position}: sample {generation.sample} of {generation.task} {generation.index} is below 0: "
                "samples are numbered from 0"
            )
        if (
            benchmark.option_metrics
            and generation.option_likelihoods is None
            and generation.finish != "too-long"
        ):
            raise InputError(
                f"{position}: {benchmark.name} is scored by likelihoods: the line needs `options` (texts) "
                "and `log_probabilities` (one number for each)"
            )
        yield position, generation


def whole_lines(path: Path) -> None:
    """Drop what stands after the last line end, so that appending starts on a line of its own. Raises
    SetupError if the file cannot be changed."""
    try:
        with path.open("r+b") as file:
            data = file.read()
            file.truncate(data.rfind(b"\n") + 1)
    except OSError as error:
        raise unwritten(path, error) from error


def _lines(source: Path | Iterable[str]) -> Iterator[tuple[str, str | bytes, bool]]:
    """Place, text, and whether the line is whole. Lines end at LF only: a generation may hold any other
    character."""
    if not isinstance(source, Path):
        for line_number, text in enumerate(source, 1):
            yield f"line {line_number}", text, True
        return
    if not os.path.exists(source):
        raise InputError(f"there are no generations at {source}: generate them with `openflan evaluate`")
    yield from byte_lines(source)


def _generation(value: object, position: str) -> Generation:
    if not isinstance(value, Mapping):
        raise InputError(
            f"{position} holds a {type(value).__name__}, expected an object with `task`, `index`, "
            "`generation` and `target`"
        )
    if missing := [key for key in ("task", "index", "generation", "target") if key not in value]:
        raise InputError(
            f"{position} has no `{missing[0]}`; a generation needs `task`, `index`, `generation` and `target`"
        )
    for key in ("benchmark", "mode", "prompt_version"):
        if not isinstance(value.get(key, ""), str | None):
            raise InputError(f"{position}: `{key}` is {value[key]!r:.80}, expected a string")
    for key, kind, known in (
        ("task", str, "a string"),
        ("generation", str, "a string"),
        ("index", int, "a whole number"),
        ("sample", int, "a whole number"),
    ):
        field_value = value.get(key, 0 if key == "sample" else None)
        if not isinstance(field_value, kind) or isinstance(field_value, bool):
            raise InputError(f"{position}: `{key}` is {_shown(field_value)}, expected {known}")
    likelihoods = _option_likelihoods(value.get("options"), value.get("log_probabilities"))
    split = Split(value["generation"]) if likelihoods else split_thinking(value["generation"])
    stated = value.get("thinking")
    thinking = "\n\n".join(part for part in (stated, split.thinking) if isinstance(part, str))
    has_thinking = isinstance(stated, str) or split.thinking is not None
    first_pass = value.get("first_pass")
    return Generation(
        task=value["task"],
        index=value["index"],
        generation=split.answer,
        target=_target(value["target"], position),
        sample=value.get("sample", 0),
        finish=str(value.get("finish", "eos")),
        request=str(value.get("request", "")),
        benchmark=_name(value.get("benchmark"), "benchmark", position),
        mode=_name(value.get("mode"), "mode", position),
        prompt_version=_name(value.get("prompt_version"), "prompt_version", position),
        cluster=None if value.get("cluster") is None else str(value["cluster"]),
        exemplars=_count(value.get("exemplars")),
        exemplars_dropped=_count(value.get("exemplars_dropped")) or 0,
        exemplar_split=None if value.get("exemplar_split") is None else str(value["exemplar_split"]),
        prompt_hash=None if value.get("prompt_hash") is None else str(value["prompt_hash"]),
        likelihood=value["likelihood"] if value.get("likelihood") in ("sum", "mean", "gold") else None,
        rule=value["rule"] if isinstance(value.get("rule"), Mapping) else None,
        settings=value["settings"] if isinstance(value.get("settings"), Mapping) else None,
        option_likelihoods=likelihoods,
        thinking=thinking if has_thinking else None,
        thinking_closed=split.closed and value.get("thinking_closed") is not False,
        thinking_tokens=_count(value.get("thinking_tokens")) if has_thinking else None,
        first_pass=split_thinking(first_pass).answer if isinstance(first_pass, str) else None,
        pass_number=_count(value.get("pass")),
        answer_form=form_of_json(value.get("answer_form")),
    )


def _option_likelihoods(options: object, log_probabilities: object) -> OptionLikelihoods | None:
    """The likelihoods of a line; None if it has none, or if these keys hold something else."""
    if not isinstance(options, list) or not isinstance(log_probabilities, list):
        return None
    if not options or len(options) != len(log_probabilities):
        return None
    if not all(isinstance(option, str) for option in options):
        return None
    if not all(
        isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
        for value in log_probabilities
    ):
        return None
    return OptionLikelihoods(tuple(options), tuple(map(float, log_probabilities)))


def _count(value: object) -> int | None:
    """A count that is there for information: what is none is not said to be wrong."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _target(value: object, position: str) -> Target:
    """A target as text: other programs write plain numbers, which are as good as their spelling."""
    if _is_reference(value):
        return str(value)
    if isinstance(value, list) and value and all(map(_is_reference, value)):
        return tuple(str(one) for one in value)
    raise InputError(f"{position}: `target` is {_shown(value)}, expected a string or a list of references")


def _is_reference(value: object) -> bool:
    """A text, or a number that is one."""
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _name(value: object, key: str, position: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise InputError(f"{position}: `{key}` is {_shown(value)}, expected a string")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
