"""The answer in a saved generation: after its thinking block, and in the second pass of a chain of thought
where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from openflan.evaluation.answer_form import form_of_task
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.decoding import GREEDY, Decoding
from openflan.evaluation.generations import Generation


@dataclass(frozen=True, slots=True)
class ThinkingCounts:
    """Thinking blocks over the generations of a file.

    `generations` counts those with a block, `share` is their share of all in percent. `closed` is the share
    of the blocks that end before an answer, in percent; `unclosed` counts the others, whose questions are
    unanswered. `mean_characters` is the mean length of a block; `mean_tokens` and `longest_tokens` are None
    where no line says the number of tokens.
    """

    generations: int
    share: float
    closed: float
    unclosed: int
    mean_characters: float
    mean_tokens: float | None = None
    longest_tokens: int | None = None


def answer_of(benchmark: Benchmark, generation: Generation) -> str | None:
    """The answer; None without one, for a prompt that was too long, and for a thinking block that nothing
    closes."""
    if generation.finish == "too-long" or not generation.thinking_closed:
        return None
    if generation.first_pass is not None:
        form = generation.answer_form or form_of_task([generation.target])
        return form.answer(generation.generation)
    return benchmark.extract(generation.task, generation.generation)


def thinking_counts(generations: Sequence[Generation]) -> ThinkingCounts | None:
    """The counts of these generations; None if none of them has a thinking block."""
    blocks = [one for one in generations if one.thinking is not None]
    if not blocks:
        return None
    unclosed = sum(not one.thinking_closed for one in blocks)
    tokens = [one.thinking_tokens for one in blocks if one.thinking_tokens is not None]
    return ThinkingCounts(
        generations=len(blocks),
        share=100 * len(blocks) / len(generations),
        closed=100 * (len(blocks) - unclosed) / len(blocks),
        unclosed=unclosed,
        mean_characters=fmean(len(one.thinking or "") for one in blocks),
        mean_tokens=fmean(tokens) if tokens else None,
        longest_tokens=max(tokens, default=None),
    )


def final_passes(lines: Iterable[tuple[str, Generation]]) -> list[tuple[str, Generation]]:
    """Lines with their positions, without those of a first pass if the file has a second one.

    A line of a second pass gets the text of its first pass where that is a line of its own. Where a file does
    not say the form of the answers, all its targets of a task do.
    """
    every = list(lines)
    if not any(one.pass_number == 2 or one.first_pass is not None for _, one in every):
        return every
    first_texts = {
        (one.task, one.index, one.sample): one.generation for _, one in every if one.pass_number == 1
    }
    kept = [(position, one) for position, one in every if one.pass_number != 1]
    targets: dict[str, list[str | tuple[str, ...]]] = {}
    for _, one in kept:
        targets.setdefault(one.task, []).append(one.target)
    forms = {task: form_of_task(of_task) for task, of_task in targets.items()}
    return [
        (
            position,
            replace(
                one,
                first_pass=first_texts.get((one.task, one.index, one.sample), "")
                if one.first_pass is None and one.pass_number == 2
                else one.first_pass,
                answer_form=one.answer_form or forms[one.task],
            ),
        )
        for position, one in kept
    ]


def decoding_of_lines(lines: Sequence[Generation]) -> Decoding:
    """The decoding that lines state: by likelihood, or greedy if they state none; in two passes if the lines
    have a first one."""
    chosen = {one.likelihood for one in lines if one.finish != "too-long"}
    if len(chosen) == 1 and (likelihood := chosen.pop()):
        return Decoding(likelihood=likelihood)
    return replace(GREEDY, second_pass=any(one.first_pass is not None for one in lines))
