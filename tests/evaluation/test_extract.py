"""Answers out of text: hand-made cases, and numbers put into sentences come back."""

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.evaluation import bbh_benchmark, mgsm_benchmark
from openflan.evaluation.extract import (
    after_last_phrase,
    cut_at_next_question,
    first_sentence,
    plain,
    without_labels,
)
from openflan.evaluation.mgsm_languages import LANGUAGES
from openflan.evaluation.numbers import canonical, number

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))


@pytest.mark.parametrize(
    ("generation", "answer"),
    [
        ("True and not False is True. So the answer is True.", "True"),
        ("So the answer is (B).", "(B)"),
        ("So the answer is (B). ", "(B)"),
        ("so THE ANSWER IS (B)", "(B)"),
        ("So the answer is: (B).", "(B)"),
        ("the answer\nis (B).", "(B)"),
        ("The answer is (A). Wait, no. So the answer is (C).", "(C)"),
        ("So the answer is (Q).\n\nQ: What next?\nA: So the answer is (A).", "(Q)"),
        ("So the answer is ] } ].", "] } ]"),
        ("So the answer is ) )", ") )"),
        ("So the answer is arson aspect census.", "arson aspect census"),
        ("So the answer is -219.", "-219"),
        ("So the answer is 3.5.", "3.5"),
        ("So the answer is e.g..", "e.g."),
        ("So the answer is Yes", "Yes"),
        ("Quality matters. Q is a letter, so the answer is No.", "No"),
        ("(B)", None),
        ("I think it is (B).", None),
        ("Answer: (B)", None),  # the benchmark's keyword is "the answer is"
        ("So the answer is", None),
        ("So the answer is .", None),
        ("", None),
        ("\n\nQ: So the answer is (A).", None),
    ],
)
def test_bbh_rationale_answers(generation: str, answer: str | None) -> None:
    assert bbh_benchmark("cot").extract("navigate", generation) == answer


@pytest.mark.parametrize(
    ("generation", "answer"),
    [
        (" (A)\n", "(A)"),
        ("valid\n\nQ: Next question\nA: invalid", "valid"),
        ("(Q)", "(Q)"),
        ("True.", "True."),  # a direct answer is what was written
        (" \n ", None),
        ("\n\nQ: Next", None),
    ],
)
def test_bbh_direct_answers(generation: str, answer: str | None) -> None:
    assert bbh_benchmark("direct").extract("navigate", generation) == answer


def test_bbh_compares_case_and_all() -> None:
    direct = bbh_benchmark("direct")
    assert direct.correct("navigate", "Yes", "Yes")
    assert not direct.correct("navigate", "yes", "Yes")
    assert direct.correct("navigate", "Yes", ("No", "Yes"))
    assert not direct.correct("navigate", "", "")


@pytest.mark.parametrize(
    ("language", "generation", "answer"),
    [
        ("en", "5 + 6 = 11. The answer is 11.", "11"),
        ("en", "The answer is $18.", "18"),
        ("en", "The answer is 18 dollars, because 9 * 2 = 18.", "18"),
        ("en", "The answer is 2,125.", "2125"),
        ("en", "The answer is 2.125.", "2.125"),
        ("en", "The answer is 29.00", "29"),
        ("en", "The answer is 25%.", "25"),
        ("en", "The answer is −5 degrees.", "-5"),
        ("en", "The answer is -$5.", "-5"),
        ("en", "The answer is 5 + 6 = 11.", "11"),
        ("en", "The answer is 1/2.", "0.5"),
        ("en", "The answer is 11.\n\nShe also has 5 dogs.", "11"),
        ("en", "The answer is 11.\nQuestion: How many? The answer is 12.", "11"),
        ("en", "The answer is unknown. She has 5 dogs.", None),
        ("en", "The answer is unknown.\n5 dogs", None),
        ("en", "Step-by-Step Answer: 5 + 6", None),
        ("en", "Answer: 11", "11"),
        ("en", "She has 11 balls.", None),
        ("en", "The final answer is **11**", "11"),
        ("en", "The answer is 3:30.", None),
        ("en", "The answer is 12/14/2026.", None),
        ("de", "Die Antwort ist 11.", "11"),
        ("de", "Die Antwort lautet 29.", "29"),
        ("de", "Die Antwort lautet 2.125 Euro.", "2125"),
        ("de", "Die Antwort lautet 3,5.", "3.5"),
        ("de", "Schritt-für-Schritt-Antwort: 5 Bälle", None),
        ("de", "Sie hat 5 Bälle. The answer is 5.", "5"),
        ("es", "La respuesta es 114.200.", "114200"),
        ("es", "La respuesta es $18.", "18"),
        ("es", "Respuesta paso a paso: 8", None),
        ("fr", "La réponse est 276 000 euros.", "276000"),
        ("fr", "La re\u0301ponse est 11.", "11"),
        ("fr", "La réponse est 5\u202f600\u00a0€.", "5600"),
        ("fr", "La réponse est 11.\nQuestion: Encore ? La réponse est 12.", "11"),
        ("ru", "Ответ — 11.", "11"),
        ("ru", "Ответ: 276 000.", "276000"),
        ("ru", "Ответ - 11.", "11"),
        ("ru", "Ответ -11.", None),  # neither a closing dash nor a colon: the phrase is not there
        ("ru", "Ответ — -11.", "-11"),
        ("zh", "答案是 11。", "11"),
        ("zh", "答案是 2，125。", "2125"),
        ("zh", "逐步解答：11", None),
        ("ja", "答えは11です。", "11"),
        ("ja", "答えは39個。", "39"),
        ("ja", "答えは９個です。", "9"),
        ("ja", "ステップごとの答え：5", None),
        ("ja", "答えは-5です。", "-5"),
        ("th", "คำตอบคือ 11", "11"),
        ("th", "คำตอบทีละขั้นตอน: 11", None),
        ("th", "คำตอบคือ ๑๑", "11"),
        ("sw", "Jibu ni 11.", "11"),
        ("sw", "Jibu la Hatua kwa Hatua: 11", None),
        ("bn", "উত্তর হল 11।", "11"),
        ("bn", "উত্তর হল ১১৪,২০০।", "114200"),
        ("bn", "উত্তর হল 1,14,200।", "114200"),
        ("bn", "ধাপে ধাপে উত্তর: 11", None),
        ("te", "సమాధానం 39.చాక్లెట్", "39"),
        ("te", "దశలవారీగా సమాధానం: రోజర్ 5 బంతులు", None),
        ("te", "దశలవారీగా సమాధానం: రోజర్ 5. సమాధానం 11.", "11"),
    ],
)
def test_mgsm_answers(language: str, generation: str, answer: str | None) -> None:
    assert mgsm_benchmark().extract(language, generation) == answer


@pytest.mark.parametrize(
    ("text", "decimal_comma", "value"),
    [
        ("1,234,567.50", False, "1234567.5"),
        ("1.234.567,50", False, "1234567.5"),
        ("1.234.567", False, "1234567"),
        ("1'234", False, "1234"),
        ("0,125", False, "0.125"),
        ("0.125", True, "0.125"),
        ("12,5", False, "12.5"),
        (".5", False, "0.5"),
        ("5-year", False, "5"),
        ("A-5", False, "5"),
        ("US$ 7", False, "7"),
        ("$-7", False, "-7"),
        ("20 - 12 = 8 pieces", False, "8"),
        ("$5 x 3 = $15", False, "15"),
        ("5 600", False, "5"),
        ("5 600", True, "5600"),
        ("5 6000", True, "5"),
        ("007", False, "7"),
    ],
)
def test_numbers_are_read(text: str, decimal_comma: bool, value: str) -> None:
    extracted = number(text, decimal_comma=decimal_comma)
    assert extracted is not None
    assert canonical(extracted) == value


@pytest.mark.parametrize("text", ["", "none", "1,2,3", "1.2.3", "1,234.567,8", "1/0", "10:30", "10^3", "5-3"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert number(text) is None


_words = st.lists(
    st.sampled_from(["balls", "so", "in total", "(all of them)", "she has", "Bälle", "個"]), max_size=4
).map(" ".join)
_closings = {
    "bn": "উত্তর হল {}।",
    "de": "Die Antwort lautet {}.",
    "en": "The answer is {}.",
    "es": "La respuesta es {}.",
    "fr": "La réponse est {}.",
    "ja": "答えは{}個です。",
    "ru": "Ответ — {}.",
    "sw": "Jibu ni {}.",
    "te": "సమాధానం {}.",
    "th": "คำตอบคือ {}",
    "zh": "答案是 {}。",
}


def _spelled(value: int, how: str) -> str:
    sign, digits = ("-" if value < 0 else ""), str(abs(value))
    if how == "grouped":
        digits = f"{abs(value):,}"
    if how in ("bengali", "thai", "telugu", "full width"):
        zero = {"bengali": "০", "thai": "๐", "telugu": "౦", "full width": "０"}[how]
        digits = "".join(chr(ord(zero) + int(digit)) for digit in digits)
    return f"{sign}${digits}" if how == "dollars" else f"{sign}{digits}"


@given(
    language=st.sampled_from(sorted(_closings)),
    value=st.integers(-(10**9), 10**9),
    other=st.integers(0, 10**6),
    how=st.sampled_from(["plain", "grouped", "dollars", "bengali", "thai", "telugu", "full width"]),
    before=_words,
    after=_words,
)
def test_a_number_put_into_a_closing_comes_back(
    language: str, value: int, other: int, how: str, before: str, after: str
) -> None:
    benchmark = mgsm_benchmark()
    closing = _closings[language].format(_spelled(value, how))
    text = f"{before} {_closings[language].format(other)} {before} {other}\n{closing} {after}"
    assert benchmark.extract(language, text) == str(value)
    assert benchmark.correct(language, text, f"{value:,}")
    assert not benchmark.correct(language, text, f"{value + 1:,}")


@given(st.decimals(-(10**6), 10**6, places=3))
def test_decimals_come_back(value: Decimal) -> None:
    extracted = number(f"that is {value:f} kg")
    assert extracted == value


@given(st.text())
def test_any_text_is_read_without_failing(text: str) -> None:
    for code, language in LANGUAGES.items():
        answer = mgsm_benchmark().extract(code, f"{text} {language.step} The answer is {text}")
        assert answer is None or canonical(Decimal(answer)) == answer
    cot = bbh_benchmark("cot").extract("navigate", text)
    assert cot is None or cot == cot.strip() != ""


@given(st.text(alphabet="QA:\n (x."), st.text(alphabet="QA:\n (x."))
def test_cutting_keeps_a_prefix_without_new_questions(head: str, tail: str) -> None:
    cut = cut_at_next_question(head + "\nQ: " + tail)
    assert head.startswith(cut)
    assert "\nQ:" not in cut
    assert cut_at_next_question(cut) == cut


def test_small_pieces() -> None:
    assert plain(" a.. ") == "a."
    assert plain(" . ") is None
    assert first_sentence("3.5 kg. 4 kg") == "3.5 kg"
    assert without_labels("Step-by-Step  Answer : 5", ("Step-by-Step Answer:",)).strip() == "5"
    assert after_last_phrase("x is 1, x is 2", (r"x is",)) == "2"
    assert (
        cut_at_next_question("Q: first line stays\n(Q) stays\n  Q: cut") == "Q: first line stays\n(Q) stays"
    )


@pytest.mark.skipif(not (SHARED / "data/mgsm").is_dir(), reason="no MGSM files: set OPENFLAN_SHARED")
def test_all_published_exemplars_give_their_answers() -> None:
    published = json.loads((SHARED / "data/mgsm/exemplars.json").read_text(encoding="utf-8"))
    answers = published["exemplar_number_answers"]
    benchmark = mgsm_benchmark()
    read = {
        (code, index): benchmark.extract(code, exemplars[index]["a"])
        for code, exemplars in published["mgsm_exemplars"].items()
        for index in exemplars
    }
    assert len(read) == 88
    assert read == {(code, place): str(answers[int(place) - 1]) for code, place in read}
