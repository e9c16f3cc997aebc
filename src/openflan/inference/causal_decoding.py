"""Generation and likelihoods of causal models: transformers' forward with our own key-value cache.

transformers passes keyword arguments on to the attention function, and ours gets the cache that way: a prefix
that a family of prompts shares, the prompt that its samples share, and the tokens of each generation. Linear
layers run over one sequence of the real tokens of all generations, without padding and without a mask.
Whether a model works this way is tried before it is trusted (`decoding_is_exact`): an architecture with other
inputs to its attention uses transformers' own `generate`.

A prefix-LM's prompt is read as a whole, because each of its tokens sees all of it. Its last token is fed
again as the first input of its generations: alone it sees what it saw within the prompt. Such prompts share
nothing, because the states at their start depend on what follows.

Shape suffixes as in `cache`; L tokens of one forward, H query heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from openflan.inference.batching import Prompt
from openflan.inference.cache import (
    HIDDEN_SCORE,
    GeneratedStates,
    SharedStates,
    merge_partial,
    partial_attention,
)
from openflan.inference.causal_attention import CachedAttention, Prefill, States


class CausalDecoder:
    """All generations that a causal model is generating; see `batching.Decoder`. The model's attention
    function is to be `NAME` (see `decoding_attention`).

    With `prefix` a prompt's tokens see one another; prompts then share no beginning (`Prompt.shared` is 0).
    """

    def __init__(self, model: Any, *, prefix: bool = False) -> None:
        self.model = model
        self.prefix = prefix
        self.device = model.device
        self._own = GeneratedStates(8, 64)
        self._prompts = SharedStates(64)
        self._families: dict[tuple[int, ...], _Family] = {}
        self._prompt_by_generation: list[Prompt] = []
        self._prefixed: list[tuple[_Family, Tensor]] = []
        self._starts_N = Tensor()
        self._begun_N = Tensor()
        self._changed = True

    @torch.inference_mode()
    def admit(self, prompts: Sequence[Prompt]) -> None:
        """Reads all but the last token of each prompt; the last one is the first input of its generations."""
        for prompt in prompts:
            if prompt.shared and prompt.prefix not in self._families:
                self._families[prompt.prefix] = _Family(self.read([prompt.prefix])[0])
        states = self._read_prompts(
            prompts, [[self._families[prompt.prefix].states] if prompt.shared else [] for prompt in prompts]
        )
        for prompt, kept in zip(prompts, states, strict=True):
            if prompt.shared:
                self._families[prompt.prefix].members += 1
            self._prompts.admit(prompt, kept)

    def add(self, prompt: Prompt) -> int:
        self._own.add()
        self._prompts.add(prompt)
        self._prompt_by_generation.append(prompt)
        self._changed = True
        return prompt.ids[-1]

    def drop(self, index: int) -> None:
        self._own.drop(index)
        self._prompts.drop(index)
        self._prompt_by_generation[index] = self._prompt_by_generation[-1]
        self._prompt_by_generation.pop()
        self._changed = True

    def release(self, prompt: Prompt) -> None:
        self._prompts.release(prompt)
        self._changed = True
        if prompt.shared:
            family = self._families[prompt.prefix]
            family.members -= 1
            if not family.members:
                del self._families[prompt.prefix]

    @torch.inference_mode()
    def step(self, ids: list[int]) -> Tensor:
        own_N = self._own.begin(self.device)
        if self._changed:
            self._starts_N = torch.tensor(
                [len(prompt.ids) - 1 for prompt in self._prompt_by_generation], device=self.device
            )
            self._prompts.begin(own_N)
            self._prefixed = self._by_family()
            self._changed = False
        self._begun_N = own_N + self._starts_N
        logits: Tensor = self._forward(ids, self._begun_N, self).logits[0]
        self._own.end()
        return logits

    def attend(
        self,
        layer: int,
        query_HLC: Tensor,
        key_GLC: Tensor,
        value_GLC: Tensor,
        scaling: float,
        window: int | None,
    ) -> Tensor:
        """One token of every generation."""
        heads, generations, channels = query_HLC.shape
        query_NGQC = (query_HLC * scaling).transpose(0, 1).reshape(generations, len(key_GLC), -1, channels)
        keys, values = self._own.write(layer, key_GLC.transpose(0, 1), value_GLC.transpose(0, 1))
        distances_NP = self._own.distances()
        unseen_NP = distances_NP > 0
        if window is not None:
            unseen_NP = unseen_NP | (distances_NP <= -window)
        parts = [partial_attention(query_NGQC, keys, values, _added(unseen_NP)[:, None, None])]
        if not self._prompts.empty:
            parts.append(self._attend_prompts(layer, query_NGQC, window))
        if self._prefixed:
            parts.append(self._attend_prefixes(layer, query_NGQC, window))
        return merge_partial(parts).reshape(generations, heads, channels).transpose(0, 1)

    def _attend_prompts(self, layer: int, query_NGQC: Tensor, window: int | None) -> tuple[Tensor, Tensor]:
        prompts = self._prompts
        keys, values = prompts.layer(layer)
        mask = None if prompts.mask_SP is None else prompts.mask_SP[:, None]
        if window is not None:
            positions_NP = (
                torch.arange(keys.shape[3], device=keys.device)
                + torch.tensor([prompt.shared for prompt in self._prompt_by_generation], device=keys.device)[
                    :, None
                ]
            )
            last_N = self._begun_N - window
            if self.prefix:
                # The first input of a generation is its prompt's last token, which sees all of the prompt.
                last_N = last_N.masked_fill(self._begun_N == self._starts_N, -1)
            hidden_SRP = prompts.by_group(_added(positions_NP <= last_N[:, None]))
            mask = hidden_SRP if mask is None else hidden_SRP + mask
        query_SRGQC = prompts.by_group(query_NGQC)
        groups, slots, heads, queries, channels = query_SRGQC.shape
        query_SGTC = query_SRGQC.transpose(1, 2).reshape(groups, heads, slots * queries, channels)
        if mask is not None:
            mask = mask.expand(groups, slots, -1).repeat_interleave(queries, 1)[:, None]
        given, weight = partial_attention(query_SGTC, keys, values, mask)
        given_SRGQC = given.view(groups, heads, slots, queries, channels).transpose(1, 2)
        weight_SRGQ1 = weight.view(groups, heads, slots, queries, 1).transpose(1, 2)
        return prompts.by_generation(given_SRGQC), prompts.by_generation(weight_SRGQ1)

    def _attend_prefixes(self, layer: int, query_NGQC: Tensor, window: int | None) -> tuple[Tensor, Tensor]:
        generations, heads, queries, channels = query_NGQC.shape
        given_NGQC = torch.zeros_like(query_NGQC)
        weight_NGQ1 = torch.full((generations, heads, queries, 1), HIDDEN_SCORE, device=query_NGQC.device)
        for family, indices in self._prefixed:
            keys, values = family.layer(layer)
            added = None
            if window is not None:
                positions_P = torch.arange(keys.shape[2], device=keys.device)
                added = _added(positions_P <= self._begun_N[indices][:, None] - window).repeat_interleave(
                    queries, 0
                )
            query_GTC = query_NGQC[indices].transpose(0, 1).reshape(heads, -1, channels)
            given, weight = partial_attention(query_GTC, keys, values, added)
            given_NGQC[indices] = given.view(heads, -1, queries, channels).transpose(0, 1)
            weight_NGQ1[indices] = weight.view(heads, -1, queries, 1).transpose(0, 1)
        return given_NGQC, weight_NGQ1

    def _by_family(self) -> list[tuple[_Family, Tensor]]:
        found: dict[tuple[int, ...], list[int]] = {}
        for index, prompt in enumerate(self._prompt_by_generation):
            if prompt.shared:
                found.setdefault(prompt.prefix, []).append(index)
        return [
            (self._families[prefix], torch.tensor(indices, device=self.device))
            for prefix, indices in found.items()
        ]

    def _read_prompts(self, prompts: Sequence[Prompt], pasts: Sequence[Sequence[States]]) -> list[States]:
        """The keys and values of each prompt, without those of its shared start and of its last token."""
        if not self.prefix:
            return self.read([prompt.ids[prompt.shared : -1] for prompt in prompts], pasts)
        if any(prompt.shared for prompt in prompts):
            raise ValueError("prompts whose tokens see one another cannot share their beginnings")
        return [
            [(key[:-1], value[:-1]) for key, value in states]
            for states in self.read([prompt.ids for prompt in prompts])
        ]

    @torch.inference_mode()
    def read(
        self, documents: Sequence[Sequence[int]], pasts: Sequence[Sequence[States]] | None = None
    ) -> list[States]:
        """The keys and values of documents, each after its past. Empty documents are left out of the
        forward."""
        pasts = pasts or [[] for _ in documents]
        sent = [index for index, ids in enumerate(documents) if ids]
        if not sent:
            nothing = self._nothing()
            return [nothing for _ in documents]
        lengths = [len(documents[index]) for index in sent]
        prefill = Prefill(lengths, [pasts[index] for index in sent], lengths if self.prefix else None)
        starts = [_length(pasts[index]) for index in sent]
        self._forward(
            [token for index in sent for token in documents[index]],
            torch.cat(
                [
                    torch.arange(start, start + len(documents[index]), device=self.device)
                    for start, index in zip(starts, sent, strict=True)
                ]
            ),
            prefill,
            logits_to_keep=1,
        )
        found = {index: prefill.states(document) for document, index in enumerate(sent)}
        empty = [(key[:0], value[:0]) for key, value in prefill.layers]
        return [found.get(index, empty) for index in range(len(documents))]

    @torch.inference_mode()
    def option_scores(self, prompts: Sequence[tuple[Prompt, Sequence[Sequence[int]]]]) -> list[list[float]]:
        """The summed log-probability of each option of each prompt; options are ids, none of them empty.
        Prompts that share a prefix are neighbours."""
        prefixes: dict[tuple[int, ...], States] = {}
        for prompt, _ in prompts:
            if prompt.shared and prompt.prefix not in prefixes:
                prefixes[prompt.prefix] = self._known_prefix(prompt.prefix)
        before = [[prefixes[prompt.prefix]] if prompt.shared else [] for prompt, _ in prompts]
        read = self._read_prompts([prompt for prompt, _ in prompts], before)
        # Every option begins with the last token of the prompt, which predicts the option's first token.
        fed = [
            (index, (prompt.ids[-1], *option[:-1]))
            for index, (prompt, options) in enumerate(prompts)
            for option in options
        ]
        prefill = Prefill(
            [len(ids) for _, ids in fed],
            [[*before[index], read[index]] for index, _ in fed],
            [1] * len(fed) if self.prefix else None,
        )
        positions = [
            torch.arange(
                len(prompts[index][0].ids) - 1, len(prompts[index][0].ids) - 1 + len(ids), device=self.device
            )
            for index, ids in fed
        ]
        logits_LV = (
            self._forward([token for _, ids in fed for token in ids], torch.cat(positions), prefill)
            .logits[0]
            .float()
        )
        option_ids = torch.tensor(
            [token for _, options in prompts for option in options for token in option], device=self.device
        )
        log_probabilities_L = (
            (logits_LV.gather(1, option_ids[:, None])[:, 0] - logits_LV.logsumexp(-1)).cpu().double()
        )
        option_sums = iter(
            [float(part.sum()) for part in torch.split(log_probabilities_L, [len(ids) for _, ids in fed])]
        )
        return [[next(option_sums) for _ in options] for _, options in prompts]

    def _known_prefix(self, prefix: tuple[int, ...]) -> States:
        """The states of a prefix; the last one is kept, because prompts of a family are neighbours."""
        family = self._families.get(prefix)
        if family is None:
            self._families = {prefix: (family := _Family(self.read([prefix])[0]))}
        return family.states

    def _forward(
        self, ids: Sequence[int], positions: Tensor, cached_attention: CachedAttention, **more: Any
    ) -> Any:
        tokens = torch.tensor([ids], device=self.device)
        return self.model(
            input_ids=tokens,
            position_ids=positions[None],
            attention_mask=None,
            use_cache=False,
            cached_attention=cached_attention,
            **more,
        )

    def _nothing(self) -> States:
        """Keys and values without positions, in the shape of each layer."""
        prefill = Prefill([1], [[]])
        self._forward([0], torch.zeros(1, dtype=torch.long, device=self.device), prefill)
        return [(key[:0], value[:0]) for key, value in prefill.layers]


class _Family:
    """A prefix's states, in the order of the forward and transposed for queries."""

    def __init__(self, states: States) -> None:
        self.states = states
        self.members = 0
        self._transposed = [
            (key.permute(1, 2, 0).contiguous(), value.transpose(0, 1).contiguous()) for key, value in states
        ]

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Keys (G, C, P) and values (G, P, C)."""
        return self._transposed[index]


def _added(hidden: Tensor) -> Tensor:
    return torch.zeros(hidden.shape, device=hidden.device).masked_fill_(hidden, HIDDEN_SCORE)


def _length(past: Sequence[States]) -> int:
    return sum(len(states[0][0]) for states in past)
