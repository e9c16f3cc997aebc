"""Tiny random models with a tokenizer of one token a character, saved as Hugging Face folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

PAD, EOS, BOS = 0, 1, 2


def save_tokenizer(folder: Path, *, pad: bool, eos: bool = True) -> None:
    """One token a character of printable ASCII, so that any answer can be read and cut anywhere."""
    letters = [chr(code) for code in range(32, 127)]
    vocabulary = {"<pad>": PAD, "</s>": EOS, "<s>": BOS} | {
        letter: index + 3 for index, letter in enumerate(letters)
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    if not pad:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", BOS)]
        )
    names = {"pad_token": "<pad>"} if pad else {"bos_token": "<s>"}
    if eos:
        names["eos_token"] = "</s>"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


def sharpened(model: Any) -> Any:
    """Larger random weights: outputs that vary with the prompt, so that agreement between batches proves
    something."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                scale = 1.0 if "embed" in name or "shared" in name or "lm_head" in name else 0.35
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return model


def t5(folder: Path, *, untied: bool = False) -> Path:
    config = T5Config(
        vocab_size=98,
        d_model=24,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=3,
        n_positions=16,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=PAD,
    )
    model = T5ForConditionalGeneration(config)
    if untied:
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.shared.weight))
        model.config.tie_word_embeddings = model.config.scale_decoder_outputs = False
    sharpened(model).save_pretrained(folder)
    save_tokenizer(folder, pad=True)
    return folder


def llama(folder: Path, *, eos: int | None = EOS) -> Path:
    config = LlamaConfig(
        vocab_size=98,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=96,
        pad_token_id=None,
        eos_token_id=eos,
        bos_token_id=BOS,
    )
    sharpened(LlamaForCausalLM(config)).save_pretrained(folder)
    save_tokenizer(folder, pad=False, eos=eos is not None)
    return folder


def causal(folder: Path, kind: str, **settings: Any) -> Path:
    """A causal model of another architecture."""
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
    }
    if kind == "gpt2":
        sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 160}
    if kind == "bloom":
        sizes = {"hidden_size": 32, "n_layer": 2, "n_head": 4}
    config = AutoConfig.for_model(
        kind, vocab_size=98, eos_token_id=EOS, bos_token_id=BOS, pad_token_id=PAD, **(sizes | settings)
    )
    sharpened(AutoModelForCausalLM.from_config(config)).save_pretrained(folder)
    save_tokenizer(folder, pad=False)
    return folder
