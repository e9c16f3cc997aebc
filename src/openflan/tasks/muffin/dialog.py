"""Conversations: the turns so far as `context`, a dash line each, and the next turn as `answer`.

A conversation gives one row. Where it is cut is drawn from its own text, so that a row never depends on its
place in a file; the price is that the other cuts of a conversation are never seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from openflan.randomness import Draws
from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.prose import items, text, texts
from openflan.tasks.task import Row

MOST_PAIRS = 20
"""Questions that a context holds at most: up to 39 turns, as the last of them has no reply yet."""

MOST_TURNS = 20
"""Turns of a Taskmaster context, at most."""

FIRST_TURN = 7
"""The first turn of a QReCC conversation whose history is long enough to be cut."""


def wiki_dialog(raw: Raw) -> Row | None:
    """The first utterance, in which the assistant introduces itself, is left out; the rest are questions and
    replies by turns."""
    return _cut_before_reply("wiki_dialog", texts(raw["utterances"], "utterances")[1:])


def qrecc(raw: Raw) -> Row | None:
    """The history of a late question: questions and replies by turns, beginning with a question; None for
    early ones."""
    turn = raw["Turn_no"]
    if not isinstance(turn, int):
        raise ValueError(f"`Turn_no` holds {type(turn).__name__}, not a whole number")
    return _cut_before_reply("qrecc", texts(raw["Context"], "Context")) if turn >= FIRST_TURN else None


def task_master(raw: Raw) -> Row | None:
    """A row whose target is any turn, of any speaker; two turns in succession may be of the same speaker."""
    turns = [text(utterance, "text") for utterance in items(raw["utterances"], "utterances")]
    return _cut("task_master", turns, range(1, min(MOST_TURNS, len(turns) - 1) + 1))


def _cut_before_reply(name: str, turns: Sequence[str]) -> Row | None:
    return _cut(name, turns, [2 * pair + 1 for pair in range(min(len(turns) // 2, MOST_PAIRS))])


def _cut(name: str, turns: Sequence[str], positions: Sequence[int]) -> Row | None:
    """The turns before one of `positions` and the turn at it; None if there is none with anything said. A
    question without reply leaves a bare dash."""
    lines = [" ".join(turn.split()) for turn in turns]
    possible = [position for position in positions if lines[position] and any(lines[:position])]
    if not possible:
        return None
    position = Draws(name, "cut", "\n".join(lines)).choice(possible)
    return {
        "context": "\n".join(f"- {line}".rstrip() for line in lines[:position]),
        "answer": lines[position],
    }


_FIELDS = ("context", "answer")

DATASETS: tuple[Dataset, ...] = (
    # Lines of the JSON files of google-research/dialog-inpainting.
    Dataset("wiki_dialog", None, "train", ("utterances",), _FIELDS, wiki_dialog),
    # The same records as in the JSON file of apple/ml-qrecc.
    Dataset("qrecc", "svakulenk0/qrecc", "train", ("Context", "Turn_no"), _FIELDS, qrecc),
    # The dialogs that one person wrote for both sides; the other part of Taskmaster-1 has the same records.
    Dataset(
        "task_master",
        "google-research-datasets/taskmaster1/one_person_dialogs",
        "train",
        ("utterances",),
        _FIELDS,
        task_master,
    ),
)
