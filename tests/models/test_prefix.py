"""Prefix-LM: packed rows equal examples alone, who sees whom by perturbation, prompts read for generation
equal full recomputation."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_losses import packed_losses

from openflan.errors import InputError
from openflan.models.causal import transformers_attention
from openflan.models.folder import attention_of
from openflan.models.load_model import load_pretrained, save_pretrained
from openflan.models.packed import LossOptions, packed_layout
from openflan.models.packing_check import check_packing
from openflan.models.prefix import attention_of_model, prefix_cache, prefix_forward, state_attention
from openflan.packing.encode import Encoded

VOCABULARY = 61
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
}
MADE = {
    "PaLM": lambda: hf.CohereForCausalLM(
        hf.CohereConfig(**SIZES, num_key_value_heads=1, logit_scale=32**-0.5)
    ),
    "Llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**SIZES, num_key_value_heads=2)),
    "Gemma2": lambda: hf.Gemma2ForCausalLM(
        hf.Gemma2Config(
            **SIZES, num_key_value_heads=2, head_dim=8, sliding_window=64, attn_implementation="eager"
        )
    ),
    "GPT-NeoX": lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**SIZES)),
}


@cache
def model(name: str) -> Any:
    torch.manual_seed(0)
    made = MADE[name]().eval()
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim == 2:
                weight.normal_(std=weight.shape[1] ** -0.5)
    return made


def row(seed: int, *lengths: tuple[int, int]) -> list[list[Encoded]]:
    random = np.random.default_rng(seed)
    return [
        [
            Encoded(*(random.integers(3, VOCABULARY, size=size).astype(np.int32) for size in pair))
            for pair in lengths
        ]
    ]


def visible(inputs: int, length: int) -> torch.Tensor:
    """A prefix-LM's mask: key k is seen by query q if it is no later, or if both are inputs."""
    return torch.tensor(
        [
            [key <= query or (key < inputs and query < inputs) for key in range(length)]
            for query in range(length)
        ]
    )


@torch.no_grad()
def logits_alone(made: Any, ids: torch.Tensor, inputs: int) -> torch.Tensor:
    """(positions, V) by transformers' own attention under a mask."""
    seen = visible(inputs, len(ids))
    mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    return made(input_ids=ids[None], attention_mask=mask[None, None]).logits[0]


def joined(example: Encoded) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([example.input_ids, example.target_ids]).astype(np.int64))


@torch.no_grad()
def compare(name: str, packed: list[list[Encoded]], **options: int) -> None:
    made = model(name)
    losses, documents = packed_losses(made, packed, prefix=True, **options)
    for index, example in enumerate((one for many in packed for one in many), 1):
        alone = logits_alone(made, joined(example), len(example.input_ids))[len(example.input_ids) - 1 : -1]
        expected = torch.nn.functional.cross_entropy(
            alone, torch.from_numpy(example.target_ids.astype(np.int64)), reduction="none"
        )
        assert (losses[documents == index] - expected).abs().max() <= 1e-5 * max(1.0, float(expected.max()))


@pytest.mark.parametrize("name", MADE)
def test_a_packed_row_equals_its_examples_alone(name: str) -> None:
    compare(name, row(1, (9, 4), (14, 7), (3, 2), (1, 1)))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    lengths=st.lists(st.tuples(st.integers(1, 25), st.integers(1, 12)), min_size=1, max_size=5),
    chunk=st.sampled_from([0, 3]),
)
def test_whatever_the_lengths(seed: int, lengths: list[tuple[int, int]], chunk: int) -> None:
    compare("PaLM", row(seed, *lengths), chunk=chunk)


def seen_by(name: str, *, prefix: bool) -> np.ndarray:
    """Which position's hidden states (query) change when a position's embedding (key) does, in the second of
    two packed examples of 6 inputs, 4 targets.

    The first example, of as many, shares the matrix's rows and columns 0 to 9.
    """
    made = model(name)
    states: list[torch.Tensor] = []
    layout = packed_layout(made, "flat", LossOptions(prefix=prefix))
    hook = made.base_model.register_forward_hook(
        lambda module, inputs, output: states.append(output.last_hidden_state[0])
    )
    try:
        plain = row(3, (6, 4), (6, 4))
        with torch.no_grad():
            for key in [None, *range(20)]:
                ids = [joined(example).clone() for example in plain[0]]
                if key is not None:
                    ids[key // 10][key % 10] = 3 + (int(ids[key // 10][key % 10]) - 2) % (VOCABULARY - 3)
                changed = [
                    [
                        Encoded(item[:6].numpy().astype(np.int32), item[6:].numpy().astype(np.int32))
                        for item in ids
                    ]
                ]
                layout.losses(layout.batch(changed))
    finally:
        hook.remove()
        layout.restore()
    return np.stack([((after - states[0]).abs().amax(-1) > 1e-7).numpy() for after in states[1:]], axis=1)


@pytest.mark.parametrize("prefix", [True, False])
def test_inputs_see_later_inputs_and_no_target_sees_later_ones(prefix: bool) -> None:
    visible_keys = visible(6 if prefix else 0, 10).numpy()
    expected = np.block(
        [[visible_keys, np.zeros_like(visible_keys)], [np.zeros_like(visible_keys), visible_keys]]
    )
    assert (seen_by("Llama", prefix=prefix) == expected).all()


def test_what_only_pads_or_has_an_encoder_is_refused() -> None:
    t5 = hf.T5ForConditionalGeneration(
        hf.T5Config(
            vocab_size=40, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
        )
    )
    with pytest.raises(
        InputError,
        match=r"type t5 cannot have `model.attention: prefix`, which is for causal models that pack flat",
    ):
        check_packing(t5, "flat", prefix=True)
    with pytest.raises(InputError, match="causal models that pack flat"):
        check_packing(model("Llama"), "dense", prefix=True)
    # Its biases are by distance to earlier keys, within its own forward.
    bloom = hf.BloomForCausalLM(hf.BloomConfig(vocab_size=40, hidden_size=16, n_layer=2, n_head=2))
    with pytest.raises(InputError, match="type bloom cannot be packed"):
        check_packing(bloom, "flat", prefix=True)


@pytest.mark.parametrize("name", MADE)
def test_known_families_pass_the_check(name: str) -> None:
    check_packing(model(name), "flat", prefix=True)


def test_a_model_whose_inputs_stay_blind_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made = model("Llama")
    forward = made.forward
    monkeypatch.setattr(
        made, "forward", lambda *, attention_mask=None, **rest: forward(attention_mask=None, **rest)
    )
    with pytest.raises(InputError, match="its inputs do not see one another, whatever the mask"):
        check_packing(made, "flat", prefix=True)


PROMPTS = ((9, 4), (2, 4), (5, 4), (9, 4))


def padded(prompts: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    lengths = [len(ids) for ids in prompts]
    ids, mask = (torch.zeros(len(prompts), max(lengths), dtype=torch.long) for _ in range(2))
    for index, prompt in enumerate(prompts):
        ids[index, -len(prompt) :], mask[index, -len(prompt) :] = prompt, 1
    return ids, mask, lengths


def grown(made: Any, prompt: torch.Tensor, steps: int) -> list[int]:
    """Greedy tokens, the whole read anew at every step."""
    ids = prompt
    for _ in range(steps):
        ids = torch.cat([ids, logits_alone(made, ids, len(prompt))[-1:].argmax(-1)])
    return ids[len(prompt) :].tolist()


@pytest.mark.parametrize("name", MADE)
def test_prompts_read_at_once_give_what_each_gives_alone(name: str) -> None:
    made = model(name)
    prompts = [joined(example)[: len(example.input_ids)] for example in row(8, *PROMPTS)[0]]
    ids, _, lengths = padded(prompts)
    logits, cache = prefix_forward(made, ids, lengths)
    assert cache.get_seq_length() == ids.shape[1]
    for index, prompt in enumerate(prompts):
        expected = logits_alone(made, prompt, len(prompt))[-1]
        assert (logits[index] - expected).abs().max() <= 1e-5 * expected.abs().max()
    causal = made(input_ids=prompts[0][None]).logits[0, -1]
    assert (logits[0] - causal).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["PaLM", "Llama", "GPT-NeoX"])
def test_transformers_generates_from_the_cache_as_if_all_were_read_anew(name: str) -> None:
    made = model(name)
    prompts = [joined(example)[: len(example.input_ids)] for example in row(8, *PROMPTS)[0]]
    ids, mask, lengths = padded(prompts)
    how = hf.GenerationConfig(max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0)
    generated = made.generate(
        ids, attention_mask=mask, past_key_values=prefix_cache(made, ids, lengths), generation_config=how
    )[:, ids.shape[1] :].tolist()
    expected = [grown(made, prompt, 8) for prompt in prompts]
    assert generated == expected
    causal = made.generate(ids, attention_mask=mask, generation_config=how)[:, ids.shape[1] :].tolist()
    assert causal != expected


def test_a_prompt_that_fills_the_window_is_refused() -> None:
    prefix_cache(model("Gemma2"), torch.full((1, 63), 5), [63])
    with pytest.raises(ValueError, match="a prompt of 64 tokens fills the model's attention window of 64"):
        prefix_cache(model("Gemma2"), torch.full((1, 64), 5), [64])


def test_a_folder_says_how_its_inputs_attend(tmp_path: Path) -> None:
    made = MADE["Llama"]()
    assert attention_of_model(made) == "causal"
    save_pretrained(made, tmp_path / "plain")
    assert attention_of(tmp_path / "plain") == "causal"
    state_attention(made, "prefix")
    save_pretrained(made, tmp_path / "prefix")
    assert attention_of(tmp_path / "prefix") == "prefix"
    again = load_pretrained(str(tmp_path / "prefix"))
    assert attention_of_model(again) == "prefix"
    assert attention_of_model(again, "causal") == "causal"
    state_attention(again, "causal")
    save_pretrained(again, tmp_path / "causal")
    assert attention_of(tmp_path / "causal") == "causal"
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "generation_config.json").write_text(json.dumps({"openflan_attention": "both"}))
    with pytest.raises(InputError, match="`openflan_attention` is 'both'; expected one of causal, prefix"):
        attention_of(tmp_path / "odd")


def test_ordinary_attention_is_lent_back() -> None:
    made = MADE["Llama"]()
    packed_layout(made, "flat")
    prompt = torch.full((1, 5), 5)
    with pytest.raises(ValueError, match="attention by documents"):
        prefix_forward(made, prompt, [5])
    with transformers_attention(made):
        prefix_forward(made, prompt, [5])
    with pytest.raises(ValueError, match="attention by documents"):
        prefix_forward(made, prompt, [5])
