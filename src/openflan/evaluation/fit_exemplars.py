"""Prompts that are too long for a model: exemplars are left out, the last ones first, counted and reported.

Decision: the question and the instruction are never cut. A prompt that is too long even without exemplars is
sent to the engine as it is, which answers `too-long`: the question counts as wrong. Price: a prompt is
tokenised once more for the check. Engines that cannot tell are sent every prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Protocol, runtime_checkable

from openflan.evaluation.benchmark import Example
from openflan.evaluation.generations import Generation
from openflan.hashes import SHORT, sha256_of

_SHOTS = re.compile(r"-(\d+)-shot(?=-|$)")


@runtime_checkable
class ContextLimited(Protocol):
    """An engine that can check, before it generates, if a prompt and `max_tokens` fit its context."""

    def fits(self, prompt: str, max_tokens: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class ExemplarCounts:
    """Counts of exemplars over the generations of a file whose prompt was sent.

    `dropped` exemplars were left out in all, `shortened` prompts lack some. `mean` is the mean number in a
    prompt, None if lines do not say it. `from_dev` names tasks whose exemplar is a row of the scored split:
    that row is not scored, so they have one question less. `prompts` is a hash over all prompts, equal for
    the same questions in the same wording; None if a line has no hash of its prompt.
    """

    dropped: int
    shortened: int
    mean: float | None
    from_dev: tuple[str, ...]
    prompts: str | None

    def as_json(self) -> dict[str, Any]:
        return {
            "exemplars": self.mean,
            "exemplars_dropped": self.dropped,
            "prompts_shortened": self.shortened,
            "prompt_hash": self.prompts,
            **({"exemplar_from_dev": list(self.from_dev)} if self.from_dev else {}),
        }


def shots_in(prompt_version: object) -> int | None:
    """The number of exemplars that a version such as `bbh-cot-3-shot-1` names; None if it names none."""
    named = _SHOTS.search(prompt_version) if isinstance(prompt_version, str) else None
    return int(named[1]) if named else None


def shots_of(generations: Iterable[Generation]) -> int | None:
    """The number of exemplars that was requested: the number in the prompts' version, else the largest number
    that a prompt had or lost because it was too long. None if no line says it, or if one file has several."""
    every = list(generations)
    requested_shots = {shots_in(one.prompt_version) for one in every}
    if len(requested_shots) > 1 or requested_shots - {None}:
        return requested_shots.pop() if len(requested_shots) == 1 else None
    return max(
        (one.exemplars + one.exemplars_dropped for one in every if one.exemplars is not None), default=None
    )


def with_fitting_exemplars(example: Example, engine: object, max_tokens: int) -> Example:
    """The example with as many of its first exemplars as fit the engine; unchanged if it fits, cannot be
    shortened, or does not fit without any."""
    if (
        example.fewer is None
        or not isinstance(engine, ContextLimited)
        or engine.fits(example.prompt, max_tokens)
    ):
        return example
    for count in reversed(range(example.exemplars)):
        prompt = example.fewer(count)
        if engine.fits(prompt, max_tokens):
            return replace(
                example, prompt=prompt, exemplars=count, exemplars_dropped=example.exemplars - count
            )
    return example


def count_exemplars(generations: Iterable[Generation]) -> ExemplarCounts:
    """The exemplars of a file of generations; lines without counts, of other programs, are not counted."""
    every = list(generations)
    sent = [one for one in every if one.finish != "too-long"]
    counts = [one.exemplars for one in sent if one.exemplars is not None]
    return ExemplarCounts(
        dropped=sum(one.exemplars_dropped for one in sent),
        shortened=sum(one.exemplars_dropped > 0 for one in sent),
        mean=fmean(counts) if counts else None,
        prompts=_hash(every),
        from_dev=tuple(dict.fromkeys(one.task for one in sent if one.exemplar_split == "dev")),
    )


def _hash(generations: Sequence[Generation]) -> str | None:
    """A hash over (task, index, hash of the prompt) of every question, in any order of the lines."""
    prompt_hashes = sorted({(one.task, one.index, one.prompt_hash or "") for one in generations})
    return (
        sha256_of(repr(prompt_hashes))[:SHORT]
        if prompt_hashes and all(found for _, _, found in prompt_hashes)
        else None
    )
