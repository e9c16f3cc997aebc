"""Programs: contest problems to be solved in Python, and C or C++ programs that do not compile to be
repaired.

A DrRepair record is a program that compiles, line by line, and several ways to break it with the compiler's
first message. One of these is drawn from the record itself, so all four forms show the same mistake. The
release describes the forms by their names alone. Here `plain_code` is the program and nothing else, and
`no_errors` has its lines numbered. `line_numbers` has numbered lines and the message below, `error_comments`
the message as a comment on the line that it names. The answer is always the whole repaired program, without
numbers and comments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from openflan.randomness import Draws
from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.prose import clean, complete, items, text
from openflan.tasks.task import Row

Form: TypeAlias = Literal["plain_code", "no_errors", "line_numbers", "error_comments"]

PYTHON_3, PYTHON_2 = 3, 1
"""The numbers of the languages in Code Contests."""

_INDENT = "    "
_LABEL = re.compile(r"\w{1,10} ?: ?;?")


def contest(raw: Raw) -> Row | None:
    """The first Python solution, in Python 3 if there is one; None without any. The four newlines that once
    marked the end are not kept: every target ends with a token of its own."""
    solutions = raw["solutions"]
    if isinstance(solutions, Mapping):
        languages, programs = (
            items(solutions["language"], "solutions"),
            items(solutions["solution"], "solutions"),
        )
        if len(languages) != len(programs):
            raise ValueError(f"`solutions` holds {len(languages)} languages and {len(programs)} programs")
        pairs = list(zip(languages, programs, strict=True))
    else:
        pairs = [(solution["language"], solution["solution"]) for solution in items(solutions, "solutions")]
    cleaned = (
        clean(program, "solutions")
        for version in (PYTHON_3, PYTHON_2)
        for language, program in pairs
        if language == version
    )
    return complete(problem=text(raw, "description"), answer=next(filter(None, cleaned), ""))


@dataclass(frozen=True, slots=True)
class Broken:
    """Lines that do not compile, the compiler's message, and the line (from 0) that it names."""

    lines: Sequence[str]
    message: str
    line: int


def repair(raw: Raw, *, form: Form) -> Row | None:
    """A row to repair a program; None if the record has no mistakes. Raises ValueError if a mistake lies
    outside the program."""
    lines = items(raw["lines"], "lines")
    code = [clean(line["code"], "lines") for line in lines]
    errors = items(raw["errors"], "errors")
    if not errors or not any(code):
        return None
    before, after = _braces(code, [_whole(line["indent"], "indent") for line in lines])
    error = Draws("dr_repair", "error", "\n".join(code)).choice(errors)
    changed = _changed(code, error)
    message, line_index = (
        clean(error["err_msg"], "err_msg"),
        min(max(_whole(error["err_line"], "err_line"), 0), len(code) - 1),
    )
    fixed, broken = (
        [f"{start}{line}{end}" for start, line, end in zip(before, version, after, strict=True)]
        for version in (code, changed)
    )
    if broken == fixed or not message:
        return None
    return {**_code_fields(Broken(broken, message, line_index), form), "answer": "\n".join(fixed).strip()}


def _code_fields(broken: Broken, form: Form) -> dict[str, str]:
    numbered = "\n".join(f"{index}: {line}".rstrip() for index, line in enumerate(broken.lines, start=1))
    match form:
        case "plain_code":
            return {"program": "\n".join(broken.lines).strip()}
        case "no_errors":
            return {"program": numbered}
        case "line_numbers":
            return {"program": numbered, "error": f"line {broken.line + 1}: {broken.message}"}
        case "error_comments":
            lines = [
                f"{line}  // error: {broken.message}" if index == broken.line else line
                for index, line in enumerate(broken.lines)
            ]
            return {"program": "\n".join(lines).strip()}


def _changed(code: Sequence[str], error: Mapping[str, Any]) -> list[str]:
    places, wrong = items(error["mod_line"], "mod_line"), items(error["mod_code"], "mod_code")
    if len(places) != len(wrong) or not all(0 <= _whole(place, "mod_line") < len(code) for place in places):
        raise ValueError(
            f"`errors` changes the lines {list(places)} with {len(wrong)} texts, in a program of "
            f"{len(code)} lines"
        )
    changes = {place: clean(line, "mod_code") for place, line in zip(places, wrong, strict=True)}
    return [changes.get(number, line) for number, line in enumerate(code)]


def _braces(code: Sequence[str], indents: Sequence[int]) -> tuple[list[str], list[str]]:
    """What to write before and after each line. SPoC's lines have lost the brace that opens a block at their
    end, and the one that closes it before an `else`; the depth of indentation tells where. It is taken from
    the program that compiles, so that a mistake is never repaired by accident. Lines whose braces are even,
    as DeepFix's, are whole, and their authors' indentation proves nothing."""
    if "".join(code).count("{") == "".join(code).count("}"):
        return [_INDENT * indent for indent in indents], [""] * len(code)
    before, after = [], [""] * len(code)
    depth, last = 0, ""
    for index, (line, indent) in enumerate(zip(code, indents, strict=True)):
        if (
            line.startswith("<<") or last.endswith(",") or _LABEL.fullmatch(line)
        ):  # continued lines and labels stand at any depth
            indent = depth
        closing = depth - indent - (1 if line.startswith("}") else 0)
        if indent > depth and index and not last.endswith("{"):
            after[index - 1] = " {" if last else "{"
        before.append(_INDENT * indent + "} " * max(closing, 0))
        depth, last = indent, line
    return before, after


def _whole(value: object, column: str) -> int:
    if not isinstance(value, int):
        raise ValueError(f"`{column}` holds {type(value).__name__}, not a whole number")
    return value


def _repair_dataset(form: Form, fields: tuple[str, ...]) -> Dataset:
    # One record a line, from the JSON files of DrRepair's preprocessed data (`err-data-compiler--...`).
    return Dataset(
        f"program_synthesis_dr_repair_{form}",
        None,
        "train",
        ("lines", "errors"),
        fields,
        partial(repair, form=form),
    )


DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "program_synthesis_dmcc_python",
        "deepmind/code_contests",
        "train",
        ("description", "solutions"),
        ("problem", "answer"),
        contest,
    ),
    _repair_dataset("plain_code", ("program", "answer")),
    _repair_dataset("no_errors", ("program", "answer")),
    _repair_dataset("line_numbers", ("program", "error", "answer")),
    _repair_dataset("error_comments", ("program", "answer")),
)
