"""Everything that one training needs, made before the first step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from openflan.models.packed import Packing
from openflan.packing.packed_stream import PackedStream
from openflan.recipe.pretraining import AnyRecipe
from openflan.recipe.recipe_changes import Change
from openflan.run_folder import Run
from openflan.training.distributed import SINGLE_PROCESS, DistributedContext
from openflan.training.trainable import TrainableView

Evaluate: TypeAlias = Callable[[int, Any], Mapping[str, float]]
"""Scores of a model after a number of steps, by name; called between two steps."""

OpenStream: TypeAlias = Callable[[Sequence[int]], PackedStream[Any]]
"""Opens the packed sequences of a run, given the sequences of each window that are known from a
checkpoint."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is measured during training, every `every` steps and after the last one.

    The loss on the first `validation_sequences` sequences of `validation`, which are never trained on, and
    the scores that `evaluate` returns. `select` names the score that chooses the best checkpoint.
    """

    every: int
    validation: PackedStream[Any] | None = None
    validation_sequences: int = 0
    evaluate: Evaluate | None = None
    select: str | None = None

    def due(self, step: int, last: int) -> bool:
        """Whether to measure after `step` of `last` steps."""
        return step % self.every == 0 or step == last


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """A training that is ready to begin: `prepare_run` and `prepare_pretraining` make one.

    `view` holds the model and says which parameters are trained. `packing` is the layout of batches.
    `provenance` identifies data, tokenizer and versions, and `changes` lists what differs from an earlier
    call in the same run folder. `describe` writes into the model's configuration how it is trained. `ledger`
    makes the ledger of the run, and `summary` a line about it for the user, None for none. `label` begins the
    lines of progress; without one nothing is printed.
    """

    recipe: AnyRecipe
    run: Run
    view: TrainableView
    tokenizer: Any
    open_stream: OpenStream
    packing: Packing = "flat"
    distributed: DistributedContext = SINGLE_PROCESS
    watch: Watch | None = None
    label: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    changes: Sequence[Change] = ()
    describe: Callable[[], None] = lambda: None
    ledger: Callable[[], dict[str, Any]] = dict
    summary: Callable[[Mapping[str, Any]], str | None] = lambda ledger: None

    @property
    def model(self) -> Any:
        return self.view.model
