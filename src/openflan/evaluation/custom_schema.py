"""The keys of a custom benchmark's file; `custom_benchmark.py` has an example."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from openflan.errors import InputError, did_you_mean
from openflan.hashes import sha256_of
from openflan.templates.pattern import Pattern
from openflan.yaml_files import read_yaml

_ENGLISH_LABELS = (
    "Answer:",
    "The answer:",
    "The correct answer:",
    "Correct answer:",
    "The final answer:",
    "Final answer:",
)
_LONGEST_LABEL = 40


def _is_label(text: str) -> bool:
    return text.endswith((":", "：")) and "\n" not in text and 1 < len(text) <= _LONGEST_LABEL


class CustomBenchmark(BaseModel):
    """The keys of the file; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")
    data: str | dict[str, str] = Field(min_length=1)
    prompt: str = Field(min_length=1)
    target: str = Field(min_length=1)
    instruction: str | None = None
    options: str | None = None
    metric: Literal[
        "exact_match",
        "accuracy",
        "letter",
        "numeric",
        "squad",
        "rouge_l",
        "rouge_l_stemmed",
        "translation",
    ] = "exact_match"
    extraction: Literal["text", "first_line", "letter", "number"] = "first_line"
    answer_phrases: list[str] = Field(default=["the answer is"], min_length=1)
    exemplars: str | None = None
    shots: int = Field(default=0, ge=0)
    rationale: str | None = None
    trigger: str = "Let's think step by step."
    stop: list[str] = []
    max_tokens: int | None = Field(default=None, ge=1)
    chance: float | None = Field(default=None, ge=0, lt=100)

    @field_validator("prompt")
    @classmethod
    def _is_pattern(cls, text: str) -> str:
        if not Pattern.parse(text).fields:
            raise ValueError("shows no {field} of a row, so every question would be the same")
        return text

    @field_validator("answer_phrases", "stop")
    @classmethod
    def _say_something(cls, texts: list[str]) -> list[str]:
        if not all(texts):
            raise ValueError("holds an empty text, which stands everywhere")
        return texts

    @property
    def question_labels(self) -> tuple[str, ...]:
        """The label with which the prompt begins (`Q:`), if any. If an answer contains it, a next question
        begins there."""
        start = Pattern.parse(self.prompt).literals[0].strip()
        return (start,) if _is_label(start) else ()

    @property
    def answer_labels(self) -> tuple[str, ...]:
        """The last line of the prompt, if it is a label (`A:`), and the English ones: models write them again
        before the answer."""
        last = Pattern.parse(self.prompt).literals[-1].strip().rpartition("\n")[2].strip()
        return (*((last,) if _is_label(last) else ()), *_ENGLISH_LABELS)

    @property
    def conclusion(self) -> str:
        """The end of an exemplar's rationale, before the answer: the first answer phrase, as the start of a
        sentence."""
        phrase = self.answer_phrases[0]
        return phrase[0].upper() + phrase[1:]

    @property
    def fingerprint(self) -> str:
        """Eight digits that change with anything in the file that a prompt may show."""
        fields = [
            self.prompt,
            self.instruction,
            self.trigger,
            self.conclusion,
            self.rationale,
            self.options,
            self.target,
        ]
        return sha256_of(repr(fields))[:8]

    def files(self, folder: Path) -> dict[str, Path]:
        """Data files by task."""
        return (
            {self.name: folder / self.data}
            if isinstance(self.data, str)
            else {task: folder / file for task, file in self.data.items()}
        )


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """How an answer is judged: by `metric`, and where `extraction` is given what of a generation is the
    answer, as the keys of the same names say. `question_of` names the task whose questions these are, where
    several tasks ask the same questions in different wordings."""

    metric: str
    extraction: Literal["text", "first_line", "letter", "number"] | None = None
    answer_phrases: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    question_labels: tuple[str, ...] = ()
    answer_labels: tuple[str, ...] = _ENGLISH_LABELS
    question_of: str | None = None


def own_rule(own: CustomBenchmark) -> dict[str, Any]:
    """The rule by which the file's answers are judged, as JSON."""
    keys = ("answer_phrases", "stop", "question_labels", "answer_labels")
    return {"metric": own.metric, "extraction": own.extraction} | {
        key: list(getattr(own, key)) for key in keys
    }


def read_custom_benchmark(path: Path) -> CustomBenchmark:
    """Raises InputError naming the file and the key for anything that is not as `CustomBenchmark` says."""
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; `--benchmark` takes a name, or a YAML file that describes a benchmark"
        )
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise InputError(
            f"{path}: {'empty file' if values is None else 'not a mapping'}; expected `name:`, `data:`, "
            "`prompt:` and `target:`"
        )
    try:
        return CustomBenchmark.model_validate(values)
    except ValidationError as error:
        raise InputError(
            "\n".join(_message(path, problem) for problem in error.errors(include_url=False))
        ) from None


def _message(path: Path, problem: Any) -> str:
    key = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        known = CustomBenchmark.model_fields
        return (
            f"{path}: `{key}` is not a key of a "
            f"benchmark{did_you_mean(key, known) or '; keys: ' + ', '.join(known)}"
        )
    if problem["type"] == "missing":
        return f"{path}: `{key}` is missing; a benchmark needs `name`, `data`, `prompt` and `target`"
    if problem["type"] == "string_pattern_mismatch":
        return (
            f"{path}: `{key}` is {problem['input']!r}: expected letters, digits, `_`, `.` and `-`, a "
            "letter or digit first"
        )
    text = str(problem["msg"]).removeprefix("Value error, ")
    return f"{path}: `{key}` is {problem['input']!r}: {text[0].lower()}{text[1:]}"
