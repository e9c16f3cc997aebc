"""Checkpoints: folders that appear whole or not at all, and are checked before they are trusted.

A checkpoint is a Hugging Face folder (configuration, safetensors, tokenizer) plus the optimizer's statistics,
the position in training and the index of the packed sequences. If part of the model is frozen, it holds only
the trained parameters, in files of another name, so that nobody takes it for a complete model. Of an adapter
it is an adapter folder, which holds the name of its base and the hash of the base's weights.

Several ranks each write files of full tensors, about equally many bytes (`training.sharded_files`). Each rank
reads the rows that it needs from any files, so any number of ranks can continue from them. A thread of each
rank writes while training continues; the folder gets its name when all have succeeded. `state.json` lists the
files and their hashes. Only listed files are read. A file that differs from its hash, or is not in the list,
is damage; a damaged checkpoint is skipped, with a warning, for the one before. Trade-off: weights and
statistics are held once more in memory while they are written, by all ranks together.
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial as bind
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from openflan.errors import InputError
from openflan.hashes import sha256_of_file, sha256_of_json
from openflan.models.adapter import AdapterRecord
from openflan.models.adapter_folder import ADAPTER_WEIGHTS
from openflan.models.folder import STATE, unlisted
from openflan.models.load_model import load_pretrained, save_configuration, save_pretrained
from openflan.run_folder import read_json, write_json
from openflan.training.best_checkpoint import best_step
from openflan.training.distributed import SINGLE_PROCESS, DistributedContext
from openflan.training.optimizers import statistics
from openflan.training.sharded_files import (
    TRAINED_FILES,
    WEIGHT_FILES,
    File,
    files_of,
    gather,
    replacing_together,
    save_tokenizer,
    stored,
    write_files,
    write_index,
)
from openflan.training.shards import FullTensor, fill, full_tensor
from openflan.training.trainable import TrainableView


@dataclass(frozen=True, slots=True)
class Position:
    """Where training stands: steps done, sequences of each window so far, counts of what was read."""

    step: int
    sequences_per_window: tuple[int, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy on the CPU of weights and statistics by name; tied weights share their memory.

    `files` is empty if one process saves a complete model. Otherwise the weights have the names that files
    use, the copy holds the tensors that this rank writes, and `files` lists the files of all ranks.
    """

    weights: Mapping[str, Tensor]
    statistics: Mapping[str, Tensor]
    files: tuple[File, ...] = ()
    adapter: AdapterRecord | None = None


def snapshot(
    view: TrainableView, optimizer: torch.optim.Optimizer, distributed: DistributedContext = SINGLE_PROCESS
) -> Snapshot:
    """A copy of what a view saves and of the optimizer's statistics. Every rank must call it, because sharded
    tensors are gathered."""
    kept = statistics(optimizer)
    if distributed.size == 1 and view.complete:
        return Snapshot(all_weights(view.model), gather(kept, files_of("optimizer", kept, 1, 1), 0))
    weights = by_stored_name(view, view.names_in_files() or {})
    # An adapter is small, and other tools read it from one file.
    parts = distributed.size if view.adapter is None else 1
    files = [
        files_of(stem, values, num_files, distributed.size)
        for stem, values, num_files in (
            (_stem(view), weights, parts),
            ("optimizer", kept, distributed.size),
        )
    ]
    return Snapshot(
        gather(weights, files[0], distributed.rank),
        gather(kept, files[1], distributed.rank),
        (*files[0], *files[1]),
        view.adapter,
    )


def save(
    folder: Path,
    model: Any,
    tokenizer: Any,
    copied: Snapshot,
    position: Position,
    keep: int,
    distributed: DistributedContext = SINGLE_PROCESS,
) -> Path:
    """Writes `folder/step-N` and removes all but the newest `keep` and the best. Every rank must call it;
    raises SetupError on all if a disk is full."""
    path = folder / f"step-{position.step}"

    def write() -> dict[str, str]:
        if copied.files:
            return write_files(
                partial, copied.files, {**copied.weights, **copied.statistics}, distributed.rank
            )
        save_pretrained(model, partial, copied.weights)
        try:
            save_file(dict(copied.statistics), partial / "optimizer.safetensors")
        except SafetensorError as error:
            raise OSError(str(error)) from error
        return {}

    def complete() -> None:
        if copied.files:
            save_configuration(model, partial)
            write_index(partial, [file for file in copied.files if file.name.startswith(WEIGHT_FILES)])
        if copied.adapter is not None:
            copied.adapter.write(partial)
        save_tokenizer(tokenizer, partial)
        state = {
            "step": position.step,
            "sequences_per_window": list(position.sequences_per_window),
            "counts": dict(position.counts),
            "sha256": {
                file.name: hashes.get(file.name) or sha256_of_file(file) for file in sorted(partial.iterdir())
            },
        }
        write_json(partial / STATE, state | {"seal": _seal(state)})

    with replacing_together(path, distributed) as partial:
        hashes = {
            name: digest for written in distributed.on_all_ranks(write) for name, digest in written.items()
        }
        distributed.run_on_main(complete)
    if distributed.main:
        _prune(folder, position.step, keep)
    return path


def _prune(folder: Path, newest_step: int, keep: int) -> None:
    # A newer one can only be a damaged one that was skipped: it must not push out an intact one.
    for old in [step for step in steps(folder) if step <= newest_step][:-keep]:
        if old != best_step(folder):
            shutil.rmtree(folder / f"step-{old}")


def steps(folder: Path) -> list[int]:
    """The steps that have a checkpoint, in order."""
    names = (
        re.fullmatch(r"step-(0|[1-9][0-9]{0,17})", path.name)
        for path in folder.glob("step-*")
        if path.is_dir()
    )
    return sorted(int(name[1]) for name in names if name)


def newest(folder: Path, distributed: DistributedContext = SINGLE_PROCESS) -> Path | None:
    """The newest checkpoint that is intact, or None; warns of every damaged one. Every rank must call it, and
    checks some of the files."""
    for step in reversed(distributed.run_on_main(lambda: steps(folder))):
        path = folder / f"step-{step}"
        damage = next(
            (
                problem
                for problem in distributed.on_all_ranks(bind(_damage, path, distributed))
                if problem is not None
            ),
            None,
        )
        if damage is None:
            return path
        if distributed.main:
            warnings.warn(f"{path}: damaged ({damage}); using the checkpoint before it", stacklevel=2)
    return None


def position_of(path: Path) -> Position:
    """Where training stood at an intact checkpoint. Raises InputError for a damaged one."""
    return _state(path)[0]


def restore_weights(path: Path, view: TrainableView) -> None:
    """Restores what a view saves from a checkpoint, bit for bit. Each rank reads its rows of a sharded model.

    Raises InputError if the weights belong to another model, if other parameters were frozen, or if an
    adapter was trained on another base.
    """
    if view.adapter is not None:
        view.adapter.check_base(path)
    names = view.names_in_files()
    tensors = stored(_listed(path, _stem(view)))
    if names is None and view.complete and not tensors.keys() <= view.model.state_dict().keys():
        # transformers wrote them, and reads them back only as a complete model.
        tensors = load_pretrained(str(path)).state_dict()
    # Tied matrices are stored once; everything that is stored must belong to the model.
    names_by_tensor: dict[int, tuple[Tensor, list[str]]] = {}
    for name, value in view.saved():
        names_by_tensor.setdefault(id(value), (value, []))[1].append((names or {}).get(name, name))
    unexpected = tensors.keys() - {name for _, known in names_by_tensor.values() for name in known}
    # If none of its names is stored, the message has the first.
    fitting = {
        next((name for name in known if name in tensors), known[0]): value
        for value, known in names_by_tensor.values()
    }
    misfits = [
        name
        for name, value in fitting.items()
        if name not in tensors or tuple(tensors[name].shape) != tuple(value.shape)
    ]
    if unexpected or misfits:
        raise InputError(
            f"{path}: its weights do not fit this model "
            f"({', '.join([*sorted(unexpected), *misfits][:3])}, ...); start anew with --restart"
        )
    for name, value in fitting.items():
        fill(value, tensors[name])


def statistics_of(path: Path) -> dict[str, FullTensor]:
    """The optimizer's statistics of a checkpoint, for `optimizers.restore_statistics`."""
    return stored(_listed(path, "optimizer"))


def by_stored_name(view: TrainableView, names: Mapping[str, str]) -> dict[str, Tensor]:
    """What a view saves, tied tensors once, by the names that files use."""
    first: dict[int, tuple[str, Tensor]] = {}
    for name, value in view.saved():
        first.setdefault(id(value), (names.get(name, name), value))
    return dict(first.values())


def all_weights(model: Any, *, keep: bool = True) -> dict[str, Tensor]:
    """A copy of all weights on the CPU, in which tied ones share their memory. A rank with `keep` false takes
    part in gathering them and keeps none."""
    copies: dict[int, Tensor] = {}
    saved = TrainableView(model).saved()
    for _, value in saved:
        if id(value) not in copies:
            full = full_tensor(value.detach())
            copies[id(value)] = full.to("cpu", copy=True).contiguous() if keep else torch.empty(0)
    return {name: copies[id(value)] for name, value in saved}


def _damage(path: Path, distributed: DistributedContext) -> str | None:
    """What is wrong with a checkpoint, or None. Each rank checks some of the files."""
    try:
        position, hashes = _state(path)
        if path.name != f"step-{position.step}":
            return f"it is of step {position.step:,}"
        if strangers := unlisted(path, hashes):
            return f"{strangers[0]} is not in the list of {STATE}"
        mine = list(hashes.items())[distributed.rank :: distributed.size]
        return next(
            (
                f"{name} differs from its hash"
                for name, digest in mine
                if sha256_of_file(path / name) != digest
            ),
            None,
        )
    except (OSError, ValueError, InputError) as error:
        return " ".join(str(error).split())


def _state(path: Path) -> tuple[Position, dict[str, str]]:
    """Position and files of a checkpoint, by its `state.json`. Raises InputError if that is missing or not as
    it was written."""
    state = read_json(path / STATE)
    if state is None:
        raise InputError(f"{path}: no {STATE}")
    if not isinstance(state, dict) or state.pop("seal", None) != _seal(state):
        raise InputError(f"{path / STATE} differs from its hash")
    values: dict[str, Any] = state
    step, rows, counts, hashes = (
        values.get(name) for name in ("step", "sequences_per_window", "counts", "sha256")
    )
    if (
        not isinstance(step, int)
        or not isinstance(rows, list)
        or not isinstance(counts, dict)
        or not isinstance(hashes, dict)
        or not all(map(_is_count, (step, *rows, *counts.values())))
        or not all(Path(name).name == name for name in hashes)
    ):
        raise InputError(f"{path / STATE}: not what openflan writes")
    return Position(step, tuple(rows), tuple(counts.items())), hashes


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _stem(view: TrainableView) -> str:
    if view.adapter is not None:
        return ADAPTER_WEIGHTS.removesuffix(".safetensors")
    return WEIGHT_FILES if view.complete else TRAINED_FILES


def _listed(path: Path, stem: str) -> list[Path]:
    """The safetensors files of a checkpoint whose names begin with `stem` and that its `state.json` lists."""
    return [
        path / name for name in _state(path)[1] if name.startswith(stem) and name.endswith(".safetensors")
    ]


def _seal(state: dict[str, Any]) -> str:
    return sha256_of_json(state, escaped=True)
