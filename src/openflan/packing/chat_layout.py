"""Conversations in the tokenizer's own chat template, and which of their tokens are learned.

A turn of the assistant is learned from where the generation prompt ends to the end of the turn, its end token
included: the difference between the template over the messages before the turn, with the generation prompt,
and the template over these messages and the turn. Both are compared as texts in which control tokens have
names, so what a user writes cannot be taken for the template's; a token that reaches into a learned part is
learned. The ids are those of the whole text, as `apply_chat_template` gives them.

A template is prefix-stable at a turn if what it writes up to the turn's end stays the same when messages
follow. Where it does not (thinking is left out of history, the last turn ends otherwise), the turn can only
be learned as the last one of a shorter conversation (`packing.chat_examples`).

Templates differ in the form of messages that they show; `packing.message_form` finds it out.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from openflan.errors import InputError
from openflan.packing.message_form import MessageForm, form_of, sent
from openflan.packing.special_tokens import SpecialTokens, around_a_turn
from openflan.packing.text_ids import TextIds
from openflan.tasks.conversation import ASSISTANT, Conversation, Message

Learn: TypeAlias = Literal["all", "last"]

SAMPLES = (("Which sea is warmer?", "The southern one."), ("7 + 5", "12"), ("Name a tree", "oak"))

_OTHER = "\u2603"
"""A text that stands in the place of an answer to find out where the answer begins."""

_REMEMBERED = 4_096

_STRANGE = re.compile(r"^$|^[^\w]|[^\w.?!]$|/(?:no_)?think|[<\u200b-\u200f\u2028-\u202f\ufeff]")
"""Texts that a template may change, or that may be tokenised together with what stands beside them."""


@dataclass(frozen=True, slots=True)
class ChatExample:
    """The ids of a conversation.

    The first learned token is the first of `target_ids`, each of which is learned or not. `cuttable` is how
    many tokens of the user's text may be left out before the generation prompt; 0 but for a single turn.
    """

    input_ids: Sequence[int]
    target_ids: Sequence[int]
    learned: Sequence[bool]
    cuttable: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """A conversation as text, the places of learned parts in it, in characters, and the turns that would be
    learned but that the template writes otherwise once messages follow."""

    text: str
    parts: tuple[tuple[int, int], ...]
    unstable: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """An example as `text` for people, control tokens spelled out, and the parts that are `learned`."""

    text: str
    learned: tuple[str, ...]


class ChatLayout:
    """Writes conversations in the chat template of a Hugging Face tokenizer."""

    def __init__(self, tokenizer: Any, text: TextIds, learn: Learn = "all") -> None:
        """Raises InputError for a tokenizer without a chat template, and for a template that shows none of
        the texts of a turn."""
        if not getattr(tokenizer, "chat_template", None):
            raise InputError(
                "`packing.layout: chat` needs a chat template, and the tokenizer of "
                f"{tokenizer.name_or_path} has none; use paper or plain"
            )
        self.name = getattr(tokenizer, "name_or_path", "") or "the tokenizer"
        self.learn: Learn = learn
        self._tokenizer = tokenizer
        self._text = text
        self._warned = False
        self._known: dict[str, ChatExample] = {}

    @cached_property
    def form(self) -> MessageForm:
        """The form of messages that the template shows."""
        return form_of(self._tokenizer.chat_template, self._text.written, self.name)

    @cached_property
    def around(self) -> SpecialTokens | None:
        """What the template writes around the texts of a single turn, where that is the same whatever they
        are; None elsewhere."""
        return None if self.form.parts else around_a_turn(self._tokenizer, self._text.control.values())

    def written(self, conversation: Conversation) -> Written:
        """A conversation as text. Its last turn is always learned.

        Raises InputError where the template refuses it.
        """
        messages = conversation.messages
        places = conversation.learned[-1:] if self.learn == "last" else conversation.learned
        full = self._render(conversation, messages)
        parts, unstable = [], []
        for place in places:
            is_last = place == len(messages) - 1
            until = full if is_last else self._render(conversation, messages[: place + 1])
            start = self._start(conversation, place, until)
            end = len(full) if is_last else self._end(until, full, start)
            if end is None:
                unstable.append(place)
            else:
                parts.append((start, self._without_separator(full, start, end)))
        return Written(full, tuple(parts), tuple(unstable))

    def example(self, conversation: Conversation, source: str = "") -> ChatExample:
        """The ids of a conversation. Turns that can only be learned as the last one of a shorter conversation
        are context here, which a warning that names `source` says once."""
        written = self.written(conversation)
        if written.unstable and not self._warned:
            self._warned = True
            warnings.warn(
                f"{source}: the chat template writes message {written.unstable[0]} otherwise than it does "
                f"for "
                "other conversations with such messages; the turn is context there, not learned",
                stacklevel=2,
            )
        ids, learned = self._marked(written)
        first = learned.index(True)
        return ChatExample(ids[:first], ids[first:], learned[first:])

    def example_of(self, text: str, source: str = "") -> ChatExample:
        """The ids of a conversation by its text. Those of the last few thousand are remembered, as a small
        set is read many times."""
        if text not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[text] = self.example(Conversation.parse(text), source)
        return self._known[text]

    def pair(self, inputs: str, targets: str, source: str = "") -> ChatExample:
        """The ids of a single turn."""
        example = self.example(Conversation.of_pair(inputs, targets), source)
        cuttable = max(0, len(example.input_ids) - self.head - self.tail)
        return ChatExample(example.input_ids, example.target_ids, example.learned, cuttable)

    def is_plain(self, inputs: str, targets: str) -> bool:
        """Whether the ids of a single turn are those of its texts with `around` around them."""
        return self.around is not None and not _STRANGE.search(inputs) and not _STRANGE.search(targets)

    def as_sent(self, input_ids: Sequence[int], target_ids: Sequence[int], learned: Sequence[bool]) -> Sent:
        """An example of the layout as text: what the model reads, and the learned parts of it."""
        runs: list[list[int]] = []
        for number, token in enumerate(target_ids):
            if learned[number]:
                if not runs or not learned[number - 1]:
                    runs.append([])
                runs[-1].append(token)
        return Sent(self._decoded([*input_ids, *target_ids]), tuple(map(self._decoded, runs)))

    def _decoded(self, ids: Sequence[int]) -> str:
        text = self._tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return str(text)

    @cached_property
    def head(self) -> int:
        """Tokens that begin every single turn, before the user's text."""
        return _common_length(self._sample_prompts)

    @cached_property
    def tail(self) -> int:
        """Tokens that end every prompt of a single turn, behind the user's text."""
        return _common_length([ids[::-1] for ids in self._sample_prompts])

    @cached_property
    def samples(self) -> list[list[int]]:
        """Ids of some single turns, by which a change of what the template writes is known (today's date)."""
        return [
            self._text.written_ids(self._render(conversation, conversation.messages))
            for conversation in (Conversation.of_pair(*sample) for sample in SAMPLES)
        ]

    @cached_property
    def ends(self) -> list[int]:
        """The control tokens that the template writes behind the answer of a last turn: what a model that was
        finetuned with it stops at. None where it writes nothing there."""
        conversation = Conversation.of_pair(*SAMPLES[0])
        behind = self._render(conversation, conversation.messages).rpartition(SAMPLES[0][1])[2]
        control = set(self._text.control.values())
        return [token for token in dict.fromkeys(self._text.written_ids(behind)) if token in control]

    @property
    def prompt_is_learned_from(self) -> bool:
        """Whether a turn without thoughts begins with the tokens of the whole generation prompt, which a
        served model gets."""
        prompt = self._sample_prompts[0]
        return self.samples[0][: len(prompt)] == prompt

    @property
    def ends_turns(self) -> bool:
        """Whether the template writes anything behind the answer of a last turn."""
        conversation = Conversation.of_pair(*SAMPLES[0])
        return not self._render(conversation, conversation.messages).endswith(SAMPLES[0][1])

    @cached_property
    def _sample_prompts(self) -> list[list[int]]:
        conversations = [Conversation.of_pair(*sample) for sample in SAMPLES]
        return [
            self._text.written_ids(self._render(one, one.messages[:1], prompt=True)) for one in conversations
        ]

    def _render(
        self, conversation: Conversation, messages: Sequence[Message], *, prompt: bool = False
    ) -> str:
        tools = {"tools": [dict(tool) for tool in conversation.tools]} if conversation.tools else {}
        return self._text.written(sent(messages, self.form), add_generation_prompt=prompt, **tools)

    def _start(self, conversation: Conversation, place: int, until: str) -> int:
        """Where the learned part of a turn begins in `until`, the text of all messages up to the turn."""
        before = conversation.messages[:place]
        prompt = self._render(conversation, before, prompt=True)
        if until.startswith(prompt):
            return len(prompt)
        # The prompt goes another way than the turn, or the turn changes what stands before it. Its own text
        # begins at the latest where another answer makes a difference.
        other = self._render(conversation, [*before, {"role": ASSISTANT, "content": _OTHER}])
        latest, common = self._common(until, other), self._common(until, prompt)
        history = self._render(conversation, before)
        if common >= len(history) and until.startswith(history):
            return min(common, latest)
        header = prompt[len(history) :] if prompt.startswith(history) else ""
        at = until.rfind(header, 0, latest) if header else -1
        return latest if at < 0 else at + len(header)

    def _end(self, until: str, full: str, start: int) -> int | None:
        """Where a turn ends in the whole text; None where it is not written as in `until`."""
        common = self._common(until, full)
        rest, turn = until[common:], until[start:common]
        if common <= start or (rest and not (self._is_marks(rest) and self._ends(turn))):
            return None
        following = self._text.name_pattern.match(full, common)
        if following and not self._ends(turn):
            # The token of the next turn is what ends this one.
            return following.end()
        return common

    def _without_separator(self, full: str, start: int, end: int) -> int:
        """Where a turn ends without the blanks between its end token and the next turn; a line break there
        belongs to the turn, as models write it."""
        turn = full[start:end].rstrip(" ")
        return start + len(turn) if turn != full[start:end] and self._ends(turn) else end

    def _ends(self, turn: str) -> bool:
        """Whether a control token ends a turn."""
        names = list(self._text.name_pattern.finditer(turn))
        return bool(names) and not turn[names[-1].end() :].strip()

    def _is_marks(self, text: str) -> bool:
        return not self._text.name_pattern.sub("", text).strip()

    def _common(self, one: str, other: str) -> int:
        """The length of the text that both begin with; names of control tokens stay whole."""
        length = _common_text(one, other)
        cut = max(0, length - 64)
        for name in self._text.name_pattern.finditer(one, cut):
            if name.start() < length < name.end():
                return name.start()
        return length

    def _marked(self, written: Written) -> tuple[list[int], list[bool]]:
        """The ids of a text, and which are learned."""
        ids, places = self._text.written_places(written.text)
        if places is None:
            return ids, self._learned_of_prefixes(ids, written)
        learned = [False] * len(ids)
        for begin, end in written.parts:
            for number, (first, behind) in enumerate(places):
                if first < end and behind > begin:
                    learned[number] = True
        return ids, learned

    def _learned_of_prefixes(self, ids: list[int], written: Written) -> list[bool]:
        """Which ids are learned, by a tokenizer that does not know where its tokens stand."""
        borders = sorted({border for part in written.parts for border in part})
        counts = {
            border: len(ids)
            if border == len(written.text)
            else _common_length([ids, self._text.written_ids(written.text[:border])])
            for border in borders
        }
        learned = [False] * len(ids)
        for begin, end in written.parts:
            learned[counts[begin] : counts[end]] = [True] * (counts[end] - counts[begin])
        return learned


def _common_text(one: str, other: str) -> int:
    """The length of the longest text that both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _common_length(lists: Sequence[Sequence[int]]) -> int:
    shortest = min(map(len, lists))
    return next(
        (place for place in range(shortest) if any(one[place] != two[place] for one, two in pairwise(lists))),
        shortest,
    )
