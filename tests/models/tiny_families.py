"""Tiny random models of families that transformers has, by name: what each needs beside the sizes that all
share."""

from __future__ import annotations

from typing import Any

import torch
import transformers as hf

SHARED = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
}
_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8}

CARRYING: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "LFM2": (
        hf.Lfm2ForCausalLM,
        hf.Lfm2Config,
        {"layer_types": ["conv", "full_attention", "conv", "full_attention"]},
    ),
    "Qwen3-Next": (
        hf.Qwen3NextForCausalLM,
        hf.Qwen3NextConfig,
        {
            "head_dim": 8,
            "linear_num_value_heads": 4,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        }
        | {
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
            "num_experts": 4,
            "num_experts_per_tok": 2,
        },
    ),
    "GraniteMoeHybrid": (
        hf.GraniteMoeHybridForCausalLM,
        hf.GraniteMoeHybridConfig,
        _MAMBA
        | {
            "layer_types": ["mamba", "attention"] * 2,
            "num_local_experts": 2,
            "num_experts_per_tok": 1,
            "shared_intermediate_size": 16,
        },
    ),
    "Falcon-H1": (hf.FalconH1ForCausalLM, hf.FalconH1Config, _MAMBA | {"mamba_d_ssm": 64, "head_dim": 8}),
    "Bamba": (hf.BambaForCausalLM, hf.BambaConfig, _MAMBA | {"attn_layer_indices": [1, 3]}),
    "Jamba": (
        hf.JambaForCausalLM,
        hf.JambaConfig,
        {
            "attn_layer_offset": 1,
            "attn_layer_period": 2,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "num_experts": 2,
        }
        | {"use_mamba_kernels": False, "mamba_d_state": 4, "mamba_dt_rank": 4},
    ),
    "Mamba": (hf.MambaForCausalLM, hf.MambaConfig, {"state_size": 4}),
    "RecurrentGemma": (
        hf.RecurrentGemmaForCausalLM,
        hf.RecurrentGemmaConfig,
        {"lru_width": 32, "attention_window_size": 16},
    ),
    "MiniMax": (
        hf.MiniMaxForCausalLM,
        hf.MiniMaxConfig,
        {"head_dim": 8, "num_local_experts": 2, "layer_types": ["linear_attention", "full_attention"] * 2},
    ),
}
"""Families with layers that carry state from token to token."""

FLAT: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "GPT-2": (hf.GPT2LMHeadModel, hf.GPT2Config, {"n_inner": 48}),
    "Mistral": (hf.MistralForCausalLM, hf.MistralConfig, {"sliding_window": 4096}),
    "Mixtral": (hf.MixtralForCausalLM, hf.MixtralConfig, {"num_local_experts": 4}),
    "Qwen3": (hf.Qwen3ForCausalLM, hf.Qwen3Config, {"head_dim": 8}),
    "Gemma 2": (
        hf.Gemma2ForCausalLM,
        hf.Gemma2Config,
        {"head_dim": 8, "sliding_window": 4096, "attn_logit_softcapping": 3.0},
    ),
    "Gemma 3": (
        hf.Gemma3ForCausalLM,
        hf.Gemma3TextConfig,
        {"head_dim": 8, "sliding_window": 512, "num_hidden_layers": 7},
    ),
    "Exaone 4": (hf.Exaone4ForCausalLM, hf.Exaone4Config, {"sliding_window": 4096}),
    "SmolLM3": (hf.SmolLM3ForCausalLM, hf.SmolLM3Config, {}),
    "Llama 4": (
        hf.Llama4ForCausalLM,
        hf.Llama4TextConfig,
        {
            "head_dim": 8,
            "attention_chunk_size": 8192,
            "num_local_experts": 2,
            "intermediate_size_mlp": 48,
            "interleave_moe_layer_step": 2,
        },
    ),
    "gpt-oss": (
        hf.GptOssForCausalLM,
        hf.GptOssConfig,
        {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
}
"""Families that pack flat. Windows and chunks are wider than any document here, as in public models."""

NOT_FLAT: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "GPT-Neo": (
        hf.GPTNeoForCausalLM,
        hf.GPTNeoConfig,
        {"num_layers": 4, "num_heads": 4, "attention_types": [[["global", "local"], 2]], "window_size": 64},
        "dense",
    ),
}
"""Families that do not, and what they get instead: an attention function of their own."""


def tiny(entry: tuple[Any, ...]) -> Any:
    kind, config, more = entry[:3]
    torch.manual_seed(0)
    return kind(config(**(SHARED | more))).eval()
