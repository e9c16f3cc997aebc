"""Questions about a passage: BoolQ, MultiRC, SQuAD 1.1 and 2.0, DROP, QuAC, CoQA and ReCoRD.

QuAC is read one question a record, as in its original file and in the collection; the hub's copy has a whole
dialogue a record, of which only one question could be used, so none is named here. Its questions without an
answer have empty targets in the collection; here they are left out.
"""

from __future__ import annotations

from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.labels import labelled, text
from openflan.tasks.muffin.nested import filled, numbered, struct, texts
from openflan.tasks.task import Row

_NO_YES = ("no", "yes")
_UNANSWERABLE = "unanswerable"
_NO_ANSWER = "CANNOTANSWER"
_PLACEHOLDER = "@placeholder"
_HIGHLIGHT = "\n@highlight"


def bool_q(raw: Raw) -> Row | None:
    """`answer` is a truth value; questions have no question mark. The original files name the page in
    `title`, the hub's copy does not."""
    row = labelled(raw, texts={"passage": "passage", "question": "question"}, classes=_NO_YES, label="answer")
    title = text(raw, "title") if "title" in raw else ""
    return {**row, "title": title} if row and title else row


def multirc(raw: Raw) -> Row | None:
    """One record per candidate answer, which becomes `candidate`; a question may have several right ones."""
    return labelled(
        raw, texts={"passage": "paragraph", "question": "question", "candidate": "answer"}, classes=_NO_YES
    )


def squad_v1(raw: Raw) -> Row | None:
    """The first answer is the target; every question has one, so a record without is broken."""
    answers = texts(struct(raw, "answers"), "text")
    if not answers:
        raise ValueError(
            "`answers.text` is empty, but every question of SQuAD 1.1 has an answer; SQuAD 2.0 is `squad_v2`"
        )
    return _squad(raw, answers[0])


def squad_v2(raw: Raw) -> Row | None:
    """The first answer is the target, or `unanswerable` where there is none."""
    answers = texts(struct(raw, "answers"), "text")
    return _squad(raw, answers[0] if answers else _UNANSWERABLE)


def _squad(raw: Raw, answer: str) -> Row | None:
    title = text(raw, "title").replace("_", " ")
    return filled(
        {"title": title, "passage": text(raw, "context"), "question": text(raw, "question"), "answer": answer}
    )


def drop(raw: Raw) -> Row | None:
    """A number, a date, or one or more spans, which are joined by commas; the training split has one
    annotation a question."""
    spans = texts(struct(raw, "answers_spans"), "spans")
    return filled(
        {"passage": text(raw, "passage"), "question": text(raw, "question"), "answer": ", ".join(spans)}
    )


def quac(raw: Raw) -> Row | None:
    """The background of the page and the section asked about make the passage, and are fields of their own;
    the no-answer marker is blanked wherever it stands."""
    background, section = (
        text(raw, column).replace(_NO_ANSWER, "").strip() for column in ("background", "context")
    )
    row = filled(
        {
            "title": text(raw, "title"),
            "section": section,
            "passage": f"{background}\n\n{section}".strip(),
            "question": text(raw, "question"),
            "answer": text(struct(raw, "orig_answer"), "text").replace(_NO_ANSWER, "").strip(),
        }
    )
    return {**row, "background": background} if row and background else row


def coqa(raw: Raw) -> Row | None:
    """All questions of a story at once, as numbered lines; the answers likewise."""
    questions, answers = texts(raw, "questions"), texts(struct(raw, "answers"), "input_text")
    if len(questions) != len(answers):
        raise ValueError(f"{len(questions)} questions and {len(answers)} answers, expected as many of each")
    if not all(questions) or not all(answers):
        return None
    return filled(
        {"passage": text(raw, "story"), "questions": numbered(questions), "answer": numbered(answers)}
    )


def record(raw: Raw) -> Row | None:
    """`query` is the sentence up to the placeholder, followed by dots; options are an entity and the rest of
    the sentence, as many as there are entities.

    The highlights behind the passage are dropped, as in the collection. Records whose answer is none of the
    entities are left out.
    """
    before, mark, after = text(raw, "query").partition(_PLACEHOLDER)
    if not mark:
        raise ValueError(f"`query` lacks {_PLACEHOLDER}")
    entities, answers = list(dict.fromkeys(texts(raw, "entities"))), texts(raw, "answers")
    if not answers or answers[0] not in entities:
        return None
    options = [entity + after.replace(_PLACEHOLDER, entity) for entity in entities]
    return filled(
        {
            "passage": text(raw, "passage").partition(_HIGHLIGHT)[0].strip(),
            "query": f"{before.strip()} ...".lstrip(),
            "options": options,
            "answer": options[entities.index(answers[0])],
        }
    )


_QUESTION = ("passage", "question", "answer")
_SQUAD = ("title", "context", "question", "answers")

DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "bool_q",
        "google/boolq",
        "train",
        ("question", "answer", "passage"),
        (*_QUESTION, "options"),
        bool_q,
        further=("title",),
    ),
    Dataset(
        "multirc",
        "aps/super_glue/multirc",
        "train",
        ("paragraph", "question", "answer", "label"),
        (*_QUESTION, "candidate", "options"),
        multirc,
    ),
    Dataset("squad_v1", "rajpurkar/squad", "train", _SQUAD, ("title", *_QUESTION), squad_v1),
    Dataset("squad_v2", "rajpurkar/squad_v2", "train", _SQUAD, ("title", *_QUESTION), squad_v2),
    Dataset("drop", "ucinlp/drop", "train", ("passage", "question", "answers_spans"), _QUESTION, drop),
    Dataset(
        "quac",
        None,
        "train",
        ("title", "background", "context", "question", "orig_answer"),
        ("title", *_QUESTION),
        quac,
        further=("section", "background"),
    ),
    Dataset(
        "coqa",
        "stanfordnlp/coqa",
        "train",
        ("story", "questions", "answers"),
        ("passage", "questions", "answer"),
        coqa,
    ),
    Dataset(
        "record",
        "aps/super_glue/record",
        "train",
        ("passage", "query", "entities", "answers"),
        ("passage", "query", "options", "answer"),
        record,
    ),
)
