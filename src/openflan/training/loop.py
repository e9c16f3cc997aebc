"""The one loop: packed batches through a model under Adafactor.

The loss of a step is the sum of its target tokens' losses over their number (Chung et al. 2022 say nothing; it is the only normalisation that does
not change with the batch split). Dropout is seeded from (seed, step, first row) before every micro-batch and every row is found from its number, so
a run that was killed ends with the same bits as one that was not.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from openflan.errors import OpenflanError
from openflan.models.load import is_seq2seq, pad_id
from openflan.models.packed import token_losses
from openflan.packing.batch import PackedBatch, causal_batch, seq2seq_batch
from openflan.packing.encode import Encoded
from openflan.packing.plan import Plan
from openflan.randomness import combine
from openflan.recipe.schema import Recipe
from openflan.run import Run, read_jsonl, replacing
from openflan.training import checkpoints
from openflan.training.adafactor import Adafactor
from openflan.training.checkpoints import Position
from openflan.training.progress import Progress


class Terminated(OpenflanError):
    """SIGTERM came: a checkpoint was written and the same command goes on from it."""

    exit_code = 75


def train(recipe: Recipe, run: Run, model: Any, tokenizer: Any, plan_from: Any, *, label: str = "finetune") -> None:
    """Trains `model` in place to `recipe.training.steps`, from the newest checkpoint of the run if it has one.

    `plan_from(rows_per_window)` makes the plan, given the index of windows that are known. Raises OpenflanError if the loss is no longer a number,
    Terminated on SIGTERM.
    """
    settings = recipe.training
    optimizer = Adafactor(model.parameters(), lr=settings.learning_rate, step_offset=settings.step_offset)
    start = checkpoints.newest(run.checkpoints)
    position = checkpoints.restore(start, model, optimizer) if start else Position(0)
    plan: Plan = plan_from(position.rows_per_window)
    counted, counts = len(position.rows_per_window), Counter(dict(position.counts))
    model.train()
    progress = Progress(position.step, settings.steps, label=label)
    _forget_after(run, position.step)
    with run.metrics.open("a", encoding="utf-8") as metrics, _terminable() as terminated:
        for step in range(position.step, settings.steps):
            began = time.monotonic()
            rows = plan.rows(step * settings.batch_size, settings.batch_size)
            waited = time.monotonic() - began
            loss, tokens, target_tokens = _step(model, optimizer, rows, recipe, step, pad_id(model, tokenizer))
            if not math.isfinite(loss):
                raise _diverged(f"step {step + 1}: the loss is {loss}", run)
            for number in range(counted, len(plan.index)):
                counts.update(plan.window(number).counts())
            counted = len(plan.index)
            seconds = time.monotonic() - began
            line = {
                "step": step + 1,
                "loss": loss,
                "tokens": tokens,
                "target_tokens": target_tokens,
                "examples": sum(map(len, rows)),
                "fill": tokens / (settings.batch_size * (recipe.packing.inputs + recipe.packing.targets)),
                "tokens_per_second": tokens / seconds,
                "seconds": seconds,
                "waiting_seconds": waited,
            }
            metrics.write(json.dumps(line) + "\n")
            metrics.flush()
            progress.show(step + 1, line)
            if (step + 1) % recipe.checkpoints.every == 0 or step + 1 == settings.steps or terminated:
                _refuse_broken(model, step + 1, run)
                position = Position(step + 1, tuple(plan.index), tuple(sorted(counts.items())))
                checkpoints.save(run.checkpoints, model, tokenizer, optimizer, position, recipe.checkpoints.keep)
            if terminated and step + 1 < settings.steps:
                progress.close()
                raise Terminated(f"stopped by SIGTERM after step {step + 1}, with a checkpoint; run the same command again to go on")
    progress.close()
    model.eval()


def _step(model: Any, optimizer: torch.optim.Optimizer, rows: list[list[Encoded]], recipe: Recipe, step: int, pad: int) -> tuple[float, int, int]:
    """One update; loss per target token, tokens and target tokens of the step."""
    size = recipe.training.micro_batch_size or len(rows)
    batches = [_batch(model, rows[first : first + size], pad) for first in range(0, len(rows), size)]
    target_tokens = sum(batch.target_tokens for batch in batches)
    total = 0.0
    for number, batch in enumerate(batches):
        torch.manual_seed(combine(recipe.seed, "dropout", step, number * size) >> 1)
        with _precision(model, recipe.training.precision):
            losses, _ = token_losses(model, batch)
        loss = losses.sum() / target_tokens
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total, sum(batch.tokens for batch in batches), target_tokens


def _batch(model: Any, rows: list[list[Encoded]], pad: int) -> PackedBatch:
    if is_seq2seq(model):
        return seq2seq_batch(rows, pad_id=pad, start_id=model.config.decoder_start_token_id)
    return causal_batch(rows, pad_id=pad)


def _precision(model: Any, precision: str) -> Any:
    return torch.autocast(next(model.parameters()).device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def _refuse_broken(model: Any, step: int, run: Run) -> None:
    """A finite loss can have an infinite gradient: weights that it broke must not become a checkpoint, from which every later run would start."""
    broken = next((name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()), None)
    if broken is not None:
        raise _diverged(f"step {step}: `{broken}` holds values that are no numbers", run)


def _diverged(what: str, run: Run) -> OpenflanError:
    return OpenflanError(
        f"{what}; the checkpoints of {run.checkpoints} are intact. Lower `training.learning_rate`, or look at the data with `openflan mixture`"
    )


def _forget_after(run: Run, step: int) -> None:
    """Takes out metrics of steps that will be done again."""
    lines = [line for line in read_jsonl(run.metrics) if line["step"] <= step]
    with replacing(run.metrics) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@contextmanager
def _terminable() -> Iterator[list[int]]:
    """A list that is empty until SIGTERM comes; the step under way is finished first."""
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)
