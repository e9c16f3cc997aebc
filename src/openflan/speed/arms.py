"""The ways of training that are compared, each as a trainer over the same documents.

An arm says how documents are laid out, in which number format the weights are, and whether an adapter is
trained. Where an extra is missing that an arm needs, `missing` says so in a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from openflan.models.estimate import memory, shape_of_model
from openflan.models.packed import DenseMask, LossOptions, Packing
from openflan.models.staged import Attending, Staged
from openflan.packing.batch import IGNORED
from openflan.packing.encode import Encoded
from openflan.recipe.schema import Training
from openflan.speed.shapes import ModelShape, model_of
from openflan.training.distributed import DistributedContext
from openflan.training.optimizers import state_bytes
from openflan.training.trainable import TrainableView, freeze
from openflan.training.trainer import GlobalBatch, Trainer

Weights: TypeAlias = Literal["float32", "bf16"]
Layout: TypeAlias = Literal["flat", "grouped", "dense", "sdpa"]

ADAPTER_RANK = 64
_ADAPTER = "lora_"


@dataclass(frozen=True, slots=True)
class Arm:
    """A way of training.

    `layout`: `flat` is this project's; `grouped` takes documents sorted by length through transformers' own
    forward, as Seq2SeqTrainer does with `group_by_length`; `dense` are packed rows under dense masks; `sdpa`
    are packed rows of a causal model through transformers' own forward with restarting positions, which is
    how trainers pack without flash attention. `attending` None means as suits the device. `adapter`: only a
    LoRA adapter of rank 64 is trained.
    """

    layout: Layout
    weights: Weights
    adapter: bool = False
    attending: Attending | None = None


ARMS: Mapping[str, Arm] = {
    "flat": Arm("flat", "bf16"),
    "grouped by length": Arm("grouped", "bf16"),
    "packed sdpa": Arm("sdpa", "bf16"),
    "dense masks": Arm("dense", "bf16"),
    "flat, float32 weights": Arm("flat", "float32"),
    "LoRA, flat": Arm("flat", "bf16", adapter=True),
    "flat, by buckets": Arm("flat", "bf16", attending="buckets"),
    "flat, by documents": Arm("flat", "bf16", attending="documents"),
}
"""The arms by name. The last two compare the ways in which attention goes over a flat batch."""


def default_arms(shape: ModelShape) -> list[str]:
    """The arms that are measured unless others are named: packed rows beside flat ones as other trainers have
    them."""
    packed = "packed sdpa" if shape.family == "llama" else "dense masks"
    return ["flat", "grouped by length", packed, "flat, float32 weights", "LoRA, flat"]


def missing(arm: Arm, shape: ModelShape) -> str | None:
    """Why an arm cannot be measured with weights in this number format, in a sentence; None if it can."""
    if arm.layout == "sdpa" and shape.family != "llama":
        return "an encoder-decoder has no packed form in transformers"
    if arm.adapter and find_spec("peft") is None:
        return "LoRA needs peft: pip install 'openflan[lora]'"
    return None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A trainer, the batches of its step, and the bytes of memory that the estimate gives it."""

    trainer: Trainer
    batches: GlobalBatch
    estimated_bytes: int


def prepared(
    arm: Arm,
    shape: ModelShape,
    rows: list[list[Encoded]],
    distributed: DistributedContext,
    weights: Weights,
    precision: str,
) -> Prepared:
    """An arm with random weights of its own, on the device of `distributed`, and its step's batches."""
    micro = shape.micro
    if arm.layout == "grouped":
        examples = sorted((one for row in rows for one in row), key=lambda one: -len(one.input_ids))
        micro = max(1, round(len(examples) / len(rows) * shape.micro))
        rows = [[example] for example in examples]
    training = training_of(len(rows), micro, weights, precision)
    with distributed.device:
        model = model_of(shape)
    if weights == "bf16":
        model.to(torch.bfloat16)
    view = _with_adapter(model) if arm.adapter else TrainableView(model)
    packings: dict[Layout, Packing] = {"flat": "flat", "grouped": "none", "dense": "dense", "sdpa": "dense"}
    trainer = Trainer(
        model, training, 0, 0, packings[arm.layout], distributed, attending=arm.attending, view=view
    )
    if arm.layout == "sdpa":
        trainer.layout = trainer.root.layout = PackedSdpa(model, LossOptions())
    estimated = _estimated_bytes(model, view, training, shape)
    return Prepared(trainer, trainer.prepare(rows), estimated)


def training_of(rows: int, micro: int, weights: Weights, precision: str) -> Training:
    """The settings of training that all arms share."""
    return Training(
        steps=1000,
        batch_size=rows,
        micro_batch_size=micro,
        precision="bf16" if precision == "bf16" else "float32",
        learning_rate=1e-5,
        weights=weights,
    )


class PackedSdpa(DenseMask):
    """Packed rows through transformers' own forward without a mask: it finds documents by positions that
    restart, and computes them with `scaled_dot_product_attention` under a mask of its own."""

    def __init__(self, model: Any, options: LossOptions) -> None:
        super().__init__(model, options)
        model.set_attn_implementation("sdpa")

    def _causal(self, staged: Staged) -> tuple[Tensor, Tensor, Tensor]:
        tensors = staged.tensors
        labels = tensors["labels_RL"]
        output = self.model(
            input_ids=tensors["input_ids_RL"], position_ids=tensors["positions_RL"], use_cache=False
        )
        return output.logits, labels, tensors["segments_RL"] * (labels != IGNORED)


def _with_adapter(model: Any) -> TrainableView:
    """A LoRA adapter on every linear layer but the head; its parameters are float32, and the only ones
    trained."""
    from peft import LoraConfig, inject_adapter_in_model

    head = model.get_output_embeddings()
    targets = [
        name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head
    ]
    settings = LoraConfig(r=ADAPTER_RANK, lora_alpha=2 * ADAPTER_RANK, target_modules=targets)
    inject_adapter_in_model(settings, model)
    for name, parameter in model.named_parameters():
        if _ADAPTER in name:
            parameter.data = parameter.data.float()
    return freeze(model, lambda name: _ADAPTER not in name)


def _estimated_bytes(model: Any, view: TrainableView, training: Training, shape: ModelShape) -> int:
    """What the formulas of `models.estimate` give for a micro-batch with all rows full."""
    sizes = shape_of_model(model, view.frozen)
    adapted = sum(1 for name, _ in view.parameters() if f"{_ADAPTER}A" in name)
    sizes = replace(sizes, adapter_outputs=ADAPTER_RANK * adapted)
    needed = memory(
        sizes,
        rows=shape.micro,
        inputs=shape.inputs,
        targets=shape.targets,
        precision=training.precision,
        optimizer_bytes=sum(state_bytes(size, training) for size in sizes.trained_tensors),
        weights=training.weights,
    )
    return int(needed.total)
