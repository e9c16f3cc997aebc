"""Encoder-decoders over a flat buffer: Hugging Face's forward, with attention document by document.

For families whose attention transformers looks up by name: T5Gemma 1 and 2, BART, mBART, Pegasus, Marian,
M2M-100 and the like (T5's kind adds a dense bias before, and has a forward of its own in `models.t5`). Inputs
of all documents are one sequence for the encoder, targets one for the decoder; positions restart. Keyword
arguments reach the attention function, which learns from them where documents begin. It looks at the module
that calls it to tell the attention between decoder and encoder from the others, and to know its window.

T5Gemma 2 has one softmax over a decoder's own keys and the encoder's; both are sources of one call here.

Shape suffixes as in `packing.flat`; H query heads, G key heads, C channels.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from openflan.models.bucketed import BucketTensors
from openflan.models.causal import HARMLESS_ARGUMENTS
from openflan.models.loss import head_losses, token_cross_entropy
from openflan.models.masked_attention import Visibility, masked_attention
from openflan.models.masked_buckets import Source, attend_masked_buckets
from openflan.models.restarting_positions import restarting_positions

NAME = "openflan_inputs_and_targets"
"""Our function in transformers' attention interface."""

_ACROSS = re.compile(r"cross|encoder_attn", re.IGNORECASE)
_MERGED = "T5Gemma2MergedAttention"
_ENCODER_WINDOWS = {
    "T5GemmaSelfAttention": lambda window: (window, window),
    "T5Gemma2SelfAttention": lambda window: ((window + 1) // 2 - 1, window // 2),
}
"""Keys behind and ahead of its own that an encoder's query sees, by the class of its attention."""
_ARITHMETIC_OF_HEAD = ("t5gemma", "t5gemma2")
"""`model_type` of the models whose logits are the head's, capped or not, and nothing else."""

_ALL = Visibility(ahead=None)


@dataclass(frozen=True, slots=True)
class Seq2SeqDocuments:
    """Where documents begin and end on both sides. `decoding`: the decoder runs, and not the encoder.

    `across` are the identities of the modules that attend from targets to inputs. With `buckets` (encoder,
    decoder, between them) attention runs bucket by bucket.
    """

    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    decoding: bool
    across: frozenset[int]
    buckets: tuple[BucketTensors, ...] = ()


class PackedSeq2Seq(nn.Module):
    """A root whose forward gives token losses of a flat batch."""

    def __init__(self, model: Any) -> None:
        """`model` is an encoder-decoder of transformers, whose attention function is replaced. Raises
        ValueError where it cannot be replaced."""
        super().__init__()
        AttentionInterface.register(NAME, attend_inputs_and_targets)
        if model.config._attn_implementation != NAME:
            model.set_attn_implementation(NAME)
        if model.config._attn_implementation != NAME:
            raise ValueError("its attention function cannot be replaced")
        self.model = model
        self.across = frozenset(
            id(module)
            for name, module in model.get_decoder().named_modules()
            if _ACROSS.search(name.rpartition(".")[2]) and hasattr(module, "k_proj")
        )
        self.merged = any(type(module).__name__ == _MERGED for module in model.modules())

    def forward(
        self,
        input_ids_E: Tensor,
        input_positions_E: Tensor,
        decoder_ids_D: Tensor,
        decoder_positions_D: Tensor,
        target_ids_D: Tensor,
        *,
        inputs: tuple[int, ...],
        targets: tuple[int, ...],
        buckets: tuple[BucketTensors, ...] = (),
        z_loss: float = 0.0,
        chunk: int = 0,
    ) -> Tensor:
        """The loss of every target token, float32 (D). `inputs` and `targets` are where documents begin and
        end. `z_loss`, `chunk`: see `loss`; models whose logits are more than the head's are not chunked."""
        model, config = self.model, self.model.config
        encoder, decoder = model.get_encoder(), model.get_decoder()
        documents = Seq2SeqDocuments(inputs, targets, False, self.across, buckets)
        decoding = Seq2SeqDocuments(inputs, targets, True, self.across, buckets)
        with ExitStack() as restored:
            for stack, positions, offsets in (
                (encoder, input_positions_E, inputs),
                (decoder, decoder_positions_D, targets),
            ):
                longest = max(end - first for first, end in itertools.pairwise(offsets))
                restored.enter_context(restarting_positions(stack, positions[None], longest))
            encoded = encoder(
                input_ids=input_ids_E[None],
                documents=documents,
                **positions_if_taken(encoder, input_positions_E[None]),
            )
            masks = _no_masks(input_ids_E) if self.merged else {}
            cap = getattr(config.get_text_config(decoder=True), "final_logit_softcapping", None)
            if chunk and cap is None and config.model_type in _ARITHMETIC_OF_HEAD:
                hidden = decoder(
                    input_ids=decoder_ids_D[None],
                    encoder_hidden_states=encoded[0],
                    documents=decoding,
                    use_cache=False,
                    **masks,
                    **({"encoder_attention_mask": masks["attention_mask"]} if masks else {}),
                    **positions_if_taken(decoder, decoder_positions_D[None]),
                ).last_hidden_state[0]
                return head_losses(
                    model.get_output_embeddings(), hidden, target_ids_D, z_loss=z_loss, chunk=chunk
                )
            logits = model(
                encoder_outputs=encoded,
                decoder_input_ids=decoder_ids_D[None],
                documents=decoding,
                use_cache=False,
                **masks,
                **({"decoder_attention_mask": masks["attention_mask"]} if masks else {}),
                **positions_if_taken(model, decoder_positions_D[None], "decoder_position_ids"),
            ).logits[0]
        return token_cross_entropy(logits, target_ids_D, z_loss=z_loss)


def positions_if_taken(stack: Any, positions_RL: Tensor, name: str = "position_ids") -> dict[str, Tensor]:
    """Positions as the keyword argument of a forward; nothing where it takes none."""
    return {name: positions_RL} if name in inspect.signature(stack.forward).parameters else {}


def window_of_encoder(encoder: Any) -> Visibility | None:
    """What layers with a window see of their document; None without such layers. Raises ValueError for a
    window whose form is not known."""
    narrow = (module for module in encoder.modules() if getattr(module, "sliding_window", None) is not None)
    first = next(narrow, None)
    return None if first is None else _of_encoder(first, first.sliding_window)


def window_of_decoder(decoder: Any) -> Visibility | None:
    """As `window_of_encoder`."""
    windows = (getattr(module, "sliding_window", None) for module in decoder.modules())
    window = next((one for one in windows if one is not None), None)
    return None if window is None else Visibility(behind=window - 1)


def attend_inputs_and_targets(
    module: Any,
    query_1HQC: Tensor,
    key_1GKC: Tensor,
    value_1GKC: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    documents: Seq2SeqDocuments | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The attention function that transformers calls in every layer. Raises ValueError without `documents`,
    and for an argument that is not known here."""
    unknown = [name for name, value in others.items() if value is not None and name not in HARMLESS_ARGUMENTS]
    if documents is None or unknown or (attention_mask is not None and attention_mask.numel()):
        raise ValueError(
            f"attention by documents got {', '.join(unknown) or 'no documents, or a mask'}, which it cannot "
            "serve"
        )
    window = sliding_window if sliding_window is not None else getattr(module, "sliding_window", None)
    query, key, value = (states[0] for states in (query_1HQC, key_1GKC, value_1GKC))
    kind = query.device.type
    if torch.is_autocast_enabled(kind):
        # Norms of queries and keys may have left them in float32.
        query, key, value = (states.to(torch.get_autocast_dtype(kind)) for states in (query, key, value))
    sources = _sources(module, key, value, documents, window)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if documents.buckets:
        encoder, decoder, between = documents.buckets
        alone = all(source.own for source in sources)
        buckets = (decoder if documents.decoding else encoder) if alone else between
        attended = attend_masked_buckets(
            query, sources, buckets, scale=scale, dropout=dropout, softcap=softcap
        )
    else:
        attended = _by_documents(query, sources, documents, scale, dropout, softcap)
    return attended[None].contiguous(), None


def _sources(
    module: Any, key: Tensor, value: Tensor, documents: Seq2SeqDocuments, window: int | None
) -> list[Source]:
    targets, inputs = documents.targets[-1], documents.inputs[-1]
    if not documents.decoding:
        sources = [Source(key, value, _of_encoder(module, window), True)]
    elif id(module) in documents.across:
        sources = [Source(key, value, _ALL, False)]
    else:
        causal = Visibility(behind=None if window is None else window - 1)
        sources = [Source(key[:, :targets], value[:, :targets], causal, True)]
        if type(module).__name__ == _MERGED:
            sources.append(Source(key[:, targets:], value[:, targets:], _ALL, False))
    expected = sum(targets if documents.decoding and source.own else inputs for source in sources)
    if key.shape[1] != expected:
        raise ValueError(f"attention by documents got {key.shape[1]:,} keys, expected {expected:,}")
    return sources


def _of_encoder(module: Any, window: int | None) -> Visibility:
    if window is None:
        return _ALL
    rule = _ENCODER_WINDOWS.get(type(module).__name__)
    if rule is None:
        raise ValueError("the form of its encoder's attention window is not known")
    behind, ahead = rule(window)
    return Visibility(behind=behind, ahead=ahead)


def _by_documents(
    query_HQC: Tensor,
    sources: Sequence[Source],
    documents: Seq2SeqDocuments,
    scale: float,
    dropout: float,
    softcap: float | None,
) -> Tensor:
    """(Q, H, C)."""
    of_queries = documents.targets if documents.decoding else documents.inputs
    parts = []
    for number, (first, end) in enumerate(itertools.pairwise(of_queries)):
        keys, values, masks = [], [], []
        for source in sources:
            offsets = of_queries if source.own else documents.inputs
            span = slice(offsets[number], offsets[number + 1])
            keys.append(source.key_GKC[:, span])
            values.append(source.value_GKC[:, span])
            masks.append(source.visibility.mask(end - first, keys[-1].shape[1], query_HQC.device))
        visible = _joined(masks, [end - first, *(states.shape[1] for states in keys)], query_HQC.device)
        attended = masked_attention(
            query_HQC[None, :, first:end],
            torch.cat(keys, 1)[None] if len(keys) > 1 else keys[0][None],
            torch.cat(values, 1)[None] if len(values) > 1 else values[0][None],
            visible,
            scale=scale,
            dropout=dropout,
            softcap=softcap,
        )
        parts.append(attended[0].transpose(0, 1))
    return torch.cat(parts)


def _joined(masks: Sequence[Tensor | None], sizes: Sequence[int], device: torch.device) -> Tensor | None:
    """The masks of all sources side by side; None where every key is seen."""
    if all(mask is None for mask in masks):
        return None
    queries, *of_keys = sizes
    return torch.cat(
        [
            torch.ones(queries, keys, dtype=torch.bool, device=device) if mask is None else mask
            for mask, keys in zip(masks, of_keys, strict=True)
        ],
        1,
    )


def _no_masks(like: Tensor) -> dict[str, Any]:
    """Empty masks for a decoder that joins its own mask and the encoder's and so needs both to be tensors."""
    empty = like.new_empty(0)
    return {"attention_mask": {"full_attention": empty, "sliding_attention": empty}}
