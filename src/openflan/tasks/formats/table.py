"""The table of formats: the fields that mark each, and the pure function that makes a row of a record.

A format is marked by the fields that it needs. Which of them a file has is decided by all its rows (see
`recognise`), never by the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from openflan.tasks.chat import chat_row
from openflan.tasks.cot_files import FIELDS
from openflan.tasks.formats import conversations
from openflan.tasks.formats.rated import LABEL, checked_label
from openflan.tasks.formats.reading import renamed
from openflan.tasks.formats.values import TARGET_FIELDS, field_row, required_text
from openflan.tasks.records import Record
from openflan.tasks.rows import BadRow
from openflan.tasks.task import Row

_WORDING_FIELDS = ("question", "answer", "rationale", "options", "references")


@dataclass(frozen=True, slots=True)
class Format:
    """A form in which people keep rows.

    `needs` are the fields that mark it, `takes` all that it reads, in the order in which they are written.
    `row` makes a row of a record that is no conversation; None if all are. `conversation` makes the messages
    of one that is; None if none is. `is_chat_with` names the fields that make a file one of conversations: a
    field of `lists` does if any row has a list there, one of `beside` if any row has it. `notice` is a line
    that is said of every such file.
    """

    name: str
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    row: Callable[[Record], Row] | None = None
    conversation: Callable[[Record], dict[str, Any]] | None = None
    lists: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    notice: str = ""

    @property
    def shown(self) -> str:
        """The name and the fields that it needs, for messages."""
        return f"{self.name} ({', '.join(self.needs)})"


def _worded(record: Record) -> Row:
    return field_row(record, ("inputs", "targets"), ("inputs", "targets"))


def _question(record: Record) -> Row:
    return _among_options(field_row(record, ("answer",), _WORDING_FIELDS))


def _fields(record: Record) -> Row:
    """A row with an answer, or with targets, and fields of any name for wordings of the user's own."""
    target = next((name for name in TARGET_FIELDS if record.get(name) is not None), "answer")
    return _among_options(field_row(record, (target,), (*TARGET_FIELDS, "options", "references")))


def _among_options(row: Row) -> Row:
    if "options" in row and "answer" in row and row["answer"] not in row["options"]:
        raise BadRow(f"the answer `{row['answer']}` is not among its options {row['options']}")
    return row


def _alpaca(record: Record) -> Row:
    return {
        "inputs": conversations.asked(record),
        "targets": required_text(record, "output", target=True),
    }


def _texts(inputs: str, targets: str, record: Record) -> Row:
    return {
        "inputs": required_text(record, inputs),
        "targets": required_text(record, targets, target=True),
    }


def _prompt_completion(record: Record) -> Row:
    return _texts("prompt", "completion", record)


def _rated(record: Record) -> Row:
    checked_label(record)
    return _prompt_completion(record)


def _rated_conversation(record: Record) -> dict[str, Any]:
    checked_label(record)
    return conversations.from_prompt_completion(record)


def _preference(record: Record) -> Row:
    return _texts("prompt", "chosen", record)


INPUTS_TARGETS = Format("inputs-targets", ("inputs", "targets"), ("inputs", "targets"), row=_worded)
PROMPT_COMPLETION = Format(
    "prompt-completion",
    ("prompt", "completion"),
    ("system", "prompt", "completion", "tools"),
    row=_prompt_completion,
    conversation=conversations.from_prompt_completion,
    lists=("prompt", "completion"),
)
RATED = Format(
    "rated",
    ("prompt", "completion", LABEL),
    ("system", "prompt", "completion", LABEL, "tools"),
    row=_rated,
    conversation=_rated_conversation,
    lists=("prompt", "completion"),
    notice="rated completions: those with the label true are learned, those with false are left out",
)
"""Rows of prompt and completion whose `label` is true or false."""

QUESTION_ANSWER = Format("question-answer", ("question", "answer"), _WORDING_FIELDS, row=_question)
CHAIN_OF_THOUGHT = Format("chain-of-thought", FIELDS, FIELDS, row=_question)
"""A table without a header: its three columns have these names by their place."""

ANY_FIELDS = Format("fields", ("answer",), ("inputs", "targets", "question", "answer"), row=_fields)
"""Rows with an answer and fields of any name, for wordings of the user's own; taken where nothing else
fits."""

FORMATS: Mapping[str, Format] = {
    form.name: form
    for form in (
        INPUTS_TARGETS,
        PROMPT_COMPLETION,
        RATED,
        QUESTION_ANSWER,
        Format(
            "alpaca",
            ("instruction", "output"),
            ("system", "history", "instruction", "input", "output"),
            row=_alpaca,
            conversation=conversations.from_alpaca,
            beside=("system", "history"),
        ),
        Format("messages", ("messages",), ("messages", "tools"), conversation=conversations.from_messages),
        Format(
            "sharegpt",
            ("conversations",),
            ("system", "conversations", "tools"),
            conversation=conversations.from_sharegpt,
        ),
        Format(
            "preference",
            ("chosen", "rejected"),
            ("system", "prompt", "chosen", "rejected", "tools"),
            row=_preference,
            conversation=conversations.from_preference,
            lists=("prompt", "chosen"),
            notice="preference pairs: the chosen answers are learned, the rejected ones are ignored",
        ),
        CHAIN_OF_THOUGHT,
        ANY_FIELDS,
    )
}

FIELD_NAMES = frozenset(name for form in FORMATS.values() for name in form.takes)
"""The names of fields that any format knows: a first line that holds one of them is a header, and a column of
a table with such a name is read whatever its type is, so that its rows say what is wrong with it."""


def row_in_format(name: str, columns: str, is_chat: bool, record: Record) -> Row:
    """The row of a record in the format of that name. `columns` renames fields first (see `Reading`),
    `is_chat` says that the file holds conversations. Raises BadRow."""
    if columns:
        record = renamed(record, columns)
    form = FORMATS[name]
    if form.conversation is not None and (is_chat or form.row is None):
        return chat_row(form.conversation(record))
    if form.row is None:
        raise BadRow(f"no row of the format {form.shown}")
    return form.row(record)
