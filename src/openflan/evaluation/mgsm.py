"""MGSM: 250 grade-school problems in eleven languages, eight exemplars with rationales in the same language.

The exemplars start with their own prefixes; the questions of the files have none and get the language's. Score: numeric equality of the number
after the last answer phrase. Only the form with rationales is offered, the one the paper's averages use.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example, number_of_shots
from openflan.evaluation.extract import after_last_phrase, cut_at_next_question, first_sentence, without_labels
from openflan.evaluation.local_files import locate, text_of
from openflan.evaluation.mgsm_languages import AVERAGED, LANGUAGES
from openflan.evaluation.numbers import canonical, number

SHOTS = 8
QUESTIONS = 250

MAX_TOKENS = 512
"""The paper's limit is not known. The longest exemplar rationale has 160 tokens under T5's vocabulary, and 700 bytes of UTF-8 (Telugu)."""


def mgsm_benchmark(mode: str = "cot", data: Path | None = None, *, shots: int | None = None) -> Benchmark:
    """The benchmark; `data` is the folder with its files or the parent of `mgsm/`, and may be left out for scoring.

    `shots` uses the first exemplars only; 0 sends the question and the language's step-by-step prefix.
    """
    if mode != "cot":
        raise InputError(f"mgsm is evaluated with rationales, not in mode `{mode}`: use `--mode cot`")
    count = number_of_shots("mgsm", shots, SHOTS)
    return Benchmark(
        name="mgsm",
        mode=mode,
        tasks={code: BenchmarkTask(QUESTIONS, 0.0, (f"\n{language.question.strip()}",)) for code, language in LANGUAGES.items()},
        examples=partial(_examples, data, count),
        extract=_extract,
        compare=_equal,
        averages={"average": AVERAGED},
        max_tokens=MAX_TOKENS,
        prompt_version=f"mgsm-cot-{count}-shot-1",
    )


def _examples(data: Path | None, shots: int, code: str) -> Sequence[Example]:
    if data is None:
        raise InputError("the prompts of mgsm need its files: give their folder with `--data`")
    folder = locate(data, "mgsm")
    language = LANGUAGES[code]
    blocks = _exemplars(folder / "exemplars.json", code)[:shots]
    return [
        Example(code, index, "\n\n".join([*blocks, f"{language.question}{question}\n{language.step.rstrip()}"]), answer, shots)
        for index, (question, answer) in enumerate(_rows(folder / f"mgsm_{code}.tsv"))
    ]


def _rows(path: Path) -> list[tuple[str, str]]:
    """Question and answer by line. There is no quoting, and lines end at LF only: Unicode counts other characters as line ends, too."""
    rows = []
    for place, line in enumerate(text_of(path).removesuffix("\n").split("\n"), 1):
        row = line.split("\t")
        if len(row) != 2:
            raise InputError(f"{path}:{place}: {len(row)} columns, expected 2 (question, answer) separated by one tab")
        rows.append((row[0], row[1]))
    return rows


def _exemplars(path: Path, code: str) -> list[str]:
    try:
        published = json.loads(text_of(path))["mgsm_exemplars"][code]
        return [f"{published[str(place)]['q']}\n{published[str(place)]['a']}" for place in range(1, SHOTS + 1)]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        expected = '{"mgsm_exemplars": {language: {"1".."8": {"q", "a"}}}}'
        raise InputError(f"{path} lacks exemplars for `{code}` ({error!r}): expected {expected}") from error


def _extract(code: str, generation: str) -> str | None:
    language = LANGUAGES[code]
    # English labels too, because models change language, and `Step-by-Step Answer:` is no answer in any of them.
    text = unicodedata.normalize("NFC", generation)  # models write `é` in either of its forms
    text = cut_at_next_question(text, (language.question, LANGUAGES["en"].question))
    text = without_labels(text, (language.step, LANGUAGES["en"].step))
    found = after_last_phrase(text, language.answer_phrases)
    value = None if found is None else number(first_sentence(found), decimal_comma=language.decimal_comma)
    return None if value is None else canonical(value)


def _equal(answer: str, target: str) -> bool:
    """Whether a canonical number equals the first number of a target as the files write it (`2,125`)."""
    value = number(target)
    return value is not None and canonical(value) == answer
