"""Checkpoints: folders that appear whole or not at all, and are checked before they are trusted.

A checkpoint is a Hugging Face folder (configuration, safetensors, tokenizer) plus the optimiser's statistics,
the position in training and the plan's index. Under several ranks each writes files of whole tensors, about
as many bytes as any other (`training.files`), and each reads of whatever files there are the rows it needs,
so that any number goes on from them. A thread of each writes while training goes on; the folder takes its
name when all have ended well. A list of the files and their hashes is kept beside them. Only listed files are
read; a file that differs from its hash, or is not in the list, is damage, and a damaged checkpoint is passed
over, with a warning, for the one before. Price: weights and statistics are held once more in memory while
they are written, by all ranks together.
"""

from __future__ import annotations

import math
import re
import shutil
import warnings
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial as bind
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from openflan.errors import InputError
from openflan.hashes import sha256_of_file, sha256_of_json
from openflan.models.folder import STATE, unlisted
from openflan.models.load_model import load_pretrained, save_configuration, save_pretrained, stored_names
from openflan.run_folder import read_json, write_json
from openflan.training.distributed import SINGLE_PROCESS, DistributedContext
from openflan.training.optimizers import statistics
from openflan.training.sharded_files import (
    File,
    files_of,
    gather,
    replacing_together,
    save_tokenizer,
    size_of,
    stored,
    write_files,
    write_index,
)
from openflan.training.shards import Whole, fill, whole

_BEST = "best.json"

EXPORTED_FILE = 4 << 30
"""Bytes of a file of a model that several ranks write."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where training stands: steps done, rows of each window so far, counts of what was seen."""

    step: int
    rows_per_window: tuple[int, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Whole weights and statistics by name, on the CPU and apart from what training goes on to change; tied
    weights share their memory.

    Under several ranks those that this one writes, under the names that files have, with the `files` of all.
    """

    weights: Mapping[str, Tensor]
    statistics: Mapping[str, Tensor]
    files: tuple[File, ...] = ()


def snapshot(
    model: Any, optimizer: torch.optim.Optimizer, distributed: DistributedContext = SINGLE_PROCESS
) -> Snapshot:
    """A copy of a model and of its optimiser's statistics. Every rank must call it, as sharded tensors are
    gathered."""
    kept = statistics(optimizer)
    if distributed.size == 1:
        return Snapshot(_whole(model), gather(kept, files_of("optimizer", kept, 1, 1), 0))
    weights = _by_stored_name(model, stored_names(model) or {})
    files = [
        files_of(stem, values, distributed.size, distributed.size)
        for stem, values in (("model", weights), ("optimizer", kept))
    ]
    return Snapshot(
        gather(weights, files[0], distributed.rank),
        gather(kept, files[1], distributed.rank),
        (*files[0], *files[1]),
    )


def save(
    folder: Path,
    model: Any,
    tokenizer: Any,
    taken: Snapshot,
    position: Position,
    keep: int,
    distributed: DistributedContext = SINGLE_PROCESS,
) -> Path:
    """Writes `folder/step-N` and removes all but the newest `keep` and the best. Every rank must call it;
    raises SetupError on all if a disk is full."""
    path = folder / f"step-{position.step}"

    def write() -> dict[str, str]:
        if taken.files:
            return write_files(partial, taken.files, {**taken.weights, **taken.statistics}, distributed.rank)
        save_pretrained(model, partial, taken.weights)
        try:
            save_file(dict(taken.statistics), partial / "optimizer.safetensors")
        except SafetensorError as error:
            raise OSError(str(error)) from error
        return {}

    def complete() -> None:
        if taken.files:
            save_configuration(model, partial)
            write_index(partial, [file for file in taken.files if file.name.startswith("model")])
        save_tokenizer(tokenizer, partial)
        state = {
            "step": position.step,
            "rows_per_window": list(position.rows_per_window),
            "counts": dict(position.counts),
            "sha256": {
                file.name: hashes.get(file.name) or sha256_of_file(file) for file in sorted(partial.iterdir())
            },
        }
        write_json(partial / STATE, state | {"seal": _seal(state)})

    with replacing_together(path, distributed) as partial:
        hashes = {name: digest for found in distributed.on_all_ranks(write) for name, digest in found.items()}
        distributed.run_on_main(complete)
    if distributed.main:
        _prune(folder, position.step, keep)
    return path


def save_model(
    folder: Path, model: Any, tokenizer: Any, distributed: DistributedContext = SINGLE_PROCESS
) -> None:
    """A plain Hugging Face folder of a model that has been trained. Every rank must call it.

    Under several ranks weights are gathered and written in files of a few gigabytes, each rank one at a time;
    those that transformers joins or splits when it writes, experts above all, go through the main rank's
    memory, whole.
    """
    names = None if distributed.size == 1 else stored_names(model)
    with replacing_together(folder, distributed) as partial:
        if names is None:
            weights = None if distributed.size == 1 else _whole(model, keep=distributed.main)
            distributed.run_on_main(lambda: save_pretrained(model, partial, weights))
        else:
            values = _by_stored_name(model, names)
            files = files_of(
                "model", values, -(-sum(map(size_of, values.values())) // EXPORTED_FILE), distributed.size
            )
            for first in range(0, len(files), distributed.size):
                some = files[first : first + distributed.size]
                tensors = gather(values, some, distributed.rank)
                distributed.on_all_ranks(bind(write_files, partial, some, tensors, distributed.rank))
            distributed.run_on_main(bind(save_configuration, model, partial))
            distributed.run_on_main(bind(write_index, partial, files))
        distributed.run_on_main(lambda: save_tokenizer(tokenizer, partial))


def _prune(folder: Path, newest_step: int, keep: int) -> None:
    # A newer one can only be a damaged one that was passed over: it must not take the place of an intact one.
    for old in [step for step in steps(folder) if step <= newest_step][:-keep]:
        if old != best_step(folder):
            shutil.rmtree(folder / f"step-{old}")


class Saver:
    """Writes one checkpoint at a time beside training. Leaving its context waits for the last, unless
    KeyboardInterrupt is what leaves it."""

    def __init__(self) -> None:
        self._writing: Future[Path] | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.wait()
        elif not issubclass(kind, KeyboardInterrupt) and self._thread is not None:
            self._thread.join()

    def save(self, *arguments: Any) -> None:
        """As the function `save`, which runs once the one before is done; what that one raised is raised
        here."""
        self.wait()
        writing = self._writing = Future()

        def write() -> None:
            try:
                writing.set_result(save(*arguments))
            except BaseException as error:
                writing.set_exception(error)

        # A daemon, so that a second Ctrl-C need not wait for it: what is half written has another name.
        self._thread = Thread(target=write, name="checkpoint", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until what is being written is on the disk; raises what went wrong."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()


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
    reads its part of the files."""
    for step in reversed(distributed.run_on_main(lambda: steps(folder))):
        path = folder / f"step-{step}"
        damage = next(
            (
                found
                for found in distributed.on_all_ranks(bind(_damage, path, distributed))
                if found is not None
            ),
            None,
        )
        if damage is None:
            return path
        if distributed.main:
            warnings.warn(f"{path}: damaged ({damage}); using the checkpoint before it", stacklevel=2)
    return None


def best_step(folder: Path) -> int | None:
    """The step that held-out evaluation chose, if it did. Raises InputError for a damaged `best.json`."""
    found = _best(folder)
    return None if found is None else found[0]


def name_best(folder: Path, step: int, metric: str, value: float) -> bool:
    """Records `step` as the best if its value is higher than the recorded one's; ties go to the earlier step,
    as in the paper (section 2.2).

    A value that is no number is never the best. Raises InputError for a damaged `best.json`.
    """
    if math.isnan(value):
        return False
    found = _best(folder)
    if found is not None and found[0] != step and (found[1], -found[0]) >= (value, -step):
        return False
    write_json(folder / _BEST, {"step": step, "metric": metric, "value": value})
    return True


def _best(folder: Path) -> tuple[int, float] | None:
    """Step and value of `best.json`."""
    found = read_json(folder / _BEST)
    if found is None:
        return None
    values: dict[str, Any] = found if isinstance(found, dict) else {}
    step, value = values.get("step"), values.get("value")
    if (
        not isinstance(step, int)
        or not _is_count(step)
        or isinstance(value, bool)
        or not isinstance(value, int | float)
    ):
        raise InputError(
            f"{folder / _BEST}: expected the numbers `step` and `value`; delete it, and the next "
            "evaluation names the best anew"
        )
    return step, value


def position_of(path: Path) -> Position:
    """Where training stood at an intact checkpoint. Raises InputError for a damaged one."""
    return _state(path)[0]


def restore_weights(path: Path, model: Any) -> None:
    """Puts a checkpoint's weights in place, bit for bit; of a sharded model each rank reads its rows. Raises
    InputError if they are of another model."""
    names = stored_names(model)
    tensors = stored(_listed(path, "model"))
    if names is None and not tensors.keys() <= model.state_dict().keys():
        # Written by transformers, which reads them back whole only.
        tensors = load_pretrained(str(path)).state_dict()
    # Tied matrices are stored once; everything that is stored must have a place.
    places: dict[int, tuple[Tensor, list[str]]] = {}
    for name, value in _lasting(model):
        places.setdefault(id(value), (value, []))[1].append((names or {}).get(name, name))
    unexpected = tensors.keys() - {name for _, known in places.values() for name in known}
    # Under the first name where none is stored, for the message.
    fitting = {
        next((name for name in known if name in tensors), known[0]): value for value, known in places.values()
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


def statistics_of(path: Path) -> dict[str, Whole]:
    """What `optimizers.restore_statistics` puts in place."""
    return stored(_listed(path, "optimizer"))


def _lasting(model: Any) -> list[tuple[str, Tensor]]:
    """Parameters and buffers that are kept, tied ones under each of their names."""
    kept = model.state_dict().keys()
    buffers = [(name, value) for name, value in model.named_buffers(remove_duplicate=False) if name in kept]
    return [*model.named_parameters(remove_duplicate=False), *buffers]


def _by_stored_name(model: Any, names: Mapping[str, str]) -> dict[str, Tensor]:
    """Parameters and buffers that are kept, tied ones once."""
    first: dict[int, tuple[str, Tensor]] = {}
    for name, value in _lasting(model):
        first.setdefault(id(value), (names.get(name, name), value))
    return dict(first.values())


def _whole(model: Any, *, keep: bool = True) -> dict[str, Tensor]:
    """All weights on the CPU, tied ones sharing their memory; a rank that is not to `keep` them takes part in
    gathering them."""
    copies: dict[int, Tensor] = {}
    for _, value in _lasting(model):
        if id(value) not in copies:
            full = whole(value.detach())
            copies[id(value)] = full.to("cpu", copy=True).contiguous() if keep else torch.empty(0)
    return {name: copies[id(value)] for name, value in _lasting(model)}


def _damage(path: Path, distributed: DistributedContext) -> str | None:
    """What is wrong with a checkpoint, or None; of its files the rank looks at its part."""
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
        values.get(name) for name in ("step", "rows_per_window", "counts", "sha256")
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


def _listed(path: Path, stem: str) -> list[Path]:
    """The safetensors files of a checkpoint, `model` or `optimizer`, that its `state.json` lists."""
    return [
        path / name for name in _state(path)[1] if name.startswith(stem) and name.endswith(".safetensors")
    ]


def _seal(state: dict[str, Any]) -> str:
    return sha256_of_json(state, escaped=True)
