"""ROUGE-L with stemming, as Super-NaturalInstructions reports it, and BLEU and chrF."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = [pytest.mark.extra, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

pytest.importorskip("rouge_score", reason="the extra `metrics` is not installed")
pytest.importorskip("sacrebleu", reason="the extra `metrics` is not installed")

from openflan.evaluation.library_metrics import (  # noqa: E402
    corpus_bleu,
    corpus_chrf,
    exact_without_punctuation,
    rouge_l_stemmed,
    sentence_chrf,
    tokenizer_of,
)
from openflan.evaluation.metrics import rouge_l  # noqa: E402
from openflan.evaluation.score_record import EvaluationScore  # noqa: E402
from openflan.evaluation.score_saved import score_file  # noqa: E402
from openflan.evaluation.task_benchmark import task_benchmark  # noqa: E402
from openflan.tasks.task import Row, Task  # noqa: E402

# Tokens are runs of a-z and 0-9 in lower case; those of more than three letters are reduced to their stem.
# F = 2 L / (m + n), with L the length of the longest common subsequence of m and n tokens.
PAIRS = [
    ("the cat sat", "the cat sat", Fraction(1)),  # L 3 of 3 and 3
    ("the cat sat on the mat", "the cat", Fraction(1, 2)),  # L 2: 4 / (6 + 2)
    ("cats running", "cat run", Fraction(1)),  # cats > cat, running > run
    ("cat run", "dogs bark", Fraction(0)),  # nothing in common
    ("", "x", Fraction(0)),  # no token
    ("Hello, World!", "hello world", Fraction(1)),  # case and punctuation do not count
    ("police killed the gunman", "police kill the gunman", Fraction(1)),  # killed > kill
    ("the gunman kill police", "police kill the gunman", Fraction(1, 2)),  # the gunman: 4 / (4 + 4)
    ("police the gunman killed", "police kill the gunman", Fraction(3, 4)),  # police the gunman: 6 / (4 + 4)
    ("a b c d e", "a c e", Fraction(3, 4)),  # a c e: 6 / (5 + 3)
    ("e d c b a", "a b c d e", Fraction(1, 5)),  # one letter: 2 / (5 + 5)
    ("don't stop", "do not stop", Fraction(1, 3)),  # don t stop, do not stop: stop, 2 / (3 + 3)
    ("3.14", "3 14", Fraction(1)),  # both 3, 14
    ("naïve answer", "naive answer", Fraction(2, 5)),  # na ve answer, naiv answer: 2 / (3 + 2)
    ("日本語", "日本語", Fraction(0)),  # no letter of a-z, so no token
    ("flies", "fly", Fraction(0)),  # flies > fli; fly has three letters and stays
    ("generalizations", "general", Fraction(1)),  # both > gener
    ("the the the", "the", Fraction(1, 2)),  # L 1: 2 / (3 + 1)
    # one three five seven: 8 / (7 + 5)
    ("one two three four five six seven", "one three five seven nine", Fraction(2, 3)),
    # quick brown fox jump over lazi dog, without the articles: 14 / (8 + 9)
    (
        "The quick brown foxes jumped over lazy dogs",
        "A quick brown fox jumps over the lazy dog",
        Fraction(14, 17),
    ),
]


@pytest.mark.parametrize(("answer", "target", "expected"), PAIRS)
def test_rouge_l_with_stemming_worked_by_hand(answer: str, target: str, expected: Fraction) -> None:
    assert rouge_l_stemmed(answer, target) == pytest.approx(float(expected))


def test_the_pairs_are_twenty_and_stems_matter_in_some() -> None:
    assert len(PAIRS) == 20
    assert any(rouge_l(answer, target) != pytest.approx(float(value)) for answer, target, value in PAIRS)


@given(*[st.lists(st.text("abxyz019", min_size=1, max_size=3), max_size=8)] * 2)
def test_words_too_short_to_have_a_stem_score_as_without_stemmer(
    answer_words: list[str], target_words: list[str]
) -> None:
    answer, target = " ".join(answer_words), " ".join(target_words)
    assert rouge_l_stemmed(answer, target) == pytest.approx(rouge_l(answer, target))


def _task(name: str, category: str, answers: list[list[str]], language: str = "English") -> Task:
    rows: list[Row] = [
        {
            "definition": f"Do {name}.",
            "question": f"{name} {index}?",
            "answer": references[0],
            "references": references,
        }
        for index, references in enumerate(answers)
    ]
    return Task(name, rows, frozenset(rows[0]), "toy", category, languages=(language,))


def _score(tmp_path: Path, tasks: list[Task], answers: dict[str, list[str]]) -> EvaluationScore:
    benchmark = task_benchmark({task.name: task for task in tasks})
    lines = [
        {"task": name, "index": index, "generation": answer, "target": example.target}
        for name, texts in answers.items()
        for index, (answer, example) in enumerate(zip(texts, benchmark.examples(name), strict=True))
    ]
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return score_file(path, benchmark)


def test_the_best_reference_then_tasks_then_categories(tmp_path: Path) -> None:
    """By hand. a: one question, the second reference is right: 100. b: 100, 0, 50 (`one two three` of `one`
    is 2 / (3 + 1)): 50. c: 0. Category x is over its four questions (100 + 150) / 4, not over its tasks."""
    tasks = [
        _task("niv2/a", "word play", [["wrong", "cats"]]),
        _task("niv2/b", "word play", [["one"], ["two"], ["one two three"]]),
        _task("niv2/c", "sums", [["seven"]]),
    ]
    answers = {"niv2/a": ["cat"], "niv2/b": ["ones", "none", "one"], "niv2/c": ["eight"]}
    score = _score(tmp_path, tasks, answers)
    assert {name: task.value for name, task in score.tasks.items()} == pytest.approx(
        {"niv2/a": 100.0, "niv2/b": 50.0, "niv2/c": 0.0}
    )
    assert score.average == pytest.approx(50.0)  # the mean over three tasks
    assert score.averages["category word_play"] == pytest.approx(62.5)
    assert score.averages["category sums"] == 0.0
    assert score.averages["all questions"] == pytest.approx(50.0)  # 250 / 5
    assert score.tasks["niv2/a"].metrics["exact_match"] == 0.0  # `cat` is not `cats`
    assert score.signatures["rouge_l_stemmed"].startswith("rouge-score 0.1")
    assert EvaluationScore.from_json(json.loads(json.dumps(score.to_json()))) == score


def test_other_languages_have_rouge_l_without_stemmer(tmp_path: Path) -> None:
    tasks = [_task("niv2/ja", "sums", [["日本語"]], "Japanese"), _task("niv2/en", "sums", [["cats"]])]
    score = _score(tmp_path, tasks, {"niv2/ja": ["日本"], "niv2/en": ["cat"]})
    assert [task.metric for task in score.tasks.values()] == ["rouge_l", "rouge_l_stemmed"]
    assert score.tasks["niv2/ja"].value == pytest.approx(80.0)  # 2 of 2 and 3 characters: 4 / 5


def test_exact_match_of_super_natural_instructions() -> None:
    assert exact_without_punctuation(" The  Cat!", "the cat") == 1.0
    assert exact_without_punctuation("cat", "the cat") == 0.0  # articles count, unlike in SQuAD


def test_translation_has_bleu_and_chrf_over_all_answers(tmp_path: Path) -> None:
    """BLEU of the whole task: four of four words of one sentence and none of the other; a mean over sentences
    would be another figure."""
    texts = ["the cat sat on the mat", "a dog ran in the park"]
    rows: list[Row] = [{"inputs": f"Translate {index}.", "targets": text} for index, text in enumerate(texts)]
    task = Task("muffin/wmt", rows, frozenset(rows[0]), "toy", "translation")
    score = _score(tmp_path, [task], {"muffin/wmt": ["the cat sat on the mat", "zzz qqq"]})
    metrics = score.tasks["muffin/wmt"].metrics
    answers = ["the cat sat on the mat", "zzz qqq"]
    references = [("the cat sat on the mat",), ("a dog ran in the park",)]
    assert metrics["bleu"] == pytest.approx(corpus_bleu(answers, references))
    assert metrics["chrf"] == pytest.approx(corpus_chrf(answers, references))
    assert 0 < (metrics["bleu"] or 0) < 100
    assert score.tasks["muffin/wmt"].metric == "sentence_chrf"
    assert score.tasks["muffin/wmt"].value == pytest.approx(
        50 * (1 + sentence_chrf("zzz qqq", references[1][0])), abs=0.01
    )
    assert "tok:13a" in score.signatures["bleu"]
    assert "version:" in score.signatures["chrf"]


def test_bleu_by_hand_with_several_references() -> None:
    """Six words, all n-grams of one reference: 100. Without that reference the sentence has no 4-gram."""
    assert corpus_bleu(["a b c d e f", "x"], [("q", "a b c d e f"), ("x",)]) == pytest.approx(100.0)
    # Precisions 5/6, 4/5, 3/4, 2/3 of `a b c d e z`: their geometric mean is (1/3) ** (1/4).
    assert corpus_bleu(["a b c d e z"], [("a b c d e f",)]) == pytest.approx(100 * (1 / 3) ** 0.25)


@pytest.mark.parametrize(
    ("texts", "tokenizer"),
    [
        (["the cat"], "13a"),
        (["我喜欢猫"], "zh"),
        (["猫が好き"], "char"),
        (["ฉันชอบแมว"], "char"),
        (["кошка", "猫"], "13a"),
    ],
)
def test_bleu_splits_texts_by_their_script(texts: list[str], tokenizer: str) -> None:
    assert tokenizer_of([(text,) for text in texts]) == tokenizer
