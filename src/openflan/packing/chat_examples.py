"""How many examples the conversations of a task are under a chat template.

Where the template writes a turn the same whether or not messages follow, a conversation is one example that
learns all of its turns. Elsewhere one with k learned turns becomes k examples; the i-th is the conversation
up to its i-th learned turn, with the loss on that turn alone. The index is made once, when a mixture is
opened with its tokenizer, so that examples are found by position and a row that the template refuses is
named before training.

Decision: what a template makes of a conversation is asked once for each shape: which roles follow each other,
and which fields and thoughts their messages have. Templates look at these, hardly ever at words. So the index
costs a pass over the rows, and not a rendering of each.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from openflan.errors import InputError
from openflan.packing.chat_layout import ChatLayout
from openflan.packing.message_form import check_known, check_shown
from openflan.tasks.chat import conversation_row
from openflan.tasks.conversation import FIELD, Conversation, Message
from openflan.tasks.digest import digest_of, joined
from openflan.tasks.records import LONG
from openflan.tasks.rows import place_of
from openflan.tasks.task import Row, Rows, Task

_WHOLE = 0
"""Stands for a whole conversation; place + 1 for one that ends with the turn at `place`."""

Shape: TypeAlias = tuple[Any, ...]


class ConversationExamples:
    """The examples of conversations, each found by its number."""

    def __init__(self, rows: Rows, row_numbers: array[int], ends: array[int], name: str) -> None:
        """`row_numbers` is the row of each example, `ends` 0 for a whole conversation, or one more than the
        place of the message that ends the example. `name` is the task's, for messages."""
        self.rows = rows
        self._row_numbers = row_numbers
        self._ends = ends
        self._name = name

    def __len__(self) -> int:
        return len(self._row_numbers)

    def __getitem__(self, index: int) -> Row:
        row = self.rows[self._row_numbers[index]]
        end = self._ends[index]
        if end == _WHOLE:
            return row
        return conversation_row(Conversation.parse(str(row[FIELD])).until(end - 1))

    def place(self, index: int) -> str:
        """File and line or row of the conversation of an example."""
        return place_of(self.rows, self._row_numbers[index], self._name)

    def digest(self) -> bytes | None:
        return joined(
            "examples of conversations",
            [digest_of(self.rows), self._row_numbers.tobytes(), self._ends.tobytes()],
        )


@dataclass(frozen=True, slots=True)
class ConversationCounts:
    """Rows that are conversations, and the examples that they are."""

    rows: int
    examples: int


def in_examples(tasks: Mapping[str, Task], chat: ChatLayout) -> dict[str, Task]:
    """The tasks with one row for each example of their conversations.

    Raises InputError, naming file and row, for a conversation that the template refuses or of which it leaves
    out something.
    """
    return {
        name: replace(task, rows=_in_examples(task, chat)) if FIELD in task.fields else task
        for name, task in tasks.items()
    }


def conversation_counts(task: Task) -> ConversationCounts | None:
    """The counts of a task of `in_examples`; None where each row is one example."""
    rows = task.rows
    return ConversationCounts(len(rows.rows), len(rows)) if isinstance(rows, ConversationExamples) else None


def _in_examples(task: Task, chat: ChatLayout) -> Rows:
    ends_of_shape: dict[Shape, tuple[int, ...]] = {}
    numbers, ends = array("Q"), array("I")
    for number in _watched(task):
        text = task.rows[number].get(FIELD)
        if text is None:
            conversation_ends: tuple[int, ...] = (_WHOLE,)
        else:
            conversation = Conversation.parse(str(text))
            shape = _shape(conversation)
            if shape not in ends_of_shape:
                place = place_of(task.rows, number, task.name)
                ends_of_shape[shape] = _ends(conversation, chat, place)
            conversation_ends = ends_of_shape[shape]
        numbers.extend([number] * len(conversation_ends))
        ends.extend(conversation_ends)
    if len(numbers) == len(task.rows):
        # One example each; nothing needs to be kept.
        return task.rows
    return ConversationExamples(task.rows, numbers, ends, task.name)


def _ends(conversation: Conversation, chat: ChatLayout, place: str) -> tuple[int, ...]:
    """The ends of a conversation's examples."""
    try:
        check_known(conversation, chat.form, chat.name)
        written = chat.written(conversation)
        stable = not written.unstable
        for example in [conversation] if stable else map(conversation.until, conversation.learned):
            shown = written if stable else chat.written(example)
            begin, end = shown.parts[-1]
            check_shown(example, shown.text, shown.text[begin:end], chat.name)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    return (_WHOLE,) if stable else tuple(turn + 1 for turn in conversation.learned)


def _shape(conversation: Conversation) -> Shape:
    return (bool(conversation.tools), *map(_shape_of_message, conversation.messages))


def _shape_of_message(message: Message) -> tuple[Any, ...]:
    content = message.get("content")
    marks = None if content is None else ("<think>" in content, "</think>" in content, not content.strip())
    return (message["role"], marks, len(message.get("tool_calls", ())), *sorted(message.keys()))


def _watched(task: Task) -> Iterator[int]:
    """The numbers of a task's rows, with a progress bar on a terminal for many."""
    numbers = range(len(task.rows))
    if len(numbers) < LONG:
        return iter(numbers)
    from tqdm import tqdm

    return iter(
        tqdm(
            numbers,
            desc=f"conversations of {task.name}",
            unit=" rows",
            unit_scale=True,
            delay=2,
            disable=None,
            leave=False,
        )
    )
