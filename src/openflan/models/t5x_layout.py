"""The place of each weight of T5 in a T5X checkpoint, by Hugging Face's names.

The two formats store the same model differently: T5X keeps kernels (in, out) where torch keeps weights (out,
in), a relative bias as (heads, buckets), and layers one by one (`layers_0`) or stacked along the second axis,
as its scanned models do. umT5 has a bias in every layer, the others one a stack. Names are those of
t5x/examples/t5/network.py; of scanned models, those of the public checkpoints (`encoder.encoder.`) and of
t5x/examples/scalable_t5 (`encoder.layers.`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openflan.errors import InputError
from openflan.models.t5x_files import StoredArray

BIAS = "relpos_bias.rel_embedding"
_ATTENTION = {"q": "query", "k": "key", "v": "value", "o": "out"}


@dataclass(frozen=True, slots=True)
class StoredWeight:
    """Where a Hugging Face weight lies: an array of the checkpoint, the layer within a stacked one, and
    whether it is turned."""

    array: str
    layer: int | None
    transposed: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """How a checkpoint lays out a model. `encoder` and `decoder` are the prefixes of a layer's names:
    `encoder.layers_` or, stacked, `encoder.encoder.`."""

    encoder_layers: int
    decoder_layers: int
    gated: bool
    tied: bool
    bias_per_layer: bool
    stacked: bool
    encoder: str
    decoder: str
    encoder_bias: str
    decoder_bias: str


def places(layout: Layout) -> dict[str, StoredWeight]:
    """Hugging Face's name of every weight, and its place."""
    weight_places = {"shared.weight": StoredWeight("token_embedder.embedding", None, False)}
    if not layout.tied:
        weight_places["lm_head.weight"] = StoredWeight("decoder.logits_dense.kernel", None, True)
    inner = ("wi_0", "wi_1", "wo") if layout.gated else ("wi", "wo")
    for stack, count, before, bias in (
        ("encoder", layout.encoder_layers, layout.encoder, layout.encoder_bias),
        ("decoder", layout.decoder_layers, layout.decoder, layout.decoder_bias),
    ):
        own = "attention" if stack == "encoder" else "self_attention"
        parts = [("SelfAttention", own, f"pre_{own}_layer_norm")]
        if stack == "decoder":
            parts.append(("EncDecAttention", "encoder_decoder_attention", "pre_cross_attention_layer_norm"))
        for index in range(count):
            layer, here = (index, before) if layout.stacked else (None, f"{before}{index}.")
            for sublayer, (theirs, name, norm) in enumerate(parts):
                block = f"{stack}.block.{index}.layer.{sublayer}"
                weight_places[f"{block}.layer_norm.weight"] = StoredWeight(
                    f"{here}{norm}.scale", layer, False
                )
                weight_places |= {
                    f"{block}.{theirs}.{short}.weight": StoredWeight(
                        f"{here}{name}.{long}.kernel", layer, True
                    )
                    for short, long in _ATTENTION.items()
                }
            last = f"{stack}.block.{index}.layer.{len(parts)}"
            weight_places[f"{last}.layer_norm.weight"] = StoredWeight(
                f"{here}pre_mlp_layer_norm.scale", layer, False
            )
            weight_places |= {
                f"{last}.DenseReluDense.{name}.weight": StoredWeight(f"{here}mlp.{name}.kernel", layer, True)
                for name in inner
            }
            if index == 0 or layout.bias_per_layer:
                at = bias if layout.stacked or not layout.bias_per_layer else f"{here}{bias}"
                table = StoredWeight(at, layer if layout.bias_per_layer else None, True)
                weight_places[
                    f"{stack}.block.{index}.layer.0.SelfAttention.relative_attention_bias.weight"
                ] = table
        weight_places[f"{stack}.final_layer_norm.weight"] = StoredWeight(
            f"{stack}.{stack}_norm.scale", None, False
        )
    return weight_places


def layout_of(arrays: Mapping[str, StoredArray], folder: Path) -> Layout:
    """How a checkpoint's arrays are laid out, found from their names. Raises InputError if there are no
    layers of an encoder or a decoder."""
    before, biases, counts = {}, {}, {}
    stacked = not any(name.startswith("encoder.layers_0.") for name in arrays)
    for stack, norm in (
        ("encoder", "pre_attention_layer_norm"),
        ("decoder", "pre_self_attention_layer_norm"),
    ):
        starts = [f"{stack}.{stack}.", f"{stack}.layers."] if stacked else [f"{stack}.layers_"]
        start = next((one for one in starts if any(name.startswith(one) for name in arrays)), None)
        if start is None:
            raise InputError(
                f"{folder}: no layers of {'an' if stack == 'encoder' else 'a'} {stack}; only T5's "
                "encoder-decoders can be converted"
            )
        scale = arrays.get(f"{start}{norm}.scale")
        numbers = {
            int(weight_places.group(1))
            for name in arrays
            if (weight_places := re.match(rf"{stack}\.layers_(\d+)\.", name))
        }
        counts[stack] = (
            len(numbers)
            if not stacked
            else scale.shape[1]
            if scale is not None and len(scale.shape) == 2
            else 0
        )
        before[stack] = start
        tables = [name for name in arrays if name.startswith(f"{stack}.") and name.endswith("rel_embedding")]
        inner = [name for name in tables if name.startswith(start)]
        table = (inner or tables or [f"{stack}.{BIAS}"])[0]
        biases[stack] = (
            re.sub(rf"^{re.escape(start)}\d+\.", "", table) if inner and not stacked else table,
            bool(inner),
        )
    return Layout(
        encoder_layers=counts["encoder"],
        decoder_layers=counts["decoder"],
        gated=any(name.endswith("mlp.wi_0.kernel") for name in arrays),
        tied="decoder.logits_dense.kernel" not in arrays,
        bias_per_layer=biases["encoder"][1],
        stacked=stacked,
        encoder=before["encoder"],
        decoder=before["decoder"],
        encoder_bias=biases["encoder"][0],
        decoder_bias=biases["decoder"][0],
    )
