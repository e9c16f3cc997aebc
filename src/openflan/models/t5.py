"""The T5 family's forward over the modules of a Hugging Face model: encoder, decoder and loss under one root.

Covers T5, v1.1, LM-adapted, mT5, UL2 and umT5 (a relative bias in every layer). transformers builds a dense
bias before it calls an attention function, so its forward cannot be used for documents in a flat buffer. Here
attention runs document by document (`models.attention`) or, on a GPU, in buckets of like length
(`models.bucketed`), and everything else runs over real tokens only. The linear layers, norms and dropouts are
the Hugging Face model's own objects: optimisers, adapters, sharding and export keep working through it, and
`train()` of either reaches both. Price: a change of T5's arithmetic in transformers must be made here too;
the check at the start of training compares the two.

Shape suffixes: E tokens of all inputs, D of all targets, M model width, H heads, C channels of a head, F
feed-forward width, V vocabulary, B decoded sequences, P positions decoded so far, K padded input positions, R
the longest document.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from openflan.models.attention import at_least_float32, attend
from openflan.models.bucketed import BucketTensors, attend_in_buckets, biases_by_pair
from openflan.models.loss import head_losses

_SCALED_IF = {"t5": "scale_decoder_outputs", "mt5": None, "umt5": "tie_word_embeddings"}
FAMILIES = tuple(_SCALED_IF)
"""`model_type` of the models that `PackedT5` takes."""


class AttentionSpans(NamedTuple):
    """The documents of an attention layer's queries and keys. Both have the same documents, and a query sees
    the keys of its own document.

    Offsets are on the CPU. `area` is the pairs whose probabilities are kept (see `attention.kept_area`); with
    `buckets` attention runs bucket by bucket instead.
    """

    offsets: Tensor
    key_offsets: Tensor
    area: int = 0
    buckets: BucketTensors | None = None


class PackedT5(nn.Module):
    """`forward` gives token losses; generation (`inference.t5_decoding`) reads its layers and
    `cross_states`."""

    def __init__(self, model: Any) -> None:
        """`model` is a T5, mT5 or umT5 for conditional generation; its modules are shared, not copied."""
        super().__init__()
        config = model.config
        self.scale = config.d_model**-0.5 if _scales_outputs(model) else 1.0
        self.embeddings = model.get_input_embeddings()
        self.encoder = PackedStack(model.encoder)
        self.decoder = PackedStack(model.decoder)
        self.head = model.get_output_embeddings()
        self.config = config

    def forward(
        self,
        input_ids_E: Tensor,
        decoder_ids_D: Tensor,
        target_ids_D: Tensor,
        all_spans: tuple[AttentionSpans, AttentionSpans, AttentionSpans],
        *,
        longest: int,
        z_loss: float = 0.0,
        chunk: int = 0,
    ) -> Tensor:
        """The loss of every target token, float32 (D).

        `all_spans` are those of the encoder, of the decoder, and from it to the encoder. `longest` is at
        least the tokens of the longest document of either side, or the width of the widest bucket. `z_loss`
        and `chunk`: see `loss`.
        """
        embedded = self.embeddings(torch.cat([input_ids_E, decoder_ids_D]))
        encoded_EM = self.encoder(embedded[: len(input_ids_E)], all_spans[0], longest=longest)
        decoded_DM = self.decoder(
            embedded[len(input_ids_E) :], all_spans[1], encoded_EM, all_spans[2], longest=longest
        )
        return head_losses(self.head, self._scaled(decoded_DM), target_ids_D, z_loss=z_loss, chunk=chunk)

    def cross_states(self, encoded_EM: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values (E, H, C) of every decoder layer's attention to the encoder: computed once, read at
        every step."""
        layers = [block.cross for block, _ in self.decoder.layers() if block.cross is not None]
        return [(layer.split(layer.k(encoded_EM)), layer.split(layer.v(encoded_EM))) for layer in layers]

    def _scaled(self, hidden: Tensor) -> Tensor:
        return hidden if self.scale == 1.0 else hidden * self.scale


class PackedStack(nn.Module):
    """Encoder or decoder."""

    def __init__(self, stack: Any) -> None:
        super().__init__()
        config = stack.config
        self.causal = bool(stack.is_decoder)
        self.buckets, self.max_distance = (
            config.relative_attention_num_buckets,
            config.relative_attention_max_distance,
        )
        self.blocks = nn.ModuleList(PackedBlock(block) for block in stack.block)
        # Held here and not by the blocks: a block that is sharded has its weights together only while its own
        # forward runs.
        attentions = [block.layer[0].SelfAttention for block in stack.block]
        self.tables = nn.ModuleDict(
            {
                str(index): layer_attention.relative_attention_bias
                for index, layer_attention in enumerate(attentions)
                if layer_attention.has_relative_attention_bias
            }
        )
        self.norm = stack.final_layer_norm
        self.dropout = stack.dropout

    def forward(
        self,
        hidden: Tensor,
        own: AttentionSpans,
        encoded_EM: Tensor | None = None,
        across: AttentionSpans | None = None,
        *,
        longest: int,
    ) -> Tensor:
        hidden = self.dropout(hidden)
        bias = pairs = None
        for block, table in self.layers():
            if table is not None:
                bias = self.distance_bias(table, longest)
                if own.buckets is not None:
                    pairs = biases_by_pair(
                        bias.detach().to(_working_dtype(hidden, hidden.dtype)),
                        own.buckets.shapes,
                        own.buckets.area,
                    )
            hidden = block(hidden, own, bias, pairs, encoded_EM, across)
        normed: Tensor = self.dropout(rms_norm(hidden, self.norm))
        return normed

    def layers(self) -> list[tuple[PackedBlock, nn.Embedding | None]]:
        """Each block with the relative bias that begins there: of T5 the first has one for all, of umT5 every
        block its own."""
        tables = dict(self.tables.items())
        blocks = self.blocks.named_children()
        return [(block, tables.get(name)) for name, block in blocks]  # type: ignore[misc]

    def distance_bias(self, table: nn.Embedding, longest: int) -> Tensor:
        """(H, 2 longest - 1): what each head adds at distance key - query = -(longest - 1) ... longest - 1;
        minus infinity ahead of a decoder's query."""
        distances = torch.arange(1 - longest, longest, device=table.weight.device)
        bias = at_least_float32(
            table(
                relative_bucket(
                    distances,
                    bidirectional=not self.causal,
                    buckets=self.buckets,
                    max_distance=self.max_distance,
                )
            )
        ).T
        return bias.masked_fill(distances > 0, -math.inf) if self.causal else bias


class PackedBlock(nn.Module):
    """Self-attention, in a decoder attention to the encoder, and feed-forward."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        first = block.layer[0].SelfAttention
        self.attention = PackedAttention(first, block.layer[0], causal=bool(block.is_decoder))
        self.cross = (
            PackedAttention(block.layer[1].EncDecAttention, block.layer[1], causal=False)
            if block.is_decoder
            else None
        )
        self.feed_forward = PackedFeedForward(block.layer[-1])

    def forward(
        self,
        hidden: Tensor,
        own: AttentionSpans,
        bias: Tensor | None,
        pairs: Tensor | None,
        encoded_EM: Tensor | None,
        across: AttentionSpans | None,
    ) -> Tensor:
        hidden = finite(self.attention(hidden, None, own, bias, pairs))
        if self.cross is not None and encoded_EM is not None and across is not None:
            hidden = finite(self.cross(hidden, encoded_EM, across, None, None))
        return finite(self.feed_forward(hidden))


class PackedAttention(nn.Module):
    """Projections of one attention layer with its norm and residual."""

    def __init__(self, attention: Any, layer: Any, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.q, self.k, self.v, self.o = attention.q, attention.k, attention.v, attention.o
        self.heads, self.channels = attention.n_heads, attention.key_value_proj_dim
        self.norm, self.dropout = layer.layer_norm, layer.dropout

    def forward(
        self,
        hidden: Tensor,
        encoded_EM: Tensor | None,
        spans: AttentionSpans,
        bias: Tensor | None,
        pairs: Tensor | None,
    ) -> Tensor:
        normed = rms_norm(hidden, self.norm)
        source = normed if encoded_EM is None else encoded_EM
        query, key, value = self.split(self.q(normed)), self.split(self.k(source)), self.split(self.v(source))
        rate = self.dropout.p if self.dropout.training else 0.0
        if spans.buckets is not None:
            attended = attend_in_buckets(
                query, key, value, spans.buckets, bias=bias, pairs=pairs, causal=self.causal, dropout=rate
            )
        else:
            seed = torch.randint(2**62, ()) if rate else spans.offsets[0]
            attended, _ = attend(
                query, key, value, bias, spans.offsets, spans.key_offsets, spans.area, rate, seed
            )
        after: Tensor = hidden + self.dropout(self.o(attended.flatten(1)))
        return after

    def split(self, states: Tensor) -> Tensor:
        """(tokens, H C) as (tokens, H, C)."""
        return states.view(len(states), self.heads, self.channels)


class PackedFeedForward(nn.Module):
    """Plain or gated feed-forward with its norm and residual."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        dense = layer.DenseReluDense
        self.gated = hasattr(dense, "wi_0")
        self.wi = dense.wi_0 if self.gated else dense.wi
        self.linear = dense.wi_1 if self.gated else None
        self.wo, self.inner_dropout = dense.wo, dense.dropout
        self.activation = _activation(dense.act)
        self.norm, self.dropout = layer.layer_norm, layer.dropout

    def forward(self, hidden: Tensor) -> Tensor:
        normed = rms_norm(hidden, self.norm)
        inner = self.activation(self.wi(normed))
        if self.linear is not None:
            inner = inner * self.linear(normed)
        after: Tensor = hidden + self.dropout(self.wo(self.inner_dropout(inner)))
        return after


def rms_norm(hidden: Tensor, norm: Any) -> Tensor:
    """T5's norm: no mean, no bias, variance in float32. Its result has the dtype that autocast would use
    for a linear layer."""
    dtype = _working_dtype(hidden, norm.weight.dtype)
    normed: Tensor = _RmsNorm.apply(  # type: ignore[no-untyped-call]
        hidden, norm.weight, norm.variance_epsilon, dtype
    )
    return normed


def _working_dtype(hidden: Tensor, otherwise: torch.dtype) -> torch.dtype:
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else otherwise


class _RmsNorm(torch.autograd.Function):
    """Fewer passes over memory than autograd takes, which is what a norm costs."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight_M: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        wide = at_least_float32(hidden)
        scale: Tensor = (
            torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square() / hidden.shape[-1] + epsilon
        ).rsqrt()
        ctx.save_for_backward(hidden, weight_M, scale)
        normed: Tensor = (wide * scale).mul_(weight_M).to(dtype)
        return normed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden, weight_M, scale = ctx.saved_tensors
        gradient, weight = at_least_float32(gradient), at_least_float32(weight_M)
        unit = at_least_float32(hidden) * scale
        product = gradient * unit
        along = torch.mv(product.flatten(0, -2), weight).view_as(scale) / hidden.shape[-1]
        d_hidden = (gradient * weight).addcmul_(unit, along, value=-1).mul_(scale)
        return d_hidden.to(hidden.dtype), product.flatten(0, -2).sum(0).to(weight_M.dtype), None, None


def relative_bucket(distances: Tensor, *, bidirectional: bool, buckets: int, max_distance: int) -> Tensor:
    """The row of the bias table for key - query: exact for near distances, logarithmic up to `max_distance`,
    one bucket beyond (T5's rule)."""
    if bidirectional:
        buckets //= 2
        offset, away = (distances > 0).long() * buckets, distances.abs()
    else:
        offset, away = torch.zeros_like(distances), (-distances).clamp(min=0)
    exact = buckets // 2
    # In float32 and in this order, as transformers computes it: a bucket's edge may fall on a whole number.
    steps = torch.log(away.clamp(min=1).float() / exact) / math.log(max_distance / exact) * (buckets - exact)
    return offset + torch.where(away < exact, away, (exact + steps.long()).clamp(max=buckets - 1))


def finite(hidden: Tensor) -> Tensor:
    """Clamps float16 states, which overflow in T5, as transformers does."""
    largest = torch.finfo(torch.float16).max - 1000
    return torch.clamp(hidden, -largest, largest) if hidden.dtype == torch.float16 else hidden


def _activation(given: Any) -> Any:
    """torch's own tanh GELU in place of transformers' chain of eight operations; everything else as it is."""
    if type(given).__name__ == "NewGELUActivation":
        return nn.GELU(approximate="tanh")
    return given


def _scales_outputs(model: Any) -> bool:
    """Whether logits are computed from states times d_model**-0.5, by the setting that transformers reads
    in each family."""
    setting = _SCALED_IF[model.config.model_type]
    return setting is not None and bool(getattr(model.config, setting))
