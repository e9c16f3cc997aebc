"""The special tokens around inputs and targets: the layout of an example.

- paper: inputs, EOS, targets, EOS (Chung et al. 2022, section 2.2). The only one of an encoder-decoder, whose
  two sequences it describes.
- plain: inputs, targets, EOS, for causal models that are to go on from their prompt.
- chat: conversations in the tokenizer's own chat template, which writes its own special tokens
  (`packing.chat_layout`). Where it writes the same around whatever a single turn says, `around_a_turn` finds
  them.

A BOS comes first where the tokenizer puts one. The special tokens are found once; texts are tokenised without
them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from openflan.chat_template import apply_chat_template
from openflan.errors import InputError

Layout: TypeAlias = Literal["paper", "plain", "chat"]

_SAMPLES = (("Which sea is warmer?", "The southern one."), ("7 + 5", "12"))


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Ids before the inputs, between inputs and targets, and after the targets. The first two belong to what
    is read, the last to what is learned."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def inputs(self) -> int:
        """The number of special tokens that count as inputs."""
        return len(self.before) + len(self.between)


def special_tokens_of(tokenizer: Any, layout: Layout = "paper") -> SpecialTokens:
    """The special tokens of a layout under a Hugging Face tokenizer; none for `chat`, whose template writes
    them.

    Raises InputError if it has no EOS token.
    """
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"the tokenizer of {tokenizer.name_or_path} has no EOS token, which must end inputs and "
            "targets; set one in its tokenizer_config.json"
        )
    if layout == "chat":
        return SpecialTokens((), (), ())
    eos = (int(tokenizer.eos_token_id),)
    before = (int(tokenizer.bos_token_id),) if _adds_bos(tokenizer) else ()
    return SpecialTokens(before, eos if layout == "paper" else (), eos)


def chat_template_of(tokenizer: Any, layout: Layout) -> str | None:
    """A chat template that gives other tools the layout the model was finetuned with; None: the tokenizer's
    own does.

    Earlier turns of a conversation are laid out alike, one after the other, which finetuning on single turns
    does not teach.
    """
    if layout == "chat":
        return None
    before = "{{ bos_token }}" if _adds_bos(tokenizer) else ""
    user = "{{ message['content'] }}" + ("{{ eos_token }}" if layout == "paper" else "")
    return (
        f"{before}{{% for message in messages %}}{{% if message['role'] == 'assistant' %}}{{{{ "
        f"message['content'] }}}}{{{{ eos_token }}}}"
        f"{{% else %}}{user}{{% endif %}}{{% endfor %}}"
    )


def around_a_turn(tokenizer: Any, control: Iterable[int] = ()) -> SpecialTokens | None:
    """What a chat template writes around the texts of a single turn; None where that depends on the texts,
    where they are not tokenised as they are alone, or where the turn has no end.

    The tokens beside the texts must be among `control`, or line breaks: others could join a text's first or
    last letters.
    """
    variants = {_around(tokenizer, question, answer) for question, answer in _SAMPLES}
    around = variants.pop() if len(variants) == 1 else None
    if around is None or not around.after or not around.before:
        return None
    if tokenizer.decode(around.after[-1:]).endswith(" "):
        # A separator, which is not learned.
        return None
    beside = {around.before[-1], around.between[0], around.between[-1], around.after[0]} - set(control)
    return None if tokenizer.decode(sorted(beside)).strip() else around


def _around(tokenizer: Any, question: str, answer: str) -> SpecialTokens | None:
    turn = [{"role": "user", "content": question}]
    try:
        prompt = _ids(apply_chat_template(tokenizer, turn, add_generation_prompt=True, tokenize=True))
        whole = _ids(
            apply_chat_template(tokenizer, [*turn, {"role": "assistant", "content": answer}], tokenize=True)
        )
    except InputError:
        return None
    asked, answered = (
        list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in (question, answer)
    )
    start, after = _find(prompt, asked), len(prompt) + len(answered)
    if start is None or whole[: len(prompt)] != prompt or whole[len(prompt) : after] != answered:
        return None
    around = SpecialTokens(tuple(prompt[:start]), tuple(prompt[start + len(asked) :]), tuple(whole[after:]))
    return around if around.between else None


def _ids(encoding: Any) -> list[int]:
    return [int(token) for token in (encoding["input_ids"] if hasattr(encoding, "keys") else encoding)]


def _find(ids: list[int], part: list[int]) -> int | None:
    return next(
        (start for start in range(len(ids) - len(part) + 1) if ids[start : start + len(part)] == part), None
    )


def _adds_bos(tokenizer: Any) -> bool:
    """Whether the tokenizer itself begins a text with BOS. Asked with a text, as on an empty one a BOS cannot
    be told from an EOS of the same id."""
    marked, plain = (tokenizer("a", add_special_tokens=add)["input_ids"] for add in (True, False))
    return bool(marked[:1] == [tokenizer.bos_token_id] and plain[:1] != marked[:1])
