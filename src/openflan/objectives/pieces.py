"""Documents become pieces of bounded length, and pieces become examples with their special tokens.

Nothing is dropped and nothing is read twice. A document longer than a piece is divided into full pieces and a
rest. If the rest would be very short, the last two pieces are made equally long. EOS stands where a document
ends. A piece whose text goes on has none in its targets, or it would teach to stop in the middle. (T5's own
pipeline ends every piece with EOS.) Targets of span corruption are a complete list and always end with EOS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.errors import InputError
from openflan.objectives.denoise import Ids
from openflan.objectives.denoisers import Denoiser, Mode
from openflan.packing.encode import Encoded, Limits

SENTINEL = "<extra_id_{}>"
"""The names of sentinels in T5's tokenizers, from 0; missing ones are added under these names."""


_SHORT_REST = 8
"""The share of a piece, as one in so many, under which what is left of a document is not a piece of its own:
there is little to learn from it."""


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The ids that stand around and for text.

    `bos` is empty where the tokenizer puts none. `sentinels` in the order of their use; `modes` the ids of
    the mode tokens in use.
    """

    eos: int
    bos: tuple[int, ...]
    sentinels: NDArray[np.int64]
    modes: Mapping[Mode, int]

    def mode(self, denoiser: Denoiser) -> tuple[int, ...]:
        """The mode token of a denoiser, if it has one."""
        return (
            (self.modes[denoiser.mode],) if denoiser.mode is not None and denoiser.mode in self.modes else ()
        )


def next_piece(remaining: int, size: int) -> int:
    """Return how many of a document's `remaining` tokens the next piece takes, `size` at most. What then
    remains is nothing, or not very short."""
    if remaining <= size:
        return remaining
    return size if remaining - size >= size // _SHORT_REST else -(-remaining // 2)


def encode(
    ids: Ids,
    denoiser: Denoiser,
    special_tokens: SpecialTokens,
    key: int,
    *,
    joint: bool,
    ends: bool,
    span: tuple[int, int] | None = None,
) -> Encoded:
    """A piece as an example: mode token, inputs and, for an encoder-decoder, EOS; then the targets.

    `joint`: for a causal model, whose inputs begin with BOS if its tokenizer puts one and have no EOS between
    them and the targets. Where that leaves nothing to predict the first token from, EOS stands there, as at
    the border of two documents. `ends`: the document ends with this piece. `span`: the tokens to corrupt, or
    to cut before, in place of drawn ones.
    """
    pair = denoiser.apply(ids, special_tokens.sentinels, key, span)
    before = [*(special_tokens.bos if joint else ()), *special_tokens.mode(denoiser)]
    if joint and not before and not len(pair.input_ids):
        before = [special_tokens.eos]
    after = [special_tokens.eos] if ends or denoiser.kind == "spans" or not len(pair.target_ids) else []
    inputs = [
        np.array(before, dtype=np.int32),
        pair.input_ids,
        *([] if joint else [np.array([special_tokens.eos], dtype=np.int32)]),
    ]
    return Encoded(np.concatenate(inputs), np.concatenate([pair.target_ids, np.array(after, dtype=np.int32)]))


def fits(length: int, denoisers: Sequence[Denoiser], special_tokens: SpecialTokens, limits: Limits) -> bool:
    """Return True if every piece of up to `length` tokens fits `limits`, special tokens included."""
    # Neither side of a longer text is ever shorter: a token more is at most one noise token more.
    return all(_fits(length, denoiser, special_tokens, limits) for denoiser in denoisers)


def longest(denoisers: Sequence[Denoiser], special_tokens: SpecialTokens, limits: Limits) -> int:
    """The most tokens of a piece that `fits`; raises InputError if not even one does."""
    low, high = 0, limits.inputs + limits.targets
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle, denoisers, special_tokens, limits) else (low, middle - 1)
    if low == 0:
        raise InputError(
            f"packing: {limits.inputs:,} input and {limits.targets:,} target tokens do not hold one "
            "token and its special tokens; raise both"
        )
    return low


def needed_sentinels(lengths: Mapping[Denoiser, int]) -> int:
    """Return the number of sentinels that pieces use, unless they contain some themselves; `lengths` are the
    most tokens of each denoiser's."""
    return max((denoiser.spans(length) for denoiser, length in lengths.items()), default=0)


def special_tokens_of(tokenizer: Any, modes: Mapping[Mode, str], sentinels: int) -> SpecialTokens:
    """The ids of a tokenizer that has all of these tokens; raises InputError if it has no EOS."""
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"the tokenizer of {tokenizer.name_or_path} has no EOS token, which must end documents; set "
            "one in its tokenizer_config.json"
        )
    marked, plain = (tokenizer("a", add_special_tokens=add)["input_ids"] for add in (True, False))
    bos = (
        (int(tokenizer.bos_token_id),)
        if marked[:1] == [tokenizer.bos_token_id] and plain[:1] != marked[:1]
        else ()
    )
    ids = [tokenizer.convert_tokens_to_ids(SENTINEL.format(number)) for number in range(sentinels)]
    mode_ids = {mode: int(tokenizer.convert_tokens_to_ids(token)) for mode, token in modes.items()}
    return SpecialTokens(int(tokenizer.eos_token_id), bos, np.array(ids, dtype=np.int64), mode_ids)


def missing_tokens(tokenizer: Any, modes: Mapping[Mode, str], sentinels: int) -> list[str]:
    """The tokens to add, in the order in which to add them: sentinels so that the first has the highest id,
    as T5's have, then mode tokens."""
    known = tokenizer.get_vocab()
    tokens = [*(SENTINEL.format(number) for number in reversed(range(sentinels))), *modes.values()]
    return [token for token in tokens if token not in known]


def _fits(length: int, denoiser: Denoiser, special_tokens: SpecialTokens, limits: Limits) -> bool:
    mode = len(special_tokens.mode(denoiser))
    if limits.joint:
        return denoiser.longest(length) + max(1, len(special_tokens.bos) + mode) + 1 <= limits.sequence
    inputs, targets = denoiser.most_per_side(length)
    return inputs + mode + 1 <= limits.inputs and targets + 1 <= limits.targets
