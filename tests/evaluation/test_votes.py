"""Self-consistency: what many samples decide, against plain counting."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.evaluation.benchmark import exactly
from openflan.evaluation.votes import UNPARSED, answer_groups, curve_ks, majority, majority_curve

ANSWERS = st.lists(
    st.one_of(st.none(), st.sampled_from(["(A)", "(B)", "(C)", "4", "4.0"])), min_size=1, max_size=12
)


def _number_or_text(answer: str, other: str) -> bool:
    return answer == other or {answer, other} == {"4", "4.0"}


def _by_counting(answers: list[str | None]) -> str | None:
    """The answer with most votes; of several the one that came first. `4.0` counts as `4`."""
    spelled = ["4" if answer == "4.0" else answer for answer in answers if answer is not None]
    most_votes = max(Counter(spelled).values(), default=0)
    return next((answer for answer in spelled if spelled.count(answer) == most_votes), None)


@given(ANSWERS)
def test_majority_by_counting(answers: list[str | None]) -> None:
    vote = majority(answers, _number_or_text)
    expected = _by_counting(answers)
    assert ("4" if vote.answer == "4.0" else vote.answer) == expected
    if expected is None:
        assert (vote.first, vote.agreement, set(vote.groups)) == (None, 0.0, {UNPARSED})
    else:
        assert vote.first is not None
        assert answers[vote.first] == vote.answer
        assert vote.agreement == pytest.approx(
            sum(answer is not None and _number_or_text(answer, expected) for answer in answers) / len(answers)
        )


def test_ties_go_to_the_earliest_and_unparsed_samples_do_not_vote() -> None:
    assert majority(["b", "a", "a", "b"], exactly).answer == "b"
    assert majority(["c", "a", "a", "b", "b"], exactly).answer == "a"
    assert majority([None, None, None, "a"], exactly).answer == "a"
    assert majority([None, None, None, "a"], exactly).agreement == 0.25
    assert majority([None, None], exactly).answer is None


@given(ANSWERS, st.randoms(use_true_random=False))
def test_without_a_tie_the_order_of_samples_does_not_matter(
    answers: list[str | None], random: object
) -> None:
    counts = Counter(answer for answer in answers if answer is not None).most_common(2)
    if len(counts) == 2 and counts[0][1] == counts[1][1]:
        return
    shuffled = list(answers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert majority(shuffled, exactly).answer == majority(answers, exactly).answer


def test_a_comparison_that_holds_in_one_direction_is_enough() -> None:
    def contains(answer: str, target: str) -> bool:
        return target in answer

    assert answer_groups(["cat", "a cat", "dog", None, "cat"], contains) == (0, 0, 1, UNPARSED, 0)
    assert answer_groups(["a cat", "cat"], contains) == (0, 0)


def _matrices(questions: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Groups of equal answers, numbered as they come, and whether each is right: group by answer 0..2, of
    which 0 is right, 3 is none."""
    generator = np.random.default_rng(seed)
    said = generator.choice(4, p=[0.45, 0.25, 0.2, 0.1], size=(questions, samples))
    rows = [answer_groups([None if one == 3 else str(one) for one in row], exactly) for row in said.tolist()]
    return np.array(rows), said == 0


def _accuracy(said: np.ndarray, right: np.ndarray, chosen: tuple[int, ...]) -> float:
    correct = 0
    for groups, rights in zip(said[:, chosen].tolist(), right[:, chosen].tolist(), strict=True):
        votes = [group for group in groups if group != UNPARSED]
        winner = next((group for group in votes if votes.count(group) == max(map(votes.count, votes))), None)
        correct += winner is not None and rights[groups.index(winner)]
    return 100 * correct / len(said)


def test_the_ends_of_the_curve_are_exact() -> None:
    groups, right = _matrices(37, 7, 0)
    curve = majority_curve(groups, right)
    assert list(curve) == [1, 2, 5, 7]
    assert curve[1] == pytest.approx(np.mean([_accuracy(groups, right, (sample,)) for sample in range(7)]))
    assert curve[7] == pytest.approx(_accuracy(groups, right, tuple(range(7))))


def test_points_between_estimate_the_mean_over_all_subsets() -> None:
    groups, right = _matrices(2_000, 6, 1)
    curve = majority_curve(groups, right)
    for k in (2, 5):
        every = np.mean([_accuracy(groups, right, chosen) for chosen in combinations(range(6), k)])
        assert curve[k] == pytest.approx(
            every, abs=0.8
        )  # ten draws of 2,000 questions: a standard error of about 0.25
    assert curve[1] < curve[5] - 3, "the negative control: more samples must help here"


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 45), st.integers(0, 5))
def test_a_curve_repeats_and_stays_within_bounds(questions: int, samples: int, seed: int) -> None:
    groups, right = _matrices(questions, samples, seed)
    curve = majority_curve(groups, right, name="x")
    assert list(curve) == curve_ks(samples)
    assert all(0 <= value <= 100 for value in curve.values())
    assert curve == majority_curve(groups, right, name="x")


def test_numbers_of_samples() -> None:
    assert curve_ks(40) == [1, 2, 5, 10, 20, 40]
    assert curve_ks(1) == [1]
    assert curve_ks(7) == [1, 2, 5, 7]
    assert curve_ks(50) == [1, 2, 5, 10, 20, 40, 50]
