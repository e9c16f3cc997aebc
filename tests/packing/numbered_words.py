"""A stream and a tokenizer by hand, picklable, for builds whose every token can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openflan.packing.encode import Encoder, Limits, Overflow
from openflan.packing.store import Layout, Parts
from openflan.randomness import Draws
from openflan.templates.render import Rendered, TokenBudget
from openflan.templates.style import Style

LAYOUT = Layout(window=40, windows=3)
LIMITS = Limits(inputs=60, targets=20, joint=False)
JOINT = Limits(inputs=60, targets=20, joint=True)
PARTS = Parts({"seed": 0}, {"targets": 20})


class Lettered:
    """A tokenizer: a word is the number in it, plus one; 0 is EOS."""

    eos_token_id = 0
    bos_token_id = None
    name_or_path = "lettered"

    def __init__(self, size: int = 10_000) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __call__(
        self, text: str | list[str], add_special_tokens: bool = True
    ) -> dict[str, list[int] | list[list[int]]]:
        return {"input_ids": self._ids(text) if isinstance(text, str) else [self._ids(one) for one in text]}

    @staticmethod
    def _ids(text: str) -> list[int]:
        return [1 + int(word.lstrip("inoutex") or 0) for word in text.split() if word != "a"]


@dataclass(frozen=True)
class Words:
    """Examples of seeded lengths whose words say their position; every third is few-shot, with up to five
    exemplars of ten words each."""

    token_budget: TokenBudget | None = None
    seed: int = 0

    def __getitem__(self, position: int) -> Rendered:
        return self._rendered(position, self.token_budget)

    def unpruned(self, position: int) -> Rendered:
        return self._rendered(position, None)

    def _rendered(self, position: int, token_budget: TokenBudget | None) -> Rendered:
        draws = Draws(self.seed, "lengths", position)
        inputs, targets = (
            " ".join([f"in{position}"] * (1 + draws.below(30))),
            " ".join([f"out{position}"] * (1 + draws.below(21))),
        )
        shots = 1 + draws.below(5) if position % 3 == 0 else 0
        for kept in range(shots, -1, -1):
            text = " ".join([f"ex{position}"] * (10 * kept) + [inputs])
            if token_budget is None or kept == 0 or token_budget.measure(text) <= token_budget.tokens:
                break
        return Rendered(
            text,
            targets,
            "",
            "own/words",
            position,
            Style(few_shot=kept > 0),
            "any",
            exemplars=(0,) * kept,
            pruned=shots - kept,
        )


def words_in(text: str) -> int:
    return len(text.split())


ROOM = TokenBudget(45, words_in)


def encoder(limits: Limits = LIMITS, on_overflow: Overflow = "truncate-inputs") -> Encoder:
    return Encoder(Lettered(), limits, on_overflow)


def opened() -> tuple[Words, Encoder]:
    """What a worker process opens."""
    return Words(ROOM), encoder()


def word_level(size: int = 300, *, padded: bool = False, gap: int = 0) -> Any:
    """A fast tokenizer of `size` words w0, w1 and so on; `padded`: its file sets padding and truncation.
    `gap` ids before the last word are left out."""
    # Here, as processes that only build import this module too.
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = (
        {"</s>": 0, "<unk>": 1}
        | {f"w{number}": number + 2 for number in range(size - 3)}
        | {"last": size - 1 + gap}
    )
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if padded:
        tokenizer.enable_padding(length=9, pad_id=0, pad_token="</s>")
        tokenizer.enable_truncation(3)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )
