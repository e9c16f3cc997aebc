"""The form of a task's answers, and how an answer is asked for and found after a chain of thought (Kojima et
al. 2022).

Zero-shot chains of thought are answered in two stages: the model reasons, then the text so far and a trigger
such as "Therefore, the answer (arabic numerals) is" are sent, and what follows is the answer. Trigger and
reading depend on the form of the answers. The form is found from all targets of a task, as benchmarks do not
state it; the right answer to the question itself plays no part. The reading is the published one, the first
number, letter or word: a trigger leaves nothing else to come before the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeAlias

from openflan.evaluation.benchmark import Target
from openflan.evaluation.extract import cut_at_next_question, first_line, leading_letter, plain
from openflan.evaluation.numbers import canonical

Kind: TypeAlias = Literal["number", "letter", "word", "text"]

TRIGGERS: Mapping[Kind, str] = {
    "number": "Therefore, the answer (arabic numerals) is",
    "letter": "Therefore, among {first} through {last}, the answer is",
    "word": "Therefore, the answer ({choices}) is",
    "text": "Therefore, the answer is",
}
"""The triggers of the second stage by the kind of answer. The paper prints them for numbers, for `A through
E`, `A through F` and `A through C`, for `Yes or No`, and the last one for everything else."""

MAX_TOKENS: Mapping[Kind, int] = {"number": 32, "letter": 32, "word": 32, "text": 128}
"""Tokens of an answer: the published 32, and more where answers are texts."""

WORDS = (("Yes", "No"), ("True", "False"), ("valid", "invalid"), ("plausible", "implausible"))
"""Words that are a task's only answers, as triggers show them."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NUMBER = re.compile(r"[-+−]?[$€£¥]?\d[\d,. ]*%?")
_FIRST_NUMBER = re.compile(r"[-−]?\d+(?:\.\d+)?")
_LETTER = re.compile(r"\(?([A-Z])\)?\.?")
_LISTED = re.compile(r"\(([A-Z])\)")


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """The kind of a question's answers. `choices` are all answers that count, in the spelling of the targets:
    letters (`B` or `(B)`) or words; empty for other kinds."""

    kind: Kind = "text"
    choices: tuple[str, ...] = ()

    @property
    def trigger(self) -> str:
        """The text that asks for the answer after a chain of thought."""
        letters = [choice.strip("()") for choice in self.choices] or [""]
        return TRIGGERS[self.kind].format(
            first=letters[0], last=letters[-1], choices=" or ".join(map(str, self.choices))
        )

    @property
    def max_tokens(self) -> int:
        """The most tokens of an answer."""
        return MAX_TOKENS[self.kind]

    def answer(self, text: str) -> str | None:
        """The answer that follows the trigger: the first number (without commas between digits), option
        letter or word of the choices; of a text its first line without a final period. None without one."""
        text = cut_at_next_question(text)
        if self.kind == "number":
            return _first_number(text)
        if self.kind == "letter":
            return self._letter(text)
        if self.kind == "word":
            by_word = {choice.casefold(): choice for choice in self.choices}
            words = (word.casefold() for word in re.findall(r"\w+", text))
            return next((by_word[word] for word in words if word in by_word), None)
        return plain(first_line(text) or "")

    def to_json(self) -> dict[str, Any]:
        """The form as JSON; `form_of_json` is its inverse."""
        return {"kind": self.kind, **({"choices": list(self.choices)} if self.choices else {})}

    def _letter(self, text: str) -> str | None:
        by_letter = {choice.strip("()"): choice for choice in self.choices}
        letters = "".join(by_letter)
        first = leading_letter(text, letters)
        for pattern in (rf"\(([{letters}])\)", rf"(?<!\w)([{letters}])(?!\w)"):
            if first is None and (match := re.search(pattern, text)):
                first = match[1]
        return None if first is None else by_letter[first]


def form_of_task(targets: Iterable[Target]) -> AnswerForm:
    """The form that the targets of a task have, but for one in fifty; of letters those up to the last one
    that is a target."""
    texts = [(one if isinstance(one, str) else one[0]).rpartition("####")[2].strip() for one in targets]
    if not texts:
        return AnswerForm()
    if _nearly_all(list(map(_is_number, texts))):
        return AnswerForm("number")
    labels = [text for text in texts if _LETTER.fullmatch(text)]
    if _nearly_all([bool(_LETTER.fullmatch(text)) for text in texts]):
        last = max(_LETTERS.index(label.strip("().")) for label in labels)
        return AnswerForm("letter", _letters(last + 1, bracketed=labels[0].startswith("(")))
    spelled = {text.casefold().removesuffix("."): text.removesuffix(".") for text in texts}
    for words in WORDS:
        if spelled.keys() <= {word.casefold() for word in words}:
            return AnswerForm("word", tuple(spelled.get(word.casefold(), word) for word in words))
    return AnswerForm()


def form_of_question(task_form: AnswerForm, prompt: str) -> AnswerForm:
    """The task's form, for letters with those that the prompt lists as `(A)`, `(B)`, ..."""
    if task_form.kind != "letter":
        return task_form
    listed = set(_LISTED.findall(prompt))
    count = next((index for index, letter in enumerate(_LETTERS) if letter not in listed), len(_LETTERS))
    if count < 2:
        return task_form
    return AnswerForm("letter", _letters(count, bracketed=task_form.choices[0].startswith("(")))


def form_of_json(value: object) -> AnswerForm | None:
    """The form in a line of a file; None for anything else."""
    if not isinstance(value, Mapping) or value.get("kind") not in TRIGGERS:
        return None
    choices = value.get("choices", ())
    is_list = isinstance(choices, Sequence) and all(isinstance(one, str) and one for one in choices)
    if not is_list or isinstance(choices, str) or (value["kind"] in ("letter", "word") and not choices):
        return None
    if value["kind"] == "letter" and not all(_LETTER.fullmatch(choice) for choice in choices):
        return None
    return AnswerForm(value["kind"], tuple(choices))


def _nearly_all(holds: Sequence[bool]) -> bool:
    """True if at most one in fifty is false: some published files have broken rows."""
    return holds.count(False) <= len(holds) // 50


def _letters(count: int, *, bracketed: bool) -> tuple[str, ...]:
    return tuple(f"({letter})" if bracketed else letter for letter in _LETTERS[: max(count, 2)])


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _first_number(text: str) -> str | None:
    match = _FIRST_NUMBER.search(re.sub(r"(?<=\d),(?=\d)", "", text))
    try:
        return canonical(Decimal(match[0].replace("−", "-"))) if match else None
    except InvalidOperation:
        return None
