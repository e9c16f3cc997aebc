"""The special tokens around inputs and targets: the layout of an example.

- paper: inputs, EOS, targets, EOS (Chung et al. 2022, section 2.2). The only one of an encoder-decoder, whose
  two sequences it describes.
- plain: inputs, targets, EOS, for causal models that are to go on from their prompt.
- chat: one turn of the tokenizer's own chat template; the loss is on the assistant's part, its closing
  special tokens
  included.

A BOS comes first where the tokenizer puts one. The special tokens are found once; texts are tokenised without
them.
"""

from __future__ import annotations

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
    """The special tokens of a layout under a Hugging Face tokenizer.

    Raises InputError if it has no EOS token or, for `chat`, no chat template or one whose special tokens
    depend on the text.
    """
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"the tokenizer of {tokenizer.name_or_path} has no EOS token, which must end inputs and "
            "targets; set one in its tokenizer_config.json"
        )
    if layout == "chat":
        return _chat(tokenizer)
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


def _chat(tokenizer: Any) -> SpecialTokens:
    if not getattr(tokenizer, "chat_template", None):
        raise InputError(
            "`packing.layout: chat` needs a chat template, and the tokenizer of "
            f"{tokenizer.name_or_path} has none; use paper or plain"
        )
    variants = {_around(tokenizer, question, answer) for question, answer in _SAMPLES}
    if len(variants) != 1:
        raise InputError(
            f"the chat template of {tokenizer.name_or_path} writes other tokens around other texts, so it "
            "cannot be packed; use paper or plain"
        )
    return variants.pop()


def _around(tokenizer: Any, question: str, answer: str) -> SpecialTokens:
    """The special tokens around one turn. Raises InputError where its texts are not tokenised as they are
    alone."""
    turn = [{"role": "user", "content": question}]
    prompt = _ids(apply_chat_template(tokenizer, turn, add_generation_prompt=True, tokenize=True))
    whole = _ids(
        apply_chat_template(tokenizer, [*turn, {"role": "assistant", "content": answer}], tokenize=True)
    )
    asked, answered = (
        list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in (question, answer)
    )
    start, after = _find(prompt, asked), len(prompt) + len(answered)
    if (
        start is None
        or whole[: len(prompt)] != prompt
        or whole[len(prompt) : after] != answered
        or after == len(whole)
    ):
        raise InputError(
            f"the chat template of {tokenizer.name_or_path} does not keep a turn's texts apart from its "
            "special tokens, or does not end the answer; use paper or plain"
        )
    return SpecialTokens(tuple(prompt[:start]), tuple(prompt[start + len(asked) :]), tuple(whole[after:]))


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
