"""Measures arms by rounds, and generation: tokens a second, the share of the device's peak, and memory.

Arms alternate (A B A B), each round with weights of its own, and medians count. On a CPU a second is one of
the process's CPU time. The arms of a shape must agree on the loss without dropout: that shows that they
compute the same.
"""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import transformers

from openflan import __version__
from openflan.errors import OpenflanError
from openflan.inference.batching import prompts_of
from openflan.inference.ending import Ending
from openflan.inference.limits import batch_tokens_of, decoding_method, evaluating
from openflan.inference.protocol import Request
from openflan.models.device import choose_device, name_of
from openflan.models.estimate import DEVICES
from openflan.models.memory import keep_freed_memory
from openflan.packing.encode import Encoded
from openflan.speed.arms import ARMS, Arm, Weights, default_arms, missing, prepared
from openflan.speed.shapes import SHAPES, ModelShape, flops_of, model_of, packed_documents
from openflan.training.distributed import DistributedContext, join_distributed

GENERATION = "generate"
"""The name of the row that measures generation."""

_AGREEMENT = {"float32": 1e-4, "bf16": 0.05}
"""How far losses of arms may be apart, by the number format in which they compute."""

_PEAKS = {device.name.split()[0]: device.tflops for name, device in DEVICES.items() if name != "cpu"}
"""Dense bfloat16 TFLOP/s by a word of a GPU's name; those are of the SXM form."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: shapes and arms by name (`arms` empty: those of `default_arms`), and how often.

    Each arm has `rounds` rounds after one that is not measured (0: that one counts), each with `steps`
    measured steps. After `minutes` no further round begins. `peak` is the device's dense bfloat16 rate in
    TFLOP/s, None for a known one. `precision` None means bf16 on an accelerator and float32 on a CPU.
    """

    shapes: tuple[str, ...]
    arms: tuple[str, ...] = ()
    rounds: int = 2
    steps: int = 3
    minutes: float = 9.0
    peak: float | None = None
    precision: str | None = None
    generation: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A measured arm of a shape: medians over rounds. None where nothing was measured, and `note` says why.

    `mfu` is the share of the device's peak that the arithmetic of the documents takes; memory is in bytes,
    and only known on CUDA.
    """

    shape: str
    arm: str
    weights: str
    tokens_per_second: float | None = None
    step_seconds: float | None = None
    mfu: float | None = None
    peak_bytes: int | None = None
    estimated_bytes: int | None = None
    loss: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured: the device, its memory in bytes, the peak rate in FLOP/s, and versions."""

    device: str
    memory: int | None
    peak: float | None
    threads: int | None
    versions: dict[str, str]


def machine_of(device: torch.device, peak: float | None = None) -> Machine:
    """The device that is measured; `peak` in TFLOP/s replaces a known one."""
    name = name_of(device)
    on_gpu = device.type == "cuda"
    known = next((tflops for word, tflops in _PEAKS.items() if word in name), None) if on_gpu else None
    rate = known if peak is None else peak
    versions = {
        "openflan": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    return Machine(
        name,
        torch.cuda.get_device_properties(device).total_memory if on_gpu else None,
        None if rate is None else rate * 1e12,
        torch.get_num_threads() if device.type == "cpu" else None,
        versions,
    )


def measure(
    plan: Plan, device: str | None = None, notice: Callable[[str], None] = lambda text: None
) -> tuple[Machine, list[Row]]:
    """The machine, and a row for each arm of each shape in the order of the plan. `notice` is called with a
    line before each round.

    Raises InputError for a device that is not here, and OpenflanError for arms that do not agree on the loss.
    """
    chosen = choose_device(device)
    end = time.monotonic() + 60 * plan.minutes
    if chosen.type == "cpu":
        keep_freed_memory()
        distributed = DistributedContext(0, 1, chosen)
    else:
        distributed = join_distributed(device)
    machine = machine_of(chosen, plan.peak)
    rows: list[Row] = []
    for number, name in enumerate(plan.shapes):
        shape, now = SHAPES[name], time.monotonic()
        # Shapes share the time, so that a large one does not leave the next without any.
        own_end = now + (end - now) / (len(plan.shapes) - number)
        rows += _measured_arms(name, shape, plan, distributed, machine, own_end, notice)
        if plan.generation:
            notice(f"{name}: {GENERATION}")
            rows.append(_generation(name, shape, distributed.device, plan, end))
    return machine, rows


def _measured_arms(
    name: str,
    shape: ModelShape,
    plan: Plan,
    distributed: DistributedContext,
    machine: Machine,
    end: float,
    notice: Callable[[str], None],
) -> list[Row]:
    precision = plan.precision or ("float32" if distributed.device.type == "cpu" else "bf16")
    documents = packed_documents(shape)
    examples = [example for row in documents for example in row]
    # There the sizes are known without memory for the weights.
    with torch.device("meta"):
        work = flops_of(shape, model_of(shape), examples)
    tokens = sum(len(one.input_ids) + len(one.target_ids) for one in examples)
    arms = {arm: ARMS[arm] for arm in plan.arms or default_arms(shape)}
    weights = {arm: _weights_of(spec, precision) for arm, spec in arms.items()}
    rows: dict[str, Row] = {}
    for arm, spec in arms.items():
        note = missing(spec, shape) or _equal_arm(spec, weights[arm], arms, weights, rows)
        rows[arm] = Row(name, arm, weights[arm], note=note or "")
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for number in range(plan.rounds + 1):
        for arm, spec in arms.items():
            if rows[arm].note:
                continue
            if time.monotonic() > end:
                if not seconds[arm]:
                    rows[arm] = replace(rows[arm], note="no time left")
                continue
            notice(f"{name}: {arm}, round {number} of {plan.rounds}")
            try:
                measured = _round(spec, shape, documents, distributed, weights[arm], precision, plan.steps)
            except (OpenflanError, torch.OutOfMemoryError) as error:
                rows[arm] = Row(name, arm, weights[arm], note=str(error).splitlines()[0][:100])
                continue
            if number or plan.rounds == 0:
                seconds[arm].append(statistics.median(measured.seconds))
            rows[arm] = replace(
                rows[arm],
                loss=measured.loss,
                peak_bytes=measured.peak_bytes,
                estimated_bytes=measured.estimated_bytes,
            )
    _check_losses(rows.values(), _AGREEMENT[precision])
    return [_with_rates(row, seconds[arm], tokens, work, machine.peak) for arm, row in rows.items()]


def _equal_arm(
    arm: Arm,
    weights: Weights,
    arms: Mapping[str, Arm],
    weights_by_arm: Mapping[str, Weights],
    known: Container[str],
) -> str | None:
    """That an arm is an earlier one in this number format; None if it is not."""
    for name, other in arms.items():
        if name in known and replace(other, weights=arm.weights) == arm and weights_by_arm[name] == weights:
            return f"here the same as `{name}`"
    return None


def _weights_of(arm: Arm, precision: str) -> Weights:
    """The number format of an arm's weights; with float32 precision, that of all arms."""
    return "bf16" if arm.weights == "bf16" and precision == "bf16" else "float32"


@dataclass(frozen=True, slots=True)
class _Measured:
    loss: float
    seconds: list[float]
    peak_bytes: int | None
    estimated_bytes: int


def _round(
    arm: Arm,
    shape: ModelShape,
    documents: list[list[Encoded]],
    distributed: DistributedContext,
    weights: Weights,
    precision: str,
    steps: int,
) -> _Measured:
    """A round with fresh weights: the loss before training, and the seconds of each step but the first."""
    _free_memory(distributed.device)
    made = prepared(arm, shape, documents, distributed, weights, precision)
    on_gpu = distributed.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    loss, seconds = made.trainer.validate([made.batches]), list[float]()
    for step in range(steps + 1):
        start = _now(distributed.device)
        made.trainer.step(step, made.batches)
        seconds.append(_now(distributed.device) - start)
    peak = torch.cuda.max_memory_allocated() if on_gpu else None
    return _Measured(loss, seconds[1:], peak, made.estimated_bytes)


def _now(device: torch.device) -> float:
    """Seconds, when all work of the device is done: of the clock, on a CPU of the process."""
    if device.type == "cpu":
        return time.process_time()
    if device.type == "cuda":
        torch.cuda.synchronize()
    else:
        torch.mps.synchronize()
    return time.perf_counter()


def _free_memory(device: torch.device) -> None:
    """Of an accelerator: one arm's weights at a time, so that the memory is its own."""
    if device.type == "cpu":
        return
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _check_losses(rows: Iterable[Row], tolerance: float) -> None:
    losses = {row.arm: row.loss for row in rows if row.loss is not None}
    if losses and max(losses.values()) - min(losses.values()) > tolerance:
        listed = ", ".join(f"{arm} {loss:.5f}" for arm, loss in losses.items())
        raise OpenflanError(
            f"the arms differ in their loss by more than {tolerance:g}: {listed}; please report it, with "
            "this line"
        )


def _with_rates(row: Row, seconds: Sequence[float], tokens: int, work: float, peak: float | None) -> Row:
    if not seconds:
        return row
    step = statistics.median(seconds)
    # Clocks of processes are coarse on some systems.
    step = max(step, 1e-9)
    return replace(
        row,
        tokens_per_second=tokens / step,
        step_seconds=step,
        mfu=None if peak is None else work / step / peak,
    )


def _generation(name: str, shape: ModelShape, device: torch.device, plan: Plan, end: float) -> Row:
    """Greedy generation with this project's decoder in bfloat16 (on a CPU in float32); prompts are the inputs
    of documents, and no generation ends early."""
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    row = Row(name, GENERATION, "float32" if dtype == torch.float32 else "bf16")
    if time.monotonic() > end:
        return replace(row, note="no time left")
    from openflan.inference.decoding_methods import METHODS

    _free_memory(device)
    with device:
        model = model_of(shape).to(dtype)
    examples = [example for packed in packed_documents(shape) for example in packed][: shape.prompts]
    requests = [
        (index, tuple(map(int, one.input_ids)), Request("", shape.new_tokens))
        for index, one in enumerate(examples)
    ]
    seconds, generated = list[float](), 0
    try:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        with evaluating(model):
            decoding = METHODS[decoding_method(model)](model, 0, batch_tokens_of(model), False)
            for _ in range(max(2, plan.rounds + 1)):
                start = _now(device)
                completions = list(decoding.generate(prompts_of(requests), Ending(_NoText(), frozenset())))
                generated = sum(completion.tokens for _, completion in completions)
                seconds.append(_now(device) - start)
    except torch.OutOfMemoryError as error:
        return replace(row, note=str(error).splitlines()[0][:100])
    step = max(statistics.median(seconds[1:]), 1e-9)
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    return replace(row, tokens_per_second=generated / step, step_seconds=step, peak_bytes=peak)


class _NoText:
    """A tokenizer for generations whose text nobody reads."""

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        return ""
