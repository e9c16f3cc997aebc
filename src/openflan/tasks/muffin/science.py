"""School science questions with options: ARC, OpenBookQA and the AI2 middle-school questions of UnifiedQA.

ARC and the AI2 questions are kept only where they have four options, as in the collection. The AI2 questions
come in UnifiedQA's one-line form, from which question and options are taken apart; rows whose output is none
of their options are left out, since nobody could say which option is right.
"""

from __future__ import annotations

import re

from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.labels import text
from openflan.tasks.muffin.nested import filled, keyed
from openflan.tasks.task import Row

_OPTIONS = 4
_LINE_END = re.compile(r"\s*(?:\\n|\n)\s*")
_LETTER = re.compile(r"\(([A-Z])\)\s*")
_LETTERS = "ABCD"


def arc(raw: Raw) -> Row | None:
    """`choices` is a struct of two lists, labelled A to D or 1 to 4."""
    question, chosen = text(raw, "question"), keyed(raw, "choices", "answerKey")
    if chosen is None or len(chosen[0]) != _OPTIONS:
        return None
    return filled({"question": question, "options": chosen[0], "answer": chosen[1]})


def openbookqa(raw: Raw) -> Row | None:
    """The configuration `additional` has the fact that each question was made from; many questions are the
    beginning of a sentence."""
    question, fact, chosen = (
        text(raw, "question_stem"),
        text(raw, "fact1"),
        keyed(raw, "choices", "answerKey"),
    )
    if chosen is None:
        return None
    return filled({"fact": fact, "question": question, "options": chosen[0], "answer": chosen[1]})


def unified_qa_science_inst(raw: Raw) -> Row | None:
    """`input` is the question, a newline (written as backslash and n) and the options as `(A) ... (B) ...`;
    `output` is the right one's text."""
    parts, answer = _LINE_END.split(text(raw, "input")), text(raw, "output")
    if len(parts) < 2:
        raise ValueError("`input` is one line, expected the question, a newline and the options")
    _, *pieces = _LETTER.split(parts[-1])
    letters, options = pieces[::2], [option.strip() for option in pieces[1::2]]
    if letters != list(_LETTERS):
        return None
    right = next((option for option in options if option.casefold() == answer.casefold()), None)
    if right is None:
        return None
    return filled({"question": " ".join(parts[:-1]), "options": options, "answer": right})


_FIELDS = ("question", "options", "answer")

DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "arc_challenge",
        "allenai/ai2_arc/ARC-Challenge",
        "train",
        ("question", "choices", "answerKey"),
        _FIELDS,
        arc,
    ),
    Dataset(
        "arc_easy", "allenai/ai2_arc/ARC-Easy", "train", ("question", "choices", "answerKey"), _FIELDS, arc
    ),
    Dataset(
        "openbookqa",
        "allenai/openbookqa/additional",
        "train",
        ("question_stem", "choices", "answerKey", "fact1"),
        ("fact", *_FIELDS),
        openbookqa,
    ),
    Dataset("unified_qa_science_inst", None, "train", ("input", "output"), _FIELDS, unified_qa_science_inst),
)
