"""What goes on in everyday situations: COPA, CosmosQA, HellaSwag, PIQA, Story Cloze and LAMBADA.

Story Cloze and LAMBADA are trained on what their hub copies call the validation split, as in the collection:
the first has no labelled training split, and the training split of the second is whole novels.
"""

from __future__ import annotations

import re

from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.labels import class_number, text
from openflan.tasks.muffin.nested import filled, texts
from openflan.tasks.task import Row

_COPA_QUESTIONS = {"cause": "What was the cause?", "effect": "What happened as a result?"}

# WikiHow's parts are marked `[header]`, `[title]`, `[step]`, `[substeps]`.
_HEADER = re.compile(r"\[header\]\s*")
_TAG = re.compile(r"\s*\[[^\[\]]*\]\s*")


def copa(raw: Raw) -> Row | None:
    """`question` is the word cause or effect in the data: here `asked_for`, with a whole question as
    `question`."""
    chosen, question = class_number(raw, "label", 2), text(raw, "question")
    if question not in _COPA_QUESTIONS:
        raise ValueError(f"`question` is `{question}`, expected cause or effect")
    options = [text(raw, "choice1"), text(raw, "choice2")]
    if chosen is None:
        return None
    return filled(
        {
            "premise": text(raw, "premise"),
            "question": _COPA_QUESTIONS[question],
            "asked_for": question,
            "options": options,
            "answer": options[chosen],
        }
    )


def cosmos_qa(raw: Raw) -> Row | None:
    """Four options; one may say that none of the others is right."""
    chosen, options = class_number(raw, "label", 4), [text(raw, f"answer{number}") for number in range(4)]
    if chosen is None:
        return None
    return filled(
        {
            "context": text(raw, "context"),
            "question": text(raw, "question"),
            "options": options,
            "answer": options[chosen],
        }
    )


def hellaswag(raw: Raw) -> Row | None:
    """`label` is a digit, blank where there is none. Tags in brackets are removed; in the context those
    behind its header become line breaks."""
    right, endings = text(raw, "label"), [_TAG.sub(" ", ending).strip() for ending in texts(raw, "endings")]
    if len(endings) != 4:
        raise ValueError(f"{len(endings)} endings, expected 4")
    if not right:
        return None
    if right not in ("0", "1", "2", "3"):
        raise ValueError(f"`label` is `{right}`, expected a digit from 0 to 3, or nothing for unlabelled")
    context = _TAG.sub("\n", _HEADER.sub("", text(raw, "ctx"))).strip()
    return filled(
        {
            "activity": text(raw, "activity_label"),
            "context": context,
            "options": endings,
            "answer": endings[int(right)],
        }
    )


def piqa(raw: Raw) -> Row | None:
    """A goal in everyday life and two ways to reach it."""
    chosen, options = class_number(raw, "label", 2), [text(raw, "sol1"), text(raw, "sol2")]
    if chosen is None:
        return None
    return filled({"goal": text(raw, "goal"), "options": options, "answer": options[chosen]})


def story_cloze(raw: Raw) -> Row | None:
    """Four sentences and two endings, numbered 1 and 2."""
    sentences = [text(raw, f"input_sentence_{number}") for number in range(1, 5)]
    options, right = [text(raw, "sentence_quiz1"), text(raw, "sentence_quiz2")], raw["answer_right_ending"]
    if str(right) not in ("1", "2"):
        raise ValueError(f"`answer_right_ending` is `{right}`, expected 1 or 2")
    return filled({"context": " ".join(sentences), "options": options, "answer": options[int(right) - 1]})


def lambada(raw: Raw) -> Row | None:
    """The last word of a passage, and what stands before it."""
    before, _, last = text(raw, "text").rpartition(" ")
    return filled({"passage": before.strip(), "answer": last})


_CHOICE = ("options", "answer")
_STORY = tuple(f"input_sentence_{number}" for number in range(1, 5))

DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "copa",
        "aps/super_glue/copa",
        "train",
        ("premise", "choice1", "choice2", "question", "label"),
        ("premise", "question", "asked_for", *_CHOICE),
        copa,
    ),
    Dataset(
        "cosmos_qa",
        "allenai/cosmos_qa",
        "train",
        ("context", "question", "answer0", "answer1", "answer2", "answer3", "label"),
        ("context", "question", *_CHOICE),
        cosmos_qa,
    ),
    Dataset(
        "hellaswag",
        "Rowan/hellaswag",
        "train",
        ("activity_label", "ctx", "endings", "label"),
        ("activity", "context", *_CHOICE),
        hellaswag,
    ),
    Dataset("piqa", "ybisk/piqa", "train", ("goal", "sol1", "sol2", "label"), ("goal", *_CHOICE), piqa),
    Dataset(
        "story_cloze",
        "LSDSem/story_cloze/2016",
        "validation",
        (*_STORY, "sentence_quiz1", "sentence_quiz2", "answer_right_ending"),
        ("context", *_CHOICE),
        story_cloze,
    ),
    Dataset("lambada", "cimec/lambada", "validation", ("text",), ("passage", "answer"), lambada),
)
