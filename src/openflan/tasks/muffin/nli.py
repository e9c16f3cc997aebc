"""Natural language inference: does one text follow from another?

The class words and their order differ between near relatives and are kept apart on purpose: anli and cb write
them with capitals, cb numbers its classes differently from anli, rte and qnli count entailment first, wnli
last. `premise` and `hypothesis` are the fields everywhere but in qnli, whose texts are a question and a
sentence that may hold the answer.
"""

from __future__ import annotations

from functools import partial

from openflan.tasks.muffin.dataset import Dataset
from openflan.tasks.muffin.labels import labelled

_PAIR = {"premise": "premise", "hypothesis": "hypothesis"}
_COLUMNS = ("premise", "hypothesis", "label")
_FIELDS = ("premise", "hypothesis", "options", "answer")

# The hub numbers these entailment, neutral, contradiction.
_anli = partial(labelled, texts=_PAIR, classes=("Yes", "It's impossible to say", "No"))
_mnli = partial(labelled, texts=_PAIR, classes=("yes", "it is not possible to tell", "no"))
# Entailment, contradiction, neutral.
_cb = partial(labelled, texts=_PAIR, classes=("Yes", "No", "It's impossible to say"))
# Entailment, not entailment.
_rte = partial(labelled, texts=_PAIR, classes=("yes", "no"))
_qnli = partial(labelled, texts={"question": "question", "sentence": "sentence"}, classes=("yes", "no"))
# Not entailment, entailment.
_wnli = partial(labelled, texts={"premise": "sentence1", "hypothesis": "sentence2"}, classes=("no", "yes"))

DATASETS: tuple[Dataset, ...] = (
    Dataset("anli_r1", "facebook/anli/plain_text", "train_r1", _COLUMNS, _FIELDS, _anli),
    Dataset("anli_r2", "facebook/anli/plain_text", "train_r2", _COLUMNS, _FIELDS, _anli),
    Dataset("anli_r3", "facebook/anli/plain_text", "train_r3", _COLUMNS, _FIELDS, _anli),
    Dataset("cb", "aps/super_glue/cb", "train", _COLUMNS, _FIELDS, _cb),
    # Both mnli tasks train on the same rows (they differ in their test split alone); `find.HALVES` gives each
    # every other one.
    Dataset("mnli_matched", "nyu-mll/glue/mnli", "train", _COLUMNS, _FIELDS, _mnli),
    Dataset("mnli_mismatched", "nyu-mll/glue/mnli", "train", _COLUMNS, _FIELDS, _mnli),
    Dataset(
        "qnli",
        "nyu-mll/glue/qnli",
        "train",
        ("question", "sentence", "label"),
        ("question", "sentence", "options", "answer"),
        _qnli,
    ),
    Dataset("rte", "aps/super_glue/rte", "train", _COLUMNS, _FIELDS, _rte),
    Dataset("snli", "stanfordnlp/snli/plain_text", "train", _COLUMNS, _FIELDS, _mnli),
    Dataset("wnli", "nyu-mll/glue/wnli", "train", ("sentence1", "sentence2", "label"), _FIELDS, _wnli),
)
