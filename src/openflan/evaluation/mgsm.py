"""MGSM: 250 grade-school problems in eleven languages, eight exemplars in the same language, with rationales
or without.

The exemplars start with their own prefixes; the questions of the files have none and get the language's.
Score: numeric equality of the number after the last answer phrase. The paper's averages use the form with
rationales. The direct form is our choice, as no source prints one: the same questions, then the language's
word for "Answer" and the number; there an answer may also be what the text starts with.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from openflan.benchmark_data.files import locate
from openflan.benchmark_data.mgsm import NUM_QUESTIONS, mgsm_rows
from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example, number_of_shots
from openflan.evaluation.extract import (
    after_last_phrase,
    composed,
    cut_at_next_question,
    first_sentence,
    starts_with_number,
    without_labels,
    without_leading_labels,
)
from openflan.evaluation.mgsm_languages import AVERAGED, LANGUAGES
from openflan.evaluation.numbers import canonical, number
from openflan.json_files import read_json_file

SHOTS = 8

MAX_TOKENS = {"direct": 32, "cot": 512}
"""The paper's limit is not known. The longest exemplar rationale has 160 tokens under T5's vocabulary, and
700 bytes of UTF-8 (Telugu). A direct answer is a number, which a model may put into a short sentence."""


def mgsm_benchmark(
    mode: Literal["direct", "cot"] = "cot", data: Path | None = None, *, shots: int | None = None
) -> Benchmark:
    """The benchmark; `data` is the folder with its files or the parent of `mgsm/`, and may be left out for
    scoring.

    `shots` uses the first exemplars only; 0 sends the question and the language's step-by-step prefix
    (`direct`: its word for "Answer").
    """
    count = number_of_shots("mgsm", shots, SHOTS)
    return Benchmark(
        name="mgsm",
        mode=mode,
        tasks={
            code: BenchmarkTask(NUM_QUESTIONS, 0.0, (f"\n{language.question.strip()}",))
            for code, language in LANGUAGES.items()
        },
        examples=partial(_examples, data, mode, count),
        extract=_extract if mode == "cot" else _extract_direct,
        compare=_equal,
        averages={"average": AVERAGED},
        max_tokens=MAX_TOKENS[mode],
        prompt_version=f"mgsm-{mode}-{count}-shot-1",
        shots=count,
        usual_shots=SHOTS,
        cluster=_source_question,
    )


def _examples(data: Path | None, mode: str, shots: int, code: str) -> Sequence[Example]:
    if data is None:
        raise InputError("the prompts of mgsm need its files: give their folder with `--data`")
    folder = locate(data, "mgsm")
    language = LANGUAGES[code]
    blocks = _exemplars(folder / "exemplars.json", code, mode)
    end = language.step.rstrip() if mode == "cot" else language.answer.rstrip()

    def prompt(question: str, count: int) -> str:
        return "\n\n".join([*blocks[:count], f"{language.question}{question}\n{end}"])

    return [
        Example(code, index, prompt(question, shots), answer, shots, fewer=partial(prompt, question))
        for index, (question, answer) in enumerate(mgsm_rows(folder / f"mgsm_{code}.tsv"))
    ]


def _exemplars(path: Path, code: str, mode: str) -> list[str]:
    """All exemplars of a language as they are, or with the answers alone."""
    document = read_json_file(path)
    try:
        blocks = [_exemplar(document, code, exemplar_number, mode) for exemplar_number in range(1, SHOTS + 1)]
    except (KeyError, IndexError, TypeError) as error:
        expected = (
            '{"mgsm_exemplars": {language: {"1".."8": {"q", "a"}}}, "exemplar_number_answers": [8 numbers]}'
        )
        raise InputError(f"{path} lacks exemplars for `{code}` ({error!r}): expected {expected}") from error
    return blocks


def _exemplar(document: Any, code: str, exemplar_number: int, mode: str) -> str:
    published = document["mgsm_exemplars"][code][str(exemplar_number)]
    if not isinstance(published["q"], str) or not isinstance(published["a"], str):
        raise TypeError(f"exemplar {exemplar_number} is no pair of texts")
    if mode == "cot":
        return f"{published['q']}\n{published['a']}"
    answer = document["exemplar_number_answers"][exemplar_number - 1]
    return f"{published['q']}\n{LANGUAGES[code].answer}{answer}"


def _source_question(code: str, index: int) -> str:
    """The languages are translations of one list: item 7 is the same problem in each."""
    return str(index)


def _extract(code: str, generation: str) -> str | None:
    language = LANGUAGES[code]
    conclusion = after_last_phrase(_own_text(code, generation), language.answer_phrases)
    return None if conclusion is None else _number(code, conclusion)


def _extract_direct(code: str, generation: str) -> str | None:
    text = _own_text(code, generation)
    conclusion = after_last_phrase(text, LANGUAGES[code].answer_phrases)
    if conclusion is None:
        text = without_leading_labels(text, (LANGUAGES[code].answer, LANGUAGES["en"].answer, "A:"))
        conclusion = text if starts_with_number(text) else None
    return None if conclusion is None else _number(code, conclusion)


def _own_text(code: str, generation: str) -> str:
    """The generation up to the next question, without step-by-step prefixes."""
    language = LANGUAGES[code]
    # English labels too, because models change language, and `Step-by-Step Answer:` is no answer in any of
    # them.
    text = composed(generation)  # models write `é` in either of its forms
    text = cut_at_next_question(text, (language.question, LANGUAGES["en"].question, "Q:"))
    return without_labels(text, (language.step, LANGUAGES["en"].step))


def _number(code: str, text: str) -> str | None:
    value = number(first_sentence(text), decimal_comma=LANGUAGES[code].decimal_comma)
    return None if value is None else canonical(value)


def _equal(answer: str, target: str) -> bool:
    """True if a canonical number equals the first number of a target as the files write it (`2,125`)."""
    value = number(target)
    return value is not None and canonical(value) == answer
