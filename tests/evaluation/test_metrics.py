"""Measures of an answer against a reference, by hand and by brute force."""

from collections import Counter
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.evaluation.metrics import (
    METRICS,
    common_subsequence,
    rouge_l,
    same_number,
    same_text,
    squad_exact,
    squad_f1,
    squad_normalised,
    words,
)

_words = st.lists(st.sampled_from(["a", "the", "cat", "sat", "on", "mat", "Cat,", "päivä"]), max_size=9)


def _longest(first: list[str], second: list[str]) -> int:
    """By definition: the longest subsequence of one that is one of the other."""

    @cache
    def from_(i: int, j: int) -> int:
        if i == len(first) or j == len(second):
            return 0
        if first[i] == second[j]:
            return 1 + from_(i + 1, j + 1)
        return max(from_(i + 1, j), from_(i, j + 1))

    return from_(0, 0)


@given(st.lists(st.sampled_from("abcd"), max_size=40), st.lists(st.sampled_from("abcde"), max_size=40))
def test_the_longest_common_subsequence_by_brute_force(first: list[str], second: list[str]) -> None:
    assert common_subsequence(first, second) == _longest(first, second)


@given(_words, _words)
def test_rouge_l_by_its_definition(said: list[str], target_words: list[str]) -> None:
    answer, target = [[word.strip(",").lower() for word in sentence] for sentence in (said, target_words)]
    common = _longest(answer, target)
    expected = 0.0
    if common:
        precision, recall = common / len(answer), common / len(target)
        expected = 2 * precision * recall / (precision + recall)
    assert rouge_l(" ".join(said), " ".join(target_words)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "target", "score"),
    [
        ("the cat sat on the mat", "the cat sat on the mat", 1.0),
        ("The cat.", "the  CAT!", 1.0),
        ("police kill the gunman", "police killed the gunman", 0.75),
        ("the gunman kill police", "police killed the gunman", 0.5),
        ("dog", "cat", 0.0),
        ("", "cat", 0.0),
        ("...", "cat", 0.0),
        ("北京大学", "北京", 2 * 2 / 6),
        ("ฉันรัก", "ฉันรัก", 1.0),
        ("Это кот", "это пёс", 0.5),
    ],
)
def test_rouge_l(answer: str, target: str, score: float) -> None:
    assert rouge_l(answer, target) == pytest.approx(score)


def test_words_of_any_script() -> None:
    assert words("It's 3.5 km, in_all") == ["it", "s", "3", "5", "km", "in", "all"]
    assert words("东京2020オリ") == ["东", "京", "2020", "オ", "リ"]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The  Cat, sat!", "cat sat"),
        ("an apple a day", "apple day"),
        ("Athena", "athena"),
        ("U.S.A.", "usa"),
        ("the", ""),
        ("١٩٣٩،", "١٩٣٩،"),
        ("a-b", "ab"),
    ],
)
def test_normalisation_of_squad(text: str, plain: str) -> None:
    assert squad_normalised(text) == plain


@pytest.mark.parametrize(
    ("answer", "target", "exact", "f1"),
    [
        ("The Eiffel Tower.", "eiffel tower", True, 1.0),
        ("the tower", "Eiffel Tower", False, 2 / 3),
        ("tower tower", "Eiffel Tower", False, 0.5),
        ("Louvre", "Eiffel Tower", False, 0.0),
        ("1812", "vuonna 1812", False, 2 / 3),
    ],
)
def test_exact_match_and_f1_of_squad(answer: str, target: str, exact: bool, f1: float) -> None:
    assert squad_exact(answer, target) is exact
    assert squad_f1(answer, target) == pytest.approx(f1)


@given(_words, _words)
def test_f1_by_precision_and_recall(said: list[str], target_words: list[str]) -> None:
    kept = [
        [word.strip(",").lower() for word in sentence if word not in ("a", "the")]
        for sentence in (said, target_words)
    ]
    same = sum((Counter(kept[0]) & Counter(kept[1])).values())
    expected = 0.0
    if same:
        precision, recall = same / len(kept[0]), same / len(kept[1])
        expected = 2 * precision * recall / (precision + recall)
    assert squad_f1(" ".join(said), " ".join(target_words)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "target", "same"),
    [
        ("18", "18", True),
        ("$18.00 a day", "18", True),
        ("18", "9 * 2 = <<9*2=18>>18\n#### 18", True),
        ("2125", "2,125", True),
        ("0.5", "1/2", True),
        ("9", "18", False),
        ("she has 18", "18", False),
        ("18", "eighteen", False),
        ("", "18", False),
    ],
)
def test_numbers_are_compared_by_value(answer: str, target: str, same: bool) -> None:
    assert same_number(answer, target) is same


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_between_nothing_and_all(name: str) -> None:
    metric = METRICS[name]
    assert metric.own == "accuracy" or metric.own in metric.beside
    if name in ("rouge_l_stemmed", "translation"):
        pytest.importorskip("rouge_score", reason="the extra `metrics` is not installed")
        pytest.importorskip("sacrebleu", reason="the extra `metrics` is not installed")
    assert metric.compare("18", "18")
    assert not metric.compare("18", "19")
    assert all(measure("18", "18") == 1.0 and measure("18", "x") == 0.0 for measure in metric.beside.values())


def test_texts_are_compared_without_what_does_not_matter() -> None:
    assert same_text(" Yes. ", "yes")
