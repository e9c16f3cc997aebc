"""One optimizer step over a global batch of packed sequences, on one process or many.

The loss of a step is the sum of its target tokens' losses over their number. Chung et al. 2022 state no
normalisation; this is the only one that does not depend on how the batch is divided. Every rank sees all
sequences of the batch, trains on its share and has the number of all target tokens, so micro-batches and
ranks change nothing but rounding. Dropout is seeded from (seed, step, first sequence) before every
micro-batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    CheckpointImpl,
    apply_activation_checkpointing,
    checkpoint_wrapper,
)

from openflan.errors import InputError, OpenflanError
from openflan.models.adapter import cast_inputs
from openflan.models.causal import transformers_attention
from openflan.models.experts import router_losses
from openflan.models.packed import LossOptions, PackedLayout, Packing, packed_layout
from openflan.models.staged import Attending, Staged, stage
from openflan.models.t5 import PackedBlock
from openflan.packing.batch import Seq2SeqBatch
from openflan.packing.encode import Encoded
from openflan.randomness import combine
from openflan.recipe.schema import Training
from openflan.training.distributed import SINGLE_PROCESS, DistributedContext, gathered, shard, sharded_modules
from openflan.training.load_sharded import detach_weights, distribute_weights
from openflan.training.optimizers import clip_gradients, make_optimizer, set_learning_rate
from openflan.training.schedule import learning_rate_at
from openflan.training.trainable import TrainableView

CHUNK = 8_192
"""Target tokens whose logits exist at once, where a vocabulary is large: 8,192 x 256,000 float32 logits are
8.4 GB."""

_LARGE_VOCABULARY = 65_536


@dataclass(frozen=True, slots=True)
class GlobalBatch:
    """A global batch on one rank: the rank's micro-batches, and the counts of all ranks together.

    An item of `batches` is a micro-batch, the number of its first sequence, and whether its loss counts.
    """

    batches: tuple[tuple[Staged, int, bool], ...]
    sequences: int
    examples: int
    tokens: int
    target_tokens: int


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of a step: the loss per target token over all ranks, and the gradient's norm before clipping
    (None: not clipped).

    `num_stopping` ranks want to stop. `router` is what a sparse model's routers added to the loss, per
    sequence; None for a dense model.
    """

    loss: float
    norm: float | None
    num_stopping: int
    router: float | None = None


class LossModule(nn.Module):
    """A module whose forward gives the token losses of a batch. It is what FSDP shards."""

    def __init__(self, layout: PackedLayout, training: Training) -> None:
        super().__init__()
        self.layout = layout
        self.inner = layout.module
        self.router = router_losses(layout.model, training.router_aux_loss, training.router_z_loss)

    def forward(self, batch: Staged) -> Tensor:
        with nullcontext() if self.router is None else self.router.recording():
            return self.layout.losses(batch)[0]


class Trainer:
    """A model with its optimizer and its distributed context."""

    def __init__(
        self,
        model: Any,
        training: Training,
        seed: int,
        pad_id: int,
        packing: Packing = "flat",
        distributed: DistributedContext = SINGLE_PROCESS,
        *,
        prefix: bool = False,
        attending: Attending | None = None,
        view: TrainableView | None = None,
    ) -> None:
        """`model` is a Hugging Face model. With several ranks it is sharded in place, and only the main rank
        needs to have its weights.

        `prefix`: its inputs see one another. `attending` says how attention is computed over flat batches;
        absent, as suits the device. `view` says which parameters are trained; absent, all.
        """
        self.distributed = distributed
        self.training = training
        self.view = view or TrainableView(model)
        self._attending = attending
        self._model = model
        self._seed = seed
        self._full_sequence = training.loss_on == "full_sequence"
        self._attention = model.config._attn_implementation
        large = model.get_input_embeddings().weight.shape[0] > _LARGE_VOCABULARY
        options = LossOptions(
            pad_id=pad_id,
            full_sequence=self._full_sequence,
            z_loss=training.z_loss,
            chunk=CHUNK if large else 0,
            prefix=prefix,
        )
        self.layout = packed_layout(model, packing, options)
        if training.activation_checkpointing == "full" and not self.layout.recomputes:
            raise InputError(
                "training.activation_checkpointing: full does not go with packed sequences of a model of "
                f"type {model.config.model_type}, whose masks do not "
                "outlive the forward; lower training.micro_batch_size instead"
            )
        self.root = LossModule(self.layout, training)
        if training.activation_checkpointing == "full":
            _recompute(self.root, model)
        if distributed.size > 1:
            _share_modules(self.root, model)
            weights = detach_weights(model)
            shard(self.root, _layers(self.root, model), distributed, bf16=training.precision == "bf16")
            distribute_weights(self.root, model, weights, distributed)
        else:
            self.root.to(distributed.device)
        if training.compile == "fullgraph":
            self.root.inner.compile(fullgraph=True, dynamic=True)
        if training.precision == "bf16":
            cast_inputs(model, False)
        self.optimizer = make_optimizer(self.view.parameters(), training, seed)

    def prepare(self, sequences: Sequence[Sequence[Encoded]]) -> GlobalBatch:
        """This rank's micro-batches of a global batch. Every rank has equally many: one that has no sequence
        for a micro-batch computes the first sequence again, and its loss does not count."""
        first, end = self.distributed.share(len(sequences))
        size = self.training.micro_batch_size or self.distributed.most(len(sequences))
        batches = []
        for number in range(-(-self.distributed.most(len(sequences)) // size)):
            at = first + number * size
            mine = sequences[at : min(at + size, end)]
            batch = self.layout.batch(mine or sequences[:1])
            batches.append((stage(batch, self.distributed.device, self._attending), at, bool(mine)))
        examples = [example for sequence in sequences for example in sequence]
        targets = sum(example.num_learned for example in examples)
        tokens = targets + sum(example.num_context for example in examples)
        if self._full_sequence:
            # Nothing comes before an example's first token, from which it could be predicted.
            targets = tokens - len(examples)
        return GlobalBatch(tuple(batches), len(sequences), len(examples), tokens, targets)

    def step(self, step: int, prepared: GlobalBatch, *, wants_stop: bool = False) -> StepResult:
        """The update after `step` finished ones. `wants_stop`: this rank wants to stop; all ranks learn of
        it.

        Raises OpenflanError if memory runs out. A NaN or infinite loss or norm leaves the weights as they
        were.
        """
        losses: list[tuple[Tensor, Tensor | None, bool]] = []
        router = self.root.router
        items = prepared.examples if self.layout.one_example_a_sequence else prepared.sequences
        try:
            for batch, first, counts in prepared.batches:
                torch.manual_seed(combine(self._seed, "dropout", step, first) >> 1)
                with self._arithmetic():
                    loss = self.root(batch).sum()
                # FSDP divides by the number of ranks what it has summed.
                share = loss * (self.distributed.size * counts / prepared.target_tokens)
                terms = None
                if router is not None and isinstance(batch.batch, Seq2SeqBatch):
                    terms = router.losses(batch.batch).sum()
                    share = share + terms * (self.distributed.size * counts / items)
                share.backward()
                losses.append((loss.detach(), None if terms is None else terms.detach(), counts))
            # Read once all micro-batches are under way: a GPU would stand still for each.
            total = sum(loss.item() * counts for loss, _, counts in losses)
            added = sum(terms.item() * counts for _, terms, counts in losses if terms is not None)
        except torch.OutOfMemoryError as error:
            raise self._out_of_memory(error) from None
        summed, num_stopping, added = self.distributed.all_reduce_sum([total, float(wants_stop), added])
        loss_per_token = summed / prepared.target_tokens
        norm = None
        if math.isfinite(loss_per_token) and self.training.clip_norm is not None:
            norm = clip_gradients(
                (parameter for _, parameter in self.view.parameters()), self.training.clip_norm
            )
        if math.isfinite(loss_per_token) and math.isfinite(norm or 0.0):
            set_learning_rate(self.optimizer, learning_rate_at(self.training, step))
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return StepResult(
            loss_per_token, norm, round(num_stopping), None if router is None else added / items
        )

    @torch.no_grad()
    def validate(self, batches: Iterable[GlobalBatch]) -> float:
        """Loss per target token without dropout and z-loss, over batches that `prepare` made."""
        was = self.root.training
        self.root.eval()
        total, targets = 0.0, 0
        for prepared in batches:
            for batch, _, counts in prepared.batches:
                with self._arithmetic():
                    total += self.root(batch).sum().item() * counts
            targets += prepared.target_tokens
        for module in sharded_modules(self.root):
            # No backward follows, after which FSDP would do so.
            module.reshard()
        self.root.train(was)
        return self.distributed.all_reduce_sum([total])[0] / max(1, targets)

    @contextmanager
    def plain_model(self) -> Iterator[None]:
        """Within the block the model is one for plain transformers, for generation between two steps: it has
        its own attention function, no dropout, and is complete on every rank."""
        was = self.root.training
        # Both, because our T5 module has only the parts of the model that it calls: transformers' attention
        # has a flag of its own for dropout.
        for module in (self.root, self._model):
            module.eval()
        if self.training.precision == "bf16":
            cast_inputs(self._model, True)
        try:
            with gathered(self.root), transformers_attention(self._model, self._attention):
                yield
        finally:
            if self.training.precision == "bf16":
                cast_inputs(self._model, False)
            for module in (self._model, self.root):
                module.train(was)

    def release(self) -> None:
        """Gives the model its own attention function back."""
        self.layout.restore()

    def _arithmetic(self) -> AbstractContextManager[Any]:
        if self.training.precision != "bf16":
            return nullcontext()
        return torch.autocast(self.distributed.device.type, dtype=torch.bfloat16)

    def _out_of_memory(self, error: Exception) -> OpenflanError:
        size = self.training.micro_batch_size or self.distributed.most(self.training.batch_size)
        lower = (
            f"training.micro_batch_size={max(1, size // 2)}"
            if size > 1
            else "packing.inputs, or take more devices"
        )
        return OpenflanError(
            f"out of memory on {self.distributed.device}: {str(error).splitlines()[0]} Lower {lower}, or "
            "set training.activation_checkpointing=full; "
            "`openflan mixture` estimates what a recipe needs"
        )


def _layers(root: LossModule, model: Any) -> list[nn.Module]:
    """The repeated layers, each of which is gathered by itself."""
    names = set(getattr(model, "_no_split_modules", None) or ())
    return [module for module in root.modules() if isinstance(module, PackedBlock)] or [
        module for module in model.modules() if type(module).__name__ in names
    ]


def _share_modules(root: nn.Module, model: Any) -> None:
    """Replaces each module of the model that `root` does not hold but shares weights with by the module of
    `root`.

    T5's encoder and decoder have an embedding module each over one matrix. FSDP2 exchanges the weights of the
    modules under its root. Any other module would keep, evaluate and save the weights that it began with.
    """
    held = dict.fromkeys(root.modules())
    owners = {
        (type(module), *map(id, module.parameters(recurse=False))): module
        for module in held
        if any(True for _ in module.parameters(recurse=False))
    }
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            owner = owners.get((type(child), *map(id, child.parameters(recurse=False))))
            if child not in held and owner is not None:
                setattr(parent, name, owner)


def _recompute(root: LossModule, model: Any) -> None:
    """Makes layers keep only their inputs. Our T5 blocks are wrapped outside the Hugging Face model, so its
    parameters keep their names."""
    if any(isinstance(module, PackedBlock) for module in root.modules()):
        apply_activation_checkpointing(
            root,
            checkpoint_wrapper_fn=lambda module: checkpoint_wrapper(module, CheckpointImpl.NO_REENTRANT),
            check_fn=lambda module: isinstance(module, PackedBlock),
        )
    else:
        # Renamed in transformers 5.23, where the former name warns.
        enable = (
            getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        )
        enable({"use_reentrant": False})
