"""Router losses against transformers' own, padding and packing, and what finetuning sets in sparse models."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from packed_losses import batch_losses, packed_batch, packed_losses
from transformers.models.switch_transformers.modeling_switch_transformers import (
    load_balancing_loss_func,
    router_z_loss_func,
)

from openflan.errors import InputError
from openflan.models.experts import (
    UNLIMITED_CAPACITY,
    RouterLosses,
    balance_losses,
    router_losses,
    router_z_losses,
)
from openflan.models.load_model import load_model
from openflan.models.packed import Packing
from openflan.models.packing_check import check_packing, packing_of
from openflan.packing.batch import Seq2SeqBatch
from openflan.packing.encode import Encoded
from openflan.recipe.schema import Model, Training
from openflan.training.trainer import Trainer

VOCABULARY, PAD = 40, 0
SWITCH: dict[str, Any] = {
    "model_type": "switch_transformers",
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 2,
    "num_experts": 4,
    "num_sparse_encoder_layers": 1,
    "num_sparse_decoder_layers": 1,
    "router_jitter_noise": 0.0,
    "expert_capacity": 3,
    "pad_token_id": PAD,
    "eos_token_id": 1,
}


class Words:
    name_or_path = "words"

    def __len__(self) -> int:
        return VOCABULARY


def switch(section: dict[str, Any] | None = None, **changes: Any) -> Any:
    return load_model(Model(config=SWITCH | changes, tokenizer="words", **(section or {})), Words(), 1)


def examples(seed: int, *lengths: tuple[int, int]) -> list[Encoded]:
    random = np.random.default_rng(seed)
    return [
        Encoded(*(random.integers(3, VOCABULARY, size=size).astype(np.int32) for size in pair))
        for pair in lengths
    ]


def recorded(
    model: Any, rows: list[list[Encoded]], packing: Packing, balance: float, z: float
) -> torch.Tensor:
    listener = RouterLosses(model, balance, z)
    batch = packed_batch(model, rows, packing)
    assert isinstance(batch, Seq2SeqBatch)
    with listener.recording():
        batch_losses(model, batch, packing)
    return listener.losses(batch)


@torch.no_grad()
@pytest.mark.parametrize(("balance", "z"), [(1.0, 0.0), (0.0, 1.0), (0.3, 0.02)])
def test_an_unpacked_batch_has_the_losses_of_transformers_own_forward(balance: float, z: float) -> None:
    """Examples of 8 and 8 tokens need no padding; two of three layers a stack are dense, as transformers
    counts no losses where none is."""
    model = switch().eval()
    rows = [[one] for one in examples(0, (8, 8), (8, 8), (8, 8))]
    batch = packed_batch(model, rows, "none")
    assert isinstance(batch, Seq2SeqBatch)
    own = model(
        input_ids=torch.from_numpy(batch.input_ids_RE),
        decoder_input_ids=torch.from_numpy(batch.decoder_ids_RD),
        output_router_logits=True,
    )
    expected = balance * (own.encoder_aux_loss + own.decoder_aux_loss) + z * (
        own.encoder_z_loss + own.decoder_z_loss
    )
    losses = recorded(model, rows, "none", balance, z)
    assert losses.shape == (3,)
    assert float(losses.mean()) == pytest.approx(float(expected), rel=1e-5)


@torch.no_grad()
def test_layers_are_balanced_each_by_itself() -> None:
    """Two layers that favour one expert each are not taken for balanced because the two differ, which pooled
    tokens would be."""
    first, second = (torch.full((1, 6, 2), -5.0) for _ in range(2))
    first[..., 0], second[..., 1] = 5.0, 5.0
    real = torch.ones(1, 6, dtype=torch.bool)
    pooled = torch.cat([first, second], 1)
    assert float(load_balancing_loss_func(pooled.softmax(-1), pooled.argmax(-1))) == pytest.approx(
        1, abs=1e-3
    )
    assert float(balance_losses(first, real)) == pytest.approx(2, abs=1e-3)
    assert float(balance_losses(second, real)) == pytest.approx(2, abs=1e-3)
    model = switch(num_layers=4, num_sparse_encoder_layers=2).eval()
    routers: dict[str, torch.Tensor] = {}
    for name, module in model.named_modules():
        if name.endswith("router"):
            module.register_forward_hook(
                lambda module, inputs, output, name=name: routers.update({name: output[2]})
            )
    output = float(recorded(model, [examples(1, (8, 8))], "none", 1.0, 0.0))
    each = {
        name: float(load_balancing_loss_func(logits.softmax(-1), logits.argmax(-1)))
        for name, logits in routers.items()
    }
    encoder, decoder = (
        [loss for name, loss in each.items() if name.startswith(stack)] for stack in ("encoder", "decoder")
    )
    assert (len(encoder), len(decoder)) == (2, 1)
    assert output == pytest.approx(np.mean(encoder) + np.mean(decoder), rel=1e-5)


@torch.no_grad()
def test_padding_counts_for_nothing() -> None:
    logits = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    real = torch.ones(2, 9, dtype=torch.bool)
    real[0, 5:] = False
    for ours, theirs in (
        (balance_losses, lambda each: load_balancing_loss_func(each.softmax(-1), each.argmax(-1))),
        (router_z_losses, router_z_loss_func),
    ):
        expected = [float(theirs(logits[:1, :5])), float(theirs(logits[1:]))]
        assert ours(logits, real).tolist() == pytest.approx(expected, rel=1e-5)
        other = logits.clone()
        other[0, 5:] = 9.0
        assert torch.equal(ours(other, real), ours(logits, real))
    assert balance_losses(torch.zeros(1, 3, 4), torch.zeros(1, 3, dtype=torch.bool)).tolist() == [0.0]


@torch.no_grad()
def test_a_packed_row_is_the_mean_of_its_tokens() -> None:
    """Routers see in a packed row what they see in its examples alone, so its z-loss is theirs, weighted by
    tokens."""
    model = switch().eval()
    many = examples(2, (5, 8), (7, 4), (3, 2))
    packed = recorded(model, [many], "dense", 0.0, 1.0)
    encoder, decoder = [], []
    for example in many:
        batch = packed_batch(model, [[example]], "none")
        assert isinstance(batch, Seq2SeqBatch)
        listener = RouterLosses(model, 0.0, 1.0)
        with listener.recording():
            batch_losses(model, batch, "none")
        for logits, router_logits, length in zip(
            listener._recorded,
            (encoder, decoder),
            (len(example.input_ids), len(example.target_ids)),
            strict=True,
        ):
            router_logits += torch.logsumexp(logits[0][0, :length], -1).square().tolist()
    assert float(packed) == pytest.approx(np.mean(encoder) + np.mean(decoder), rel=1e-5)


def _trainer(model: Any, packing: Packing, **training: Any) -> Trainer:
    return Trainer(model, Training(steps=60, batch_size=4, learning_rate=0.02, **training), 0, PAD, packing)


@pytest.mark.parametrize("packing", ["dense", "none"])
def test_the_loss_falls_and_so_does_that_of_the_routers(packing: Packing) -> None:
    trainer = _trainer(switch(), packing, router_aux_loss=0.1, router_z_loss=0.01)
    rows = [examples(number, (6, 3), (4, 2)) for number in range(4)]
    prepared = trainer.prepare(rows)
    outcomes = [trainer.step(step, prepared) for step in range(40)]
    assert outcomes[-1].loss < 0.5 * outcomes[0].loss
    first, last = outcomes[0].router, outcomes[-1].router
    assert first is not None
    assert last is not None
    assert 0.2 <= last < first


@pytest.mark.parametrize("packing", ["dense", "none"])
def test_micro_batches_change_nothing(packing: Packing) -> None:
    """Rows of unlike length, one of them short: the gradient and both losses are those of the whole batch at
    once."""
    rows = [
        examples(0, (6, 3), (4, 2)),
        examples(1, (2, 1)),
        examples(2, (9, 9)),
        examples(3, (5, 2), (1, 1)),
    ]
    outcomes = []
    for size in (None, 1, 3):
        trainer = _trainer(
            switch({"dropout": 0.0}), packing, router_aux_loss=0.5, router_z_loss=0.2, micro_batch_size=size
        )
        outcome = trainer.step(0, trainer.prepare(rows))
        outcomes.append(
            (
                outcome.loss,
                outcome.router,
                torch.cat([weight.detach().flatten() for weight in trainer._model.parameters()]),
            )
        )
    for loss, router, weights in outcomes[1:]:
        assert loss == pytest.approx(outcomes[0][0], rel=1e-5)
        assert router == pytest.approx(outcomes[0][1], rel=1e-5)
        assert (weights - outcomes[0][2]).abs().max() < 1e-4


def _router_gradient(aux: float | None) -> torch.Tensor:
    model = switch({"dropout": 0.0})
    trainer = _trainer(model, "dense", router_aux_loss=aux, router_z_loss=0.0)
    weight = model.encoder.block[1].layer[-1].mlp.router.classifier.weight
    kept: list[torch.Tensor] = []
    weight.register_post_accumulate_grad_hook(lambda each: kept.append(each.grad.clone()))
    trainer.step(0, trainer.prepare([examples(0, (6, 3), (4, 2))]))
    return kept[0]


def test_an_expert_without_tokens_has_a_gradient_of_zeros() -> None:
    """Of two tokens a side, at least two of four experts idle."""
    model = switch({"dropout": 0.0})
    trainer = _trainer(model, "dense")
    kept: dict[str, torch.Tensor] = {}
    for name, weight in model.named_parameters():
        weight.register_post_accumulate_grad_hook(
            lambda each, name=name: kept.update({name: each.grad.clone()})
        )
    trainer.step(0, trainer.prepare([examples(0, (2, 2))]))
    assert kept.keys() == {name for name, _ in model.named_parameters()}
    idle = [name for name, gradient in kept.items() if ".expert_" in name and not gradient.any()]
    assert 2 * 2 * 2 <= len(idle) < 2 * 4 * 2


def test_the_weight_reaches_the_routers_gradient() -> None:
    none, some, double = (_router_gradient(aux) for aux in (0.0, 1.0, 2.0))
    assert torch.allclose(double - none, 2 * (some - none), rtol=1e-3, atol=1e-6)
    assert (some - none).abs().max() > 1e-4


def test_computing_layers_again_is_refused_where_masks_would_be_lost() -> None:
    with pytest.raises(
        InputError,
        match=(
            "activation_checkpointing: full does not go with packed sequences of a model of type "
            "switch_transformers"
        ),
    ):
        _trainer(switch(), "dense", activation_checkpointing="full")
    trainer = _trainer(switch({"dropout": 0.0}), "none", activation_checkpointing="full", router_aux_loss=0.5)
    plain = _trainer(switch({"dropout": 0.0}), "none", router_aux_loss=0.5)
    rows = [examples(0, (6, 3)), examples(1, (2, 1))]
    steps_taken, expected = (
        [each.step(step, each.prepare(rows)) for step in range(2)] for each in (trainer, plain)
    )
    assert [one.loss for one in steps_taken] == pytest.approx([one.loss for one in expected], rel=1e-5)
    assert [one.router for one in steps_taken] == pytest.approx([one.router for one in expected], rel=1e-5)


def test_weights_default_to_those_of_the_configuration() -> None:
    weights = router_losses(switch(router_aux_loss_coef=0.07, router_z_loss_coef=0.03), None, 0.5)
    assert weights is not None
    assert (weights.balance, weights.z) == (0.07, 0.5)


def test_nothing_is_heard_outside_a_training_forward() -> None:
    model = switch().eval()
    listener = RouterLosses(model, 1.0, 1.0)
    model.generate(torch.full((1, 4), 5), max_new_tokens=3)
    assert listener._recorded == ([], [])


def test_there_is_room_for_all_unless_the_recipe_says_otherwise() -> None:
    """With the base's own capacity of 3 tokens an expert and row, packed examples compete."""
    rows = [examples(4, (9, 6), (9, 6))]

    def apart(model: Any) -> float:
        model.eval()
        with torch.no_grad():
            losses, segments = packed_losses(model, rows, "dense")
            alone = packed_losses(model, rows, "none")[0]
        return abs(float(losses[segments > 0].sum() - alone.sum()))

    roomy, tight = switch(), switch({"expert_capacity": 3})
    assert (roomy.config.expert_capacity, tight.config.expert_capacity) == (UNLIMITED_CAPACITY, 3)
    assert apart(roomy) < 1e-4
    assert apart(tight) > 1e-2
    assert packing_of(roomy) == "dense"
    check_packing(roomy, "dense")


def test_dropout_within_experts_is_its_own() -> None:
    model = switch({"dropout": 0.1, "expert_dropout": 0.4})
    rates = {name: module.p for name, module in model.named_modules() if isinstance(module, torch.nn.Dropout)}
    assert {rate for name, rate in rates.items() if ".expert_" in name} == {0.4}
    assert {rate for name, rate in rates.items() if ".expert_" not in name} == {0.1}
    assert sum(".expert_" in name for name in rates) == 8


def test_dense_models_refuse_what_is_for_sparse_ones() -> None:
    t5 = {
        key: SWITCH[key] for key in ("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads")
    } | {"model_type": "t5"}
    with pytest.raises(
        InputError,
        match=(
            "model.expert_dropout: a model of type t5 has no experts known here; it is for "
            "switch_transformers"
        ),
    ):
        load_model(Model(config=t5, tokenizer="words", expert_dropout=0.2), Words(), 0)
    model = load_model(Model(config=t5, tokenizer="words"), Words(), 0)
    with pytest.raises(
        InputError, match=r"training.router_z_loss: a model of type t5 has no routers known here"
    ):
        router_losses(model, None, 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert router_losses(model, None, None) is None


def test_sparse_models_whose_routers_are_not_known_train_with_a_warning() -> None:
    sizes = {
        "vocab_size": 20,
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
    }
    model = hf.MixtralForCausalLM(hf.MixtralConfig(**sizes, num_local_experts=2))
    with pytest.warns(
        UserWarning, match="a model of type mixtral trains without the load-balancing loss of its experts"
    ):
        assert router_losses(model, None, None) is None
