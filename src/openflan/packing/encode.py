"""Rendered text becomes token ids within the limits of a row.

EOS ends inputs and targets alike, inside the limits (Chung et al. 2022, section 2.2; the collection's code). Inputs that are too long are cut at
their end, the policy of the collection's code, or refused; targets are never cut, since half an answer teaches a wrong one: such an example is
dropped. Both are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from openflan.errors import InputError
from openflan.templates.render import Rendered

Overflow = Literal["truncate-inputs", "drop", "error"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Token capacities of a packed row; `joint` (causal models): one row holds inputs and targets together."""

    inputs: int
    targets: int
    joint: bool

    @property
    def row(self) -> int:
        """Tokens of a row's first sequence: everything for a causal model, inputs otherwise."""
        return self.inputs + self.targets if self.joint else self.inputs


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as ids, EOS included. `cut` counts input tokens that were cut; `dropped` says why there are none at all."""

    input_ids: NDArray[np.int32]
    target_ids: NDArray[np.int32]
    cut: int = 0
    dropped: Literal["", "targets-too-long", "inputs-too-long"] = ""

    @property
    def keeps(self) -> bool:
        return not self.dropped


_NOTHING = np.empty(0, dtype=np.int32)


class Encoder:
    """Token ids of rendered examples under one tokenizer, one set of limits and one overflow policy."""

    def __init__(self, tokenizer: Any, limits: Limits, on_overflow: Overflow = "truncate-inputs") -> None:
        """`tokenizer` is a Hugging Face tokenizer. Raises InputError if it has no EOS token."""
        if tokenizer.eos_token_id is None:
            raise InputError(
                f"the tokenizer of {tokenizer.name_or_path} has no EOS token, which must end inputs and targets; set one in its tokenizer_config.json"
            )
        self.limits = limits
        self._tokenizer = tokenizer
        self._on_overflow = on_overflow
        self._eos = [tokenizer.eos_token_id]
        self._bos = [tokenizer.bos_token_id] if _adds_bos(tokenizer) else []

    def count(self, text: str) -> int:
        """Tokens of a text, without marks."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def encode(self, examples: Sequence[Rendered]) -> list[Encoded]:
        """One Encoded an example; under the policy `error`, raises InputError for the first that does not fit."""
        if not examples:
            return []
        ids = self._tokenizer([text for example in examples for text in (example.inputs, example.targets)], add_special_tokens=False)["input_ids"]
        return [self._fit(example, ids[2 * number], ids[2 * number + 1]) for number, example in enumerate(examples)]

    def _fit(self, example: Rendered, inputs: list[int], targets: list[int]) -> Encoded:
        inputs, targets = self._bos + inputs + self._eos, targets + self._eos
        room = self.limits.row - len(targets) if self.limits.joint else self.limits.inputs
        over, most = max(0, len(inputs) - room), self.limits.targets
        if not over and len(targets) <= most:
            return Encoded(np.array(inputs, dtype=np.int32), np.array(targets, dtype=np.int32))
        if self._on_overflow == "error":
            raise InputError(
                f"{example.task} row {example.row}: {len(inputs):,} input and {len(targets):,} target tokens do not fit {self.limits.inputs:,} and {most:,}; "
                "raise `packing.inputs` or `packing.targets`, or set `packing.on_overflow: truncate-inputs`"
            )
        if len(targets) > most:
            return Encoded(_NOTHING, _NOTHING, dropped="targets-too-long")
        if self._on_overflow == "drop":
            return Encoded(_NOTHING, _NOTHING, dropped="inputs-too-long")
        return Encoded(np.array(inputs[: room - 1] + self._eos, dtype=np.int32), np.array(targets, dtype=np.int32), cut=over)


def _adds_bos(tokenizer: Any) -> bool:
    """Whether the tokenizer itself begins a text with BOS. Asked with a text, as on an empty one a BOS cannot be told from an EOS of the same id."""
    marked, plain = (tokenizer("a", add_special_tokens=add)["input_ids"] for add in (True, False))
    return bool(marked[:1] == [tokenizer.bos_token_id] and plain[:1] != marked[:1])
