"""Tiny models of the families that pack flat, and of one that does not; examples in packed sequences."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
import transformers as hf

from openflan.models.staged import Attending
from openflan.packing.encode import Encoded

VOCABULARY, PAD, EOS = 61, 0, 1

T5 = {
    "vocab_size": VOCABULARY,
    "d_model": 24,
    "d_kv": 8,
    "d_ff": 40,
    "num_layers": 2,
    "num_heads": 3,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 12,
    "dropout_rate": 0.1,
    "pad_token_id": PAD,
    "eos_token_id": EOS,
    "decoder_start_token_id": PAD,
}
CAUSAL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": PAD,
    "bos_token_id": 2,
    "eos_token_id": EOS,
}
NARROW = {"sliding_window": 6, "head_dim": 8}


def spread(model: Any) -> Any:
    """Attention sharp enough for a leak to show, and a head that leaves the loss near ln V."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "relative_attention_bias" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            elif parameter.ndim >= 2:
                parameter.copy_(
                    torch.randn(parameter.shape, generator=generator) * parameter.shape[-1] ** -0.5
                )
            elif parameter.ndim == 1:
                parameter.copy_(
                    (0 if "bias" in name or "gemma" in model.config.model_type else 1)
                    + 0.1 * torch.randn(parameter.shape, generator=generator)
                )
    return model.eval()


def untied(kind: Any, config: Any) -> Any:
    model = kind(config)
    model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.shared.weight))
    config.tie_word_embeddings = False
    model = spread(model)
    with torch.no_grad():
        model.lm_head.weight.mul_(0.5)
    assert model.lm_head.weight is not model.shared.weight
    return model


def t5gemma(window: int = 6, **more: Any) -> Any:
    """The first layers of both sides have a window, the second have none."""
    side = {name: value for name, value in CAUSAL.items() if name != "max_position_embeddings"} | {
        "head_dim": 8,
        "query_pre_attn_scalar": 8,
        "sliding_window": window,
        "layer_types": ["sliding_attention", "full_attention"],
    }
    sides = {
        "encoder": hf.T5GemmaModuleConfig(**side),
        "decoder": hf.T5GemmaModuleConfig(**side, is_decoder=True, cross_attention_hidden_size=32),
    }
    ends = {"pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": 2}
    return spread(
        hf.T5GemmaForConditionalGeneration(hf.T5GemmaConfig(**sides, vocab_size=VOCABULARY, **ends, **more))
    )


def t5gemma2_settings(window: int = 6, **more: Any) -> dict[str, Any]:
    """The settings of a tiny T5Gemma 2, which has a vision tower too."""
    side = CAUSAL | {
        "head_dim": 8,
        "query_pre_attn_scalar": 8,
        "sliding_window": window,
        "layer_types": ["sliding_attention", "full_attention"],
    }
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "image_size": 8,
        "patch_size": 4,
    }
    encoder = {
        "text_config": side | {"model_type": "t5gemma2_text"},
        "vision_config": vision,
        "mm_tokens_per_image": 1,
    }
    return {"encoder": encoder, "decoder": side | {"model_type": "t5gemma2_decoder"}} | more


def t5gemma2(window: int = 6) -> Any:
    return spread(hf.T5Gemma2ForConditionalGeneration(hf.T5Gemma2Config(**t5gemma2_settings(window))))


def bart(kind: Any = hf.BartForConditionalGeneration, config: Any = hf.BartConfig) -> Any:
    """Or a relative: positions are counted along the sequence."""
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in {"layers": 2, "attention_heads": 2, "ffn_dim": 16}.items()
    }
    ends = {"pad_token_id": PAD, "bos_token_id": 2, "eos_token_id": EOS, "decoder_start_token_id": EOS}
    return spread(
        kind(
            config(
                vocab_size=VOCABULARY,
                d_model=16,
                max_position_embeddings=64,
                forced_eos_token_id=EOS,
                **sides,
                **ends,
            )
        )
    )


def switch() -> Any:
    roomy = {
        "num_experts": 4,
        "expert_capacity": 512,
        "num_sparse_encoder_layers": 1,
        "num_sparse_decoder_layers": 1,
        "router_jitter_noise": 0.0,
    }
    return spread(hf.SwitchTransformersForConditionalGeneration(hf.SwitchTransformersConfig(**T5, **roomy)))


def cohere() -> Any:
    return spread(hf.CohereForCausalLM(hf.CohereConfig(**CAUSAL, logit_scale=1.0)))


OURS: dict[str, Callable[[], Any]] = {
    "tied T5": lambda: spread(hf.T5ForConditionalGeneration(hf.T5Config(**T5))),
    "untied gated T5": lambda: untied(
        hf.T5ForConditionalGeneration,
        hf.T5Config(**T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    ),
    "deep decoder T5": lambda: spread(
        hf.T5ForConditionalGeneration(hf.T5Config(**T5, num_decoder_layers=3, feed_forward_proj="gated-silu"))
    ),
    "mT5": lambda: untied(hf.MT5ForConditionalGeneration, hf.MT5Config(**T5)),
    "umT5": lambda: untied(hf.UMT5ForConditionalGeneration, hf.UMT5Config(**T5)),
    "tied umT5": lambda: spread(hf.UMT5ForConditionalGeneration(hf.UMT5Config(**T5))),
}
DECODERS: dict[str, Callable[[], Any]] = {
    "Llama": lambda: spread(hf.LlamaForCausalLM(hf.LlamaConfig(**CAUSAL, attention_dropout=0.1))),
    "Qwen2": lambda: spread(hf.Qwen2ForCausalLM(hf.Qwen2Config(**CAUSAL))),
    "Qwen3": lambda: spread(hf.Qwen3ForCausalLM(hf.Qwen3Config(**CAUSAL, head_dim=8))),
    "Gemma": lambda: spread(hf.GemmaForCausalLM(hf.GemmaConfig(**CAUSAL, head_dim=8))),
    "Gemma2": lambda: spread(
        hf.Gemma2ForCausalLM(hf.Gemma2Config(**CAUSAL, **NARROW, attn_implementation="eager"))
    ),
    "Gemma3": lambda: spread(hf.Gemma3ForCausalLM(hf.Gemma3TextConfig(**CAUSAL, **NARROW))),
    "Cohere": cohere,
    "OLMo2": lambda: spread(hf.Olmo2ForCausalLM(hf.Olmo2Config(**CAUSAL))),
    "GPT-NeoX": lambda: spread(
        hf.GPTNeoXForCausalLM(
            hf.GPTNeoXConfig(**{k: v for k, v in CAUSAL.items() if k != "num_key_value_heads"})
        )
    ),
}
SEQ2SEQ: dict[str, Callable[[], Any]] = {"T5Gemma": t5gemma, "T5Gemma 2": t5gemma2, "BART": bart}
OTHERS: dict[str, Callable[[], Any]] = {"Switch": switch}
FLAT = OURS | DECODERS | SEQ2SEQ
ALL = FLAT | OTHERS
ATTENDING: tuple[Attending, ...] = ("documents", "buckets")


@cache
def shared_model(name: str) -> Any:
    return ALL[name]()


def random_sequences(seed: int, lengths: list[list[tuple[int, int]]]) -> list[list[Encoded]]:
    random = np.random.default_rng(seed)

    def ids(size: int) -> Any:
        return np.append(random.integers(3, VOCABULARY, size=size - 1), EOS).astype(np.int32)

    return [[Encoded(ids(inputs), ids(targets)) for inputs, targets in row] for row in lengths]


SOME = random_sequences(0, [[(9, 4), (14, 7), (3, 2)], [(1, 1), (20, 12)], [(6, 3), (9, 4)]])
