"""Questions about language itself: acceptability, the sense of a word, what a pronoun refers to."""

from __future__ import annotations

import re
from functools import partial

from openflan.tasks.muffin.dataset import Dataset, Raw
from openflan.tasks.muffin.labels import class_number, labelled, text
from openflan.tasks.task import Row

_EDGES = re.compile(r"^\W+|\W+$")

_cola = partial(labelled, texts={"sentence": "sentence"}, classes=("unacceptable", "acceptable"))
_wic = partial(
    labelled,
    texts={"word": "word", "sentence1": "sentence1", "sentence2": "sentence2"},
    classes=("different meanings", "the same meaning"),
)


def _wsc(raw: Raw) -> Row | None:
    """A text with one pronoun between asterisks, and a noun that it may refer to."""
    class_index = class_number(raw, "label", 2)
    passage, noun = text(raw, "text"), text(raw, "span1_text")
    pronoun = _EDGES.sub("", text(raw, "span2_text"))
    if class_index is None or not passage or not noun:
        return None
    if not pronoun:
        raise ValueError("`span2_text` is blank, expected a pronoun")
    start = _place(passage, pronoun, raw.get("span2_index"))
    end = start + len(pronoun)
    return {
        "text": f"{passage[:start]}*{passage[start:end]}*{passage[end:]}",
        "noun": noun,
        "pronoun": passage[start:end],
        "options": ["no", "yes"],
        "answer": ("no", "yes")[class_index],
    }


def _place(passage: str, pronoun: str, index: object) -> int:
    """The character at which the pronoun starts: of its occurrences, the one whose number of words before it
    is nearest to `index`.

    The public files count words at single blanks, and a few counts are one off, so the count chooses between
    places instead of naming one.
    """
    if not isinstance(index, int) or index < 0:
        raise ValueError(
            f"`span2_index` is `{str(index)[:60]}`, expected the number of words before the pronoun"
        )
    starts = [
        match.start() for match in re.finditer(rf"(?<!\w){re.escape(pronoun)}(?!\w)", passage, re.IGNORECASE)
    ]
    if not starts:
        raise ValueError(f"the pronoun `{pronoun[:60]}` does not stand in the text `{passage[:60]}`")
    return min(starts, key=lambda start: abs(len(re.findall(r"\S+\s", passage[:start])) - index))


def _winogrande(raw: Raw) -> Row | None:
    """The text before the blank, and two ways to go on: a candidate and the rest of the sentence."""
    sentence, answer = text(raw, "sentence"), text(raw, "answer")
    if not answer:
        return None
    if answer not in ("1", "2"):
        raise ValueError(f"`answer` is `{answer[:60]}`, expected `1` or `2`, or nothing for unlabelled")
    context, blank, ending = sentence.partition("_")
    candidates = [text(raw, "option1"), text(raw, "option2")]
    if not blank or not all(candidates):
        raise ValueError(
            f"expected `_` where a candidate is missing, and two candidates; found `{sentence[:60]}` and "
            f"{candidates}"
        )
    options = [f"{candidate}{ending}" for candidate in candidates]
    return (
        {"context": context.strip(), "options": options, "answer": options[int(answer) - 1]}
        if context.strip()
        else None
    )


def _definite_pronoun(raw: Raw) -> Row | None:
    class_index = class_number(raw, "label", 2)
    sentence, pronoun, candidates = text(raw, "sentence"), text(raw, "pronoun"), raw.get("candidates")
    if class_index is None or not sentence or not pronoun:
        return None
    if (
        not isinstance(candidates, list | tuple)
        or len(candidates) != 2
        or not all(isinstance(one, str) and one.strip() for one in candidates)
    ):
        raise ValueError(f"`candidates` is `{str(candidates)[:60]}`, expected two texts")
    options = [one.strip() for one in candidates]
    return {"sentence": sentence, "pronoun": pronoun, "options": options, "answer": options[class_index]}


DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "cola", "nyu-mll/glue/cola", "train", ("sentence", "label"), ("sentence", "options", "answer"), _cola
    ),
    Dataset(
        "wic",
        "aps/super_glue/wic",
        "train",
        ("word", "sentence1", "sentence2", "label"),
        ("word", "sentence1", "sentence2", "options", "answer"),
        _wic,
    ),
    Dataset(
        "wsc",
        "aps/super_glue/wsc.fixed",
        "train",
        ("text", "span1_text", "span2_text", "span2_index", "label"),
        ("text", "noun", "pronoun", "options", "answer"),
        _wsc,
    ),
    Dataset(
        "winogrande",
        "allenai/winogrande/winogrande_xl",
        "train",
        ("sentence", "option1", "option2", "answer"),
        ("context", "options", "answer"),
        _winogrande,
    ),
    Dataset(
        "definite_pronoun_resolution",
        "community-datasets/definite_pronoun_resolution/plain_text",
        "train",
        ("sentence", "pronoun", "candidates", "label"),
        ("sentence", "pronoun", "options", "answer"),
        _definite_pronoun,
    ),
)
