"""The model that a run leaves: a plain Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial as bind
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openflan.models.adapter import merge_adapter
from openflan.models.adapter_folder import ADAPTER_WEIGHTS
from openflan.models.folder import model_folder, weight_files
from openflan.models.load_model import save_configuration, save_pretrained, stored_names
from openflan.models.sizes import stored_dtype
from openflan.recipe.schema import Model
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
from openflan.training.shards import full_tensor, local_shard
from openflan.training.trainable import TrainableView

EXPORTED_FILE = 4 << 30
"""Bytes of one weight file of a model that several ranks write."""


def export_model(
    folder: Path,
    view: TrainableView,
    tokenizer: Any,
    distributed: DistributedContext = SINGLE_PROCESS,
    dtype: torch.dtype | None = None,
) -> None:
    """Writes a trained model with its tokenizer. Every rank must call it. Weights are rounded to `dtype`;
    None keeps the format in which they were trained.

    The folder holds the complete model, frozen parameters included, in the form that transformers reads. If
    the view exports only what was trained, it holds `trained*.safetensors` instead of the weights. Several
    ranks gather the weights and write files of a few gigabytes, each rank one at a time. Weights that
    transformers joins or splits when it writes, experts above all, are gathered in full by the main rank.
    """
    dtype = view.model.dtype if dtype is None else dtype
    model, only_trained = view.model, not (view.complete or view.export_all)
    own = TrainableView(model)
    names = None if distributed.size == 1 and not only_trained else stored_names(model)
    with replacing_together(folder, distributed) as partial:
        if names is None and not only_trained:
            weights = None
            if distributed.size > 1:
                weights = _rounded(all_weights(model, keep=distributed.main), dtype)
            elif dtype != model.dtype:
                weights = _rounded({name: value.detach() for name, value in own.saved()}, dtype)
            distributed.run_on_main(lambda: save_pretrained(model, partial, weights))
        else:
            exported = view if only_trained else own
            values = by_stored_name(exported, names or {})
            num_files = -(-sum(map(size_of, values.values())) // EXPORTED_FILE)
            stem = TRAINED_FILES if only_trained else WEIGHT_FILES
            files = files_of(stem, values, num_files, distributed.size)
            for first in range(0, len(files), distributed.size):
                some = files[first : first + distributed.size]
                tensors = _rounded(gather(values, some, distributed.rank), dtype)
                distributed.on_all_ranks(bind(write_files, partial, some, tensors, distributed.rank))
            distributed.run_on_main(bind(save_configuration, model, partial))
            distributed.run_on_main(bind(write_index, partial, files))
        distributed.run_on_main(bind(_state_dtype, partial, dtype))
        distributed.run_on_main(lambda: save_tokenizer(tokenizer, partial))


def export(setup: TrainingSetup) -> None:
    """Writes the trained model of a run to `model/` in its folder. Every rank must call it.

    Of an adapter that is the base with the adapter merged, and `adapter/` beside it is the adapter by itself.
    The model in memory is then the merged one.
    """
    setup.describe()
    view = setup.view
    if view.adapter is not None:
        _export_adapter(setup)
        merge_adapter(view.model, _rows, full_tensor)
        view = TrainableView(view.model)
    dtype = setup.distributed.run_on_main(lambda: export_dtype(setup.recipe.model))
    export_model(setup.run.model, view, setup.tokenizer, setup.distributed, dtype)
    setup.distributed.barrier()


def _export_adapter(setup: TrainingSetup) -> None:
    view, distributed = setup.view, setup.distributed
    weights = by_stored_name(view, view.names_in_files() or {})
    files = files_of(ADAPTER_WEIGHTS.removesuffix(".safetensors"), weights, 1, 1)
    with replacing_together(setup.run.adapter, distributed) as partial:
        tensors = gather(weights, files, distributed.rank)
        distributed.on_all_ranks(bind(write_files, partial, files, tensors, distributed.rank))
        distributed.run_on_main(bind(save_configuration, view.model, partial))
        if view.adapter is not None:
            distributed.run_on_main(bind(view.adapter.write, partial))
        distributed.run_on_main(lambda: save_tokenizer(setup.tokenizer, partial))


def _rows(tensor: Tensor) -> tuple[Tensor, int]:
    """This rank's rows of a tensor, and the number of the first one."""
    shard = local_shard(tensor)
    return shard.local, shard.first


def export_dtype(section: Model) -> torch.dtype | None:
    """The number format that a recipe's model is exported in: its `export_dtype`, else that of its base's
    files; None, that of training, where there is no base."""
    name: str | None = section.export_dtype
    if name is None and section.base is not None:
        name = stored_dtype(weight_files(model_folder(section.base, tokenizer=False)))
    return None if name is None else getattr(torch, name)


def _rounded(weights: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights in `dtype`; integers stay, and tied ones still share their memory."""
    # Tied tensors are one object or share their memory.
    by_place: dict[tuple[int, tuple[int, ...]], Tensor] = {}
    for value in weights.values():
        place = (value.data_ptr(), tuple(value.shape))
        if place not in by_place:
            by_place[place] = value.to(dtype) if value.is_floating_point() else value
    return {name: by_place[value.data_ptr(), tuple(value.shape)] for name, value in weights.items()}


def _state_dtype(folder: Path, dtype: torch.dtype) -> None:
    """Writes the number format of the weights into a folder's configuration."""
    path = folder / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["dtype"] = str(dtype).removeprefix("torch.")
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
