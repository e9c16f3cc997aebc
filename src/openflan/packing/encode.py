"""Token ids within the limits of a packed sequence: here an example is truncated.

The special tokens of the layout, such as EOS after inputs and targets, count within the limits (the
collection's code). Inputs that are too long are truncated at their end, as in the collection's code, or the
example is dropped or refused. Targets are never truncated, because half an answer teaches a wrong one: such
an example is dropped. Both are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from openflan.errors import InputError
from openflan.packing.chat_layout import ChatLayout, Learn
from openflan.packing.special_tokens import Layout, special_tokens_of
from openflan.packing.text_ids import AddedTokens
from openflan.packing.tokens import Tokenize, Tokens, tokens_of
from openflan.templates.render import Rendered

Overflow = Literal["truncate-inputs", "drop", "error"]
Dropped: TypeAlias = Literal["", "targets-too-long", "inputs-too-long"]
REASONS: tuple[Dropped, ...] = ("", "targets-too-long", "inputs-too-long")


@dataclass(frozen=True, slots=True)
class Limits:
    """Token capacities of a packed sequence. `joint` (causal models): one sequence holds inputs and targets
    together."""

    inputs: int
    targets: int
    joint: bool

    @property
    def sequence(self) -> int:
        """Tokens of the sequence that holds the inputs; for a causal model it holds the targets too."""
        return self.inputs + self.targets if self.joint else self.inputs

    def fit(self, example: Encoded) -> bool:
        """Whether a sequence can hold the example if it holds no other."""
        inputs, targets = len(example.input_ids), len(example.target_ids)
        return (
            inputs + targets <= self.sequence
            if self.joint
            else inputs <= self.inputs and targets <= self.targets
        )


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as ids, special tokens included. `truncated` counts the input tokens that were left out;
    `dropped` is the reason if the whole example is left out, and then there are no ids. `learned` says of
    each target whether the loss is on it, as between the turns of a conversation it is not; None: on all."""

    input_ids: NDArray[np.int32]
    target_ids: NDArray[np.int32]
    truncated: int = 0
    dropped: Dropped = ""
    learned: NDArray[np.bool_] | None = None

    @property
    def num_learned(self) -> int:
        """The number of tokens that the loss is on."""
        return len(self.target_ids) if self.learned is None else int(self.learned.sum())

    @property
    def num_context(self) -> int:
        """The number of tokens without loss."""
        return len(self.input_ids) + len(self.target_ids) - self.num_learned

    @property
    def keeps(self) -> bool:
        return not self.dropped


@dataclass(frozen=True, slots=True)
class Fit:
    """What the limits make of N examples: their tokens with special tokens and after truncation (N, 2), input
    tokens that were left out (N,), and the reason for dropping (N,), an index of REASONS. Lengths of dropped
    examples are those that they would have."""

    lengths_N2: NDArray[np.int64]
    truncated_N: NDArray[np.int64]
    dropped_N: NDArray[np.int8]

    @property
    def kept(self) -> NDArray[np.int64]:
        """Numbers of the examples that stay."""
        return np.flatnonzero(self.dropped_N == 0)


_NOTHING = np.empty(0, dtype=np.int32)


class Encoder:
    """Token ids of rendered examples under one tokenizer, one set of limits and one overflow policy."""

    def __init__(
        self,
        tokenizer: Any,
        limits: Limits,
        on_overflow: Overflow = "truncate-inputs",
        layout: Layout = "paper",
        *,
        learn: Learn = "all",
        added_tokens: AddedTokens = "ids",
    ) -> None:
        """`tokenizer` is a Hugging Face tokenizer. `learn`: which turns of a conversation are learned in the
        layout `chat`. `added_tokens`: see `TextIds`. Raises InputError if the tokenizer lacks the tokens of a
        `layout` (see `special_tokens`)."""
        self.limits = limits
        self.on_overflow = on_overflow
        self.special_tokens = special_tokens_of(tokenizer, layout)
        self.tokenize = Tokenize(tokenizer, chat=layout == "chat", learn=learn, added_tokens=added_tokens)

    def count(self, text: str) -> int:
        """The number of tokens of a text, without special tokens."""
        return len(self.tokenize([text])[0])

    def encode(self, examples: Sequence[Rendered]) -> list[Encoded]:
        """One Encoded an example; under the policy `error`, raises InputError for the first that does not
        fit."""
        tokens = tokens_of(examples, self.tokenize)
        fit = self.fit(tokens)
        self.refuse(fit, examples.__getitem__)
        return [self.encoded(tokens, number, int(dropped)) for number, dropped in enumerate(fit.dropped_N)]

    def fit(self, tokens: Tokens) -> Fit:
        """What the limits make of each example. Raises nothing; `refuse` does."""
        raw_N2, limits = tokens.lengths_N2, self.limits
        inputs_N, targets_N = (
            raw_N2[:, 0] + self.special_tokens.inputs,
            raw_N2[:, 1] + len(self.special_tokens.after),
        )
        available_N = limits.sequence - targets_N if limits.joint else np.full_like(targets_N, limits.inputs)
        over_N = np.maximum(inputs_N - available_N, 0)
        dropped_N = (targets_N > limits.targets).astype(np.int8)
        # Special tokens are never left out, nor is any turn of a conversation.
        refused_N = over_N > (tokens.texts_N if self.on_overflow == "truncate-inputs" else 0)
        dropped_N[(dropped_N == 0) & refused_N] = REASONS.index("inputs-too-long")
        truncated_N = np.where(dropped_N == 0, over_N, 0)
        return Fit(np.stack([inputs_N - truncated_N, targets_N], axis=1), truncated_N, dropped_N)

    def refuse(self, fit: Fit, example: Callable[[int], Rendered]) -> None:
        """Under the policy `error`, raises InputError for the first example that does not fit. `example`
        returns an example by its number."""
        if self.on_overflow != "error" or not fit.dropped_N.any():
            return
        number = int(np.flatnonzero(fit.dropped_N)[0])
        inputs, targets = fit.lengths_N2[number].tolist()
        raise InputError(
            f"{example(number).task} row {example(number).row}: {inputs:,} input and {targets:,} target "
            f"tokens do not fit {self.limits.inputs:,} and "
            f"{self.limits.targets:,}; raise `packing.inputs` or `packing.targets`, or set "
            "`packing.on_overflow: truncate-inputs`"
        )

    def encoded(self, tokens: Tokens, number: int, dropped: int = 0) -> Encoded:
        """One example with its special tokens. `dropped` is an index of REASONS, from `fit`."""
        if dropped:
            return Encoded(_NOTHING, _NOTHING, dropped=REASONS[dropped])
        if tokens.learned is not None:
            return self._chat_example(tokens, number)
        inputs, targets, special_tokens = tokens.inputs(number), tokens.targets(number), self.special_tokens
        begin, long = len(special_tokens.before), len(targets) + len(special_tokens.after)
        untruncated = len(inputs) + special_tokens.inputs
        wide = min(untruncated, self.limits.sequence - long if self.limits.joint else self.limits.inputs)
        end = wide - len(special_tokens.between)
        input_ids, target_ids = np.empty(wide, dtype=np.int32), np.empty(long, dtype=np.int32)
        input_ids[:begin], input_ids[begin:end], input_ids[end:] = (
            special_tokens.before,
            inputs[: end - begin],
            special_tokens.between,
        )
        target_ids[: len(targets)], target_ids[len(targets) :] = targets, special_tokens.after
        return Encoded(input_ids, target_ids, truncated=untruncated - wide)

    def as_sent(self, ids: Encoded) -> dict[str, Any]:
        """Of an example in the layout `chat`: its text `as_sent` and the parts `learned`; empty for
        others."""
        if ids.learned is None:
            return {}
        sent = self._chat.as_sent(ids.input_ids.tolist(), ids.target_ids.tolist(), ids.learned.tolist())
        return {"as_sent": sent.text, "learned": list(sent.learned)}

    def _chat_example(self, tokens: Tokens, number: int) -> Encoded:
        """What is too long loses the end of the user's text, before the tokens that end the prompt."""
        inputs, targets = tokens.inputs(number), tokens.targets(number)
        over = max(0, len(inputs) + len(targets) - self.limits.sequence)
        if over:
            end = len(inputs) - self._chat.tail
            inputs = np.concatenate([inputs[: end - over], inputs[end:]])
        return Encoded(
            inputs.astype(np.int32),
            targets.astype(np.int32),
            truncated=over,
            learned=tokens.learned_targets(number),
        )

    @property
    def _chat(self) -> ChatLayout:
        if self.tokenize.chat is None:
            raise ValueError("examples of the layout `chat` need an encoder of that layout")
        return self.tokenize.chat
