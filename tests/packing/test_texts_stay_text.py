"""What a text spells of a tokenizer's control tokens stays text, whichever kind of tokenizer reads it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from openflan.models.load_model import tokenizer_of
from openflan.packing.text_ids import TextIds, control_tokens
from openflan.packing.tokens import Tokenize

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))
CONTROL = ("<pad>", "</s>", "<s>", "<unk>", "<|turn|>", "<extra_id_0>")
LETTERS = [chr(code) for code in range(33, 127)]
TEMPLATE = (
    "{% for message in messages %}<|turn|>{{ message['role'] }}: {{ message['content'] | trim "
    "}}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant: {% endif %}"
)


def _fast(model: Any, words: tuple[str, ...] = (), **parts: Any) -> Any:
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>",
        unk_token="<unk>",
        additional_special_tokens=["<|turn|>", "<extra_id_0>"],
    )
    fast.add_tokens([AddedToken(word, special=False, normalized=False) for word in words])
    fast.chat_template = TEMPLATE
    return fast


def unigram(words: tuple[str, ...] = ()) -> Any:
    """As T5's: control tokens are the cheapest pieces of the vocabulary itself."""
    pieces = [
        *((token, 0.0) for token in CONTROL),
        ("▁", -2.0),
        *((letter, -5.0) for letter in LETTERS),
        ("▁the", -3.0),
    ]
    return _fast(
        models.Unigram(pieces, 3, False),
        words,
        pre_tokenizer=pre_tokenizers.Metaspace(),
        decoder=decoders.Metaspace(),
    )


def byte_level(words: tuple[str, ...] = (), *, ignore_merges: bool = False) -> Any:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*CONTROL, *alphabet, "th", "the"])}
    model = models.BPE(vocabulary, [("t", "h"), ("th", "e")], unk_token="<unk>", ignore_merges=ignore_merges)
    split = (
        pre_tokenizers.Split(" ", "isolated")
        if ignore_merges
        else pre_tokenizers.ByteLevel(add_prefix_space=False)
    )
    before = (
        pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        if ignore_merges
        else split
    )
    return _fast(model, words, pre_tokenizer=before, decoder=decoders.ByteLevel())


def whole_words(words: tuple[str, ...] = ()) -> Any:
    vocabulary = {token: number for number, token in enumerate([*CONTROL, "a", "b", "assistant:", "user:"])}
    return _fast(
        models.WordLevel(vocabulary, unk_token="<unk>"), words, pre_tokenizer=pre_tokenizers.WhitespaceSplit()
    )


def word_pieces(words: tuple[str, ...] = ()) -> Any:
    pieces = [*CONTROL, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    model = models.WordPiece({token: number for number, token in enumerate(pieces)}, unk_token="<unk>")
    return _fast(model, words, pre_tokenizer=pre_tokenizers.WhitespaceSplit(), normalizer=normalizers.NFC())


def one_by_one(words: tuple[str, ...] = ()) -> Any:
    """A slow tokenizer, without a backend."""
    tokenizer = ByT5Tokenizer(extra_ids=1)
    tokenizer.add_tokens([AddedToken(word, special=False, normalized=False) for word in words])
    return tokenizer


KINDS: dict[str, Callable[..., Any]] = {
    "unigram": unigram,
    "byte-level": byte_level,
    "byte-level, whole words first": lambda words=(): byte_level(words, ignore_merges=True),
    "words": whole_words,
    "word pieces": word_pieces,
    "slow": one_by_one,
}
kinds = pytest.mark.parametrize("kind", KINDS)
planted = st.lists(
    st.sampled_from([*CONTROL, "a", "b", " ", "the", "<", "</", "s>", "<<s>", "\n", "é"]), max_size=8
).map("".join)


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return {name: make() for name, make in KINDS.items()}


def _controls(tokenizer: Any) -> set[int]:
    """Ids that no text may have; the unknown token is what a vocabulary gives for a letter that it lacks."""
    return set(control_tokens(tokenizer).values()) - {tokenizer.unk_token_id}


@kinds
@pytest.mark.parametrize(
    "text", ["<s>3</s> done", "a <extra_id_0> b", "<|turn|>", "x<pad>", " <s> </s> <|turn|> "]
)
def test_a_control_token_in_a_text_stays_text(kind: str, text: str, made: dict[str, Any]) -> None:
    tokenizer = made[kind]
    assert (
        _controls(tokenizer) & set(tokenizer(text, add_special_tokens=False)["input_ids"]) or kind == "slow"
    )
    ids, _ = Tokenize(tokenizer)([text])
    assert not _controls(tokenizer) & set(ids.tolist())


@kinds
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(planted, min_size=1, max_size=4))
def test_no_text_gives_a_control_token(kind: str, texts: list[str], made: dict[str, Any]) -> None:
    tokenizer = made[kind]
    ids, lengths = Tokenize(tokenizer)(texts)
    assert not _controls(tokenizer) & set(ids.tolist())
    assert lengths.tolist() == [len(Tokenize(tokenizer)([text])[0]) for text in texts]


@pytest.mark.parametrize("kind", ["byte-level", "byte-level, whole words first", "slow"])
@settings(max_examples=60, deadline=None)
@given(text=planted)
def test_ids_read_back_are_the_text(kind: str, text: str, made: dict[str, Any]) -> None:
    tokenizer = made[kind]
    ids, _ = Tokenize(tokenizer)([text])
    assert (
        tokenizer.decode(ids.tolist(), skip_special_tokens=True, clean_up_tokenization_spaces=False) == text
    )


@kinds
@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet="abthe <>/s.é\n", max_size=20))
def test_other_texts_have_the_ids_of_the_tokenizer_itself(kind: str, text: str, made: dict[str, Any]) -> None:
    if any(token in text for token in CONTROL):
        return
    tokenizer = made[kind]
    assert Tokenize(tokenizer)([text])[0].tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert TextIds(tokenizer).marked(text) == tokenizer(text)["input_ids"]


@kinds
def test_words_that_a_vocabulary_adds_stay_tokens(kind: str) -> None:
    tokenizer = KINDS[kind](("<think>", "</think>"))
    expected = [tokenizer.convert_tokens_to_ids(word) for word in ("<think>", "</think>")]
    ids, _ = Tokenize(tokenizer)(["<think> a <s> </think>"])
    assert [token for token in ids.tolist() if token in expected] == expected
    assert tokenizer.convert_tokens_to_ids("<s>") not in ids.tolist() or kind == "slow"


def test_the_tokenizer_itself_is_left_as_it_was() -> None:
    tokenizer = unigram()
    before = tokenizer("<s> a </s>")["input_ids"]
    Tokenize(tokenizer)(["<s>"])
    assert tokenizer("<s> a </s>")["input_ids"] == before
    assert {0, 1, 2} & set(before)


def test_places_are_those_of_the_letters() -> None:
    ids, places = Tokenize(byte_level()).with_places(["a</s>"])
    assert places == [[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]]
    assert len(ids[0]) == 5


@pytest.mark.parametrize("kind", ["byte-level", "byte-level, whole words first", "unigram"])
@settings(max_examples=60, deadline=None)
@given(text=planted.filter(str.strip))
def test_a_conversation_has_the_control_tokens_of_its_template_alone(
    kind: str, text: str, made: dict[str, Any]
) -> None:
    tokenizer, turn = made[kind], [{"role": "user", "content": text}]
    ids, control = TextIds(tokenizer).chat(turn, add_generation_prompt=True), control_tokens(tokenizer)
    special_tokens = [token for token in ids if token in _controls(tokenizer)]
    assert special_tokens == [control["<|turn|>"], control["</s>"], control["<|turn|>"]]
    shown = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
    if not any(token in text for token in CONTROL):
        assert ids == tokenizer(shown, add_special_tokens=False)["input_ids"]
    if kind == "byte-level":
        assert tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False) == shown


def test_bos_and_eos_of_the_tokenizer_itself_are_put_around_a_text() -> None:
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 1)]
    )
    ids = TextIds(tokenizer).marked("a</s>")
    assert (ids[0], ids[-1], ids.count(1), len(ids)) == (2, 1, 1, 7)


@pytest.mark.skipif(
    not (SHARED / "tokenizers/flan-t5").is_dir(), reason="no tokenizer of Flan-T5: set OPENFLAN_SHARED"
)
@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(["</s>", "<extra_id_7>", "<pad>", "<unk>", "sea", "12", "a</s>b"]),
        min_size=1,
        max_size=6,
    )
)
def test_flan_t5_reads_its_own_control_tokens_as_text(words: list[str]) -> None:
    tokenizer, tokenize = _flan_t5()
    ids = tokenize([" ".join(words)])[0].tolist()
    assert not _controls(tokenizer) & set(ids)
    # Its vocabulary has no `<`: that letter is unknown, the others are read back.
    assert tokenizer.decode(ids, skip_special_tokens=True).split() == " ".join(words).replace(
        "<", " "
    ).split() or "<" in "".join(words)
    assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "") == "".join(words).replace("<", "")


_loaded: list[tuple[Any, Tokenize]] = []


def _flan_t5() -> tuple[Any, Tokenize]:
    if not _loaded:
        tokenizer = tokenizer_of(str(SHARED / "tokenizers/flan-t5"))
        _loaded.append((tokenizer, Tokenize(tokenizer)))
    return _loaded[0]


@pytest.mark.parametrize("name", ["embedded:microflan-tiny", "embedded:microflan-base"])
@settings(max_examples=30, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(["</s>", "<extra_id_3>", "<pad>", "<unk>", "sea", "12", "<s>3</s>"]),
        min_size=1,
        max_size=6,
    )
)
def test_the_tokenizers_that_come_along_read_and_write_them_as_text(name: str, words: list[str]) -> None:
    tokenizer = tokenizer_of(name)
    ids = Tokenize(tokenizer)([" ".join(words)])[0].tolist()
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == " ".join(words)
