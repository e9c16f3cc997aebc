"""Generation and likelihoods of the T5 family, over the modules of a Hugging Face model.

The encoder runs once for each prompt, over real tokens only; its keys and values for the decoder are stored
once for all generations of the prompt. `batching` adds and removes single generations. For likelihoods one
forward of the decoder computes all options of a prompt: each option sees itself, and all of them are queries
to their prompt.

Shape suffixes as in `models.t5` and `cache`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from openflan.inference.batching import Prompt
from openflan.inference.cache import HIDDEN_SCORE, GeneratedStates, SharedStates, full_attention
from openflan.models.t5 import AttentionSpans, PackedT5, finite, relative_bucket, rms_norm

_KEPT_BYTES = 1 << 27
"""The largest dense bias that is kept from one prompt to the next."""

_POSITIONS = 64
"""Positions for generated tokens that the cache has at the start."""


class T5Decoder:
    """All generations that a T5 is generating; see `batching.Decoder`."""

    def __init__(self, model: Any) -> None:
        self.packed = PackedT5(model).eval()
        self.start = int(model.config.decoder_start_token_id or 0)
        self.device = self.packed.embeddings.weight.device
        self._own = GeneratedStates(8, _POSITIONS)
        self._inputs = SharedStates(_POSITIONS)
        self._changed = True
        self._tables: dict[int, Tensor] = {}
        self._dense: dict[int, Tensor] = {}

    @torch.inference_mode()
    def admit(self, prompts: Sequence[Prompt]) -> None:
        encoded_EM, offsets = self.encoded([prompt.ids for prompt in prompts])
        cross = self.packed.cross_states(encoded_EM)
        for prompt, first, end in zip(prompts, offsets[:-1], offsets[1:], strict=True):
            self._inputs.admit(prompt, [(keys[first:end], values[first:end]) for keys, values in cross])

    def add(self, prompt: Prompt) -> int:
        self._own.add()
        self._inputs.add(prompt)
        self._changed = True
        return self.start

    def drop(self, index: int) -> None:
        self._own.drop(index)
        self._inputs.drop(index)
        self._changed = True

    def release(self, prompt: Prompt) -> None:
        self._inputs.release(prompt)
        self._changed = True

    @torch.inference_mode()
    def step(self, ids: list[int]) -> Tensor:
        hidden_NM: Tensor = self.packed.embeddings(torch.tensor(ids, device=self.device))
        self._own.begin(self.device)
        if self._changed:
            self._inputs.begin(hidden_NM)
            self._changed = False
        mask = None if self._inputs.mask_SP is None else self._inputs.mask_SP[:, None, None]
        distances_NP = self._own.distances()
        bias_NG1P = torch.zeros((), device=self.device)
        for layer, (block, table) in enumerate(self.packed.decoder.layers()):
            if table is not None:
                bias_NG1P = self._bias(layer, table, distances_NP)
            one = block.attention
            normed = rms_norm(hidden_NM, one.norm)
            query_NGC, key_NGC, value_NGC = (one.split(linear(normed)) for linear in (one.q, one.k, one.v))
            keys, values = self._own.write(layer, key_NGC, value_NGC)
            hidden_NM = finite(
                hidden_NM
                + one.o(full_attention(query_NGC[:, :, None], keys, values, bias_NG1P)[:, :, 0].flatten(1))
            )
            cross: Any = block.cross
            query_NGC = cross.split(cross.q(rms_norm(hidden_NM, cross.norm)))
            query_SGRC = self._inputs.by_group(query_NGC).transpose(1, 2)
            attended_SGRC = full_attention(query_SGRC, *self._inputs.layer(layer), mask)
            hidden_NM = finite(
                hidden_NM + cross.o(self._inputs.by_generation(attended_SGRC.transpose(1, 2)).flatten(1))
            )
            hidden_NM = finite(block.feed_forward(hidden_NM))
        self._own.end()
        return self._logits(hidden_NM)

    @torch.inference_mode()
    def option_scores(
        self, prompts: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]]
    ) -> list[list[float]]:
        """The summed log-probability of each option of each prompt; options are ids, none of them empty."""
        encoded_EM, input_offsets = self.encoded([ids for ids, _ in prompts])
        options = [option for _, of in prompts for option in of]
        offsets = _offsets([len(option) for option in options])
        option_offsets = _offsets([sum(map(len, of)) for _, of in prompts])
        fed = [token for option in options for token in (self.start, *option[:-1])]
        hidden_DM: Tensor = self.packed.embeddings(torch.tensor(fed, device=self.device))
        longest, bias = max(map(len, options)), None
        for block, table in self.packed.decoder.layers():
            if table is not None:
                bias = self.packed.decoder.distance_bias(table, longest)
            hidden_DM = block.attention(hidden_DM, None, AttentionSpans(offsets, offsets), bias, None)
            cross: Any = block.cross
            hidden_DM = cross(
                hidden_DM, encoded_EM, AttentionSpans(option_offsets, input_offsets), None, None
            )
            hidden_DM = block.feed_forward(hidden_DM)
        option_ids = torch.tensor([token for option in options for token in option], device=self.device)
        logits_DV = self._logits(hidden_DM).float()
        log_probabilities_D = (
            (logits_DV.gather(1, option_ids[:, None])[:, 0] - logits_DV.logsumexp(-1)).cpu().double()
        )
        option_sums = iter(
            [
                float(part.sum())
                for part in torch.split(log_probabilities_D, [len(option) for option in options])
            ]
        )
        return [[next(option_sums) for _ in of] for _, of in prompts]

    def encoded(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """The encoder states of all prompts, side by side (E, M), and the offset of each prompt, on the CPU.

        Without a gradient to keep anything for, a dense bias that all layers and prompts share is twice as
        quick as what training does.
        """
        lengths, encoder = [len(ids) for ids in prompts], self.packed.encoder
        hidden_EM: Tensor = self.packed.embeddings(
            torch.tensor([token for ids in prompts for token in ids], device=self.device)
        )
        bias_GLL = torch.zeros((), device=self.device)
        for layer, (block, table) in enumerate(encoder.layers()):
            if table is not None:
                bias_GLL = self._encoder_bias(layer, table, max(lengths), hidden_EM.dtype)
            one = block.attention
            normed = rms_norm(hidden_EM, one.norm)
            parts = [
                torch.split(one.split(linear(normed)).transpose(0, 1)[None], lengths, 2)
                for linear in (one.q, one.k, one.v)
            ]
            attended = [
                functional.scaled_dot_product_attention(
                    query, key, value, bias_GLL[None, :, : query.shape[2], : query.shape[2]], scale=1.0
                )
                for query, key, value in zip(*parts, strict=True)
            ]
            hidden_EM = finite(hidden_EM + one.o(torch.cat(attended, 2)[0].transpose(0, 1).flatten(1)))
            hidden_EM = finite(block.feed_forward(hidden_EM))
        return rms_norm(hidden_EM, encoder.norm), _offsets(lengths)

    def _encoder_bias(self, layer: int, table: Any, longest: int, dtype: torch.dtype) -> Tensor:
        """(G, L, L): what each head adds for every pair of positions, of the longest prompt or a longer one;
        shorter prompts use a corner of it."""
        known = self._dense.get(layer)
        if known is None or known.shape[1] < longest:
            by_distance = self.packed.encoder.distance_bias(table, longest).to(dtype)
            # Generations of distances that begin one further each, from the last position to the first: a
            # view, which one copy turns over.
            known = by_distance.unfold(1, longest, 1).flip(1)
            self._dense = {**self._dense, layer: known} if known.nbytes <= _KEPT_BYTES else {}
        return known

    def _bias(self, layer: int, table: Any, distances_NP: Tensor) -> Tensor:
        """(N, G, 1, P): what each head adds, and what hides positions that a generation does not have yet."""
        longest = distances_NP.shape[1]
        known = self._tables.get(layer)
        if known is None or known.shape[1] < longest:
            decoder = self.packed.decoder
            behind = -torch.arange(2 * longest + _POSITIONS, device=self.device)
            buckets = relative_bucket(
                behind, bidirectional=False, buckets=decoder.buckets, max_distance=decoder.max_distance
            )
            known = self._tables[layer] = table(buckets).float().T.contiguous()
        bias_GNP = known[:, (-distances_NP).clamp(min=0)]
        return bias_GNP.masked_fill((distances_NP > 0)[None], HIDDEN_SCORE).transpose(0, 1)[:, :, None]

    def _logits(self, hidden: Tensor) -> Tensor:
        states = rms_norm(hidden, self.packed.decoder.norm)
        logits: Tensor = self.packed.head(states if self.packed.scale == 1.0 else states * self.packed.scale)
        return logits


def _offsets(lengths: Sequence[int]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)
