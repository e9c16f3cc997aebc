"""What models write around an answer: labels again, a next question in the same line, and texts made to be
slow to read."""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.evaluation import bbh_benchmark, mgsm_benchmark
from openflan.evaluation.custom_benchmark import custom_benchmark
from openflan.evaluation.extract import composed, concluded_letter, cut_at_next_question, leading_letter
from openflan.evaluation.gsm8k import gsm8k_benchmark
from openflan.evaluation.metrics import METRICS, same_number
from openflan.evaluation.mgsm_languages import LANGUAGES
from openflan.evaluation.mmlu import mmlu_benchmark
from openflan.evaluation.tydiqa import tydiqa_benchmark

Extract = Callable[[str], str | None]

MMLU: Extract = partial(mmlu_benchmark("direct").extract, "virology")
MMLU_COT: Extract = partial(mmlu_benchmark("cot").extract, "virology")
BBH: Extract = partial(bbh_benchmark("direct").extract, "navigate")
BBH_COT: Extract = partial(bbh_benchmark("cot").extract, "navigate")
GSM8K: Extract = partial(gsm8k_benchmark("direct").extract, "gsm8k")
GSM8K_COT: Extract = partial(gsm8k_benchmark("cot").extract, "gsm8k")
TYDIQA: Extract = partial(tydiqa_benchmark("direct").extract, "finnish")
TYDIQA_COT: Extract = partial(tydiqa_benchmark("cot").extract, "finnish")


@pytest.mark.parametrize(
    "label",
    [
        "A:",
        "A: A:",
        "Answer:",
        "answer :",
        "**Answer:**",
        "A：",
        "\nA:\n",
        "The answer:",
        "Final answer:",
        "Answer",
        "Option:",
    ],
)
@pytest.mark.parametrize(
    ("said", "letter"), [("(C)", "C"), ("C", "C"), ("c.", "C"), ("**(B)** because", "B"), ("D) Pleural", "D")]
)
def test_a_repeated_label_before_the_letter_is_no_part_of_the_answer(
    label: str, said: str, letter: str
) -> None:
    assert MMLU(f"{label} {said}") == letter


@pytest.mark.parametrize(
    ("said", "letter"),
    [
        ("A: Pleural", "A"),
        ("A: a cell", "A"),
        ("A", "A"),
        ("Answer: a cell", None),
        ("Answer:", None),
        ("A: (A) or (B)", "A"),
    ],
)
def test_a_label_that_is_an_option_too(said: str, letter: str | None) -> None:
    assert MMLU(said) == letter


@pytest.mark.parametrize(
    ("extract", "said", "answer"),
    [
        (BBH, "A: (B)", "(B)"),
        (BBH, "Answer: True", "True"),
        (BBH, "A:", None),
        (GSM8K, "A: 18", "18"),
        (GSM8K, "A: The number is 18", None),
        (TYDIQA, "Answer: Helsinki", "Helsinki"),
        (TYDIQA, "Answer: Answer: Helsinki", "Helsinki"),
        (TYDIQA, "Anssi: Helsinki", "Anssi: Helsinki"),
        *(
            (partial(mgsm_benchmark("direct").extract, code), f"{language.answer} {language.answer}11", "11")
            for code, language in LANGUAGES.items()
        ),
    ],
)
def test_a_repeated_label_before_a_direct_answer(extract: Extract, said: str, answer: str | None) -> None:
    assert extract(said) == answer


@pytest.mark.parametrize(
    ("extract", "said", "answer"),
    [
        (BBH_COT, "So the answer is (A). Q: What next? A: So the answer is (B).", "(A)"),
        (BBH_COT, "So the answer is Yes Q: What next? A: So the answer is No.", "Yes"),
        (BBH_COT, "So the answer is (Q).", "(Q)"),
        (BBH_COT, "FAQ: so the answer is Yes.", "Yes"),
        (BBH, "valid Q: Next? A: invalid", "valid"),
        (MMLU_COT, "The answer is (B). Question: Next? The answer is (D).", "B"),
        (MMLU_COT, "The question: which? The answer is (D).", "D"),
        (GSM8K, "18 Q: And now? A: The answer is 5.", "18"),
        (GSM8K_COT, "The answer is 18. Q: And 5 + 5? A: The answer is 10.", "18"),
        (GSM8K_COT, "She has 18. Q: And now? A: The answer is 10.", None),
        (TYDIQA, "Helsinki Question: Mikä?", "Helsinki"),
        (TYDIQA, "Helsinki Passage: Turku on kaupunki. Question: Mikä? Answer: Turku", "Helsinki"),
        (TYDIQA_COT, "The answer is Helsinki Question: Mikä? The answer is Turku", "Helsinki"),
    ],
)
def test_a_next_question_in_the_same_line_is_no_part_of_the_answer(
    extract: Extract, said: str, answer: str | None
) -> None:
    assert extract(said) == answer


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("between", [" ", "\n", "  \n\n", "。 "])
def test_a_next_question_in_any_language(code: str, between: str) -> None:
    language = LANGUAGES[code]
    assert (
        mgsm_benchmark("direct").extract(code, f"11{between}{language.question}5 + 5? {language.answer}10")
        == "11"
    )
    assert (
        mgsm_benchmark("cot").extract(
            code, f"The answer is 11.{between}{language.question}5 + 5? The answer is 10."
        )
        == "11"
    )


def test_a_question_that_a_sentence_speaks_of_is_none() -> None:
    assert mgsm_benchmark().extract("de", "Die Frage: wie viele? 5 + 6 = 11. Die Antwort lautet 11.") == "11"
    assert mgsm_benchmark().extract("ja", "この問題：5 + 6。答えは11です。") == "11"
    assert cut_at_next_question("Q: mine") == "Q: mine"


def test_labels_of_ones_own_benchmark_are_those_of_its_prompt(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"frage": "?", "antwort": "Rom"}\n')
    (tmp_path / "own.yaml").write_text(
        'name: own\ndata: own.jsonl\nprompt: "Rätsel: {frage}\\nLösung:"\ntarget: antwort\n', encoding="utf-8"
    )
    extract = custom_benchmark(tmp_path / "own.yaml").extract
    assert extract("own", "Lösung: Rom") == "Rom"
    assert extract("own", "Rom Rätsel: noch eins") == "Rom"
    (tmp_path / "own.yaml").write_text(
        'name: own\ndata: own.jsonl\nprompt: "{frage}\\n=>"\ntarget: antwort\n', encoding="utf-8"
    )
    assert custom_benchmark(tmp_path / "own.yaml").extract("own", "Lösung: Rom") == "Lösung: Rom"


LONG = 100_000
CPU_SECONDS = 2.0
"""The limit of CPU time of one call on a text of LONG characters. The slowest call takes 0.25 s. A pattern
that takes steps in proportion to the square of the length takes 5 s at least."""


class TooSlowError(Exception):
    """A call used more CPU time than its limit."""


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raise TooSlowError in the block once this process has used `seconds` of CPU time in it.

    Time in which other processes run does not count, so the limit holds on a busy machine. Python's regular
    expressions look for signals while they match, so a single match is interrupted too.
    """

    def stop(*_: object) -> None:
        raise TooSlowError

    earlier_handler = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, earlier_handler)


UNITS = [
    "\n",
    " ",
    " \n",
    "A\n",
    "(",
    "answer is ",
    "the ",
    "Q\n",
    "\nQ ",
    "A: ",
    "*",
    "'",
    "1,",
    "1/",
    "1 + ",
    "= 1 ",
    "1 and ",
    "- ",
    "elfu ",
    "<<1",
    "option ",
]
UNITS += ["\u0323\u0301", "উত্তর ", "万", "million ", "\\frac{1", "1½", "Question ", "Step-by-Step ", "x", "0"]
EXTRACTORS = {
    "mmlu": MMLU,
    "mmlu cot": MMLU_COT,
    "bbh": BBH,
    "gsm8k": GSM8K,
    "gsm8k cot": GSM8K_COT,
    "tydiqa": TYDIQA,
    "tydiqa cot": TYDIQA_COT,
}
EXTRACTORS |= {f"mgsm {code}": partial(mgsm_benchmark("direct").extract, code) for code in ("bn", "sw")}


@pytest.mark.parametrize("unit", UNITS)
def test_time_grows_with_the_length_of_the_text_and_not_with_its_square(unit: str) -> None:
    text = unit * (LONG // len(unit))
    for name, extract in EXTRACTORS.items():
        with cpu_limit(CPU_SECONDS):
            extract(f"The answer is {text}x" if "cot" in name else f"1{text}A")
    with cpu_limit(CPU_SECONDS):
        same_number(f"1{text}A", "18")


def test_a_pattern_that_takes_the_square_of_the_length_exceeds_the_limit() -> None:
    """The control of the test above: without it, a limit that never acts would pass."""
    text = " " * LONG + "x"
    with cpu_limit(CPU_SECONDS):
        assert re.search(r"(?<!\s)\s+$", text) is None
    with pytest.raises(TooSlowError), cpu_limit(CPU_SECONDS):
        re.search(r"\s+$", text)


def test_leading_letter_is_read_after_any_number_of_lines() -> None:
    assert leading_letter("\n" * 1_000_000 + "(B)", "ABCD") == "B"
    assert leading_letter("\n" * 1_000_000 + "x", "ABCD") is None
    assert concluded_letter("answer is " * 100_000 + "(B)", (r"\banswer\s+is\b",), "ABCD") == "B"
    assert concluded_letter("answer is " * 100_000 + "x", (r"\banswer\s+is\b",), "ABCD") is None


@given(st.text(alphabet="\n A*(B)'\"_:,.aQ1=-", max_size=40), st.integers(0, 3))
def test_blank_lines_before_a_text_change_no_letter(text: str, lines: int) -> None:
    assert leading_letter("\n" * lines + text, "ABCD") == leading_letter(text, "ABCD")


def test_marks_over_letters_are_put_in_one_form_but_not_without_end() -> None:
    assert composed("re\u0301ponse") == "réponse"
    endless = "e" + "\u0323\u0301" * 100_000
    assert composed(endless) == endless


LIBRARIES = {"rouge_l_stemmed": "rouge_score", "translation": "sacrebleu"}
"""The libraries of the extra `metrics` that some metrics need."""


@pytest.mark.parametrize("name", METRICS)
def test_measures_of_long_answers(name: str) -> None:
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name], reason="the extra `metrics` is not installed")
    metric = METRICS[name]
    for long in ("7" * 300_000, "word " * 100_000, "字" * 300_000):
        for measure in (metric.compare, *metric.beside.values()):
            assert float(measure(long, "18 words")) < 0.1
            assert float(measure("18 words", long)) < 0.1
