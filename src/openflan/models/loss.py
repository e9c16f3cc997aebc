"""Token losses from hidden states: the head and cross entropy, at target tokens only.

Logits are the largest tensor of a step, so they are stored once, in float32, and turned into their gradient
in place. With `chunk` they are computed again in the backward, for so many tokens at a time: one more product
with the head, and memory for one chunk only.

Shape suffixes: T target tokens, M model width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from openflan.models.attention import at_least_float32
from openflan.packing.batch import IGNORED


def head_losses(
    head: Any, hidden_TM: Tensor, targets_T: Tensor, *, z_loss: float = 0.0, chunk: int = 0
) -> Tensor:
    """Cross entropy of every target, float32 (T).

    `z_loss` times the squared logarithm of the softmax's denominator is added (T5X's term, which keeps logits
    near 0). `chunk` > 0: logits of no more than so many tokens exist at once. A head that is not just a
    matrix, such as an adapter's, is called as a module.
    """
    if type(head) is nn.Linear and getattr(head, "bias", None) is None:
        if torch.is_autocast_enabled(hidden_TM.device.type):
            dtype = torch.get_autocast_dtype(hidden_TM.device.type)
            hidden, weight = hidden_TM.to(dtype), head.weight.to(dtype)
        else:
            hidden, weight = hidden_TM.to(head.weight.dtype), head.weight
        losses: Tensor = _HeadLosses.apply(  # type: ignore[no-untyped-call]
            hidden, weight, targets_T, z_loss, chunk
        )
        return losses
    return token_cross_entropy(head(hidden_TM), targets_T, z_loss=z_loss)


def token_cross_entropy(logits: Tensor, labels: Tensor, *, z_loss: float = 0.0) -> Tensor:
    """Cross entropy of labels in float32, with the z-loss term of `head_losses`; 0 where a label is -100.

    `logits` are (..., V), `labels` and the result (...).
    """
    logits = at_least_float32(logits)
    losses = functional.cross_entropy(
        logits.flatten(0, -2), labels.flatten(), reduction="none", ignore_index=IGNORED
    ).view(labels.shape)
    if not z_loss:
        return losses
    return _with_z_loss(losses, torch.logsumexp(logits, -1), z_loss) * (labels != IGNORED)


def _with_z_loss(losses: Tensor, log_denominators: Tensor, z_loss: float) -> Tensor:
    return losses + z_loss * log_denominators.square()


class _HeadLosses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_TM: Tensor, weight_VM: Tensor, targets_T: Tensor, z_loss: float, chunk: int
    ) -> Tensor:
        ctx.z_loss, ctx.chunk = z_loss, chunk
        parts = [
            _losses(hidden, weight_VM, targets)
            for hidden, targets in zip(_split(hidden_TM, chunk), _split(targets_T, chunk), strict=True)
        ]
        losses_T, norms_T = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
        ctx.save_for_backward(hidden_TM, weight_VM, targets_T, norms_T, *([] if chunk else [parts[0][2]]))
        return _with_z_loss(losses_T, norms_T, z_loss) if z_loss else losses_T

    @staticmethod
    def backward(ctx: Any, gradient_T: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        hidden_TM, weight_VM, targets_T, norms_T, *kept = ctx.saved_tensors
        pieces = (_split(tensor, ctx.chunk) for tensor in (hidden_TM, targets_T, norms_T, gradient_T))
        d_hidden: list[Tensor] = []
        d_weight: Tensor | None = None
        for hidden, targets, norms, gradient in zip(*pieces, strict=True):
            # The gradient of cross entropy is softmax minus one at the target; of the z term, softmax times
            # twice the norm.
            d_logits = kept[0] if kept else _softmax(at_least_float32(functional.linear(hidden, weight_VM)))
            if ctx.z_loss:
                d_logits.mul_((1 + 2 * ctx.z_loss * norms)[:, None])
            d_logits = d_logits.scatter_add_(1, targets[:, None], -torch.ones_like(norms)[:, None]).to(
                hidden.dtype
            )
            # Factors of tokens are applied to the narrower matrix.
            factor = gradient[:, None].to(hidden.dtype)
            d_hidden.append(d_logits @ weight_VM * factor)
            if not ctx.needs_input_grad[1]:
                continue
            scaled = hidden * factor
            d_weight = d_logits.T @ scaled if d_weight is None else torch.addmm(d_weight, d_logits.T, scaled)
        return torch.cat(d_hidden), d_weight, None, None, None


def _losses(hidden: Tensor, weight_VM: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Losses (T), logarithms of the softmax's denominators (T), and probabilities (T, V) in the memory of the
    logits.

    The denominator follows from the largest probability, which cannot underflow, so it is not summed again.
    """
    logits = at_least_float32(functional.linear(hidden, weight_VM))
    wanted, largest = logits.gather(1, targets[:, None])[:, 0], logits.amax(-1)
    probabilities = _softmax(logits)
    norms = largest - probabilities.amax(-1).log()
    return norms - wanted, norms, probabilities


def _softmax(logits: Tensor) -> Tensor:
    """In place."""
    return torch.softmax(logits, -1, out=logits)


def _split(tensor: Tensor, chunk: int) -> tuple[Tensor, ...]:
    return torch.split(tensor, chunk) if chunk else (tensor,)
