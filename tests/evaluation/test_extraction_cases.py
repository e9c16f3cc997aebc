"""What a model wrote, and the answer it gave: one table for every benchmark. All texts are made up.

None is a failure to extract. It is counted and never right, whatever the target.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from openflan.evaluation import bbh_benchmark, mgsm_benchmark
from openflan.evaluation.custom_benchmark import custom_benchmark
from openflan.evaluation.gsm8k import gsm8k_benchmark
from openflan.evaluation.mmlu import mmlu_benchmark
from openflan.evaluation.tydiqa import tydiqa_benchmark

Extract = Callable[[str], str | None]

MMLU_COT: Extract = partial(mmlu_benchmark("cot").extract, "virology")
MMLU: Extract = partial(mmlu_benchmark("direct").extract, "virology")
GSM8K_COT: Extract = partial(gsm8k_benchmark("cot").extract, "gsm8k")
GSM8K: Extract = partial(gsm8k_benchmark("direct").extract, "gsm8k")
TYDIQA: Extract = partial(tydiqa_benchmark("direct").extract, "finnish")
TYDIQA_COT: Extract = partial(tydiqa_benchmark("cot").extract, "finnish")
BBH_COT: Extract = partial(bbh_benchmark("cot").extract, "navigate")


def mgsm(language: str) -> Extract:
    return partial(mgsm_benchmark("direct").extract, language)


def mgsm_cot(language: str) -> Extract:
    return partial(mgsm_benchmark("cot").extract, language)


LETTERS_CONCLUDED = [
    ("A cell divides. The answer is (C).", "C"),
    ("The answer is (C)", "C"),
    ("The answer is C.", "C"),
    ("The answer is C", "C"),
    ("the answer is c.", "C"),
    ("The answer is: (B).", "B"),
    ("The answer is : B", "B"),
    ("So the correct answer is (D).", "D"),
    ("The best answer is option B.", "B"),
    ("The answer is choice (A).", "A"),
    ("The answer is **(B)**.", "B"),
    ("The answer is **B**", "B"),
    ("The answer is 'D'.", "D"),
    ("The answer is “D”.", "D"),
    ("The answer is (B) Cranial.", "B"),
    ("The answer is B) Cranial", "B"),
    ("The answer is\n(B).", "B"),
    ("The answer is ( B ).", "B"),
    ("The answer is [B].", "B"),
    ("The answer is A because it divides.", "A"),
    ("The answer is B because it divides.", "B"),
    ("The answer is (A). No, wait: the answer is (C).", "C"),
    ("The answer is (C). I am sure that this answer is right.", "C"),
    ("The answer is (C).\n\nQ: Next one?\nA: The answer is (D).", "C"),
    ("The answer is (E).", None),
    ("The answer is A cell that divides.", None),
    ("The answer is a cell that divides.", None),
    ("The answer is Cranial.", None),
    ("The answer is D'Alembert.", None),
    ("The answer is (A) and (C).", None),
    ("The answer is A or B.", None),
    ("The answer is B, C and D.", None),
    ("The answer is", None),
    ("(C)", None),
    ("C", None),
    ("Answer: (C)", None),
    ("I choose (C).", None),
    ("", None),
    ("\n\nQ: Next?\nA: The answer is (C).", None),
]
LETTERS_DIRECT = [
    (" (C)\n", "C"),
    ("(c)", "C"),
    ("C", "C"),
    ("c", "C"),
    ("C.", "C"),
    ("C)", "C"),
    ("C: Pleural", "C"),
    ("(C) Pleural", "C"),
    ("C. Pleural", "C"),
    ("C) Pleural", "C"),
    ("**C**", "C"),
    ("A", "A"),
    ("A, because it divides", "A"),
    ("B it is", "B"),
    ("The answer is (B).", "B"),
    ("I think the answer is B", "B"),
    ("(B)\n\nQ: Next?\nA: (D)", "B"),
    ("(B)\nQ: Next?", "B"),
    ("(E)", None),
    ("E", None),
    ("A cell", None),
    ("a cell", None),
    ("Because (B)", None),
    ("(A) or (B)", None),
    ("A, B", None),
    ("A/B", None),
    ("Cranial", None),
    ("B-cells", None),
    ("A.M.", None),
    ("", None),
    ("...", None),
]
NUMBERS_CONCLUDED = [
    ("16 - 3 - 4 = 9. The answer is 18.", "18"),
    ("The answer is $18.", "18"),
    ("The answer is 18 dollars.", "18"),
    ("The answer is US$1,234.50 in all.", "1234.5"),
    ("The answer is £3.", "3"),
    ("The answer is 3€.", "3"),
    ("The answer is -7.", "-7"),
    ("The answer is −7 degrees.", "-7"),
    ("The answer is +7.", "7"),
    ("The answer is -$7.", "-7"),
    ("The answer is 1,000,000.", "1000000"),
    ("The answer is 29.00.", "29"),
    ("The answer is .75 miles", "0.75"),
    ("The answer is 25%.", "25"),
    ("The answer is 25 percent.", "25"),
    ("The answer is 3/4 of a cake.", "0.75"),
    ("The answer is 1 1/2 hours.", "1.5"),
    ("The answer is 1½ hours.", "1.5"),
    ("The answer is ½.", "0.5"),
    ("The answer is -½.", "-0.5"),
    ("The answer is \\frac{3}{4}.", "0.75"),
    ("The answer is $\\frac{1}{2}$.", "0.5"),
    ("The answer is \\boxed{42}.", "42"),
    ("The answer is **42**.", "42"),
    ("The answer is 1e3.", "1000"),
    ("The answer is 2.5e-1.", "0.25"),
    ("The answer is 9 * 2 = 18.", "18"),
    ("The answer is 10 - 2 = $8.", "8"),
    ("The answer is 60 km/h.", "60"),
    ("The answer is 5kg.", "5"),
    ("The answer is 007.", "7"),
    ("The answer is ١٨.", "18"),
    ("The answer is ١٬٢٣٤٫٥.", "1234.5"),
    ("The answer is 18. She also has 5 dogs.", "18"),
    ("The answer is 18\nand 5 more", "18"),
    ("The answer is 9. The answer is 18.", "18"),
    ("She makes 9 * 2 = <<9*2=18>>18.\n#### 18", "18"),
    ("#### 1,234", "1234"),
    ("Final answer: 12", "12"),
    ("The answer is 18.\n\nQ: And now?\nA: The answer is 5.", "18"),
    ("She has 18 dollars.", None),
    ("The answer is eighteen.", None),
    ("The answer is unknown. She has 5 dogs.", None),
    ("The answer is 12:30.", None),
    ("The answer is 1/2/2026.", None),
    ("The answer is 10^6.", None),
    ("The answer is 5/0.", None),
    ("The answer is", None),
    ("", None),
]
NUMBERS_DIRECT = [
    ("18", "18"),
    (" $18\n", "18"),
    ("18 dollars a day.", "18"),
    ("-4", "-4"),
    ("(18)", "18"),
    ("= 18", "18"),
    ("9 * 2 = 18", "18"),
    ("The answer is 18.", "18"),
    ("She makes 9, so the answer is 18.", "18"),
    ("18\nQ: Next? 5", "18"),
    ("1/4", "0.25"),
    ("½ cup", "0.5"),
    ("She makes 18 dollars.", None),
    ("about 18", None),
    ("eighteen", None),
    ("", None),
]
FREE_TEXT = [
    (" Helsinki\n", "Helsinki"),
    ("Helsinki\nTurku", "Helsinki"),
    ("Helsinki\n\nPassage: Turku on kaupunki.\nQuestion: Mikä?", "Helsinki"),
    ("Helsinki\nQuestion: Mikä?", "Helsinki"),
    ("vuonna 1812.", "vuonna 1812."),
    ("\n\nHelsinki", "Helsinki"),
    ("\n \n", None),
    ("", None),
]


def _case(rule: str, extract: Extract, rows: list[tuple[str, str | None]]) -> list[object]:
    return [
        pytest.param(extract, text, answer, id=f"{rule} {index}") for index, (text, answer) in enumerate(rows)
    ]


CASES = [
    *_case("mmlu cot", MMLU_COT, LETTERS_CONCLUDED),
    *_case("mmlu direct", MMLU, LETTERS_DIRECT),
    *_case("gsm8k cot", GSM8K_COT, NUMBERS_CONCLUDED),
    *_case("gsm8k direct", GSM8K, NUMBERS_DIRECT),
    *_case("tydiqa direct", TYDIQA, FREE_TEXT),
    *_case(
        "tydiqa cot",
        TYDIQA_COT,
        [
            ("The passage says so. The answer is Helsinki", "Helsinki"),
            ("The answer is: Helsinki\nQuestion: Mikä?", "Helsinki"),
            ("The answer is Turku. The answer is Helsinki", "Helsinki"),
            ("Helsinki", None),
            ("The answer is\nQuestion: Mikä?", None),
        ],
    ),
    *_case(
        "mgsm de",
        mgsm("de"),
        [
            ("11", "11"),
            ("Antwort: 2.125 Euro", "2125"),
            ("3,5 Liter", "3.5"),
            ("Sie hat 11 Bälle", None),
            ("elf", None),
        ],
    ),
    *_case(
        "mgsm fr",
        mgsm("fr"),
        [("276 000 €", "276000"), ("La réponse est 11.", "11"), ("Réponse : 5", "5"), ("Il en a 11", None)],
    ),
    *_case("mgsm es", mgsm("es"), [("114.200", "114200"), ("Respuesta: 8", "8"), ("Tiene 8", None)]),
    *_case("mgsm ru", mgsm("ru"), [("Ответ: 11", "11"), ("5 600 рублей", "5600"), ("У неё 11", None)]),
    *_case("mgsm zh", mgsm("zh"), [("答案：11", "11"), ("２，１２５个", "2125"), ("她有11个", None)]),
    *_case("mgsm ja", mgsm("ja"), [("答え：39個", "39"), ("９個", "9"), ("彼女は9個", None)]),
    *_case("mgsm th", mgsm("th"), [("คำตอบ: ๑๑", "11"), ("๑๑ ลูก", "11"), ("เธอมี 11", None)]),
    *_case("mgsm bn", mgsm("bn"), [("উত্তর: ১১", "11"), ("১,১৪,২০০", "114200"), ("তার কাছে ১১", None)]),
    *_case("mgsm te", mgsm("te"), [("సమాధానం: 39", "39"), ("౩౯", "39"), ("రోజర్ 5", None)]),
    *_case("mgsm sw", mgsm("sw"), [("Jibu: 11", "11"), ("Jibu ni 5,600.", "5600"), ("Ana 11", None)]),
    *_case(
        "mgsm en",
        mgsm("en"),
        [("Answer: 11", "11"), ("Step-by-Step Answer: 11", "11"), ("$11", "11"), ("He has 11", None)],
    ),
    *_case(
        "mgsm cot de",
        mgsm_cot("de"),
        [("Die Antwort beträgt 11.", "11"), ("Die Antwort ist also 11 Euro.", "11"), ("11", None)],
    ),
    *_case("mgsm cot zh", mgsm_cot("zh"), [("答案为：11", "11"), ("所以答案是−5。", "-5"), ("11。", None)]),
    *_case(
        "bbh cot",
        BBH_COT,
        [("So the answer is No.", "No"), ("So the answer is: valid", "valid"), ("No.", None)],
    ),
]


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 100


@pytest.mark.parametrize(("extract", "text", "answer"), CASES)
def test_extraction(extract: Extract, text: str, answer: str | None) -> None:
    assert extract(text) == answer


@pytest.mark.parametrize(
    ("benchmark", "task", "failures"),
    [
        (mmlu_benchmark("cot"), "virology", LETTERS_CONCLUDED),
        (mmlu_benchmark("direct"), "virology", LETTERS_DIRECT),
        (gsm8k_benchmark("cot"), "gsm8k", NUMBERS_CONCLUDED),
        (gsm8k_benchmark("direct"), "gsm8k", NUMBERS_DIRECT),
        (tydiqa_benchmark(), "finnish", FREE_TEXT),
    ],
)
def test_a_failure_to_extract_is_never_right(
    benchmark, task: str, failures: list[tuple[str, str | None]]
) -> None:  # type: ignore[no-untyped-def]
    for text, answer in failures:
        targets = (text, text.strip(), "", "A", "B", "C", "18", "5")
        assert (answer is None) == (
            not any(benchmark.correct(task, text, target) for target in (*targets, answer or ""))
        )


OWN = 'name: own\ndata: own.jsonl\nprompt: "Q: {question}\\nA:"\ntarget: answer\n'


@pytest.mark.parametrize(
    ("more", "mode", "text", "answer"),
    [
        ("", "direct", "Paris\nRome", "Paris"),
        ("extraction: text\n", "direct", " Paris\nRome ", "Paris\nRome"),
        ("", "direct", "I think the answer is Paris", "Paris"),
        ("", "cot", "It lies there. The answer is: Paris.", "Paris"),
        ("", "cot", "Paris", None),
        ("answer_phrases: [réponse, die Antwort lautet]\n", "cot", "Die  Antwort lautet Paris", "Paris"),
        ("answer_phrases: [réponse, die Antwort lautet]\n", "cot", "The answer is Paris", None),
        ("answer_phrases: [答案是]\n", "cot", "所以答案是巴黎。", "巴黎。"),
        ("extraction: number\n", "direct", "12 metres", "12"),
        ("extraction: number\n", "direct", "some 12 metres", None),
        ("metric: numeric\n", "cot", "The answer is $1,200.", "1200"),
        ("metric: letter\n", "direct", "(F) Paris", "F"),
        ("metric: letter\n", "cot", "The answer is J.", "J"),
        ("metric: letter\n", "cot", "(F)", None),
        ('stop: ["Q:"]\n', "direct", "Paris Q: next", "Paris"),
        ('stop: ["Q:"]\n', "direct", "Q: next", None),
    ],
)
def test_extraction_of_own_benchmarks(
    tmp_path: Path, more: str, mode: str, text: str, answer: str | None
) -> None:
    (tmp_path / "own.jsonl").write_text('{"question": "?", "answer": "A"}\n')
    (tmp_path / "own.yaml").write_text(OWN + more, encoding="utf-8")
    assert custom_benchmark(tmp_path / "own.yaml", mode).extract("own", text) == answer
