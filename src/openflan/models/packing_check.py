"""Checks at every start whether packed documents have the losses that each has alone.

A layout must pass two checks. Each token's loss equals the one that transformers' own forward gives for the
document alone, within 1e-5. And a document's losses do not change by a bit when another document changes
(1e-6 for mixtures of experts, whose matrix products then have other sizes). Both run first on a small random
copy of the architecture (`probe`), with documents longer than its windows and chunks. There gradients are
compared too, by the largest entry of each tensor. A copy that fails is tried again in float64, which tells
rounding from a leak. Then the real weights are tried with short documents, where rounding over many layers
allows 1e-4 for the first and no more than before for the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from openflan.errors import InputError
from openflan.models.attention import at_least_float32
from openflan.models.attention_masks import prefix_lm_mask
from openflan.models.json_file import one_line
from openflan.models.not_causal import refuse_not_causal
from openflan.models.packed import LossOptions, Packing, temporary_layout
from openflan.models.probe import FAILURES, probe_of
from openflan.models.random_documents import changed, random_documents, tensor_on, without_dropout
from openflan.models.staged import Attending
from openflan.models.state import recurrent_layer
from openflan.packing.encode import Encoded

TOLERANCE = 1e-5
"""How far rounding may change a token's loss on a probe of few layers, in units of the larger of 1 and the
loss."""

_OF_WEIGHTS = 1e-4
_OF_EXPERTS = 1e-6
_OF_GRADIENTS = 1e-4
_OF_GRADIENTS_LEAST = 1e-3
_LENGTHS = ((24, 20), (18, 17), (3, 2))
_SHORT = ((9, 7), (6, 4))


class NotFinite(InputError):
    """Raised for a model that gives NaN or infinite losses, in whatever layout."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The fastest layout that is exact for a model, and why each faster one is not."""

    packing: Packing
    reasons: tuple[str, ...] = ()


def packing_of(model: Any, attending: Attending | None = None) -> Packing:
    """The fastest layout that is exact for a Hugging Face model; see `chosen_packing`."""
    return chosen_packing(model, attending).packing


def chosen_packing(model: Any, attending: Attending | None = None) -> Chosen:
    """The fastest layout that is exact for a Hugging Face model: the first that passes `check_packing`.
    `attending` is as in training.

    Raises InputError for a model that sees what it would learn to write (BERT and similar encoders), or gives
    NaN, which no layout can train.
    """
    refuse_not_causal(model)
    reasons: list[str] = []
    choices: tuple[Packing, ...] = ("flat", "dense")
    for packing in choices:
        try:
            check_packing(model, packing, attending=attending)
        except NotFinite:
            raise
        except InputError as error:
            reasons.append(str(error))
        else:
            return Chosen(packing, tuple(reasons))
    return Chosen("none", tuple(dict.fromkeys(reasons)))


def check_packing(
    model: Any, packing: Packing = "dense", *, prefix: bool = False, attending: Attending | None = None
) -> None:
    """Raises InputError if documents together have other losses than each alone by transformers' own forward,
    or one changes another's.

    Then the architecture ignores the masks, carries state from token to token, counts positions over the
    whole sequence, or computes something that our forward does not. With `prefix`, which only the flat layout
    supports, inputs see one another in both.
    """
    kind = f"a model of type {model.config.model_type}"
    if prefix and (model.config.is_encoder_decoder or packing != "flat"):
        raise InputError(
            f"{kind} cannot have `model.attention: prefix`, which is for causal models that pack flat; "
            "leave it out, or use another base"
        )
    carrying = recurrent_layer(model)
    if carrying is not None:
        raise InputError(
            f"{kind} cannot be packed: its layers of kind {carrying} carry state from one document into "
            "the next"
        )
    try:
        probe = probe_of(model, windows=not prefix)
    except FAILURES as error:
        raise InputError(
            f"{kind} cannot be packed: no small copy of it can be made to try it on ({one_line(error, 200)})"
        ) from error
    experts = any("expert" in name for name in model.config.to_dict())
    comparison = _LossComparison(
        probe, packing, prefix, attending, TOLERANCE, _OF_EXPERTS if experts else 0.0
    )
    with without_dropout(probe):
        try:
            comparison.probe(kind)
        except InputError:
            if not _only_rounding(comparison, kind):
                raise
    with without_dropout(model):
        replace(
            comparison, model=model, tolerance=_OF_WEIGHTS, equality=TOLERANCE if experts else 0.0, real=True
        ).losses(kind, random_documents(model, _SHORT))


@dataclass(frozen=True, slots=True)
class _LossComparison:
    """Compares the losses of a model in a layout. They may differ by `tolerance` from those of a document
    alone, and by `equality` when another document changes. `real`: the weights are those to be trained, and
    not a probe's."""

    model: Any
    packing: Packing
    prefix: bool
    attending: Attending | None
    tolerance: float
    equality: float
    real: bool = False

    def probe(self, kind: str) -> None:
        """Raises InputError where losses or gradients of long documents are not those of each alone."""
        documents = random_documents(self.model, _LENGTHS)
        self.losses(kind, documents)
        if not self.prefix:
            self.gradients(kind, documents)

    @torch.no_grad()
    def losses(self, kind: str, documents: list[Encoded]) -> None:
        """Raises InputError where documents in one sequence have other losses than alone, or than beside
        other documents."""
        packed = self._losses_packed(kind, documents)
        for index, document in enumerate(documents):
            alone = self._losses_alone(kind, document)
            if self.real and not alone.isfinite().all():
                raise NotFinite(self._why_not_finite(kind))
            worst_index = _worst_token(packed[index], alone, self.tolerance)
            if worst_index is not None:
                raise InputError(
                    f"{kind} cannot be packed exactly: a token's loss is {float(alone[worst_index]):.6f} "
                    f"where its document is alone and {float(packed[index][worst_index]):.6f} where others "
                    "stand beside it"
                )
        for other in range(len(documents)):
            others = self._losses_packed(
                kind,
                [changed(self.model, one) if index == other else one for index, one in enumerate(documents)],
            )
            for index in range(len(documents)):
                if index == other:
                    continue
                worst_index = _worst_token(others[index], packed[index], self.equality)
                if worst_index is not None:
                    raise InputError(
                        f"{kind} cannot be packed exactly: a token's loss goes from "
                        f"{float(packed[index][worst_index])!r} to "
                        f"{float(others[index][worst_index])!r} when another document changes"
                    )

    def _why_not_finite(self, kind: str) -> str:
        broken = next(
            (name for name, each in self.model.named_parameters() if not each.isfinite().all()), None
        )
        why = "its weights are damaged or too large"
        if broken is not None:
            why = f"its weights hold NaN or infinite values (first in {broken})"
        return f"{kind} gives NaN or infinite losses: {why}; fetch or export the model again"

    @torch.enable_grad()
    def gradients(self, kind: str, documents: list[Encoded]) -> None:
        """Raises InputError where the gradient of documents in one sequence is not the sum of their
        gradients alone, by the largest entry of each tensor."""
        # In one sequence, and each alone in the same layout, whose losses `losses` has compared with
        # transformers' own.
        packed, alone = (
            self._gradients(rows) for rows in ([documents], [[document] for document in documents])
        )
        # What is 0 but for rounding, such as the gradient of a key's bias, has no scale of its own.
        least = _OF_GRADIENTS_LEAST * max(float(expected.abs().max()) for expected in alone.values())
        for name, together in packed.items():
            expected = alone[name]
            scale = max(float(expected.abs().max()), least)
            if not float((together - expected).abs().max()) <= _OF_GRADIENTS * scale:
                raise InputError(
                    f"{kind} cannot be packed exactly: documents in one sequence have other gradients than "
                    f"each alone (first in {name})"
                )

    def _gradients(self, rows: Sequence[Sequence[Encoded]]) -> dict[str, Tensor]:
        named = {name: each for name, each in self.model.named_parameters() if each.requires_grad}
        total = {name: torch.zeros_like(each) for name, each in named.items()}
        for row in rows:
            losses, segments = self._losses(self.packing, row, LossOptions(attending=self.attending))
            gradients = torch.autograd.grad(losses[segments > 0].sum(), [*named.values()], allow_unused=True)
            for name, gradient in zip(named, gradients, strict=True):
                if gradient is not None:
                    total[name] += gradient
        return total

    def _losses_packed(self, kind: str, documents: list[Encoded]) -> list[Tensor]:
        """The losses (T) of each document, all of them in one sequence."""
        try:
            options = LossOptions(prefix=self.prefix, attending=self.attending)
            losses, segments = self._losses(self.packing, documents, options)
        except FAILURES as error:
            raise InputError(f"{kind} cannot be packed: {one_line(error, 200)}") from error
        return [losses[segments == index] for index in range(1, len(documents) + 1)]

    def _losses(
        self, packing: Packing, documents: Sequence[Encoded], options: LossOptions
    ) -> tuple[Tensor, Tensor]:
        """The losses of documents in one sequence, and the document of each."""
        with temporary_layout(self.model, packing, options) as layout:
            return layout.losses(layout.batch([documents]))

    def _losses_alone(self, kind: str, document: Encoded) -> Tensor:
        try:
            if self.prefix:
                return _prefixed(self.model, document)
            losses, segments = self._losses("none", [document], LossOptions())
            return losses[segments > 0]
        except FAILURES as error:
            raise InputError(f"{kind} cannot be packed: {one_line(error, 200)}") from error


def _only_rounding(comparison: _LossComparison, kind: str) -> bool:
    """Whether a probe that failed passes in float64, where a leak stays and rounding goes."""
    probe = comparison.model
    if next(probe.parameters()).device.type == "mps":
        return False
    probe.double()
    try:
        comparison.probe(kind)
    except InputError:
        return False
    return True


def _worst_token(found: Tensor, expected: Tensor, tolerance: float) -> int | None:
    """The token whose loss differs most beyond the tolerance, NaN included; None where all agree."""
    if found.shape != expected.shape:
        return 0
    beyond = (found - expected).abs() - tolerance * expected.abs().clamp(min=1)
    return None if bool((beyond <= 0).all()) else int(beyond.nan_to_num(nan=float("inf")).argmax())


def _prefixed(model: Any, example: Encoded) -> Tensor:
    """The target losses (T) of one prefix-LM example, by transformers' own forward under a 4-D mask.

    Raises ValueError if the mask changes nothing: the architecture ignores it.
    """
    inputs = len(example.input_ids)
    ids = tensor_on(np.concatenate([example.input_ids, example.target_ids]), model)
    masks = [prefix_lm_mask(prefix, len(ids), model.dtype, ids.device) for prefix in (0, inputs)]
    logits = [model(input_ids=ids[None], attention_mask=mask, use_cache=False).logits[0] for mask in masks]
    if torch.equal(*logits):
        raise ValueError("its inputs do not see one another, whatever the mask")
    return functional.cross_entropy(
        at_least_float32(logits[1][inputs - 1 : -1]), ids[inputs:], reduction="none"
    )
