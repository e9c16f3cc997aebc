"""Checkpoints: folders that appear whole or not at all, and are checked before they are trusted.

A checkpoint is a Hugging Face folder (configuration, safetensors, tokenizer) plus the optimiser's statistics, the position in training and the
plan's index. Weights and statistics are full tensors, whatever the number of ranks, so that any number goes on from them; the main rank gathers them
and a thread writes while training goes on. A hash of every file is kept beside them; a damaged checkpoint is passed over, with a warning, for the one
before. Price: the main rank's machine holds the weights and statistics once in memory while they are written.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.tensor import DTensor

from openflan.errors import InputError
from openflan.models.load import save_pretrained
from openflan.run import read_json, replacing, write_json
from openflan.training.optimizers import full_statistics

_STATE = "state.json"
_BEST = "best.json"


@dataclass(frozen=True, slots=True)
class Position:
    """Where training stands: steps done, rows of each window so far, counts of what was seen."""

    step: int
    rows_per_window: tuple[int, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Full weights by name, tied ones sharing their memory, and statistics; on the CPU, and apart from what training goes on to change."""

    weights: Mapping[str, Tensor]
    statistics: Mapping[str, Tensor]


def snapshot(model: Any, optimizer: torch.optim.Optimizer | None, *, main: bool = True) -> Snapshot:
    """A copy of a model and, if given, of its optimiser's statistics. Every rank must call it, as sharded tensors are gathered; only the main one keeps any."""
    copies: dict[int, Tensor] = {}
    weights = {}
    for name, value in [*model.named_parameters(remove_duplicate=False), *_lasting_buffers(model)]:
        if id(value) not in copies:
            copies[id(value)] = _copy(value, main)
        weights[name] = copies[id(value)]
    statistics = {} if optimizer is None else {name: _copy(value, main) for name, value in full_statistics(optimizer)}
    return Snapshot(weights, statistics) if main else Snapshot({}, {})


def save(folder: Path, model: Any, tokenizer: Any, taken: Snapshot, position: Position, keep: int) -> Path:
    """Writes `folder/step-N` and removes all but the newest `keep` and the best; raises SetupError if the disk is full."""
    path = folder / f"step-{position.step}"
    with replacing(path) as partial:
        partial.mkdir()
        save_pretrained(model, partial, taken.weights)
        tokenizer.save_pretrained(partial)
        try:
            save_file(dict(taken.statistics), partial / "optimizer.safetensors")
        except SafetensorError as error:
            raise OSError(str(error)) from error
        state = {
            "step": position.step,
            "rows_per_window": list(position.rows_per_window),
            "counts": dict(position.counts),
            "sha256": {file.name: _sha256(file) for file in sorted(partial.iterdir())},
        }
        write_json(partial / _STATE, state | {"seal": _seal(state)})
    # A newer one can only be a damaged one that was passed over: it must not take the place of an intact one.
    for old in [step for step in steps(folder) if step <= position.step][:-keep]:
        if old != best_step(folder):
            shutil.rmtree(folder / f"step-{old}")
    return path


class Saver:
    """Writes one checkpoint at a time beside training. Leaving its context waits for the last."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[Path] | None = None

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._pool.shutdown()

    def save(self, *arguments: Any) -> None:
        """As the function `save`, which runs once the one before is done; what that one raised is raised here."""
        self.wait()
        self._writing = self._pool.submit(save, *arguments)

    def wait(self) -> None:
        """Until what is being written is on the disk; raises what went wrong."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()


def steps(folder: Path) -> list[int]:
    """The steps that have a checkpoint, in order."""
    names = (path.name.removeprefix("step-") for path in folder.glob("step-*") if path.is_dir())
    return sorted(int(name) for name in names if name.isdigit())


def newest(folder: Path) -> Path | None:
    """The newest checkpoint that is intact, or None; warns of every damaged one."""
    for step in reversed(steps(folder)):
        path = folder / f"step-{step}"
        damage = _damage(path)
        if damage is None:
            return path
        warnings.warn(f"{path}: damaged ({damage}); using the checkpoint before it", stacklevel=2)
    return None


def best_step(folder: Path) -> int | None:
    """The step that held-out evaluation chose, if it did."""
    found = read_json(folder / _BEST)
    return None if found is None else int(found["step"])


def name_best(folder: Path, step: int, metric: str, value: float) -> bool:
    """Records `step` as the best if its value is higher than the recorded one's; ties go to the earlier step, as in the paper (section 2.2).

    A value that is no number is never the best.
    """
    if math.isnan(value):
        return False
    found = read_json(folder / _BEST)
    if found is not None and found["step"] != step and (found["value"], -found["step"]) >= (value, -step):
        return False
    write_json(folder / _BEST, {"step": step, "metric": metric, "value": value})
    return True


def position_of(path: Path) -> Position:
    """Where training stood at an intact checkpoint."""
    state = read_json(path / _STATE)
    return Position(state["step"], tuple(state["rows_per_window"]), tuple(state["counts"].items()))


def restore_weights(path: Path, model: Any) -> None:
    """Puts a checkpoint's weights in place, bit for bit; the model must not be sharded yet. Raises InputError if they are of another model."""
    weights: dict[str, Tensor] = {}
    for file in sorted(path.glob("model*.safetensors")):
        weights |= load_file(file)
    # Tied matrices are stored once; everything that is stored must have a place.
    missing, unexpected = model.load_state_dict(weights, strict=False)
    places = {name: value.data_ptr() for name, value in model.state_dict().items()}
    filled = {places[name] for name in weights if name in places}
    if unexpected or any(places[name] not in filled for name in missing):
        raise InputError(f"{path}: its weights do not fit this model ({', '.join([*unexpected, *missing][:3])}, ...); start anew with --restart")


def statistics_of(path: Path) -> dict[str, Tensor]:
    """What `optimizers.restore_statistics` puts in place."""
    found: dict[str, Tensor] = load_file(path / "optimizer.safetensors")
    return found


def _lasting_buffers(model: Any) -> list[tuple[str, Tensor]]:
    kept = model.state_dict().keys()
    return [(name, value) for name, value in model.named_buffers(remove_duplicate=False) if name in kept]


def _copy(value: Tensor, main: bool) -> Tensor:
    """On the main rank a full copy on the CPU; on others the gathering only."""
    value = value.detach()
    full = value.full_tensor() if isinstance(value, DTensor) else value
    return full.to("cpu", copy=True).contiguous() if main else torch.empty(0)


def _damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        state = read_json(path / _STATE)
        if state is None:
            return f"no {_STATE}"
        if state.pop("seal", None) != _seal(state):
            return f"{_STATE} differs from its hash"
        return next((f"{name} differs from its hash" for name, digest in state["sha256"].items() if _sha256(path / name) != digest), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        return " ".join(str(error).split())


def _seal(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
