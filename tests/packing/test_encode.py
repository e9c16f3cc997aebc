"""Token ids of examples: EOS on both sides, limits, and the three ways to treat what is too long."""

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from openflan.errors import InputError
from openflan.packing.encode import Encoder, Limits
from openflan.templates.render import Rendered
from openflan.templates.style import Style

PAD, EOS, BOS, UNK = 0, 1, 2, 3
FIRST_WORD = 4


def _tokenizer(
    *, bos: bool = False, eos: bool = True, special_tokens: str | None = None, bos_is_eos: bool = False
) -> Any:
    """Word i of `w0 w1 ...` is token 4 + i. `special_tokens` is what the tokenizer itself adds: `<s> $A`, `$A
    </s>`."""
    vocabulary = {"<pad>": PAD, "</s>": EOS, "<s>": BOS, "<unk>": UNK} | {
        f"w{index}": FIRST_WORD + index for index in range(50)
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if special_tokens:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=special_tokens, special_tokens=[("<s>", BOS), ("</s>", EOS)]
        )
    names = {"pad_token": "<pad>", "unk_token": "<unk>"}
    if bos or bos_is_eos:
        names["bos_token"] = "</s>" if bos_is_eos else "<s>"
    if eos:
        names["eos_token"] = "</s>"
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, name_or_path="some/tokenizer", **names)


def _words(first: int, count: int) -> str:
    return " ".join(f"w{number % 50}" for number in range(first, first + count))


def _ids(first: int, count: int) -> list[int]:
    return [FIRST_WORD + number % 50 for number in range(first, first + count)]


def _example(inputs: int, targets: int, row: int = 7) -> Rendered:
    return Rendered(
        _words(0, inputs),
        _words(10, targets),
        answer="",
        task="own/quiz",
        row=row,
        style=Style(),
        wording="any",
    )


def _encode(
    inputs: int,
    targets: int,
    limits: Limits,
    policy: Literal["truncate-inputs", "drop", "error"] = "truncate-inputs",
    **special_tokens: Any,
) -> Any:
    (encoded,) = Encoder(_tokenizer(**special_tokens), limits, policy).encode([_example(inputs, targets)])
    return encoded


SEPARATE = Limits(inputs=8, targets=4, joint=False)
JOINT = Limits(inputs=8, targets=4, joint=True)


@pytest.mark.parametrize("limits", [SEPARATE, JOINT])
def test_eos_ends_inputs_and_targets(limits: Limits) -> None:
    encoded = _encode(5, 2, limits)
    assert encoded.input_ids.tolist() == [*_ids(0, 5), EOS]
    assert encoded.target_ids.tolist() == [*_ids(10, 2), EOS]
    assert encoded.keeps
    assert encoded.truncated == 0


def test_eos_is_not_doubled_where_the_tokenizer_adds_its_own() -> None:
    encoded = _encode(5, 2, SEPARATE, special_tokens="$A </s>")
    assert encoded.input_ids.tolist() == [*_ids(0, 5), EOS]
    assert encoded.target_ids.tolist() == [*_ids(10, 2), EOS]


def test_examples_of_exactly_the_limits_stay_whole() -> None:
    encoded = _encode(7, 3, SEPARATE, "error")
    assert encoded.input_ids.tolist() == [*_ids(0, 7), EOS]
    assert encoded.target_ids.tolist() == [*_ids(10, 3), EOS]


@pytest.mark.parametrize(("words", "truncated"), [(8, 1), (30, 23)])
def test_long_inputs_are_cut_at_their_end_and_keep_eos(words: int, truncated: int) -> None:
    encoded = _encode(words, 2, SEPARATE)
    assert encoded.input_ids.tolist() == [*_ids(0, 7), EOS]
    assert encoded.target_ids.tolist() == [*_ids(10, 2), EOS]
    assert encoded.truncated == truncated


@pytest.mark.parametrize("policy", ["truncate-inputs", "drop"])
@pytest.mark.parametrize("limits", [SEPARATE, JOINT])
def test_long_targets_are_never_cut(limits: Limits, policy: Literal["truncate-inputs", "drop"]) -> None:
    encoded = _encode(2, 4, limits, policy)
    assert encoded.dropped == "targets-too-long"
    assert not encoded.keeps
    assert len(encoded.input_ids) == len(encoded.target_ids) == 0


def test_drop_leaves_long_inputs_out() -> None:
    encoded = _encode(8, 2, SEPARATE, "drop")
    assert encoded.dropped == "inputs-too-long"
    assert len(encoded.input_ids) == len(encoded.target_ids) == 0


@pytest.mark.parametrize(("inputs", "targets"), [(8, 2), (2, 4)])
def test_error_names_the_row_and_the_remedy(inputs: int, targets: int) -> None:
    with pytest.raises(
        InputError,
        match=(
            rf"own/quiz row 7: {inputs + 1} input and {targets + 1} target tokens do not fit 8 and 4; raise "
            r"`packing.inputs`"
        ),
    ):
        _encode(inputs, targets, SEPARATE, "error")


def test_a_causal_row_lends_its_inputs_what_the_targets_leave() -> None:
    """12 tokens in all: 3 for the targets leave 9, one more than `inputs` says."""
    assert _encode(8, 2, JOINT, "error").input_ids.tolist() == [*_ids(0, 8), EOS]
    truncated = _encode(9, 2, JOINT)
    assert truncated.input_ids.tolist() == [*_ids(0, 8), EOS]
    assert truncated.truncated == 1


def test_bos_is_kept_where_the_tokenizer_adds_one() -> None:
    encoded = _encode(20, 2, SEPARATE, bos=True, special_tokens="<s> $A")
    assert encoded.input_ids.tolist() == [BOS, *_ids(0, 6), EOS]
    assert encoded.target_ids.tolist() == [*_ids(10, 2), EOS]
    assert encoded.truncated == 14


def test_bos_is_not_added_where_the_tokenizer_adds_none() -> None:
    assert _encode(5, 2, SEPARATE, bos=True).input_ids.tolist() == [*_ids(0, 5), EOS]


def test_an_eos_that_is_bos_too_is_not_put_in_front() -> None:
    """A tokenizer that ends texts with the token it also calls BOS begins none with it."""
    assert _encode(5, 2, SEPARATE, bos_is_eos=True, special_tokens="$A </s>").input_ids.tolist() == [
        *_ids(0, 5),
        EOS,
    ]


def test_a_tokenizer_without_eos_is_refused() -> None:
    with pytest.raises(InputError, match="some/tokenizer has no EOS token"):
        Encoder(_tokenizer(eos=False), SEPARATE)


def test_count_leaves_marks_out() -> None:
    encoder = Encoder(_tokenizer(bos=True, special_tokens="<s> $A </s>"), SEPARATE)
    assert encoder.count(_words(0, 6)) == 6
    assert encoder.count("") == 0


def test_nothing_encodes_to_nothing() -> None:
    assert Encoder(_tokenizer(), SEPARATE).encode([]) == []


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), min_size=1, max_size=10),
    inputs=st.integers(2, 20),
    targets=st.integers(1, 8),
    joint=st.booleans(),
    bos=st.booleans(),
)
def test_whatever_the_lengths_rows_hold_what_is_kept(
    lengths: list[tuple[int, int]], inputs: int, targets: int, joint: bool, bos: bool
) -> None:
    limits = Limits(inputs, targets, joint)
    examples = [_example(*pair) for pair in lengths]
    encodings = Encoder(_tokenizer(bos=bos, special_tokens="<s> $A" if bos else None), limits).encode(
        examples
    )
    for (words, answer), encoded in zip(lengths, encodings, strict=True):
        if answer + 1 > targets:
            assert encoded.dropped == "targets-too-long"
            continue
        assert encoded.target_ids.tolist() == [*_ids(10, answer), EOS]
        token_budget = inputs + targets - (answer + 1) if joint else inputs
        all_ids = [BOS] * bos + _ids(0, words)
        assert encoded.input_ids.tolist() == [*all_ids[: token_budget - 1], EOS]
        assert encoded.truncated == max(0, len(all_ids) + 1 - token_budget)
