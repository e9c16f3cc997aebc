"""Sparse experts while they train: what a router adds to the loss, and what else finetuning sets (Fedus et
al. 2022; Zoph et al. 2022; Shen et al. 2023).

Token losses say nothing of how tokens spread over experts, so two terms are added: load balance (experts
times the sum over experts of the share of tokens an expert gets and the mean probability it is given) and the
router's z-loss (the mean squared logarithm of the softmax's denominator). Hooks record them at the routers,
whichever forward calls these. Decisions: padding does not count. A sequence is a group, as in transformers,
and sequences are averaged, so that micro-batches and ranks change nothing. Each sparse layer is balanced by
itself, and the layers of a stack are averaged, as in T5X (transformers averages first, so one layer can make
up for another; with one sparse layer in a stack the two agree, with several only in the z-loss).

A router of transformers sends no more than `expert_capacity` tokens of a sequence to an expert and skips the
others, so packed examples would compete. Unless the recipe sets a capacity it is unlimited: the cost of
transformers' experts depends on the tokens they get, not on the capacity.

Shape suffixes: R sequences, T tokens of a sequence, X experts.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from openflan.errors import InputError
from openflan.packing.batch import Seq2SeqBatch

FAMILIES = ("switch_transformers",)
"""`model_type` of the sparse models whose routers are known here."""

UNLIMITED_CAPACITY = 2**20
"""An expert's capacity that no sequence reaches."""


class RouterLosses:
    """Records the routers of a sparse model in a forward, and computes their losses."""

    def __init__(self, model: Any, balance: float, z: float) -> None:
        """`balance` and `z` weigh the two terms."""
        self.balance = balance
        self.z = z
        self._recording = False
        self._recorded: tuple[list[Tensor], list[Tensor]] = ([], [])
        for recorded, stack in zip(self._recorded, (model.encoder, model.decoder), strict=True):
            for layer in _sparse_layers(stack):
                layer.router.register_forward_hook(self._recorder(recorded))
                layer.experts.register_forward_hook(_give_idle_a_gradient)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Records the forward inside the block, and discards any before."""
        for recorded in self._recorded:
            recorded.clear()
        self._recording = True
        try:
            yield
        finally:
            self._recording = False

    def losses(self, batch: Seq2SeqBatch) -> Tensor:
        """The weighted sum of both terms over encoder and decoder, for every sequence of the batch that
        was just recorded, float32 (R)."""
        total = torch.zeros(len(batch.input_ids_RE))
        for recorded, segments in zip(
            self._recorded, (batch.input_segments_RE, batch.target_segments_RD), strict=True
        ):
            for logits_RTX in recorded:
                real_RT = torch.from_numpy(segments > 0).to(logits_RTX.device)
                terms = self.balance * balance_losses(logits_RTX, real_RT) + self.z * router_z_losses(
                    logits_RTX, real_RT
                )
                total = total.to(terms.device) + terms / len(recorded)
            recorded.clear()
        return total

    def _recorder(self, recorded: list[Tensor]) -> Any:
        def record(router: nn.Module, inputs: Any, output: Any) -> None:
            if self._recording:
                recorded.append(output[2])

        return record


def router_losses(model: Any, balance: float | None, z: float | None) -> RouterLosses | None:
    """The recorder of a sparse model, None for a dense one; weights that are None are those of the model's
    configuration.

    Raises InputError if a weight is stated for a model without known routers; warns of a sparse model among
    those.
    """
    if not is_sparse(model):
        setting = next(
            (
                name
                for name, value in (("router_aux_loss", balance), ("router_z_loss", z))
                if value is not None
            ),
            None,
        )
        if setting is not None:
            raise InputError(
                f"training.{setting}: a model of type {model.config.model_type} has no routers known "
                f"here; it is for {', '.join(FAMILIES)}"
            )
        if getattr(model.config, "router_aux_loss_coef", None) is not None:
            warnings.warn(
                f"a model of type {model.config.model_type} trains without the load-balancing loss of "
                "its experts",
                stacklevel=2,
            )
        return None
    config = model.config
    return RouterLosses(
        model,
        config.router_aux_loss_coef if balance is None else balance,
        config.router_z_loss_coef if z is None else z,
    )


def balance_losses(logits_RTX: Tensor, real_RT: Tensor) -> Tensor:
    """The load-balancing loss of each row over its real tokens, float32 (R): 1 where experts share evenly, at
    most X."""
    probabilities_RTX = torch.softmax(logits_RTX.float(), -1)
    chosen_RTX = functional.one_hot(probabilities_RTX.argmax(-1), probabilities_RTX.shape[-1]).float()
    share_RX, given_RX = (
        (each * _weights(real_RT)[..., None]).sum(1) for each in (chosen_RTX, probabilities_RTX)
    )
    return probabilities_RTX.shape[-1] * (share_RX * given_RX).sum(-1)


def router_z_losses(logits_RTX: Tensor, real_RT: Tensor) -> Tensor:
    """The router z-loss of each row over its real tokens, float32 (R)."""
    return (torch.logsumexp(logits_RTX.float(), -1).square() * _weights(real_RT)).sum(-1)


def is_sparse(model: Any) -> bool:
    return model.config.model_type in FAMILIES and any(True for _ in _sparse_layers(model))


def set_experts(model: Any, dropout: float | None, capacity: int | None) -> None:
    """Sets dropout within experts, and how many tokens of a row each takes (None: all). Raises InputError if
    either is stated for a dense model."""
    if not is_sparse(model):
        setting = next(
            (
                name
                for name, value in (("expert_dropout", dropout), ("expert_capacity", capacity))
                if value is not None
            ),
            None,
        )
        if setting is not None:
            raise InputError(
                f"model.{setting}: a model of type {model.config.model_type} has no experts known here; "
                f"it is for {', '.join(FAMILIES)}"
            )
        return
    model.config.expert_capacity = UNLIMITED_CAPACITY if capacity is None else capacity
    for layer in _sparse_layers(model):
        layer.router.expert_capacity = model.config.expert_capacity
        for module in layer.experts.modules():
            if dropout is not None and isinstance(module, nn.Dropout):
                module.p = dropout


def _sparse_layers(model: Any) -> Iterator[Any]:
    return (module for module in model.modules() if hasattr(module, "router") and hasattr(module, "experts"))


def _give_idle_a_gradient(experts: Any, inputs: Any, output: Tensor) -> Tensor | None:
    """Experts that got no token have a gradient of zeros, as in T5X, and not none.

    FSDP exchanges the gradients that are there, so ranks whose experts idle unalike would wait for one
    another; and an optimiser passes over a weight without a gradient, so that what it keeps would depend on
    how a batch is split.
    """
    if not torch.is_grad_enabled():
        return None
    tokens_by_expert = inputs[1].flatten(0, -2).sum(0).tolist()
    idle = [
        weight
        for expert, tokens in enumerate(tokens_by_expert)
        if not tokens
        for weight in experts[f"expert_{expert}"].parameters()
    ]
    return output + torch.stack([weight.flatten()[0] for weight in idle]).sum() * 0 if idle else None


def _weights(real_RT: Tensor) -> Tensor:
    """The weight of each real token in its sequence's mean, (R, T)."""
    return real_RT / real_RT.sum(-1, keepdim=True).clamp(min=1)
