"""What a run folder says about the training in it, and the lock that keeps other trainings out."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

import openflan
from openflan.recipe.load_recipe import dump_recipe
from openflan.run_folder import read_json, replacing, write_json
from openflan.training.changes import FORMAT, history_of, last_replanned, replans
from openflan.training.setup import TrainingSetup
from openflan.training.sharded_files import save_tokenizer


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The state of a run folder while a training uses it.

    `replanned` is the last step whose checkpoint belongs to other packed sequences, -1 if there is none.
    `check` is for the main rank; it raises SetupError if the folder no longer belongs to this training.
    """

    replanned: int = -1
    check: Callable[[], None] = lambda: None


@contextmanager
def recorded(setup: TrainingSetup) -> Iterator[RunRecord]:
    """Locks the run folder for the block, and writes recipe, provenance, tokenizer and ledger into it.

    Raises InputError, on all ranks, if another training uses the folder.
    """
    run, distributed = setup.run, setup.distributed
    distributed.barrier()
    with distributed.alone_in(run) as check:
        history = history_of(run, setup.changes)
        distributed.barrier()
        if distributed.main:
            # The recipe last: if this is interrupted, the same command finds the same changes.
            changes = {"changes": history} if history else {}
            write_json(run.provenance, dict(setup.provenance) | changes)
            with replacing(run.tokenizer) as partial:
                save_tokenizer(setup.tokenizer, partial)
            write_text(run.recipe, dump_recipe(setup.recipe))
            if not run.ledger.is_file() or replans(setup.changes):
                write_json(run.ledger, setup.ledger())
            if setup.label and (line := setup.summary(read_json(run.ledger) or {})):
                print(f"{setup.label}: {line}", file=sys.stderr, flush=True)
        yield RunRecord(last_replanned(history), check)


def write_text(path: Path, text: str) -> None:
    """Writes a file that appears complete or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def provenance(data: Mapping[str, str], tokenizer: str) -> dict[str, Any]:
    """What made a run: versions, and hashes of its data by name and of its tokenizer."""
    return {
        "format": FORMAT,
        "openflan": openflan.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "data": dict(data),
        "tokenizer": tokenizer,
    }
