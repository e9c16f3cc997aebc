"""Self-consistency: many samples of one question, one answer (Wang et al. 2022).

The answer is the one that most samples give. Decisions where the papers are silent: answers that the
benchmark's own comparison holds equal are one answer; a sample without an answer does not vote; among answers
with equally many votes the one that was given first, by number of the sample, wins; a question none of whose
samples has an answer is unanswered, hence wrong. Agreement is the share of all samples that gave the winner,
so that samples without an answer lower it.

Accuracy as a function of k comes from one set of samples: for each question k of them are drawn without
replacement, ten times, and the mean is given. The first k samples alone would be as unbiased and noisier. At
k = 1 and at all samples no draw is needed, and the curve is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openflan.randomness import combine

CURVE_KS = (1, 2, 5, 10, 20, 40)
CURVE_DRAWS = 10
"""Sets of samples drawn for a point of the curve; Wang et al. 2022 average over 10 runs."""

UNPARSED = -1


@dataclass(frozen=True, slots=True)
class Vote:
    """The decision over the samples of a question: `answer` and the position of the first sample that gave
    it, both None without any answer.

    `agreement` is the share of samples that gave it; `groups` has a number for each sample, equal for equal
    answers, UNPARSED for none.
    """

    answer: str | None
    first: int | None
    agreement: float
    groups: tuple[int, ...]


def majority(answers: Sequence[str | None], compare: Callable[[str, str], bool]) -> Vote:
    """The vote of at least one sample; `answers` stand in the order of the samples' numbers."""
    groups = answer_groups(answers, compare)
    votes: dict[int, int] = {}
    for group in groups:
        if group != UNPARSED:
            votes[group] = votes.get(group, 0) + 1
    if not votes:
        return Vote(None, None, 0.0, groups)
    # A dict keeps the order of arrival, and `max` returns the first of equals: the earliest answer wins a
    # tie.
    winner = max(votes, key=votes.__getitem__)
    first = groups.index(winner)
    return Vote(answers[first], first, votes[winner] / len(answers), groups)


def answer_groups(answers: Sequence[str | None], compare: Callable[[str, str], bool]) -> tuple[int, ...]:
    """A number for each answer, from 0 in order of arrival; UNPARSED where there is none.

    An answer joins the first group whose first member it equals, by `compare` in either direction: a
    comparison need be neither symmetric nor transitive.
    """
    members: list[str] = []
    known: dict[str, int] = {}
    groups = []
    for answer in answers:
        if answer is None:
            groups.append(UNPARSED)
            continue
        if answer not in known:
            equal = (
                index
                for index, member in enumerate(members)
                if compare(answer, member) or compare(member, answer)
            )
            known[answer] = next(equal, len(members))
            if known[answer] == len(members):
                members.append(answer)
        groups.append(known[answer])
    return tuple(groups)


def curve_ks(samples: int) -> list[int]:
    """The numbers of samples of a curve: those of CURVE_KS that there are, and all."""
    return sorted({k for k in CURVE_KS if k < samples} | {samples})


def majority_curve(
    groups_NK: NDArray[np.int64], right_NK: NDArray[np.bool_], *, name: str = "", seed: int = 0
) -> dict[int, float]:
    """Accuracy in percent by number of samples k.

    `groups_NK` (questions, samples) holds groups of equal answers as in `answer_groups`, `right_NK` whether
    that group's answer is right. The draws depend on `seed`, `name` and the shape alone.
    """
    questions, samples = groups_NK.shape
    curve = {}
    for k in curve_ks(samples):
        if k == samples:
            curve[k] = _accuracy(groups_NK, right_NK)
        elif k == 1:
            curve[k] = float(100 * (right_NK & (groups_NK != UNPARSED)).mean())
        else:
            generator = np.random.default_rng(combine(seed, "majority-curve", name, questions, samples, k))
            drawn = []
            for _ in range(CURVE_DRAWS):
                chosen_Nk = np.sort(np.argsort(generator.random((questions, samples)), axis=1)[:, :k], axis=1)
                drawn.append(
                    _accuracy(
                        np.take_along_axis(groups_NK, chosen_Nk, 1),
                        np.take_along_axis(right_NK, chosen_Nk, 1),
                    )
                )
            curve[k] = float(np.mean(drawn))
    return curve


def _accuracy(groups_Nk: NDArray[np.int64], right_Nk: NDArray[np.bool_]) -> float:
    """Percent of questions whose majority is right; the votes of a sample are counted at the sample, so that
    the first of equals wins."""
    votes_Nk = (groups_Nk[:, :, None] == groups_Nk[:, None, :]).sum(axis=2)
    votes_Nk[groups_Nk == UNPARSED] = 0
    winner_N = votes_Nk.argmax(axis=1)
    rows_N = np.arange(len(groups_Nk))
    return float(100 * (right_Nk[rows_N, winner_N] & (votes_Nk[rows_N, winner_N] > 0)).mean())
