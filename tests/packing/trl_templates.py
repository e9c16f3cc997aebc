"""The chat templates that the package trl brings, and what the layout `chat` makes of them.

`python tests/packing/trl_templates.py [WHEEL]` prints one line for each template: whether the ids equal those
of `apply_chat_template`, and whether the learned tokens are those that the template's `_training` twin marks
for `return_assistant_tokens_mask`. WHEEL is a wheel or a folder of trl; absent, OPENFLAN_TRL names it, or trl
is installed. The templates belong to their authors and are only read.
"""

import os
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chat_templates import byte_level

from openflan.errors import InputError
from openflan.packing.chat_layout import ChatExample, ChatLayout
from openflan.packing.message_form import sent
from openflan.packing.text_ids import TextIds
from openflan.tasks.conversation import Conversation

TWIN = "_training"
CONVERSATION = Conversation(
    (
        {"role": "user", "content": "Which sea is warmer?"},
        {"role": "assistant", "content": "The southern one."},
        {"role": "user", "content": "7 + 5"},
        {"role": "assistant", "content": "12"},
    )
)

_CONTROL = re.compile(
    r"<\|[^<>|\n]{1,40}\|>|<｜[^<>\n]{1,40}｜>|<[a-z_]+\|>|<\|[a-z_]+>|<(?:start|end)_of_(?:turn|utterance)>"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a template: `ids` and `masks` say how they compare, `examples` how many the conversation
    is, `refusal` what was said instead."""

    name: str
    examples: int = 0
    ids: str = ""
    masks: str = ""
    refusal: str = ""


def templates() -> dict[str, str]:
    """The texts of all templates by name; none where trl is not found."""
    place = os.environ.get("OPENFLAN_TRL")
    if not place:
        spec = find_spec("trl")
        place = spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else None
    return templates_in(Path(place)) if place else {}


def templates_in(place: Path) -> dict[str, str]:
    """Those of a wheel, or of a folder with trl in it."""
    if place.is_dir():
        files = {
            path.stem: path.read_text(encoding="utf-8") for path in place.rglob("chat_templates/*.jinja")
        }
        return dict(sorted(files.items()))
    with zipfile.ZipFile(place) as wheel:
        names = [name for name in wheel.namelist() if "/chat_templates/" in name and name.endswith(".jinja")]
        return {Path(name).stem: wheel.read(name).decode() for name in sorted(names)}


def outcome(name: str, texts: Mapping[str, str]) -> Outcome:
    """What the layout `chat` makes of a template over two turns."""
    template = texts[name]
    twin = texts.get(name + TWIN) or (template if "endgeneration" in template else None)
    found = dict.fromkeys(_CONTROL.findall(template + (twin or "")))
    tokenizer = byte_level(template, control=("<s>", "</s>", "<pad>", *found))
    try:
        chat = ChatLayout(tokenizer, TextIds(tokenizer))
        unstable = chat.written(CONVERSATION).unstable
        conversations = (
            [CONVERSATION.until(place) for place in CONVERSATION.learned] if unstable else [CONVERSATION]
        )
        examples = [chat.example(conversation) for conversation in conversations]
    except InputError as error:
        return Outcome(name, refusal=str(error))
    shown = [
        [dict(message) for message in sent(conversation.messages, chat.form)]
        for conversation in conversations
    ]
    same = all(
        ids_of(example) == _template(tokenizer, messages)["input_ids"]
        for example, messages in zip(examples, shown, strict=True)
    )
    masks = "no twin"
    if twin is not None:
        prompts = [_template(tokenizer, one[:-1], add_generation_prompt=True)["input_ids"] for one in shown]
        tokenizer.chat_template = twin
        masks = ", ".join(
            sorted({_compared(tokenizer, *parts) for parts in zip(examples, shown, prompts, strict=True)})
        )
    return Outcome(name, len(examples), "equal" if same else "DIFFERENT", masks)


def ids_of(example: ChatExample) -> list[int]:
    return [*example.input_ids, *example.target_ids]


def _compared(tokenizer: Any, example: ChatExample, messages: list[dict[str, Any]], prompt: list[int]) -> str:
    """How the learned tokens compare with those that the twin marks: in the whole text where that is the
    same, else in the last turn."""
    marked = _template(tokenizer, messages, return_assistant_tokens_mask=True)
    mine = _runs(ids_of(example), [False] * len(example.input_ids) + list(example.learned))
    theirs = _runs(marked["input_ids"], marked["assistant_masks"])
    if len(mine) != len(theirs):
        mine, theirs = mine[-1:], theirs[-1:]
    differences = {
        _difference(tokenizer, one, other, tokenizer.decode(prompt))
        for one, other in zip(mine, theirs, strict=True)
    }
    return " and ".join(sorted(differences)) if differences != {"equal"} else "equal"


def _difference(tokenizer: Any, mine: list[int], theirs: list[int], prompt: str) -> str:
    if mine == theirs:
        return "equal"
    extra = tokenizer.decode(theirs[: len(theirs) - len(mine)])
    if theirs[len(theirs) - len(mine) :] == mine and extra in prompt[-40:]:
        return f"the twin also marks {extra!r} of the generation prompt"
    if theirs[: len(mine)] == mine:
        return f"the twin also writes {tokenizer.decode(theirs[len(mine) :])!r} behind the turn"
    return f"DIFFERENT: {tokenizer.decode(mine)!r} and {tokenizer.decode(theirs)!r}"


def _runs(ids: list[int], marks: list[Any]) -> list[list[int]]:
    runs: list[list[int]] = []
    before = False
    for token, mark in zip(ids, marks, strict=True):
        if mark:
            runs.append([token]) if not before else runs[-1].append(token)
        before = bool(mark)
    return runs


def _template(tokenizer: Any, messages: list[dict[str, Any]], **options: Any) -> Any:
    encoding = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)
    return {key: list(value) for key, value in encoding.items()}


def main() -> None:
    texts = templates_in(Path(sys.argv[1])) if len(sys.argv) > 1 else templates()
    outcomes = [outcome(name, texts) for name in texts if not name.endswith(TWIN)]
    print("| template | examples of two turns | ids | learned tokens |\n| --- | --- | --- | --- |")
    for one in outcomes:
        print(f"| {one.name} | {one.examples} | {one.ids} | {one.masks or 'refused: ' + one.refusal} |")
    print(f"\n{len(texts)} templates, {len(texts) - len(outcomes)} of them twins; of {len(outcomes)}:")
    print(f"ids {dict(Counter(one.ids for one in outcomes))}")
    print(f"learned tokens {dict(Counter(one.masks.split(' also')[0] for one in outcomes))}")
    print(f"refused {sum(bool(one.refusal) for one in outcomes)}")


if __name__ == "__main__":
    main()
