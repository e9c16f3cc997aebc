"""Greedy generation with transformers, for any model its Auto classes load.

Decisions: float32, so that a completion does not depend on what else is in the batch; a prompt that does not fit is answered with `too-long`
instead of being cut, because a cut loses the instruction or the exemplars and the score would look valid; the folder's own sampling settings are
replaced, because a repetition penalty hidden in generation_config.json is not greedy decoding. Price: twice the memory of bfloat16. A row that has
finished stays in its batch until the batch is done: transformers' `generate` cannot drop rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openflan.errors import InputError
from openflan.inference.protocol import Completion, Finish, Request
from openflan.models.folder import Separator, fingerprint, model_folder, separator_of

if TYPE_CHECKING:
    import torch

RELATIVE_CONTEXT = 2048
"""Input tokens allowed to a model without a position limit: T5's `n_positions` of 512 is a pretraining length, FLAN v2 trains on 2048."""

_STOP_SLACK = 8
"""Tokens looked at beyond a stop string's length in bytes; one token is at least one byte, special ones may be empty."""


@dataclass(frozen=True, slots=True)
class HuggingFaceEngine:
    """A loaded seq2seq or causal model.

    `context` is the most tokens of a prompt (seq2seq) or of prompt and generation together (causal). `separator` is what follows a causal prompt.
    """

    model: Any
    tokenizer: Any
    encode: Callable[[str], list[int]]
    fingerprint: str
    context: int
    separator: Separator
    eos: frozenset[int]
    pad: int
    batch_tokens: int

    @classmethod
    def load(
        cls,
        folder_or_hub_id: str | Path,
        *,
        context: int | None = None,
        batch_tokens: int = 8192,
        separator: Separator | None = None,
        encode: Callable[[str], list[int]] | None = None,
    ) -> HuggingFaceEngine:
        """Load onto the GPU if there is one.

        `batch_tokens` bounds rows x (longest prompt + max_tokens) of a batch. `separator` defaults to the folder's `openflan_layout`. `encode`
        turns a prompt into ids and defaults to the tokenizer; the end of sequence that T5 and the paper's causal layout need is added afterwards.

        Raises InputError if the folder is no complete checkpoint, its weights do not belong to its configuration, it has no end of sequence, or
        `context` exceeds the positions the model has.
        """
        if batch_tokens < 1:
            raise InputError(f"batch_tokens is {batch_tokens}, expected at least 1")
        folder = model_folder(folder_or_hub_id)
        chosen = separator_of(folder) if separator is None else separator
        model, tokenizer = _loaded(folder)
        eos = _end_of_sequence(model, tokenizer, folder)
        limit = _position_limit(model.config)
        if context is not None and limit is not None and context > limit:
            raise InputError(f"{folder} has {limit} positions: a context of {context} does not fit")
        if context is not None and context < 1:
            raise InputError(f"context is {context}, expected at least 1")
        used = context or limit or RELATIVE_CONTEXT
        pad = tokenizer.pad_token_id
        _fix_decoding(model, eos, eos[0] if pad is None else pad)
        return cls(
            model=model,
            tokenizer=tokenizer,
            encode=encode or (lambda text: list(tokenizer(text, verbose=False)["input_ids"])),
            fingerprint=fingerprint(folder, f"context {used}", f"separator {chosen}", *(["own encoding"] if encode else [])),
            context=used,
            separator=chosen,
            eos=frozenset(eos),
            pad=eos[0] if pad is None else pad,
            batch_tokens=batch_tokens,
        )

    @property
    def seq2seq(self) -> bool:
        return bool(self.model.config.is_encoder_decoder)

    def ids(self, prompt: str) -> list[int]:
        """The ids the model is given: T5's inputs and the paper's causal inputs end in the end of sequence, exactly once."""
        ids = self.encode(prompt)
        if (self.seq2seq or self.separator == "eos") and (not ids or ids[-1] not in self.eos):
            ids = [*ids, self.tokenizer.eos_token_id if self.tokenizer.eos_token_id is not None else min(self.eos)]
        if not ids:
            raise InputError("a prompt is empty, and this model's tokenizer adds nothing to it: write at least one character")
        return ids

    def fits(self, prompt: str, max_tokens: int) -> bool:
        """Whether the prompt, with `max_tokens` to follow where they share the context, is short enough to be answered."""
        return len(self.ids(prompt)) <= self._room(max_tokens)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Greedy completions, longest prompts first; prompts that do not fit come first of all, as `too-long` with no text.

        Raises InputError if `max_tokens` leaves no room for a prompt.
        """
        fitting: list[tuple[int, list[int]]] = []
        for index, request in enumerate(requests):
            room = self._room(request.max_tokens)
            ids = self.ids(request.prompt)
            if len(ids) > room:
                yield index, Completion("", 0, "too-long")
            else:
                fitting.append((index, ids))
        fitting.sort(key=lambda item: (-requests[item[0]].max_tokens, -len(item[1]), item[0]))
        for batch in _batches(fitting, requests, self.batch_tokens):
            yield from self._batch([(index, requests[index], ids) for index, ids in batch])

    def _room(self, max_tokens: int) -> int:
        """The most tokens of a prompt when `max_tokens` are to follow."""
        if max_tokens < 1:
            raise InputError(f"max_tokens is {max_tokens}, expected at least 1")
        room = self.context if self.seq2seq else self.context - max_tokens
        if room < 1:
            raise InputError(f"{max_tokens} tokens to generate leave no room for a prompt in a context of {self.context}: lower --max-tokens")
        return room

    def _batch(self, items: list[tuple[int, Request, list[int]]]) -> Iterator[tuple[int, Completion]]:
        import torch

        longest = max(len(ids) for _, _, ids in items)
        rows = torch.full((len(items), longest), self.pad, dtype=torch.long)
        mask = torch.zeros_like(rows)
        for row, (_, _, ids) in enumerate(items):
            # Seq2seq inputs are read from their start, causal prompts continue at their end: the padding goes to the other side.
            where = slice(0, len(ids)) if self.seq2seq else slice(longest - len(ids), longest)
            rows[row, where] = torch.tensor(ids)
            mask[row, where] = 1
        watch = _StopWatch(self.tokenizer, [request.stop for _, request, _ in items], start=1 if self.seq2seq else longest)
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=rows.to(self.model.device),
                attention_mask=mask.to(self.model.device),
                max_new_tokens=items[0][1].max_tokens,
                stopping_criteria=[watch],
            )
        for row, ((index, request, _), new) in enumerate(zip(items, out[:, watch.start :].tolist(), strict=True)):
            yield index, self._completion(new[: watch.ended.get(row, len(new))], request.stop)

    def _completion(self, new: list[int], stop: tuple[str, ...]) -> Completion:
        end = next((position for position, token in enumerate(new) if token in self.eos), None)
        kept = new if end is None else new[: end + 1]
        text = _text(self.tokenizer, kept)
        cut = min((place for mark in stop if (place := text.find(mark)) >= 0), default=None)
        finish: Finish = "stop" if cut is not None else "length" if end is None else "eos"
        return Completion(text if cut is None else text[:cut], len(kept), finish)


class _StopWatch:
    """Ends a row when its newest tokens spell one of its stop strings, and remembers at how many generated tokens.

    It looks at the tail only: a whole decode at every step is quadratic in the length.
    """

    def __init__(self, tokenizer: Any, stops: list[tuple[str, ...]], start: int) -> None:
        self.tokenizer = tokenizer
        self.stops = stops
        self.start = start
        self.ended: dict[int, int] = {}
        self.tails = [max((len(mark.encode()) for mark in stop), default=0) + _STOP_SLACK for stop in stops]

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:
        import torch

        new = input_ids[:, self.start :].tolist()
        for row, stop in enumerate(self.stops):
            if stop and row not in self.ended:
                tail = _text(self.tokenizer, new[row][-self.tails[row] :])
                # A tail may decode differently from the whole; what is cut in the end is the whole.
                if any(mark in tail for mark in stop) and any(mark in _text(self.tokenizer, new[row]) for mark in stop):
                    self.ended[row] = len(new[row])
        return torch.tensor([row in self.ended for row in range(len(new))], device=input_ids.device)


def _text(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _batches(items: list[tuple[int, list[int]]], requests: Sequence[Request], budget: int) -> Iterator[list[tuple[int, list[int]]]]:
    """Neighbours of equal `max_tokens` while rows x (longest prompt + max_tokens) stays within the budget; one row always fits."""
    batch: list[tuple[int, list[int]]] = []
    for item in items:
        if batch:
            first = requests[batch[0][0]].max_tokens
            full = (len(batch) + 1) * (len(batch[0][1]) + first) > budget
            if full or requests[item[0]].max_tokens != first:
                yield batch
                batch = []
        batch.append(item)
    if batch:
        yield batch


def _loaded(folder: Path) -> tuple[Any, Any]:
    import torch

    from openflan.models.load import load_pretrained, tokenizer_of

    model = load_pretrained(str(folder))
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer_of(str(folder))


def _end_of_sequence(model: Any, tokenizer: Any, folder: Path) -> list[int]:
    """The ids that end a generation; the generation settings come first, as chat models end turns with a token of their own."""
    for value in (model.generation_config.eos_token_id, getattr(model.config, "eos_token_id", None), tokenizer.eos_token_id):
        if value is not None:
            return [int(token) for token in value] if isinstance(value, list | tuple) else [int(value)]
    raise InputError(f"{folder} has no end-of-sequence token, so nothing it generates would end: set `eos_token_id` in its generation_config.json")


def _position_limit(config: Any) -> int | None:
    """How many positions the model has; none for relative biases (T5), whatever `n_positions` says."""
    if getattr(config, "relative_attention_num_buckets", None):
        return None
    limit = getattr(config, "max_position_embeddings", None)
    return int(limit) if limit else None


def _fix_decoding(model: Any, eos: list[int], pad: int) -> None:
    """Plain greedy search, whatever the folder's generation settings say; `generate` would fill gaps of a passed configuration from them."""
    from transformers import GenerationConfig

    start = model.generation_config.decoder_start_token_id
    if start is None:
        start = getattr(model.config, "decoder_start_token_id", None)
    model.generation_config = GenerationConfig(do_sample=False, num_beams=1, eos_token_id=eos, pad_token_id=pad, decoder_start_token_id=start)
