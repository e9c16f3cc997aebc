"""A small random model of an architecture, which shows whether packed documents see each other.

Whether documents leak depends on the architecture, not on its size. So the configuration is copied with few
layers (one of each kind), few heads, a small vocabulary and narrow attention windows, and documents longer
than those windows are packed. Weights are drawn so that attention is sharp and the loss is near ln V: any
leak then changes a token's loss by much more than rounding does. Trade-off: a model whose configuration
cannot be made smaller in this way is not checked, and counts as one that does not pack.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import torch
from torch import nn

from openflan.models.implementation import parts_of, transformers_implementation

WINDOW = 16
"""Tokens of the narrowest attention window or chunk of a probe, at most."""

_LAYERS = (
    "num_hidden_layers",
    "num_layers",
    "n_layer",
    "n_layers",
    "num_decoder_layers",
    "encoder_layers",
    "decoder_layers",
)
_FEW_LAYERS = 4
_HEADS = (
    "num_attention_heads",
    "num_heads",
    "n_head",
    "n_heads",
    "encoder_attention_heads",
    "decoder_attention_heads",
)
_KEY_HEADS = ("num_key_value_heads", "num_kv_heads", "n_kv_heads")
_WIDTHS = ("hidden_size", "d_model", "n_embd", "dim")
_INNER = re.compile(r"\w*(intermediate|ffn|feed_forward|mlp_hidden)\w*|d_ff|n_inner|d_inner")
_NARROW = re.compile(r"\w*(window|chunk)\w*|local_attention|local_radius|block_size|floor_scale")
_NOT_NARROW = re.compile(r"\w*(layers|pattern|idx|ids?|factor)")
_DENSE_FIRST = (
    "first_k_dense_replace",
    "encoder_sparse_step",
    "decoder_sparse_step",
    "interleave_moe_layer_step",
    "global_attn_every_n_layers",
)
FAILURES = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""What a model raises over a configuration or a call that it does not take."""

_HEAD_SIZE = 64
_SCALINGS = 4
"""Scalings of a head at most: where logits are capped, one is not enough."""
_VOCABULARY = 256
_VOCABULARIES = re.compile(r"\w*vocab_size(_per_layer_input)?")
_EXPERTS = re.compile(r"(moe_)?(num|n)_(local_|routed_)?experts")
_FEW_EXPERTS = 16


def probe_of(model: Any, *, windows: bool = True, device: torch.device | None = None) -> Any:
    """A small random model of the class and configuration of `model`, on its device or on `device`, in
    evaluation mode and float32.

    `windows` False leaves attention windows as wide as they are. Raises whatever the class raises over a
    configuration that it does not take.
    """
    try:
        probe = _probe(model, windows=windows, head_size=_HEAD_SIZE)
    except FAILURES:
        # Some sizes that follow from a head's have names of their own.
        probe = _probe(model, windows=windows, head_size=None)
    probe = probe.to(device=device or next(model.parameters()).device, dtype=torch.float32).eval()
    _scale_head(probe)
    return probe


def _probe(model: Any, *, windows: bool, head_size: int | None) -> Any:
    config = copy.deepcopy(model.config)
    for part in parts_of(config):
        _shrink(part, windows=windows, head_size=head_size)
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    tied = head is None or head.weight is embeddings.weight
    if config.is_encoder_decoder:
        # In T5's kind the setting ties the encoder's and decoder's embeddings too; a head of its own is given
        # afterwards, as when weights are read.
        config.tie_word_embeddings = True
    with torch.random.fork_rng():
        torch.manual_seed(0)
        probe = type(model)(config)
    if not tied and probe.get_output_embeddings().weight is probe.get_input_embeddings().weight:
        probe.get_output_embeddings().weight = nn.Parameter(
            torch.empty_like(probe.get_input_embeddings().weight)
        )
    probe.config.tie_word_embeddings = tied
    implementation = model.config._attn_implementation
    probe.set_attn_implementation(
        implementation if implementation in ("eager", "sdpa") else transformers_implementation(model)
    )
    _spread(probe)
    if head_size is not None:
        probe(**_some_ids(probe), use_cache=False)
    return probe


def _shrink(config: Any, *, windows: bool, head_size: int | None = None) -> None:
    values = {name: value for name, value in vars(config).items() if not name.startswith("_")}
    _fewer_layers(config, values)
    _narrower(config, values, head_size)
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool):
            continue
        if _VOCABULARIES.fullmatch(name) and value > _VOCABULARY:
            setattr(config, name, _VOCABULARY)
        elif _EXPERTS.fullmatch(name) and value > _FEW_EXPERTS:
            setattr(config, name, _FEW_EXPERTS)
        elif name.endswith("_token_id") and value >= _VOCABULARY:
            setattr(config, name, 1)
        elif windows and _NARROW.fullmatch(name) and not _NOT_NARROW.fullmatch(name) and value > WINDOW:
            setattr(config, name, WINDOW)


def _fewer_layers(config: Any, values: dict[str, Any]) -> None:
    """Keeps the first layers, so many that each kind of layer is among them."""
    counts = {name: value for name in _LAYERS if isinstance(value := values.get(name), int)}
    if not counts:
        return
    dense = [value for name in _DENSE_FIRST if isinstance(value := values.get(name), int)]
    few = max([_FEW_LAYERS, *(value + 1 for value in dense)])
    indices = {
        name: value
        for name, value in values.items()
        if isinstance(value, list) and "layer" in name and _are_indices(value, max(counts.values()))
    }
    by_layer = {
        name: value
        for name, value in values.items()
        if isinstance(value, list)
        and name not in indices
        and len(value) in counts.values()
        and len(value) > 1
    }
    for kinds in by_layer.values():
        first_of_kind = {repr(kind): number for number, kind in reversed(list(enumerate(kinds)))}
        few = max(few, 1 + max(first_of_kind.values()))
    few = max([few, *(1 + value[0] for value in indices.values() if value)])
    for name, count in counts.items():
        setattr(config, name, min(count, few))
    for name, kinds in by_layer.items():
        setattr(config, name, kinds[:few])
    for name, value in indices.items():
        setattr(config, name, [index for index in value if index < few])


def _are_indices(values: list[Any], count: int) -> bool:
    """Whether a list names layers of `count` by their numbers, and does not say something of each."""
    return (
        all(type(value) is int for value in values)
        and sorted({*values}) == values
        and (not values or 0 <= values[0] <= values[-1] < count)
    )


def _narrower(config: Any, values: dict[str, Any], head_size: int | None) -> None:
    """Fewer heads, no larger than `head_size` (None: of the same size), and a width that follows."""
    heads = next((values[name] for name in _HEADS if isinstance(values.get(name), int)), None)
    width = next((values[name] for name in _WIDTHS if isinstance(values.get(name), int)), None)
    if not heads or not width:
        return
    size = width // heads
    if width % heads:
        size = stated if isinstance(stated := values.get("head_dim"), int) else size - size % 2
    key_heads = next((values[name] for name in _KEY_HEADS if isinstance(values.get(name), int)), heads)
    few_keys = min(key_heads, 2)
    few = heads if heads % key_heads else few_keys * min(heads // key_heads, 2)
    if head_size is not None and size > head_size:
        size = head_size
        if isinstance(values.get("head_dim"), int):
            config.head_dim = min(values["head_dim"], head_size)
    narrow = few * size
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool):
            continue
        if name in _HEADS:
            setattr(config, name, few)
        elif name in _KEY_HEADS:
            setattr(config, name, few_keys)
        elif name in _WIDTHS or (
            value == width and re.search(r"dim|size|width|hidden", name) and "vocab" not in name
        ):
            setattr(config, name, narrow)
        elif _INNER.fullmatch(name):
            setattr(config, name, min(value, 256 if name.startswith("moe_") else 2 * narrow))


@torch.no_grad()
def _spread(model: nn.Module) -> None:
    """Draws matrices with variance 1 / inputs, so that attention is sharp; norms stay near what they were, so
    that the loss stays near ln V."""
    generator = torch.Generator().manual_seed(11)
    channels = getattr(getattr(model, "config", None), "d_kv", None)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if "relative_attention_bias" in name:
            parameter.copy_(noise)
        elif parameter.ndim >= 2:
            # T5's kind does not scale scores; queries make up for it.
            scale = channels**-0.5 if channels and name.endswith(".q.weight") else 1.0
            parameter.copy_(noise * parameter.shape[-1] ** -0.5 * scale)
        elif parameter.is_floating_point():
            parameter.add_(0.1 * noise)


@torch.no_grad()
def _scale_head(probe: Any) -> None:
    """Scales the head where its logits are far apart, so that the loss is near ln V.

    A head that shares its matrix with the embeddings gets one of its own for that. Models whose forward needs
    more than ids stay as they are.
    """
    head, embeddings = probe.get_output_embeddings(), probe.get_input_embeddings()
    if head is None or getattr(head, "weight", None) is None:
        return
    for _ in range(_SCALINGS):
        try:
            spread = float(probe(**_some_ids(probe), use_cache=False).logits.float().std())
        except FAILURES:
            return
        if not 1.01 < spread < float("inf"):
            return
        if head.weight is embeddings.weight:
            head.weight = nn.Parameter(head.weight / spread)
        else:
            head.weight.div_(spread)


def _some_ids(probe: Any) -> dict[str, torch.Tensor]:
    weight = probe.get_input_embeddings().weight
    ids = torch.arange(3, 27, device=weight.device)[None] % weight.shape[0]
    return {"input_ids": ids} | ({"decoder_input_ids": ids} if probe.config.is_encoder_decoder else {})
