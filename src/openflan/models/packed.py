"""Packed sequences through a model: one small object for each layout, with `batch(sequences)` and
`losses(batch)`.

An object gives every target token the loss that it has where its example is alone:

- `FlatT5` and `FlatCausal` (`flat`): examples one after another in one buffer, as documents. Attention runs
  document by document on a CPU and in buckets of like length on a GPU, so no arithmetic is spent on pairs of
  different documents, and next to none on padding. This is the fast layout. T5, mT5 and umT5 use our own
  forward, causal models use transformers' attention interface.
- `DenseMask` (`dense`): every example of a sequence is a segment, and a 4-D mask lets a token attend within
  its segment only. It is exact for any architecture that takes such masks. The price is attention over whole
  sequences.
- `Padded` (`none`): one example a sequence, with an ordinary padding mask, for every other model.

`packing_check.chosen_packing` finds out which layouts are exact for a model; `packed_layout` makes the object
of that name.

Shape suffixes as in `packing.batch` and `packing.flat`.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from openflan.models.attention import kept_area
from openflan.models.causal import Documents, PackedCausal
from openflan.models.decoder_start import decoder_start
from openflan.models.dense import causal_logits, seq2seq_logits
from openflan.models.flat_seq2seq import PackedSeq2Seq
from openflan.models.loss import token_cross_entropy
from openflan.models.masked import PADDING_MASKS_ONLY
from openflan.models.prefix import attention_window
from openflan.models.staged import Attending, Batch, Staged, longest_document, stage
from openflan.models.t5 import FAMILIES, AttentionSpans, PackedT5
from openflan.packing.batch import IGNORED, CausalBatch, Seq2SeqBatch, causal_batch, seq2seq_batch
from openflan.packing.encode import Encoded
from openflan.packing.flat import FlatCausalBatch, FlatSeq2SeqBatch, flat_causal_batch, flat_seq2seq_batch

Packing: TypeAlias = Literal["flat", "dense", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossOptions:
    """What losses depend on beside the layout.

    `pad_id` fills padded places. `full_sequence`: a causal model's loss is on every token but an example's
    first, not on its targets only. `z_loss` times the squared logarithm of the softmax's denominator is added
    to each loss. `chunk` > 0: flat layouts compute no more logits than those of so many target tokens at
    once. `prefix`: the inputs of a causal model's example see one another (flat layout only). `attending`:
    how attention goes over a flat batch that is not staged yet; None means as suits the device.
    """

    pad_id: int = 0
    full_sequence: bool = False
    z_loss: float = 0.0
    chunk: int = 0
    prefix: bool = False
    attending: Attending | None = None


class PackedLayout(ABC):
    """A Hugging Face model (`model`) that computes the losses of packed sequences.

    `module` is the root over the model's modules: what is compiled, sharded and called.
    """

    one_example_a_sequence = False
    """Whether `batch` makes a sequence of each example."""

    def __init__(self, model: Any, module: nn.Module, options: LossOptions) -> None:
        self.model = model
        self.module = module
        self.options = options

    @property
    def recomputes(self) -> bool:
        """Whether activation checkpointing may run the layers again in the backward pass."""
        return True

    @abstractmethod
    def batch(self, sequences: Sequence[Sequence[Encoded]]) -> Batch:
        """The arrays of sequences, each of which is a list of examples."""

    def losses(self, batch: Batch | Staged) -> tuple[Tensor, Tensor]:
        """The loss of every target token in float32, and the example that it belongs to (int64, from 1).

        Both are (D) or (T) for flat layouts, where examples are numbered through the batch. Elsewhere they
        are (R, D) or (R, L), examples are numbered within a sequence, and 0 stands where there is no target
        token.
        """
        device = next(self.module.parameters()).device
        staged = batch if isinstance(batch, Staged) else stage(batch, device, self.options.attending)
        return self._losses(staged.on(device))

    def restore(self) -> None:
        """Gives the model the attention function back that it had before this object was made."""
        return

    @abstractmethod
    def _losses(self, staged: Staged) -> tuple[Tensor, Tensor]: ...


class FlatT5(PackedLayout):
    """T5, mT5 and umT5 over flat batches, by our own forward. Raises ValueError for another family."""

    def __init__(self, model: Any, options: LossOptions) -> None:
        if model.config.model_type not in FAMILIES:
            raise ValueError("there is no forward for flat batches of this family")
        super().__init__(model, PackedT5(model), options)

    def batch(self, sequences: Sequence[Sequence[Encoded]]) -> FlatSeq2SeqBatch:
        return flat_seq2seq_batch(sequences, start_id=decoder_start(self.model.config))

    def _losses(self, staged: Staged) -> tuple[Tensor, Tensor]:
        batch, tensors, buckets = staged.batch, staged.tensors, staged.buckets
        if not isinstance(batch, FlatSeq2SeqBatch):
            raise TypeError("a flat batch of an encoder-decoder is needed")
        inputs, targets = torch.from_numpy(batch.input_offsets), torch.from_numpy(batch.target_offsets)
        sides = ((inputs, inputs), (targets, targets), (targets, inputs))
        heads = self.model.config.num_heads
        all_spans = tuple(
            AttentionSpans(*side, 0, buckets[index])
            if buckets
            else AttentionSpans(*side, kept_area(*side, heads))
            for index, side in enumerate(sides)
        )
        ids = (tensors[name] for name in ("input_ids_E", "decoder_ids_D", "target_ids_D"))
        settings = {"z_loss": self.options.z_loss, "chunk": self.options.chunk}
        losses_D = self.module(*ids, all_spans, longest=longest_document(staged), **settings)
        return losses_D, tensors["documents"]


class FlatSeq2Seq(PackedLayout):
    """Any other encoder-decoder over flat batches, with our attention function in it until `restore`.

    Raises ValueError if the model does not let its attention function be replaced.
    """

    def __init__(self, model: Any, options: LossOptions) -> None:
        self._attention_before = model.config._attn_implementation
        super().__init__(model, PackedSeq2Seq(model), options)

    def batch(self, sequences: Sequence[Sequence[Encoded]]) -> FlatSeq2SeqBatch:
        return flat_seq2seq_batch(sequences, start_id=decoder_start(self.model.config))

    def restore(self) -> None:
        self.model.set_attn_implementation(self._attention_before)

    def _losses(self, staged: Staged) -> tuple[Tensor, Tensor]:
        batch, tensors = staged.batch, staged.tensors
        if not isinstance(batch, FlatSeq2SeqBatch):
            raise TypeError("a flat batch of an encoder-decoder is needed")
        names = ("input_ids_E", "input_positions_E", "decoder_ids_D", "target_positions_D", "target_ids_D")
        losses_D = self.module(
            *(tensors[name] for name in names),
            inputs=tuple(batch.input_offsets.tolist()),
            targets=tuple(batch.target_offsets.tolist()),
            buckets=staged.buckets,
            z_loss=self.options.z_loss,
            chunk=self.options.chunk,
        )
        return losses_D, tensors["documents"]


class FlatCausal(PackedLayout):
    """A causal model over flat batches, with our attention function in it until `restore`.

    Raises ValueError if the model does not let its attention function be replaced.
    """

    def __init__(self, model: Any, options: LossOptions) -> None:
        self._attention_before = model.config._attn_implementation
        super().__init__(model, PackedCausal(model), options)

    def batch(self, sequences: Sequence[Sequence[Encoded]]) -> FlatCausalBatch:
        return flat_causal_batch(sequences, everything=self.options.full_sequence)

    def restore(self) -> None:
        self.model.set_attn_implementation(self._attention_before)

    def _losses(self, staged: Staged) -> tuple[Tensor, Tensor]:
        batch, tensors, options = staged.batch, staged.tensors, self.options
        if not isinstance(batch, FlatCausalBatch):
            raise TypeError("a flat batch of a causal model is needed")
        buckets = staged.buckets[0] if staged.buckets else None
        if buckets is not None and not options.prefix:
            buckets = buckets._replace(prefixes_N=None)
        prefixes = tuple(batch.input_lengths_N.tolist()) if options.prefix else None
        documents = Documents(tuple(batch.offsets.tolist()), prefixes, buckets)
        arrays = (tensors[name] for name in ("input_ids_L", "positions_L", "predicting_T", "target_ids_T"))
        settings = {"z_loss": options.z_loss, "chunk": options.chunk}
        losses_T = self.module(*arrays, documents=documents, **settings)
        return losses_T, tensors["documents"]


class DenseMask(PackedLayout):
    """Any model that takes 4-D masks, over packed sequences that are padded to the longest."""

    def __init__(self, model: Any, options: LossOptions) -> None:
        """Raises ValueError for inputs that see one another, which only flat batches have."""
        if options.prefix:
            raise ValueError("inputs that see one another need a flat batch")
        super().__init__(model, model, options)

    @property
    def recomputes(self) -> bool:
        return self.model.config.model_type not in PADDING_MASKS_ONLY

    def batch(self, sequences: Sequence[Sequence[Encoded]]) -> Batch:
        config, pad_id = self.model.config, self.options.pad_id
        if config.is_encoder_decoder:
            return seq2seq_batch(sequences, pad_id=pad_id, start_id=decoder_start(config))
        batch = causal_batch(sequences, pad_id=pad_id)
        return _with_labels_everywhere(batch) if self.options.full_sequence else batch

    def _losses(self, staged: Staged) -> tuple[Tensor, Tensor]:
        encoder_decoder = isinstance(staged.batch, Seq2SeqBatch)
        logits, labels, segments = (self._seq2seq if encoder_decoder else self._causal)(staged)
        return token_cross_entropy(logits, labels, z_loss=self.options.z_loss), segments

    def _seq2seq(self, staged: Staged) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (R, D, V), labels and segments of the targets (R, D)."""
        model, tensors = self.model, staged.tensors
        input_segments, target_segments = tensors["input_segments_RE"], tensors["target_segments_RD"]
        input_ids, decoder_ids = tensors["input_ids_RE"], tensors["decoder_ids_RD"]
        labels = tensors["target_ids_RD"].masked_fill(target_segments == 0, IGNORED)
        if _needs_padding_mask_only(staged.batch, "target_segments_RD"):
            masks = {"attention_mask": input_segments, "decoder_attention_mask": target_segments}
            output = model(input_ids=input_ids, decoder_input_ids=decoder_ids, **masks, use_cache=False)
            return output.logits, labels, target_segments
        longest = (
            _longest_segment(staged.batch, "input_segments_RE"),
            _longest_segment(staged.batch, "target_segments_RD"),
        )
        logits = seq2seq_logits(
            model, input_ids, input_segments, decoder_ids, target_segments, longest=longest
        )
        return logits, labels, target_segments

    def _causal(self, staged: Staged) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (R, L, V), labels and segments of the target tokens (R, L)."""
        model, tensors = self.model, staged.tensors
        segments, labels = tensors["segments_RL"], tensors["labels_RL"]
        padding_only = _needs_padding_mask_only(staged.batch, "segments_RL")
        ids, positions = tensors["input_ids_RL"], tensors["positions_RL"]
        if padding_only:
            output = model(input_ids=ids, attention_mask=segments, position_ids=positions, use_cache=False)
            return output.logits, labels, segments * (labels != IGNORED)
        window = attention_window(model.config)
        if window is not None and segments.shape[1] > window:
            raise ValueError(
                f"sequences of {segments.shape[1]:,} tokens are longer than its attention window of "
                f"{window:,}, which a dense mask does not keep"
            )
        longest = _longest_segment(staged.batch, "segments_RL")
        logits = causal_logits(model, ids, segments, positions, longest=longest)
        return logits, labels, segments * (labels != IGNORED)


class Padded(DenseMask):
    """Any model, over sequences of one example each, so that a padding mask is enough."""

    one_example_a_sequence = True

    @property
    def recomputes(self) -> bool:
        return True

    def batch(self, sequences: Sequence[Sequence[Encoded]]) -> Batch:
        return super().batch([[example] for sequence in sequences for example in sequence])


def packed_layout(model: Any, packing: Packing, options: LossOptions | None = None) -> PackedLayout:
    """The layout object of a Hugging Face model. Raises ValueError for a model that has no such layout."""
    options = options or LossOptions()
    flat: type[FlatT5 | FlatSeq2Seq | FlatCausal] = FlatCausal
    if model.config.is_encoder_decoder:
        flat = FlatT5 if model.config.model_type in FAMILIES else FlatSeq2Seq
    layouts: dict[Packing, type[FlatT5 | FlatSeq2Seq | FlatCausal | DenseMask]] = {
        "flat": flat,
        "dense": DenseMask,
        "none": Padded,
    }
    return layouts[packing](model, options)


@contextmanager
def temporary_layout(
    model: Any, packing: Packing, options: LossOptions | None = None
) -> Iterator[PackedLayout]:
    """The layout object of `packed_layout`; afterwards the model has its former attention function."""
    layout = packed_layout(model, packing, options)
    try:
        yield layout
    finally:
        layout.restore()


def _needs_padding_mask_only(batch: Any, segments: str) -> bool:
    """Whether every sequence holds one example. It is read off the arrays on the host, so nothing waits for
    the device."""
    return bool((getattr(batch, segments) <= 1).all())


def _longest_segment(batch: Any, segments: str) -> int:
    """The tokens of the longest example of all sequences, on one side."""
    return max(int(np.bincount(row)[1:].max(initial=1)) for row in getattr(batch, segments))


def _with_labels_everywhere(batch: CausalBatch) -> CausalBatch:
    labels = np.full_like(batch.labels_RL, IGNORED)
    follows = (batch.segments_RL[:, 1:] == batch.segments_RL[:, :-1]) & (batch.segments_RL[:, 1:] > 0)
    labels[:, :-1][follows] = batch.input_ids_RL[:, 1:][follows]
    return dataclasses.replace(batch, labels_RL=labels)
