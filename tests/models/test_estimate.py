"""Memory and time before any weight is loaded, against what PyTorch allocates and against sums by hand."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from openflan.errors import InputError
from openflan.models.estimate import DEVICES, Shape, device_named, memory, shape_of_model
from openflan.models.load_model import (
    check_vocabulary,
    empty_model,
    load_model,
    load_pretrained,
    save_pretrained,
)
from openflan.recipe.schema import Model

T5 = {
    "model_type": "t5",
    "vocab_size": 512,
    "d_model": 128,
    "d_kv": 16,
    "d_ff": 320,
    "num_layers": 3,
    "num_heads": 6,
    "dropout_rate": 0.0,
}
GATED = T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
LLAMA = {
    "model_type": "llama",
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 320,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 512,
}
SMALL = {
    "model_type": "t5",
    "vocab_size": 32128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 1024,
    "num_layers": 8,
    "num_heads": 6,
}


def _empty(config: dict[str, Any]) -> Any:
    return empty_model(Model(config=config, tokenizer="any"))


class Words:
    """A tokenizer of so many tokens."""

    name_or_path = "words"

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count


def _real(config: dict[str, Any]) -> Any:
    """The same model with weights."""
    return load_model(Model(config=config, tokenizer="any"), Words(config["vocab_size"]), seed=0).train()


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, 76_961_152),
        ({"num_heads": 8, "d_ff": 2048, "num_layers": 6}, 60_506_624),
    ],
)
def test_t5_small_has_the_published_parameters(settings: dict[str, Any], parameters: int) -> None:
    """T5 v1.1 small, whose head is a matrix of its own, and the first T5 small, where it is the
    embeddings."""
    assert shape_of_model(_empty(SMALL | settings)).parameters == parameters


def test_no_weight_is_made() -> None:
    assert {parameter.device.type for parameter in _empty(GATED).parameters()} == {"meta"}


@pytest.mark.parametrize("config", [T5, GATED, LLAMA], ids=["tied", "untied", "llama"])
def test_a_checkpoint_has_the_parameters_that_loading_it_gives(
    config: dict[str, Any], tmp_path: Path
) -> None:
    """transformers' own configuration says that every T5 ties its matrices; the weights say whether it
    does."""
    save_pretrained(_real(config), tmp_path)
    measured = shape_of_model(empty_model(Model(base=str(tmp_path))))
    assert sorted(measured.tensors) == sorted(
        tuple(parameter.shape) for parameter in load_pretrained(str(tmp_path)).parameters()
    )


def test_the_sizes_of_both_families_are_read() -> None:
    t5, llama = shape_of_model(_empty(GATED)), shape_of_model(_empty(LLAMA))
    assert (t5.seq2seq, t5.encoder_layers, t5.layers, t5.attention, t5.key_values, t5.feed_forward_kept) == (
        True,
        3,
        3,
        96,
        96,
        7,
    )
    assert (
        llama.seq2seq,
        llama.encoder_layers,
        llama.layers,
        llama.attention,
        llama.key_values,
        llama.feed_forward_kept,
    ) == (False, 0, 3, 128, 64, 4)


def _saved(model: Any, run: Callable[[], Any]) -> int:
    """Bytes that autograd keeps for the backward pass, parameters apart."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)


@pytest.mark.parametrize(("inputs", "targets"), [(256, 64), (64, 128)])
@pytest.mark.parametrize("config", [T5, GATED, LLAMA], ids=["plain", "gated", "llama"])
def test_activations_are_near_what_autograd_keeps(config: dict[str, Any], inputs: int, targets: int) -> None:
    """T5's dense attention keeps its scores. Float32, no dropout; the logits are measured apart."""
    model = _real(config)
    estimate = memory(
        shape_of_model(model),
        rows=2,
        inputs=inputs,
        targets=targets,
        precision="float32",
        optimizer_bytes=0,
    )
    if config is LLAMA:
        ids = torch.zeros(2, inputs + targets, dtype=torch.long)
        saved_numbers, expected = _saved(model, lambda: model(input_ids=ids).logits), estimate.activations
    else:
        sides = [torch.zeros(2, length, dtype=torch.long) for length in (inputs, targets)]
        saved_numbers = _saved(model, lambda: model(input_ids=sides[0], decoder_input_ids=sides[1]).logits)
        expected = estimate.activations + estimate.attention_scores
    assert 0.8 < saved_numbers / expected < 1.25


def test_memory_by_hand() -> None:
    """A causal model of one layer with one matrix of 8 x 4 and one vector of 4."""
    shape = Shape(False, 0, 1, 4, 2, 4, 2, 6, 4, 8, ((8, 4), (4,)))
    estimated = memory(shape, rows=2, inputs=3, targets=1, precision="float32", optimizer_bytes=40)
    norms, attention, feed_forward = 2 * 4 * 12, (3 * 4 + 2 * 2) * 4, 4 * 6 * 4
    assert (estimated.weights, estimated.gradients, estimated.optimizer) == (144, 144, 40)
    assert estimated.activations == 8 * (norms + attention + feed_forward)
    assert estimated.logits == 2 * 8 * 4
    assert estimated.attention_scores == 2 * 2 * 16 * 4
    assert estimated.total == 144 + 144 + 40 + estimated.activations + estimated.logits
    half = memory(shape, rows=2, inputs=3, targets=1, precision="bf16", optimizer_bytes=40)
    assert half.weights == 144 + 64, "autocast keeps a bfloat16 copy of the matrix"
    assert half.activations == 8 * (2 * 4 * 10 + attention // 2 + feed_forward // 2)


def test_recomputed_layers_keep_their_inputs_and_one_layer() -> None:
    model = shape_of_model(_empty(GATED))
    sizes: dict[str, Any] = {
        "rows": 2,
        "inputs": 64,
        "targets": 16,
        "precision": "float32",
        "optimizer_bytes": 0,
    }
    kept, recomputed = memory(model, **sizes), memory(model, **sizes, recomputed=True)
    entering = 4 * 128 * 2 * (3 * 64 + 3 * 16)
    assert entering < recomputed.activations < kept.activations / 2
    assert kept.weights == recomputed.weights
    one_layer = memory(replace(model, encoder_layers=1, layers=0), **sizes)
    assert recomputed.activations == entering + one_layer.activations


def test_an_unknown_device_is_refused_with_the_nearest_name() -> None:
    assert device_named("H100") is DEVICES["h100"]
    with pytest.raises(InputError, match=r"`h10` is not a device; did you mean `h100`\?.*--device-tflops"):
        device_named("h10")


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused_without_its_weights() -> None:
    model = _empty(GATED)
    check_vocabulary(Words(512), model)
    with pytest.raises(InputError, match="the tokenizer words has 513 tokens, the model embeds 512"):
        check_vocabulary(Words(513), model)


def test_estimates_need_no_torch() -> None:
    """The command line lists the devices in its help."""
    code = "import sys, openflan.models.estimate; print('torch' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "False"
    )
