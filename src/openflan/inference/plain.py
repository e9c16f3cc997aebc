"""Generation and likelihoods by transformers' own `generate` and forward, for architectures that our decoding
does not support.

Batches hold generations of like length, because `generate` cannot remove one from a batch. Samples are drawn
by our own numbers here too, generation by generation, through a logits processor that leaves one token. The
prompts of a prefix-LM are read under a mask first, and `generate` goes on from that cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from openflan.inference.batching import Generation, Prompt, Watch
from openflan.inference.ending import Ending
from openflan.inference.protocol import Completion
from openflan.inference.sampling import draw_tokens, uniform
from openflan.models.attention_masks import prefix_lm_mask
from openflan.models.decoder_start import decoder_start
from openflan.models.prefix import prefix_cache


def generate_plain(
    model: Any,
    prompts: Sequence[Prompt],
    ending: Ending,
    pad: int,
    budget: int,
    *,
    prefix: bool = False,
    watch: Watch | None = None,
) -> Iterator[tuple[Generation, Completion]]:
    """Every generation with its completion. `budget` bounds generations x (longest prompt + max_tokens) of
    a batch; with `prefix` a prompt's tokens see one another; `watch` sees the tokens of each generation."""
    items = [(prompt.ids, generation) for prompt in prompts for generation in prompt.generations]
    items.sort(key=lambda item: (-item[1].request.max_tokens, -len(item[0])))
    batch: list[tuple[tuple[int, ...], Generation]] = []
    for item in items:
        limit = item[1].request.max_tokens
        room = limit + (item[1].request.thinking_tokens if item[1].opened else 0)
        if batch and (
            limit != batch[0][1].request.max_tokens or (len(batch) + 1) * (len(batch[0][0]) + room) > budget
        ):
            yield from _batch(model, batch, ending, pad, prefix, watch)
            batch = []
        batch.append(item)
    if batch:
        yield from _batch(model, batch, ending, pad, prefix, watch)


@torch.inference_mode()
def score_plain(
    model: Any, prompt: Sequence[int], options: Sequence[Sequence[int]], *, prefix: bool = False
) -> list[float]:
    """The summed log-probability of each option after the prompt; with `prefix` the prompt's tokens see
    one another."""
    option_scores = []
    for option in options:
        if model.config.is_encoder_decoder:
            start = decoder_start(model.config, model.generation_config)
            arguments = {
                "input_ids": _one_sequence(model, prompt),
                "decoder_input_ids": _one_sequence(model, [start, *option[:-1]]),
            }
        else:
            arguments = {"input_ids": _one_sequence(model, [*prompt, *option[:-1]])}
            if prefix:
                arguments["attention_mask"] = prefix_lm_mask(
                    len(prompt), arguments["input_ids"].shape[1], model.dtype, model.device
                )
        logits_LV = model(**arguments, use_cache=False).logits[0, -len(option) :].float()
        wanted_L1 = torch.tensor(option, device=logits_LV.device)[:, None]
        option_scores.append(
            float((logits_LV.gather(1, wanted_L1)[:, 0] - logits_LV.logsumexp(-1)).cpu().double().sum())
        )
    return option_scores


def _one_sequence(model: Any, ids: Sequence[int]) -> Tensor:
    return torch.tensor([list(ids)], device=model.device)


def _batch(
    model: Any,
    items: Sequence[tuple[tuple[int, ...], Generation]],
    ending: Ending,
    pad: int,
    prefix: bool,
    watch: Watch | None,
) -> Iterator[tuple[Generation, Completion]]:
    seq2seq = bool(model.config.is_encoder_decoder)
    longest = max(len(ids) for ids, _ in items)
    ids_BL = torch.full((len(items), longest), pad, dtype=torch.long)
    mask_BL = torch.zeros_like(ids_BL)
    for index, (ids, _) in enumerate(items):
        # Seq2seq inputs are read from their start, causal prompts continue at their end: the padding goes to
        # the other side.
        where = slice(0, len(ids)) if seq2seq else slice(longest - len(ids), longest)
        ids_BL[index, where] = torch.tensor(ids)
        mask_BL[index, where] = 1
    generations = [generation for _, generation in items]
    stopping = _StopWatcher(ending, generations, start=1 if seq2seq else longest, watch=watch)
    with torch.inference_mode(), _greedy(model, sorted(ending.eos), pad):
        # A prompt of one token has nothing else to see.
        cache = (
            {"past_key_values": prefix_cache(model, ids_BL.to(model.device), [len(ids) for ids, _ in items])}
            if prefix and longest > 1
            else {}
        )
        cache |= _room_for_layers(model)
        out = model.generate(
            input_ids=ids_BL.to(model.device),
            attention_mask=mask_BL.to(model.device),
            # Rows that ended go on as padding, so the longest prompt of the batch decides.
            max_new_tokens=min(map(_longest, generations)),
            stopping_criteria=[stopping],
            logits_processor=[_Draw(generations, stopping.start)],
            **cache,
        )
    for index, (generation, new) in enumerate(
        zip(generations, out[:, stopping.start :].tolist(), strict=True)
    ):
        generation.new = new[: stopping.ended.get(index, len(new))]
        yield (
            generation,
            ending.completion(
                generation.new, generation.request, generation.sample, opened=generation.opened
            ),
        )


def _room_for_layers(model: Any) -> dict[str, Any]:
    """A cache that grows with the layers, where transformers would make one of the encoder's number of layers
    and the decoder has more (Switch)."""
    config = model.config
    layers = getattr(config, "num_decoder_layers", None) or 0
    if not config.is_encoder_decoder or layers <= (getattr(config, "num_hidden_layers", None) or layers):
        return {}
    from transformers import DynamicCache, EncoderDecoderCache

    return {"past_key_values": EncoderDecoderCache(DynamicCache(), DynamicCache())}


def _longest(generation: Generation) -> int:
    """The most tokens of a generation, with a thinking block or without."""
    return generation.request.max_tokens + generation.request.thinking_tokens


class _StopWatcher:
    """Ends a generation at the limits and stop strings of its request; `ended` holds how many tokens it then
    had. `watch` is shown generations that go on."""

    def __init__(
        self, ending: Ending, generations: Sequence[Generation], start: int, watch: Watch | None = None
    ) -> None:
        self.ending, self.generations, self.start, self.watch = ending, generations, start, watch
        self.ended: dict[int, int] = {}
        for generation in generations:
            generation.progress = ending.begin(generation.request, opened=generation.opened)

    def __call__(self, input_ids: Tensor, scores: object, **_: object) -> Tensor:
        for index, (generation, new) in enumerate(
            zip(self.generations, input_ids[:, self.start :].tolist(), strict=True)
        ):
            if index not in self.ended and self.ending.is_over(new, generation.request, generation.progress):
                self.ended[index] = len(new)
            if self.watch is not None and index not in self.ended and not self.ending.eos & set(new):
                generation.new = new
                self.watch(generation)
        return torch.tensor(
            [index in self.ended for index in range(len(self.generations))], device=input_ids.device
        )


class _Draw:
    """Gives generations that sample the drawn token as their only choice."""

    def __init__(self, generations: Sequence[Generation], start: int) -> None:
        self.generations, self.start = generations, start

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        position = input_ids.shape[1] - self.start
        for index, generation in enumerate(self.generations):
            request = generation.request
            if request.temperature > 0:
                (token,) = draw_tokens(
                    scores[index : index + 1],
                    [uniform(generation.sampling_key, generation.sample, position)],
                    request.temperature,
                    request.top_k,
                )
                scores[index] = float("-inf")
                scores[index, token] = 0.0
        return scores


@contextmanager
def _greedy(model: Any, eos: list[int], pad: int) -> Iterator[None]:
    """Greedy search whatever the folder's generation settings say, from which `generate` would fill gaps
    of a passed configuration."""
    from transformers import GenerationConfig

    own = model.generation_config
    start = decoder_start(model.config, own) if model.config.is_encoder_decoder else None
    model.generation_config = GenerationConfig(
        do_sample=False, num_beams=1, eos_token_id=eos, pad_token_id=pad, decoder_start_token_id=start
    )
    try:
        yield
    finally:
        model.generation_config = own
