"""Random models of stated sizes, the documents they are measured on, and the arithmetic that these need.

The lengths of documents are drawn like those of chain-of-thought rows: median 106 and 27 tokens, long tails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
import transformers as hf

from openflan.packing.encode import Encoded
from openflan.packing.pack import pack_windows

Family: TypeAlias = Literal["t5", "llama"]


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes of a configuration, and what one step trains on.

    `sizes` go to the configuration of the family. A step has `rows` packed sequences of `inputs` and
    `targets` tokens (together for a causal model), `micro` of them at a time. `prompts` are generated from at
    once, `new_tokens` each.
    """

    family: Family
    sizes: Mapping[str, Any]
    inputs: int
    targets: int
    rows: int
    micro: int
    prompts: int
    new_tokens: int


_T5 = {
    "vocab_size": 32128,
    "feed_forward_proj": "gated-gelu",
    "decoder_start_token_id": 0,
    "d_kv": 64,
    "dropout_rate": 0.1,
    "tie_word_embeddings": False,
}
_TINY_LLAMA = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
_LLAMA_135M = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}
_LLAMA_1B = {
    "vocab_size": 128256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}
_LLAMA_8B = {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
}
SHAPES: Mapping[str, ModelShape] = {
    "tiny-t5": ModelShape(
        "t5",
        _T5 | {"vocab_size": 512, "d_model": 64, "d_ff": 128, "num_layers": 2, "num_heads": 2},
        inputs=128,
        targets=32,
        rows=4,
        micro=2,
        prompts=4,
        new_tokens=4,
    ),
    "t5-small": ModelShape(
        "t5",
        _T5 | {"d_model": 512, "d_ff": 1024, "num_layers": 8, "num_heads": 6},
        inputs=512,
        targets=128,
        rows=4,
        micro=2,
        prompts=16,
        new_tokens=32,
    ),
    "t5-base": ModelShape(
        "t5",
        _T5 | {"d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12},
        inputs=1024,
        targets=256,
        rows=32,
        micro=16,
        prompts=64,
        new_tokens=64,
    ),
    "t5-xl": ModelShape(
        "t5",
        _T5 | {"d_model": 2048, "d_ff": 5120, "num_layers": 24, "num_heads": 32},
        inputs=1024,
        targets=256,
        rows=32,
        micro=8,
        prompts=64,
        new_tokens=64,
    ),
    "tiny-llama": ModelShape(
        "llama", _TINY_LLAMA, inputs=128, targets=32, rows=4, micro=2, prompts=4, new_tokens=4
    ),
    "llama-135m": ModelShape(
        "llama", _LLAMA_135M, inputs=768, targets=256, rows=4, micro=2, prompts=16, new_tokens=32
    ),
    "llama-1b": ModelShape(
        "llama", _LLAMA_1B, inputs=1536, targets=512, rows=16, micro=4, prompts=64, new_tokens=64
    ),
    "llama-8b": ModelShape(
        "llama", _LLAMA_8B, inputs=1536, targets=512, rows=8, micro=2, prompts=64, new_tokens=64
    ),
}
"""Shapes by name: those of T5 v1.1, of SmolLM2 (135 million), and of Llama 3 (1 and 8 billion)."""


def model_of(shape: ModelShape) -> Any:
    """A model with random weights, in training mode, on torch's default device."""
    torch.manual_seed(0)
    if shape.family == "llama":
        return hf.LlamaForCausalLM(hf.LlamaConfig(**shape.sizes, pad_token_id=0)).train()
    model = hf.T5ForConditionalGeneration(hf.T5Config(**shape.sizes))
    # transformers ties a fresh T5 whatever its configuration says.
    model.lm_head.weight = torch.nn.Parameter(
        torch.randn_like(model.shared.weight) * shape.sizes["d_model"] ** -0.5
    )
    return model.train()


def packed_documents(shape: ModelShape) -> list[list[Encoded]]:
    """Documents of random tokens packed to capacity, as many rows as the shape has."""
    random = np.random.default_rng(0)
    count = shape.rows * 16
    inputs = np.clip(np.exp(random.normal(np.log(106), 1.0, count)), 8, shape.inputs).astype(int)
    targets = np.clip(np.exp(random.normal(np.log(27), 0.75, count)), 2, shape.targets).astype(int)
    both = np.stack([inputs, targets], axis=1)
    if shape.family == "llama":
        lengths, room = both.sum(1, keepdims=True) * [1, 0], (shape.inputs + shape.targets, 0)
    else:
        lengths, room = both, (shape.inputs, shape.targets)
    vocabulary = shape.sizes["vocab_size"]
    return [
        [
            Encoded(*(random.integers(3, vocabulary, size).astype(np.int32) for size in both[item]))
            for item in row
        ]
        for row in pack_windows([lengths], room)[0].sequences()[: shape.rows]
    ]


def flops_of(shape: ModelShape, model: Any, documents: Sequence[Encoded]) -> float:
    """The floating-point operations that a step over these documents needs, forward and backward.

    They are what the model needs, not what an arm computes: six for each weight (but embeddings) and token
    that passes it, twelve for each pair of tokens and channel within a document. Padding and recomputation
    are no work done. The model may be on torch's meta device.
    """
    lengths = np.array([(len(one.input_ids), len(one.target_ids)) for one in documents], dtype=np.float64)
    embeddings = model.get_input_embeddings().weight
    sizes = {name: weight.numel() for name, weight in model.named_parameters() if weight is not embeddings}
    if shape.family == "llama":
        # Logits are of targets only, by the embeddings or a head of its own.
        head = model.get_output_embeddings().weight
        layers = sum(size for name, size in sizes.items() if not name.startswith("lm_head."))
        # Of a causal document half the square is needed.
        pairs = (lengths.sum(1) ** 2).sum() / 2
        width = model.config.num_attention_heads * model.config.head_dim
        return float(
            6 * (lengths.sum() * layers + lengths[:, 1].sum() * head.numel())
            + 12 * pairs * width * model.config.num_hidden_layers
        )
    inside = sum(size for name, size in sizes.items() if name.startswith("encoder."))
    # Keys and values of the decoder's attention to the encoder are made of input tokens.
    crossing = sum(
        size for name, size in sizes.items() if ".EncDecAttention.k." in name or ".EncDecAttention.v." in name
    )
    rest = sum(sizes.values()) - inside - crossing
    width = shape.sizes["d_kv"] * shape.sizes["num_heads"]
    pairs = (
        (lengths[:, 0] ** 2).sum() + (lengths[:, 1] ** 2).sum() / 2 + (lengths[:, 0] * lengths[:, 1]).sum()
    )
    return float(
        6 * (lengths[:, 0].sum() * (inside + crossing) + lengths[:, 1].sum() * rest)
        + 12 * pairs * width * shape.sizes["num_layers"]
    )
