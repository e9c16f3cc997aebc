"""What training a model will take: memory and time, before any weight is loaded.

Plain arithmetic over a configuration's shape, by formulas that are complete here, so that a person can check
them. They are estimates: allocators round up, kernels keep workspace, and the share of a device's peak that a
model reaches is an assumption of the caller. `ASSUMPTIONS`, which is printed with an estimate, says what is
not counted.

Symbols of the formulas: d width, a heads times head size, k key and value heads times head size, f
feed-forward size, V vocabulary, all per token.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from openflan.errors import InputError, did_you_mean


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator: its peak dense bfloat16 rate in TFLOP/s without sparsity, and its memory in bytes as
    the maker counts them (None: not known)."""

    name: str
    tflops: float
    memory: int | None


DEVICES: Mapping[str, Device] = {
    "a100": Device("A100 SXM 80 GB", 312.0, 80 * 10**9),
    "h100": Device("H100 SXM 80 GB", 989.0, 80 * 10**9),
    "h200": Device("H200 SXM 141 GB", 989.0, 141 * 10**9),
    # A measured matrix-multiply rate in float32 of one server core, as no peak is common to all processors.
    "cpu": Device("one CPU core", 0.1, None),
}
"""Peaks as NVIDIA's data sheets state them, dense; the sheets' headline figures with sparsity are twice as
high."""

ASSUMPTIONS = (
    "weights, gradients and the optimiser's statistics in the recipe's formats, a copy on every device",
    "activations of one micro-batch with all rows full; logits at targets only, once",
    "attention keeps no score matrix; a dense mask adds `attention_scores`",
    (
        "not counted: allocator overhead, workspace, dropout masks, the optimiser's temporary copies of "
        "a matrix, communication"
    ),
)


MFU = 0.4
"""The default for the share of a device's peak that training reaches."""


BF16_PEAK = (
    "the peak is that of bfloat16; the recipe computes in float32, where an accelerator is several "
    "times slower"
)


@dataclass(frozen=True, slots=True)
class Hardware:
    """The devices that an estimate of time is for, and the share `mfu` of their peak that is reached.
    Without a device there is no estimate of time."""

    device: Device | None = None
    devices: int = 1
    mfu: float = MFU


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that a model's cost depends on.

    `layers` are those of the decoder, or of a causal model; `encoder_layers` is 0 for the latter. `attention`
    is heads times head size, `key_values` the same of the heads that keys and values have.
    `feed_forward_kept` counts the tensors of feed-forward size that the backward pass reads: 2 plain, 4
    gated, 7 gated under the tanh form of GELU (T5 v1.1), which PyTorch computes step by step. `tensors` are
    the sizes of all parameters, tied ones once; `trained` those of the parameters that are not frozen (None:
    all). `adapter_outputs` is, summed over the matrices that have an adapter, its rank (0: no adapter).
    """

    seq2seq: bool
    encoder_layers: int
    layers: int
    width: int
    heads: int
    attention: int
    key_values: int
    feed_forward: int
    feed_forward_kept: int
    vocabulary: int
    tensors: tuple[tuple[int, ...], ...]
    trained: tuple[tuple[int, ...], ...] | None = None
    adapter_outputs: int = 0

    @property
    def parameters(self) -> int:
        """The number of all parameters."""
        return sum(math.prod(size) for size in self.tensors)

    @property
    def trained_tensors(self) -> tuple[tuple[int, ...], ...]:
        """The sizes of the parameters that are trained."""
        return self.tensors if self.trained is None else self.trained

    @property
    def trained_parameters(self) -> int:
        """The number of parameters that are trained."""
        return sum(math.prod(size) for size in self.trained_tensors)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one device. Where attention is dense, `attention_scores` are added to the total."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    attention_scores: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations + self.logits

    def values(self) -> dict[str, int]:
        return {
            "weights": self.weights,
            "gradients": self.gradients,
            "optimizer": self.optimizer,
            "activations": self.activations,
            "logits": self.logits,
            "total": self.total,
            "attention_scores": self.attention_scores,
        }


def device_named(name: str) -> Device:
    """Raises InputError with the nearest name."""
    try:
        return DEVICES[name.lower()]
    except KeyError:
        raise InputError(
            f"`{name}` is not a device{did_you_mean(name, DEVICES) or '.'} Known: {', '.join(DEVICES)}; "
            "for another device give --device-tflops"
        ) from None


def shape_of_model(model: Any, frozen: Container[str] = (), adapter_outputs: int = 0) -> Shape:
    """The shape of a model, whose parameters may be on torch's meta device. `frozen` are the names of
    parameters that are not trained, `adapter_outputs` as in `Shape`."""
    config = model.config
    seq2seq = bool(config.is_encoder_decoder)
    heads = int(_first(config, "num_attention_heads", "decoder_attention_heads", "num_heads", default=1))
    vocabulary, embedded = model.get_input_embeddings().weight.shape
    width = int(_first(config, "hidden_size", "d_model", default=embedded))
    size = int(_first(config, "d_kv", "head_dim", default=width // heads))
    layers = int(_first(config, "num_decoder_layers", "decoder_layers", "num_hidden_layers", default=0))
    names = [name for name, _ in model.named_parameters()]
    return Shape(
        seq2seq=seq2seq,
        encoder_layers=int(_first(config, "num_layers", "encoder_layers", "num_hidden_layers", default=0))
        if seq2seq
        else 0,
        layers=layers,
        width=width,
        heads=heads,
        attention=heads * size,
        key_values=int(_first(config, "num_key_value_heads", default=heads)) * size,
        feed_forward=int(
            _first(config, "intermediate_size", "d_ff", "decoder_ffn_dim", "n_inner", default=4 * width)
        ),
        feed_forward_kept=_kept(
            names, str(_first(config, "dense_act_fn", "hidden_act", "activation_function", default=""))
        ),
        vocabulary=int(vocabulary),
        tensors=tuple(tuple(parameter.shape) for parameter in model.parameters()),
        trained=tuple(tuple(value.shape) for name, value in model.named_parameters() if name not in frozen),
        adapter_outputs=adapter_outputs,
    )


def memory(
    shape: Shape,
    *,
    rows: int,
    inputs: int,
    targets: int,
    precision: str,
    optimizer_bytes: int,
    weights: str = "float32",
    recomputed: bool = False,
) -> Memory:
    """Bytes for a micro-batch of `rows` full sequences of `inputs` and `targets` tokens.

    `optimizer_bytes` is what the optimiser keeps. `precision` bf16 is autocast: weights and the residual
    stream stay float32, a bfloat16 copy of every matrix lives as long as its forward and backward. With
    `weights` bf16 there are no copies, the residual stream is bfloat16, and weights and gradients have 2
    bytes; those of an adapter have 4. `recomputed` (activation checkpointing): only what goes into each layer
    is kept, and all of one layer at a time. Logits are those of every target place, once, in float32.
    """
    size = 2 if precision == "bf16" else 4
    held = 2 if weights == "bf16" else 4
    held_trained = 4 if shape.adapter_outputs else held
    frozen = shape.parameters - shape.trained_parameters
    matrices = shape.tensors if held == 4 else shape.trained_tensors if shape.adapter_outputs else ()
    copies = 2 * sum(math.prod(tensor) for tensor in matrices if len(tensor) > 1) if size == 2 else 0
    own, other = rows * inputs, rows * targets
    if shape.seq2seq:
        # Keys and values of the encoder's output are made by every decoder layer.
        encoder = own * _block(shape, size, held)
        decoder = (
            other * (_block(shape, size, held) + _cross(shape, size, held))
            + own * 2 * shape.key_values * size
        )
        kept = shape.encoder_layers * encoder + shape.layers * decoder
        entering, layer = shape.encoder_layers * own + shape.layers * other, max(encoder, decoder)
        scores = shape.encoder_layers * inputs**2 + shape.layers * (targets**2 + targets * inputs)
        through_adapters = (own + other) // 2
    else:
        layer = (own + other) * _block(shape, size, held)
        kept, entering = shape.layers * layer, shape.layers * (own + other)
        scores = shape.layers * (inputs + targets) ** 2
        through_adapters = own + other
    kept += size * shape.adapter_outputs * through_adapters
    return Memory(
        weights=held * frozen + held_trained * shape.trained_parameters + copies,
        gradients=held_trained * shape.trained_parameters,
        optimizer=optimizer_bytes,
        activations=held * shape.width * entering + layer if recomputed else kept,
        logits=4 * other * shape.vocabulary,
        attention_scores=rows * shape.heads * scores * size,
    )


def _block(shape: Shape, size: int, held: int) -> int:
    """Bytes that self-attention and feed-forward of one layer keep of a token for the backward pass.

    Each of the two keeps its normalisation's input in float32, its output as the residual stream holds it
    (`held`), and the output again as the matrices read it (2 x (4 + held + size) d); attention keeps queries,
    keys, values and its result, as read by the output matrix (3 a + 2 k); the feed-forward keeps what goes
    into and comes out of its activation, where gated also the gate and the product (`feed_forward_kept` f).
    """
    attention = (3 * shape.attention + 2 * shape.key_values) * size
    return 2 * _norm(shape, size, held) + attention + shape.feed_forward_kept * shape.feed_forward * size


def _kept(names: Iterable[str], activation: str) -> int:
    gated = any("gate_proj" in name or "gate_up_proj" in name or ".wi_1." in name for name in names)
    return (7 if activation == "gelu_new" else 4) if gated else 2


def _cross(shape: Shape, size: int, held: int) -> int:
    """Bytes that attention to the encoder keeps of a target token, without keys and values."""
    return _norm(shape, size, held) + 3 * shape.attention * size


def _norm(shape: Shape, size: int, held: int) -> int:
    return shape.width * (4 + held + size)


def _first(config: Any, *names: str, default: Any = None) -> Any:
    """The value of the first name that is set in a configuration, else `default`."""
    return next((value for name in names if (value := getattr(config, name, None)) is not None), default)
