"""When a model is answered in its chat template, whether the template works, and what ends its answers.

Decision: `generate` uses the template that a folder has, because a chat model answers nothing, or nonsense,
to a prompt without it. A model that openflan finetuned is prompted in the layout of its recipe instead,
whatever template its folder has for other tools.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.models.folder import has_chat_template, layout_of
from openflan.packing.message_form import TEXTS, MessageForm, form_of, sent
from openflan.packing.text_ids import TextIds

_QUESTION, _ANSWER = "Which sea is warmer?", "The southern one."


def answers_in_chat(folder: Path) -> bool:
    """Whether `generate` puts prompts into the folder's chat template unless it is told otherwise: by the
    layout of a finetuned model, else if there is a template."""
    layout = layout_of(folder)
    return has_chat_template(folder) if layout is None else layout == "chat"


def check_template(tokenizer: Any, name: str, system: str | None = None, text: TextIds | None = None) -> None:
    """Raises InputError for a tokenizer without a chat template, and for a template that fails on a question,
    or on one after the message `system`. It is called before weights are loaded. `text` is the tokenizer's,
    if there is one already, because it takes a second to make of a large vocabulary.
    """
    if not getattr(tokenizer, "chat_template", None):
        option = "--chat" if system is None else "--system"
        raise InputError(
            f"{name}: its tokenizer has no chat template: leave `{option}` out, or use a model that was "
            "trained on messages"
        )
    question = [{"role": "user", "content": _QUESTION}]
    text = text or TextIds(tokenizer)
    form = form_of(tokenizer.chat_template, text.written, name)
    text.chat(sent(question, form), add_generation_prompt=True)
    if system is None:
        return
    try:
        asked = [{"role": "system", "content": system}, *question]
        text.chat(sent(asked, form), add_generation_prompt=True)
    except InputError as error:
        raise InputError(
            f"{name}: its chat template does not take a system message: leave `--system` out, and write what "
            f"it says into the prompt ({error})"
        ) from None


def turn_ends(text: TextIds, form: MessageForm = TEXTS) -> frozenset[int]:
    """The control token that the chat template writes right after an answer, such as `<|im_end|>`, which ends
    the answer also where the generation settings leave it out; empty for a template that ends answers with
    text."""
    question = {"role": "user", "content": _QUESTION}
    try:
        begun = text.chat(sent([question], form), add_generation_prompt=True)
        whole = text.chat(sent([question, {"role": "assistant", "content": _ANSWER}], form))
    except InputError:
        # A template may refuse what is not asked of it when prompts are answered.
        return frozenset()
    answer = text.batch([_ANSWER])[0]
    after = len(begun) + len(answer)
    if whole[: len(begun)] != begun or whole[len(begun) : after] != answer:
        return frozenset()
    return frozenset(whole[after : after + 1]) & frozenset(text.control.values())
