"""Checkpoints: folders that appear whole or not at all, and are checked before they are trusted.

A checkpoint is a Hugging Face folder (configuration, safetensors, tokenizer) plus the optimiser's statistics, the position in training and the
plan's index. A hash of every file is kept beside them; a damaged checkpoint is passed over, with a warning, for the one before.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from openflan.errors import InputError
from openflan.models.load import save_pretrained
from openflan.run import read_json, replacing, write_json

_STATE = "state.json"


@dataclass(frozen=True, slots=True)
class Position:
    """Where training stands: steps done, rows of each window so far, counts of what was seen."""

    step: int
    rows_per_window: tuple[int, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()


def save(folder: Path, model: Any, tokenizer: Any, optimizer: torch.optim.Optimizer, position: Position, keep: int) -> Path:
    """Writes `folder/step-N` and removes all but the newest `keep`; raises SetupError if the disk is full."""
    path = folder / f"step-{position.step}"
    with replacing(path) as partial:
        partial.mkdir()
        save_pretrained(model, partial)
        tokenizer.save_pretrained(partial)
        try:
            save_file(_statistics(model, optimizer), partial / "optimizer.safetensors")
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
        shutil.rmtree(folder / f"step-{old}")
    return path


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


def restore(path: Path, model: Any, optimizer: torch.optim.Optimizer) -> Position:
    """Puts a checkpoint's weights and statistics in place, bit for bit."""
    weights: dict[str, torch.Tensor] = {}
    for file in sorted(path.glob("model*.safetensors")):
        weights |= load_file(file)
    # Tied matrices are stored once; everything that is stored must have a place.
    missing, unexpected = model.load_state_dict(weights, strict=False)
    places = {name: value.data_ptr() for name, value in model.state_dict().items()}
    filled = {places[name] for name in weights if name in places}
    if unexpected or any(places[name] not in filled for name in missing):
        raise InputError(f"{path}: its weights do not fit this model ({', '.join([*unexpected, *missing][:3])}, ...); start anew with --restart")
    _load_statistics(model, optimizer, load_file(path / "optimizer.safetensors"))
    state = read_json(path / _STATE)
    return Position(state["step"], tuple(state["rows_per_window"]), tuple(state["counts"].items()))


def _statistics(model: Any, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {f"{name}|{kind}": value.contiguous() for name, parameter in model.named_parameters() for kind, value in optimizer.state.get(parameter, {}).items()}


def _load_statistics(model: Any, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, _, kind = key.rpartition("|")
        parameter = parameters[name]
        optimizer.state[parameter][kind] = value if value.ndim == 0 else value.to(parameter.device)


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
