"""A text becomes ids as text: where it spells a control token of the tokenizer, it keeps the letters.

A tokenizer looks for its control tokens in every text that it gets, so that a user's `</s>` would end a
sequence and `<|im_end|>` a turn. Here control tokens come only from layouts, templates and objectives, never
from a text. Tokens that a vocabulary adds as words, without calling them special (`<think>`), are found in
texts as before, unless their letters are asked for.

A control token is found in two ways: as an added token, which the backend can leave aside, and as a piece of
the vocabulary below it (Unigram knows T5's `</s>` as its cheapest piece), so those pieces are taken out of a
copy. Texts without such a spelling get the same ids as from the tokenizer itself. Trade-off: the copy, some
megabytes. A control token of one character stays a letter of the vocabulary, as the text could not be written
without it.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, TypeAlias

from openflan.chat_template import apply_chat_template
from openflan.errors import InputError

AddedTokens: TypeAlias = Literal["ids", "text"]

_KEPT_KEYS = ("role", "type")
"""Values of a message that a template compares, and that no user writes."""


class TextIds:
    """A Hugging Face tokenizer, fast or slow, that reads texts as text. The tokenizer itself is not
    changed."""

    def __init__(self, tokenizer: Any, added_tokens: AddedTokens = "ids") -> None:
        """`added_tokens`: what becomes of a text that spells a token which the vocabulary adds as a word: its
        id, or letters (`text`), as with control tokens."""
        self._tokenizer = tokenizer
        self.added_tokens: AddedTokens = added_tokens
        self.control = control_tokens(tokenizer, added_tokens)
        backend = getattr(tokenizer, "backend_tokenizer", None)
        self._backend = None if backend is None else _reading_text(backend, self.control)

    @property
    def highest(self) -> int:
        """One more than the highest id: a vocabulary may leave ids out, and so have higher ones than it has
        tokens."""
        if self._backend is None:
            return len(self._tokenizer)
        added = max(self._backend.get_added_tokens_decoder(), default=0)
        # Hidden pieces are not in the copy's vocabulary, but count.
        return max(len(self._tokenizer), 1 + added, 1 + max(self._backend.get_vocab().values(), default=0))

    def batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without special tokens."""
        if self._backend is None and not self.control:
            return list(self._tokenizer(list(texts), add_special_tokens=False)["input_ids"])
        if self._backend is None:
            return [self._slow(text) for text in texts]
        # Faster than the tokenizer's own call by a third, as it keeps no character offsets.
        return [
            encoding.ids
            for encoding in self._backend.encode_batch_fast(list(texts), add_special_tokens=False)
        ]

    def with_places(self, texts: Sequence[str]) -> tuple[list[list[int]], list[list[tuple[int, int]]]]:
        """The ids of each text, and where each token begins and ends in it, in characters.

        Raises InputError for a tokenizer that does not know the places of its tokens.
        """
        if self._backend is None:
            raise InputError(
                "this tokenizer does not tell where its tokens stand in a text; use one that has a "
                "tokenizer.json"
            )
        encodings = self._backend.encode_batch(list(texts), add_special_tokens=False)
        return [one.ids for one in encodings], [one.offsets for one in encodings]

    def marked(self, text: str) -> list[int]:
        """The ids of a text with the special tokens that the tokenizer itself puts around it, such as BOS or
        EOS."""
        if self._backend is None and not self.control:
            return list(self._tokenizer(text)["input_ids"])
        if self._backend is None:
            return list(self._tokenizer.build_inputs_with_special_tokens(self._slow(text)))
        return list(self._backend.encode(text, add_special_tokens=True).ids)

    def chat(self, messages: Sequence[Mapping[str, Any]], **template: Any) -> list[int]:
        """The ids of a conversation in the tokenizer's chat template, control tokens coming from the template
        alone; `template` are further arguments of `apply_chat_template`."""
        return self.written_ids(self.written(messages, **template))

    def written(self, messages: Sequence[Mapping[str, Any]], **template: Any) -> str:
        """The text of a conversation in the tokenizer's chat template, in which names stand for the control
        tokens that the template writes (`name_pattern`). What users spell is theirs, letter by letter."""
        if template.get("tools"):
            template["tools"] = self._parted(template["tools"])
        shown = apply_chat_template(
            self._tokenizer, [self._parted(message) for message in messages], tokenize=False, **template
        )
        if self._spellings is None:
            return str(shown)
        return self._spellings.sub(lambda found: self._names[found.group()], shown).replace(self._part, "")

    def written_ids(self, text: str) -> list[int]:
        """The ids of a text of `written`."""
        return self.written_places(text)[0]

    def written_places(self, text: str) -> tuple[list[int], list[tuple[int, int]] | None]:
        """The ids of a text of `written`, and where each token begins and ends in it, in characters; None for
        a tokenizer that does not know."""
        if self._backend is None:
            names = sorted(self._names.values())
            pieces = re.split(f"({'|'.join(map(re.escape, names))})", text) if names else [text]
            tokens = {name: self.control[token] for token, name in self._names.items()}
            return [
                token
                for piece in pieces
                if piece
                for token in ([tokens[piece]] if piece in tokens else self.batch([piece])[0])
            ], None
        backend, tokens_of = self._naming
        encoding = backend.encode(text, add_special_tokens=False)
        return [tokens_of.get(token, token) for token in encoding.ids], encoding.offsets

    @cached_property
    def name_pattern(self) -> re.Pattern[str]:
        """Matches the name of a control token in a text of `written`, and nothing that a user wrote."""
        return re.compile(rf"{re.escape(self._nonce)}\.\d+\ue001")

    @cached_property
    def _spellings(self) -> re.Pattern[str] | None:
        return _any_of(self.control)

    @cached_property
    def _nonce(self) -> str:
        """A text that no user's text holds: names made of it stand for control tokens while a conversation is
        text."""
        return f"\ue000{secrets.token_hex(8)}"

    @cached_property
    def _names(self) -> dict[str, str]:
        return {token: f"{self._nonce}.{number}\ue001" for number, token in enumerate(self.control)}

    @property
    def _part(self) -> str:
        return f"{self._nonce}\ue001"

    @cached_property
    def _naming(self) -> tuple[Any, dict[int, int]]:
        """A backend that knows the names of control tokens instead of their spellings, and their ids by its
        own."""
        from tokenizers import AddedToken

        backend = type(self._backend).from_str(self._backend.to_str())  # type: ignore[union-attr]
        backend.model, backend.encode_special_tokens = self._backend.model, True  # type: ignore[union-attr]
        known = {token.content: token for token in backend.get_added_tokens_decoder().values()}
        made = [
            AddedToken(
                name,
                lstrip=like.lstrip,
                rstrip=like.rstrip,
                single_word=like.single_word,
                normalized=False,
                special=False,
            )
            for token, name in self._names.items()
            for like in [known.get(token) or AddedToken(token)]
        ]
        if made:
            backend.add_tokens(made)
        # It would leave white space out of the places.
        backend.post_processor = None
        return backend, {
            backend.token_to_id(name): self.control[token] for token, name in self._names.items()
        }

    def _parted(self, value: Any) -> Any:
        """A message with something inside every spelling of a control token, so that it is told apart from
        the template's own."""
        if isinstance(value, Mapping):
            return {key: one if key in _KEPT_KEYS else self._parted(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._parted(one) for one in value]
        if not isinstance(value, str) or self._spellings is None:
            return value
        # Again, as two spellings may share characters.
        while self._spellings.search(value):
            value = self._spellings.sub(
                lambda found: found.group()[0] + self._part + found.group()[1:], value
            )
        return value

    @cached_property
    def _words(self) -> re.Pattern[str] | None:
        """The added tokens that are words of a text."""
        return _any_of({str(token) for token in _added(self._tokenizer).values()} - self.control.keys())

    def _slow(self, text: str) -> list[int]:
        """By a tokenizer without a backend, which either finds all of its added tokens or none."""
        pieces = [text] if self._words is None else re.split(f"({self._words.pattern})", text)
        ids: list[int] = []
        for number, piece in enumerate(pieces):
            if number % 2:
                ids.append(int(self._tokenizer.convert_tokens_to_ids(piece)))
            elif piece:
                ids += self._tokenizer(piece, add_special_tokens=False, split_special_tokens=True)[
                    "input_ids"
                ]
        return ids


def control_tokens(tokenizer: Any, added_tokens: AddedTokens = "ids") -> dict[str, int]:
    """The tokenizer's special tokens, by their spelling: those with a role (EOS, padding, ...) and those that
    it adds as special, with `text` also those that it adds as words. One-character ones are not among
    them."""
    ids = dict(
        zip(
            getattr(tokenizer, "all_special_tokens", ()),
            getattr(tokenizer, "all_special_ids", ()),
            strict=True,
        )
    )
    words = added_tokens == "text"
    ids |= {str(token): number for number, token in _added(tokenizer).items() if token.special or words}
    return {str(token): int(number) for token, number in ids.items() if len(token) > 1 and number is not None}


def _added(tokenizer: Any) -> dict[int, Any]:
    """The tokens that were added to a vocabulary, by id; none for a tokenizer that has no such thing."""
    return getattr(tokenizer, "added_tokens_decoder", {})


def _any_of(spellings: Any) -> re.Pattern[str] | None:
    """Finds any of some texts, the longest where several begin at one place."""
    ordered = sorted(spellings, key=lambda token: (-len(token), token))
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _reading_text(backend: Any, control: Mapping[str, int]) -> Any:
    """A copy without padding and truncation whose control tokens no text can spell."""
    written = backend.to_str()
    settings = json.loads(written)
    # A token with a role may have been added as a word.
    named = [
        token for token in settings["added_tokens"] if token["content"] in control and not token["special"]
    ]
    for token in named:
        token["special"] = True
    copy = type(backend).from_str(json.dumps(settings, ensure_ascii=False) if named else written)
    copy.no_padding()
    copy.no_truncation()
    copy.encode_special_tokens = True
    model = _without_pieces(settings["model"], control)
    if model is not None:
        # The model alone: the added tokens keep their ids.
        copy.model = (
            type(backend)
            .from_str(json.dumps({"version": "1.0", "added_tokens": [], "model": model}, ensure_ascii=False))
            .model
        )
    return copy


def _without_pieces(model: Mapping[str, Any], control: Mapping[str, int]) -> dict[str, Any] | None:
    """A tokenizer.json's model in which no piece spells a control token; None where none does. Pieces keep
    their ids and scores."""
    vocabulary = model["vocab"]
    if model["type"] == "Unigram":
        if not any(piece in control for piece, _ in vocabulary):
            return None
        # The empty piece matches nowhere.
        return {**model, "vocab": [["" if piece in control else piece, score] for piece, score in vocabulary]}
    if model["type"] == "BPE" and not model.get("ignore_merges"):
        # Pieces come of merges, which no control token has.
        return None
    merges = (pair if isinstance(pair, list) else pair.split(" ") for pair in model.get("merges", ()))
    hidden = (vocabulary.keys() & control.keys()) - {first + second for first, second in merges}
    if not hidden:
        return None
    # The unknown token is looked up by its piece, which must be there.
    unknown = model.get("unk_token")
    kept = {
        "" if piece == unknown else piece: number
        for piece, number in vocabulary.items()
        if piece not in hidden or piece == unknown
    }
    return {**model, "vocab": kept, "unk_token": "" if unknown in vocabulary else unknown}
