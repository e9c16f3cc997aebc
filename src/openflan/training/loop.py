"""The one training loop: packed batches through a model, with checkpoints, metrics and evaluation.

Everything a step does is a function of (recipe, step): its sequences are found from its number, and its
dropout is seeded from it. So a run that was killed and continued ends with the same bits as one that was not,
and any number of processes sees the same batches.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial as bind
from typing import Any

import torch

from openflan.errors import OpenflanError
from openflan.metrics import Metrics
from openflan.models.load_model import is_seq2seq, pad_id
from openflan.models.memory import keep_freed_memory
from openflan.models.prefix import attention_of_model, state_attention
from openflan.packing.loader import Loader
from openflan.packing.packed_stream import PackedStream
from openflan.recipe.pretraining import AnyRecipe
from openflan.run_folder import Run
from openflan.stopping import stoppable
from openflan.tracking.trackers import Trackers
from openflan.training import checkpoints
from openflan.training.best_checkpoint import MEAN, name_best
from openflan.training.checkpoints import Position, snapshot
from openflan.training.distributed import DistributedContext
from openflan.training.optimizers import restore_statistics
from openflan.training.progress import Progress
from openflan.training.run_record import RunRecord
from openflan.training.saver import Saver
from openflan.training.schedule import learning_rate_at
from openflan.training.setup import TrainingSetup, Watch
from openflan.training.shards import local_shard
from openflan.training.trainer import GlobalBatch, StepResult, Trainer

_NEW_RECORD = RunRecord()


@dataclass(slots=True)
class WindowCounts:
    """Counts of the examples of every window of which training has read a sequence."""

    windows: int
    counts: Counter[str] = field(default_factory=Counter)

    def update(self, packed_stream: PackedStream[Any], num_sequences: int) -> list[int]:
        """Adds the windows of the first `num_sequences` sequences that are new; returns the index of all of
        these windows."""
        index = packed_stream.index(num_sequences)
        for number in range(self.windows, len(index)):
            self.counts.update(packed_stream.counts(number))
        self.windows = len(index)
        return index


def train(setup: TrainingSetup, record: RunRecord = _NEW_RECORD) -> None:
    """Trains the setup's model in place to `recipe.training.steps`, from the newest checkpoint of the run if
    it has one.

    `record` says which checkpoints belong to other packed sequences; its `check` is called on the main rank
    before each checkpoint and at the end. With several ranks the model ends sharded.

    Raises OpenflanError if the loss is NaN or infinite, or if memory runs out; after SIGTERM Terminated and
    after Ctrl-C Interrupted, when the current step is done and its checkpoint is on the disk.
    """
    recipe, run, model, distributed, watch = (
        setup.recipe,
        setup.run,
        setup.model,
        setup.distributed,
        setup.watch,
    )
    settings, size = recipe.training, recipe.training.batch_size
    if distributed.device.type == "cpu":
        keep_freed_memory()
    start = checkpoints.newest(run.checkpoints, distributed)
    position = checkpoints.position_of(start) if start else Position(0)
    if position.step <= record.replanned:
        position = Position(position.step)
    attention = "causal" if is_seq2seq(model) else attention_of_model(model, recipe.model.attention)
    state_attention(model, attention)
    trainer = Trainer(
        model,
        settings,
        recipe.seed,
        pad_id(model, setup.tokenizer),
        setup.packing,
        distributed,
        prefix=attention == "prefix",
        view=setup.view,
    )
    if start:
        checkpoints.restore_weights(start, setup.view)
        restore_statistics(trainer.optimizer, checkpoints.statistics_of(start))
    packed_stream = setup.open_stream(position.sequences_per_window)
    window_counts = WindowCounts(len(position.sequences_per_window), Counter(dict(position.counts)))
    model.train()
    progress = Progress(position.step, settings.steps, label=setup.label if distributed.main else "")

    def batch_of(step: int) -> GlobalBatch:
        return trainer.prepare(packed_stream.sequences(step * size, size))

    with ExitStack() as stack:
        stopping = stack.enter_context(stoppable("step"))
        saver = stack.enter_context(Saver())
        metrics = stack.enter_context(Metrics(run.metrics, position.step)) if distributed.main else None
        trackers = stack.enter_context(
            Trackers(recipe, run.folder, position.step, quiet=not setup.label, enabled=distributed.main)
        )
        batches = iter(stack.enter_context(Loader(batch_of, position.step, settings.steps)))
        for step in range(position.step, settings.steps):
            began = time.monotonic()
            batch = next(batches)
            waited = time.monotonic() - began
            result = trainer.step(step, batch, wants_stop=bool(stopping))
            if not math.isfinite(result.loss):
                raise _diverged(f"step {step + 1}: the loss is {result.loss}", run, packed_stream, step, size)
            if not math.isfinite(result.norm or 0.0):
                raise _diverged(
                    f"step {step + 1}: the gradient's norm is {result.norm}", run, packed_stream, step, size
                )
            index = window_counts.update(packed_stream, (step + 1) * size)
            line = _line(recipe, step, batch, result, time.monotonic() - began, waited)
            if watch and watch.due(step + 1, settings.steps):
                line |= _watched(watch, trainer, model, step + 1)
            if metrics is not None:
                metrics.write(line)
                trackers.write(line)
            progress.show(step + 1, line)
            # Ranks learn of each other's signals with the next step's sums; one process alone need not wait.
            stop = bool(result.num_stopping or (distributed.size == 1 and stopping))
            best = _to_be_best(watch, run, step + 1, line, distributed)
            if (step + 1) % recipe.checkpoints.every == 0 or step + 1 == settings.steps or stop or best:
                _refuse_broken(model, step + 1, run, packed_stream, size, distributed)
                # Before the ranks speak, as the thread of the saver uses the same group, and before the copy
                # is made, so that there is only one; no name may hold it either, which would keep it until
                # the next one is complete.
                saver.wait()
                distributed.run_on_main(bind(_settle, record.check, metrics))
                now = Position(step + 1, tuple(index), tuple(sorted(window_counts.counts.items())))
                saver.save(
                    run.checkpoints,
                    model,
                    setup.tokenizer,
                    snapshot(setup.view, trainer.optimizer, distributed),
                    now,
                    recipe.checkpoints.keep,
                    distributed.for_saver,
                )
            if stop and step + 1 < settings.steps:
                progress.close()
                saver.wait()
                # The main rank completes what all have written: a launcher that sees another rank end would
                # end it too.
                distributed.barrier()
                raise stopping.ended(f"after step {step + 1}, with a checkpoint")
    progress.close()
    distributed.run_on_main(record.check)
    distributed.barrier()
    trainer.release()
    model.eval()


def _line(
    recipe: AnyRecipe, step: int, batch: GlobalBatch, result: StepResult, seconds: float, waited: float
) -> dict[str, Any]:
    """One line of metrics.jsonl."""
    return {
        "step": step + 1,
        "loss": result.loss,
        "learning_rate": learning_rate_at(recipe.training, step),
        **({} if result.norm is None else {"gradient_norm": result.norm}),
        **({} if result.router is None else {"router_loss": result.router}),
        "tokens": batch.tokens,
        "target_tokens": batch.target_tokens,
        "examples": batch.examples,
        "fill": batch.tokens / (batch.sequences * (recipe.packing.inputs + recipe.packing.targets)),
        # A clock may stand still.
        "tokens_per_second": batch.tokens / seconds if seconds > 0 else 0.0,
        "seconds": seconds,
        "waiting_seconds": waited,
    }


def _settle(check: Callable[[], None], metrics: Metrics | None) -> None:
    """What the main rank does before a checkpoint."""
    check()
    if metrics is not None:
        metrics.sync()


def _watched(watch: Watch, trainer: Trainer, model: Any, step: int) -> dict[str, Any]:
    """What a watch measures after a step, for metrics.jsonl."""
    measured: dict[str, Any] = {}
    if watch.validation is not None:
        size, total = trainer.training.batch_size, watch.validation_sequences
        parts = (
            watch.validation.sequences(first, min(size, total - first)) for first in range(0, total, size)
        )
        measured["validation_loss"] = trainer.validate(trainer.prepare(part) for part in parts)
    if watch.evaluate is not None:
        with trainer.plain_model():
            measured["scores"] = dict(watch.evaluate(step, model))
    return measured


def _to_be_best(
    watch: Watch | None, run: Run, step: int, line: Mapping[str, Any], distributed: DistributedContext
) -> bool:
    """Whether this step's score is the highest so far, so that its checkpoint must be written and kept."""
    if watch is None or watch.select is None or watch.select not in line.get("scores", {}):
        return False
    scores = line["scores"]
    # A score that is no benchmark's own is the mean of all.
    benchmarks = [watch.select] if watch.select != MEAN else [name for name in scores if name != MEAN]
    is_best = distributed.main and name_best(
        run.checkpoints, step, watch.select, scores[watch.select], benchmarks
    )
    # All ranks gather a checkpoint together, so all must know.
    return bool(distributed.all_reduce_sum([float(is_best)])[0])


def _refuse_broken(
    model: Any,
    step: int,
    run: Run,
    packed_stream: PackedStream[Any],
    size: int,
    distributed: DistributedContext,
) -> None:
    """Raises OpenflanError if a weight is NaN or infinite. A finite loss can have an infinite gradient:
    weights that it broke must not become a checkpoint from which later runs start."""
    broken = [
        name
        for name, weight in model.named_parameters()
        if not torch.isfinite(local_shard(weight.detach()).local).all()
    ]
    if distributed.all_reduce_sum([len(broken)])[0]:
        raise _diverged(
            f"step {step}: `{broken[0] if broken else 'a weight of another rank'}` holds NaN or infinite "
            "values",
            run,
            packed_stream,
            step - 1,
            size,
        )


def _diverged(what: str, run: Run, packed_stream: PackedStream[Any], step: int, size: int) -> OpenflanError:
    origins = [
        origin
        for window, number in packed_stream.locate(step * size, size)
        for origin in window.origins(number)
    ]
    named = ", ".join(f"{origin.task} row {origin.row}" for origin in origins[:5])
    more = f" and {len(origins) - 5:,} more" if len(origins) > 5 else ""
    return OpenflanError(
        f"{what}; the checkpoints of {run.checkpoints} are intact. Its batch held {named}{more}. "
        "Lower `training.learning_rate`, or look at the data with `openflan mixture`"
    )
