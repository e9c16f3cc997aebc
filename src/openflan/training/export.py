"""The model that a run leaves: a plain Hugging Face folder."""

from __future__ import annotations

from functools import partial as bind
from pathlib import Path
from typing import Any

from openflan.models.load_model import save_configuration, save_pretrained, stored_names
from openflan.training.checkpoints import all_weights, by_stored_name
from openflan.training.distributed import SINGLE_PROCESS, DistributedContext
from openflan.training.setup import TrainingSetup
from openflan.training.sharded_files import (
    TRAINED_FILES,
    WEIGHT_FILES,
    files_of,
    gather,
    replacing_together,
    save_tokenizer,
    size_of,
    write_files,
    write_index,
)
from openflan.training.trainable import TrainableView

EXPORTED_FILE = 4 << 30
"""Bytes of one weight file of a model that several ranks write."""


def export_model(
    folder: Path, view: TrainableView, tokenizer: Any, distributed: DistributedContext = SINGLE_PROCESS
) -> None:
    """Writes a trained model with its tokenizer. Every rank must call it.

    The folder holds the complete model, frozen parameters included, in the form that transformers reads. If
    the view exports only what was trained, it holds `trained*.safetensors` instead of the weights. Several
    ranks gather the weights and write files of a few gigabytes, each rank one at a time. Weights that
    transformers joins or splits when it writes, experts above all, are gathered in full by the main rank.
    """
    model, only_trained = view.model, not (view.complete or view.export_all)
    names = None if distributed.size == 1 and not only_trained else stored_names(model)
    with replacing_together(folder, distributed) as partial:
        if names is None and not only_trained:
            weights = None if distributed.size == 1 else all_weights(model, keep=distributed.main)
            distributed.run_on_main(lambda: save_pretrained(model, partial, weights))
        else:
            exported = view if only_trained else TrainableView(model)
            values = by_stored_name(exported, names or {})
            num_files = -(-sum(map(size_of, values.values())) // EXPORTED_FILE)
            stem = TRAINED_FILES if only_trained else WEIGHT_FILES
            files = files_of(stem, values, num_files, distributed.size)
            for first in range(0, len(files), distributed.size):
                some = files[first : first + distributed.size]
                tensors = gather(values, some, distributed.rank)
                distributed.on_all_ranks(bind(write_files, partial, some, tensors, distributed.rank))
            distributed.run_on_main(bind(save_configuration, model, partial))
            distributed.run_on_main(bind(write_index, partial, files))
        distributed.run_on_main(lambda: save_tokenizer(tokenizer, partial))


def export(setup: TrainingSetup) -> None:
    """Writes the trained model of a run to `model/` in its folder. Every rank must call it."""
    setup.describe()
    export_model(setup.run.model, setup.view, setup.tokenizer, setup.distributed)
    setup.distributed.barrier()
