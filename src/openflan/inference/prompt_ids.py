"""How prompts and options become ids for a model on this machine: in its chat template, or plain with the end
of sequence that T5 and the paper's layout need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from openflan.errors import InputError
from openflan.inference.protocol import Turn
from openflan.packing.message_form import asked, sent

if TYPE_CHECKING:
    from openflan.inference.huggingface import HuggingFaceEngine


def prompt_ids(
    engine: HuggingFaceEngine, prompt: str, before: Sequence[Turn] = (), conversation: str | None = None
) -> list[int]:
    """The ids of a prompt; where the engine answers in chat, after the turns `before` it, or those of the
    `conversation` (its text) that the prompt writes readably. Raises InputError for a prompt without a
    token."""
    if engine.chat and conversation is not None:
        turns, tools = asked(conversation, engine.form)
        return engine.text.chat(turns, add_generation_prompt=True, **tools)
    if engine.chat:
        messages = [turn.message() for turn in (*before, Turn("user", prompt))]
        return engine.text.chat(sent(messages, engine.form), add_generation_prompt=True)
    ids = engine.encode(prompt)
    if (engine.seq2seq or engine.separator == "eos") and (not ids or ids[-1] not in engine.eos):
        own = engine.tokenizer.eos_token_id
        ids = [*ids, min(engine.eos) if own is None else own]
    if not ids:
        raise InputError(
            "a prompt is empty, and this model's tokenizer adds no token to it; write at least one character"
        )
    return ids


def option_ids(engine: HuggingFaceEngine, prompt: str, option: str) -> list[int]:
    """The ids of an option after a prompt. Where the prompt ends in a token of its own, white space before
    the option is dropped; elsewhere prompt and option are tokenised together, and what goes beyond the
    prompt's number of tokens is the option (as lm-eval does).

    Raises InputError for an option without a token.
    """
    if engine.seq2seq or engine.separator == "eos" or engine.chat:
        ids = engine.text.batch([option.lstrip()])[0]
    else:
        ids = engine.encode(prompt + option)[len(prompt_ids(engine, prompt)) :]
    if not ids:
        raise InputError(
            f"the option {option!r} has no token of its own after the prompt: give each option at "
            "least one character"
        )
    return ids
