"""Targets that a vocabulary cannot write are counted and shown before training."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from openflan.models.load_model import tokenizer_of
from openflan.packing.tokens import Tokenize, tokens_of
from openflan.packing.unknown import Unknown, unknown_line, unknown_targets
from openflan.templates.render import Rendered
from openflan.templates.style import Style

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))


def letters(known: str = "abc ") -> Any:
    """Every letter is a token; others are unknown."""
    vocabulary = {"<unk>": 0, "</s>": 1} | {letter: 2 + number for number, letter in enumerate(known)}
    made = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", eos_token="</s>")


def found(tokenizer: Any, *targets: str) -> Unknown | None:
    rendered = [
        Rendered("a", text, answer="", task="own/code", row=row, style=Style(), wording="any")
        for row, text in enumerate(targets)
    ]
    tokenize = Tokenize(tokenizer)
    return unknown_targets(tokens_of(rendered, tokenize), rendered, tokenize)


def test_the_characters_are_named_with_a_row_and_the_remedy() -> None:
    unknown = found(letters(), "a b", "{a} {b}", "c", "a}")
    assert unknown is not None
    assert (unknown.count, unknown.rows, unknown.row) == (2, 4, 1)
    assert set(unknown.parts) == {"{", "}"}
    line = unknown_line(unknown.values())
    assert "the targets of 2 of 4 rows" in line
    assert "own/code row 1: {a} {b}" in line
    assert "Use a model whose tokenizer knows all characters" in line


def test_words_are_named_where_a_vocabulary_has_whole_words() -> None:
    made = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "sea": 2}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", eos_token="</s>")
    unknown = found(words, "sea", "sea urchin")
    assert unknown is not None
    assert (unknown.count, unknown.row) == (1, 1)
    assert "".join(unknown.parts).replace(" ", "") == "urchin"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("abc{}\\<", min_size=1, max_size=6), min_size=1, max_size=5))
def test_exactly_the_targets_with_such_characters_are_counted(targets: list[str]) -> None:
    unknown = found(letters(), *targets)
    bad = [text for text in targets if set(text) - set("abc")]
    assert (unknown.count if unknown else 0) == len(bad)
    if unknown:
        assert set(unknown.parts) == {letter for text in bad for letter in text if letter not in "abc"}


def test_nothing_is_said_where_the_unknown_token_is_also_the_end() -> None:
    tokenizer = letters()
    tokenizer.unk_token = "</s>"
    assert found(tokenizer, "{") is None


@pytest.mark.skipif(
    not (SHARED / "tokenizers/flan-t5").is_dir(), reason="no tokenizer of Flan-T5: set OPENFLAN_SHARED"
)
def test_t5_has_no_braces() -> None:
    lines = (SHARED / "cases/special_tokens/braces.jsonl").read_text().splitlines()
    targets = [json.loads(line)["targets"] for line in lines]
    unknown = found(tokenizer_of(str(SHARED / "tokenizers/flan-t5")), *targets)
    assert unknown is not None
    assert (unknown.count, unknown.rows) == (12, 12)
    assert {"{", "}"} <= set(unknown.parts)
