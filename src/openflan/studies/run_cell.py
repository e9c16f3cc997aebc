"""One cell: a finetuning run and the evaluations of its model, in a folder of its own, which both resume
in."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.lock import locked
from openflan.metrics import read_metrics
from openflan.models.device import choose_device, name_of, processor_name
from openflan.models.quiet import one_thread
from openflan.run_folder import Run
from openflan.studies.cells import Cell
from openflan.studies.evaluations import ask_model
from openflan.studies.study_schema import Ask

_WATCH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """A cell with the keys of its result and of its model; `evaluations` have the keys of what they ask.
    `runs` holds the run folders of cells."""

    cell: Cell
    key: str
    model_key: str
    runs: Path
    evaluations: Mapping[str, Ask]
    asked_keys: Mapping[str, str]
    data: Path | None

    @property
    def run(self) -> Run:
        """The cell's own folder, or the one in which the same training has ended, be it under another name or
        for another study."""
        ending = f"-{self.model_key[:8]}"
        twins = sorted(folder for folder in self.runs.glob(f"*{ending}") if Run(folder).model.is_dir())
        return Run(twins[0] if twins else self.runs / f"{self.cell.label}{ending}")


def work(job: Job) -> dict[str, Any]:
    """Runs the missing training and evaluations of a cell; returns its line for `cells.jsonl`. What libraries
    print goes to `log.txt` of the cell.

    If a cell with the same training, also of another study, works on the same run folders, waits for it and
    takes its model.
    """
    with locked(job.runs / f".lock-{job.model_key[:8]}"):
        folder = job.run.folder
        folder.mkdir(parents=True, exist_ok=True)
        with (
            (folder / "log.txt").open("a", encoding="utf-8") as log,
            redirect_stdout(log),
            redirect_stderr(log),
        ):
            return _work(job)


def _work(job: Job) -> dict[str, Any]:
    from openflan.inference.huggingface import HuggingFaceEngine

    cell, run = job.cell, job.run
    if cell.trained and not run.model.is_dir():
        _train(cell, run)
    trained = time.monotonic()
    engine = HuggingFaceEngine.load(run.model if cell.trained else str(cell.recipe.model.base))
    label = "final" if cell.trained else "base"
    answers = {
        name: ask_model(
            ask, engine, Run(run.folder / "asked" / f"{name}-{job.asked_keys[name]}"), label, job.data
        )
        for name, ask in job.evaluations.items()
    }
    logged = read_metrics(run.metrics) if cell.trained else []
    first = read_metrics(_before(run).metrics) if cell.pretraining else []
    return {
        "key": job.key,
        "cell": cell.label,
        "values": dict(cell.values),
        "control": cell.control,
        "seed": cell.seed,
        "steps": cell.steps,
        "loss": logged[-1]["loss"] if logged else None,
        # Of all its steps, also those of an earlier call.
        "seconds": {
            "training": round(sum(line.get("seconds", 0.0) for line in [*first, *logged]), 3),
            "evaluation": round(time.monotonic() - trained, 3),
        },
        "machine": machine(),
        "answers": answers,
    }


def _train(cell: Cell, run: Run) -> None:
    from openflan.training.finetune import finetune
    from openflan.training.pretrain import pretrain

    recipe = cell.recipe
    if cell.pretraining is not None:
        before = _before(run)
        if not before.model.is_dir():
            pretrain(cell.pretraining, before, label=f"{cell.label}, pretraining")
        model = recipe.model.model_copy(update={"base": str(before.model), "config": None, "tokenizer": None})
        recipe = recipe.model_copy(update={"model": model})
    finetune(recipe, run, label=cell.label)


def _before(run: Run) -> Run:
    """What comes before finetuning, in the cell's folder."""
    return Run(run.folder / "pretraining")


def machine() -> str:
    """The name of the device that a cell ran on, for people."""
    import torch

    chosen, processor = choose_device(), processor_name()
    device = (
        name_of(chosen) if chosen.type != "cpu" else f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    )
    return f"{device}, {processor}, torch {torch.__version__}"


def start_worker() -> None:
    """Prepare a process of a cell: it has one thread if there is no GPU, and ends with its parent. Otherwise
    it could write to files of the next study."""
    one_thread()
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
