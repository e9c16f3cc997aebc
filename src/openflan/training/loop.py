"""The one loop: packed batches through a model, with checkpoints, metrics and evaluation on the way.

Everything a step does is a function of (recipe, step): its rows are found from its number and its dropout is
seeded from it, so a run that was killed ends with the same bits as one that was not, and any number of
processes sees the same batches.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial as bind
from typing import Any, TypeAlias

import torch

from openflan.errors import OpenflanError
from openflan.metrics import Metrics
from openflan.models.load_model import is_seq2seq, pad_id
from openflan.models.memory import keep_freed_memory
from openflan.models.packed import Packing
from openflan.models.prefix import attention_of_model, state_attention
from openflan.packing.loader import Loader
from openflan.packing.plan import WindowPlan
from openflan.recipe.pretraining import AnyRecipe
from openflan.run_folder import Run
from openflan.stopping import stoppable
from openflan.training import checkpoints
from openflan.training.checkpoints import Position, Saver, snapshot
from openflan.training.distributed import SINGLE_PROCESS, DistributedContext
from openflan.training.optimizers import restore_statistics
from openflan.training.progress import Progress
from openflan.training.schedule import learning_rate_at
from openflan.training.shards import part_of
from openflan.training.track import Track
from openflan.training.trainer import Outcome, Prepared, Trainer

Evaluate: TypeAlias = Callable[[int, Any], Mapping[str, float]]
"""Scores of a model after a number of steps, by name; called between two steps."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is measured while training: the loss on `validation` rows, never trained on, and what `evaluate`
    says, every `every` steps and at the end.

    `select` names the score of `evaluate` by which the best checkpoint is chosen.
    """

    every: int
    validation: WindowPlan[Any] | None = None
    validation_rows: int = 0
    evaluate: Evaluate | None = None
    select: str | None = None

    def due(self, step: int, last: int) -> bool:
        return step % self.every == 0 or step == last


@dataclass(slots=True)
class Counted:
    """What became of the examples of every window that was begun."""

    windows: int
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, plan: WindowPlan[Any], rows: int) -> list[int]:
        """Counts the windows of the first `rows` rows that are new; returns the index up to there."""
        index = plan.index(rows)
        for number in range(self.windows, len(index)):
            self.counts.update(plan.counts(number))
        self.windows = len(index)
        return index


def train(
    recipe: AnyRecipe,
    run: Run,
    model: Any,
    tokenizer: Any,
    plan_from: Any,
    *,
    packing: Packing = "flat",
    distributed: DistributedContext = SINGLE_PROCESS,
    watch: Watch | None = None,
    label: str = "finetune",
    replanned: int = -1,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Trains `model` in place to `recipe.training.steps`, from the newest checkpoint of the run if it has
    one.

    `plan_from(rows_per_window)` makes the plan, given the index of windows that are known; checkpoints of
    step `replanned` and before knew another. `check` is called on the main rank before each checkpoint and at
    the end, and raises if the run folder is no longer this training's own. Under a world of several ranks the
    model ends sharded.

    Raises OpenflanError if the loss is no longer a number or memory runs out; after SIGTERM Terminated and
    after Ctrl-C Interrupted, once the step under way is done and its checkpoint is on the disk.
    """
    settings, size = recipe.training, recipe.training.batch_size
    if distributed.device.type == "cpu":
        keep_freed_memory()
    start = checkpoints.newest(run.checkpoints, distributed)
    position = checkpoints.position_of(start) if start else Position(0)
    if position.step <= replanned:
        position = Position(position.step)
    attention = "causal" if is_seq2seq(model) else attention_of_model(model, recipe.model.attention)
    state_attention(model, attention)
    trainer = Trainer(
        model,
        settings,
        recipe.seed,
        pad_id(model, tokenizer),
        packing,
        distributed,
        prefix=attention == "prefix",
    )
    if start:
        checkpoints.restore_weights(start, model)
        restore_statistics(trainer.optimizer, checkpoints.statistics_of(start))
    plan: WindowPlan[Any] = plan_from(position.rows_per_window)
    counted = Counted(len(position.rows_per_window), Counter(dict(position.counts)))
    model.train()
    progress = Progress(position.step, settings.steps, label=label if distributed.main else "")
    with ExitStack() as stack:
        asked = stack.enter_context(stoppable("step"))
        saver = stack.enter_context(Saver())
        metrics = stack.enter_context(Metrics(run.metrics, position.step)) if distributed.main else None
        track = stack.enter_context(Track(run.folder / "tensorboard", position.step, wanted=distributed.main))
        batches = stack.enter_context(
            Loader(lambda step: trainer.prepare(plan.rows(step * size, size)), position.step, settings.steps)
        )
        arriving = iter(batches)
        for step in range(position.step, settings.steps):
            began = time.monotonic()
            prepared = next(arriving)
            waited = time.monotonic() - began
            outcome = trainer.step(step, prepared, wish=bool(asked))
            if not math.isfinite(outcome.loss):
                raise _diverged(f"step {step + 1}: the loss is {outcome.loss}", run, plan, step, size)
            if not math.isfinite(outcome.norm or 0.0):
                raise _diverged(
                    f"step {step + 1}: the gradient's norm is {outcome.norm}", run, plan, step, size
                )
            index = counted.take(plan, (step + 1) * size)
            line = _line(recipe, step, prepared, outcome, time.monotonic() - began, waited)
            if watch and watch.due(step + 1, settings.steps):
                line |= _watched(watch, trainer, model, step + 1)
            if metrics is not None:
                metrics.write(line)
                track.write(line)
            progress.show(step + 1, line)
            # Ranks learn of each other's signals with the next step's sums; alone there is nobody to wait
            # for.
            stop = bool(outcome.wishes or (distributed.size == 1 and asked))
            best = _to_be_best(watch, run, step + 1, line, distributed)
            if (step + 1) % recipe.checkpoints.every == 0 or step + 1 == settings.steps or stop or best:
                _refuse_broken(model, step + 1, run, plan, size, distributed)
                distributed.run_on_main(bind(_settle, check, metrics))
                # Before the copy is made, so that there is only one.
                saver.wait()
                taken = snapshot(model, trainer.optimizer, distributed)
                now = Position(step + 1, tuple(index), tuple(sorted(counted.counts.items())))
                saver.save(
                    run.checkpoints, model, tokenizer, taken, now, recipe.checkpoints.keep, distributed
                )
            if stop and step + 1 < settings.steps:
                progress.close()
                saver.wait()
                # The main rank completes what all have written: a launcher that sees another one gone would
                # end it too.
                distributed.barrier()
                raise asked.ended(f"after step {step + 1}, with a checkpoint")
    progress.close()
    distributed.run_on_main(check)
    distributed.barrier()
    trainer.release()
    model.eval()


def _line(
    recipe: AnyRecipe, step: int, prepared: Prepared, outcome: Outcome, seconds: float, waited: float
) -> dict[str, Any]:
    """One line of metrics.jsonl."""
    return {
        "step": step + 1,
        "loss": outcome.loss,
        "learning_rate": learning_rate_at(recipe.training, step),
        **({} if outcome.norm is None else {"gradient_norm": outcome.norm}),
        **({} if outcome.router is None else {"router_loss": outcome.router}),
        "tokens": prepared.tokens,
        "target_tokens": prepared.target_tokens,
        "examples": prepared.examples,
        "fill": prepared.tokens / (prepared.rows * (recipe.packing.inputs + recipe.packing.targets)),
        # A clock may stand still.
        "tokens_per_second": prepared.tokens / seconds if seconds > 0 else 0.0,
        "seconds": seconds,
        "waiting_seconds": waited,
    }


def _settle(check: Callable[[], None], metrics: Metrics | None) -> None:
    """What the main rank does before a checkpoint."""
    check()
    if metrics is not None:
        metrics.sync()


def _watched(watch: Watch, trainer: Trainer, model: Any, step: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if watch.validation is not None:
        size, rows = trainer.training.batch_size, watch.validation_rows
        parts = (watch.validation.rows(first, min(size, rows - first)) for first in range(0, rows, size))
        found["validation_loss"] = trainer.validate(trainer.prepare(part) for part in parts)
    if watch.evaluate is not None:
        with trainer.borrowed():
            found["scores"] = dict(watch.evaluate(step, model))
    return found


def _to_be_best(
    watch: Watch | None, run: Run, step: int, line: Mapping[str, Any], distributed: DistributedContext
) -> bool:
    """Whether this step's score is the highest so far, so that its checkpoint must be written and kept."""
    if watch is None or watch.select is None or watch.select not in line.get("scores", {}):
        return False
    named = distributed.main and checkpoints.name_best(
        run.checkpoints, step, watch.select, line["scores"][watch.select]
    )
    # All ranks gather a checkpoint together, so all must know.
    return bool(distributed.all_reduce_sum([float(named)])[0])


def _refuse_broken(
    model: Any, step: int, run: Run, plan: WindowPlan[Any], size: int, distributed: DistributedContext
) -> None:
    """A finite loss can have an infinite gradient: weights that it broke must not become a checkpoint, from
    which every later run would start."""
    broken = [
        name
        for name, weight in model.named_parameters()
        if not torch.isfinite(part_of(weight.detach()).local).all()
    ]
    if distributed.all_reduce_sum([len(broken)])[0]:
        raise _diverged(
            f"step {step}: `{broken[0] if broken else 'a weight of another rank'}` holds values that are "
            "no numbers",
            run,
            plan,
            step - 1,
            size,
        )


def _diverged(what: str, run: Run, plan: WindowPlan[Any], step: int, size: int) -> OpenflanError:
    examples = [example for row in plan.sources(step * size, size) for example in row]
    named = ", ".join(f"{example.task} row {example.row}" for example in examples[:5])
    more = f" and {len(examples) - 5:,} more" if len(examples) > 5 else ""
    return OpenflanError(
        f"{what}; the checkpoints of {run.checkpoints} are intact. Its batch held {named}{more}. "
        "Lower `training.learning_rate`, or look at the data with `openflan mixture`"
    )
