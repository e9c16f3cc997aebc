"""Rows whose answers are those of other rows of their task: a control that keeps every format and takes the
content away.

What goes along with an answer moves with it (rationale, options, references), so that an answer is still one
of its row's options; the question stays. The order is a permutation, hence every answer is there as often as
before. Price: a row may get its own answer back, one of a task on average.
"""

from __future__ import annotations

import numpy as np

from openflan.randomness import Permutation
from openflan.tasks.chat import conversation_row
from openflan.tasks.conversation import ASSISTANT, FIELD, Conversation
from openflan.tasks.digest import digest_of, joined
from openflan.tasks.task import Row, Rows

ANSWERS = ("answer", "rationale", "options", "references", "targets")
"""The fields that move."""


class ShuffledAnswers:
    """Rows with the answers of others, in an order that the task's name decides."""

    def __init__(self, rows: Rows, name: str) -> None:
        self._rows = rows
        self._name = name
        self._order = Permutation(max(1, len(rows)), "shuffled targets", name)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < len(self):
            raise IndexError(index)
        own, other = self._rows[index], self._rows[int(self._order[np.array([index])][0])]
        kept = {name: value for name, value in own.items() if name not in ANSWERS}
        row = kept | {name: value for name, value in other.items() if name in ANSWERS}
        return _with_other_end(row) if FIELD in row else row

    def digest(self) -> bytes | None:
        return joined("answers shuffled", [digest_of(self._rows), self._name.encode()])


def _with_other_end(row: Row) -> Row:
    """A conversation that ends with the row's targets; its other turns are context."""
    own = Conversation.parse(str(row[FIELD]))
    end = {"role": ASSISTANT, "content": row["targets"]}
    last = len(own.messages) - 1
    return conversation_row(Conversation((*own.messages[:-1], end), own.tools).until(last))
