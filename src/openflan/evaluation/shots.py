"""Prompts that are too long for a model: exemplars are left out, the last ones first, counted and reported.

Decision: the question and the instruction are never cut. A prompt that is too long even without exemplars is sent to the engine as it is, which
answers `too-long`: the question counts as wrong. Price: a prompt is tokenised once more for the check. Engines that cannot tell are sent every prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Protocol, runtime_checkable

from openflan.evaluation.benchmark import Example
from openflan.evaluation.generations import Generation


@runtime_checkable
class Measuring(Protocol):
    """An engine that knows before generating whether a prompt and `max_tokens` fit its context."""

    def fits(self, prompt: str, max_tokens: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class Shown:
    """Exemplars over the generations of a file whose prompt was sent.

    `dropped` is how many were left out in all, `shortened` how many prompts lack some, `mean` is that of a prompt, None where lines do not tell.
    `from_dev` names tasks whose exemplar is a row of the split that is scored: it is not asked, so they have one question less.
    `prompts` is a hash over all prompts, the same for the same questions in the same wording; None where a line does not tell its own.
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


def fitted(example: Example, engine: object, max_tokens: int) -> Example:
    """The example with as many of its first exemplars as fit the engine; unchanged if it fits, cannot be shortened, or does not fit without any."""
    if example.fewer is None or not isinstance(engine, Measuring) or engine.fits(example.prompt, max_tokens):
        return example
    for count in reversed(range(example.exemplars)):
        prompt = example.fewer(count)
        if engine.fits(prompt, max_tokens):
            return replace(example, prompt=prompt, exemplars=count, exemplars_dropped=example.exemplars - count)
    return example


def shown(generations: Iterable[Generation]) -> Shown:
    """What became of the exemplars; lines of other programs, which do not say, count for nothing."""
    every = list(generations)
    sent = [one for one in every if one.finish != "too-long"]
    counts = [one.exemplars for one in sent if one.exemplars is not None]
    return Shown(
        dropped=sum(one.exemplars_dropped for one in sent),
        shortened=sum(one.exemplars_dropped > 0 for one in sent),
        mean=fmean(counts) if counts else None,
        prompts=_hash(every),
        from_dev=tuple(dict.fromkeys(one.task for one in sent if one.exemplar_split == "dev")),
    )


def _hash(generations: Sequence[Generation]) -> str | None:
    """Over (task, index, hash of the prompt) of every question, in whatever order the lines stand."""
    told = sorted({(one.task, one.index, one.prompt_hash or "") for one in generations})
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16] if told and all(found for _, _, found in told) else None
