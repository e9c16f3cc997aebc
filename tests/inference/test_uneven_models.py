"""Evaluation of models that differ from what transformers or our decoding takes for granted: unequal stacks,
capped scores."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf

from openflan.inference.huggingface import HuggingFaceEngine
from openflan.inference.limits import evaluating
from openflan.inference.protocol import LikelihoodRequest, Request
from openflan.models.packed import packed_layout

ENDS = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
GEMMA = ENDS | {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "query_pre_attn_scalar": 1,
}


class Letters:
    """As much of a tokenizer as an engine asks for."""

    eos_token_id, pad_token_id, name_or_path, chat_template = 1, 0, "letters", None

    def __len__(self) -> int:
        return 61

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [3 + ord(letter) % 50 for letter in text]}

    def decode(self, ids: list[int], **_: Any) -> str:
        return " ".join(map(str, ids))


def _switch(encoder: int, decoder: int) -> Any:
    torch.manual_seed(3)
    sizes = {
        "vocab_size": 61,
        "d_model": 24,
        "d_kv": 8,
        "d_ff": 40,
        "num_heads": 3,
        "decoder_start_token_id": 0,
        "expert_capacity": 512,
    }
    stacks = {
        "num_layers": encoder,
        "num_decoder_layers": decoder,
        "num_sparse_encoder_layers": 1,
        "num_sparse_decoder_layers": 1,
    }
    config = hf.SwitchTransformersConfig(**sizes, **stacks, num_experts=4, pad_token_id=0, eos_token_id=1)
    model = hf.SwitchTransformersForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn_like(parameter) * parameter.shape[1] ** -0.5)
    return model


@torch.no_grad()
def _greedy(model: Any, ids: list[int], steps: int) -> list[int]:
    """Without a cache: the whole sequence is read again for every token."""
    made = [0]
    for _ in range(steps):
        logits = model(
            input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([made]), use_cache=False
        ).logits
        made.append(int(logits[0, -1].argmax()))
    return made[1:]


@pytest.mark.parametrize(("encoder", "decoder"), [(1, 3), (2, 5), (3, 1), (2, 2)])
def test_switch_with_unequal_stacks_generates(encoder: int, decoder: int) -> None:
    model = _switch(encoder, decoder)
    engine = HuggingFaceEngine.of(model, Letters())
    prompts = ["hello there", "hi"]
    answers = {
        index: answer.text for index, answer in engine.generate([Request(prompt, 6) for prompt in prompts])
    }
    for index, prompt in enumerate(prompts):
        expected = _greedy(model, engine.ids(prompt), 6)
        ended = expected[: expected.index(1)] if 1 in expected else expected
        assert answers[index] == " ".join(map(str, ended))


@pytest.mark.parametrize(
    ("kind", "config"),
    [(hf.Gemma2ForCausalLM, hf.Gemma2Config), (hf.VaultGemmaForCausalLM, hf.VaultGemmaConfig)],
)
def test_a_capped_model_in_training_is_evaluated_with_its_cap(kind: Any, config: Any) -> None:
    """transformers' `sdpa` has no cap on scores; a model that trained flat was evaluated with it, which it
    refuses."""

    def made(cap: float | None) -> Any:
        torch.manual_seed(5)
        model = kind(config(**GEMMA, attn_logit_softcapping=cap)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.copy_(torch.randn_like(parameter) * 3 * parameter.shape[1] ** -0.5)
        return model

    request = LikelihoodRequest("which one", (" this", " that"))
    model, plain = made(0.5), made(None)
    fresh = _scores(model, request)
    packed_layout(model, "flat")
    with evaluating(model):
        assert model.config._attn_implementation == "eager"
    assert _scores(model, request) == pytest.approx(fresh, rel=1e-5)
    # Negative control: the cap does change the scores.
    assert _scores(plain, request) != pytest.approx(fresh, rel=1e-2)


def _scores(model: Any, request: LikelihoodRequest) -> list[float]:
    engine = HuggingFaceEngine.of(model, Letters())
    ((_, scores),) = engine.loglikelihood([request])
    return list(scores.log_probabilities)
