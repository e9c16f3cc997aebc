"""Runs of fifty steps on one process or many; as a program, one rank of those that `torchrun`, or a test,
started.

A case's recipe knows float32 and bf16; models of float64 are made here, so that what differs beyond rounding
is seen.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from safetensors.torch import save_file
from shared_work import shared
from small_runs import recipe
from torch import Tensor, nn

from openflan.errors import OpenflanError
from openflan.mixture.open_mixture import open_mixture
from openflan.models import load_model as load
from openflan.models import staged
from openflan.models.packed import Packing
from openflan.packing.example_windows import ExampleStream, packed_examples
from openflan.recipe.load_recipe import load_recipe
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run
from openflan.training import finetune as finetuning
from openflan.training.distributed import (
    DistributedContext,
    gloo_threads,
    join_distributed,
    leave_distributed,
    shard_for_generation,
)
from openflan.training.loop import train
from openflan.training.prepare import prepare
from openflan.training.progress import Progress
from openflan.training.setup import TrainingSetup, Watch
from openflan.training.shards import full_tensor
from openflan.training.trainable import TrainableView
from openflan.training.trainer import GlobalBatch, StepResult, Trainer

STEPS = 50
CASES: dict[str, dict[str, Any]] = {
    "t5-float32": {"batch_size": 5},
    "t5-float64": {"batch_size": 5, "micro_batch_size": 2, "clip_norm": 0.5},
    "t5-float64-dense": {"batch_size": 3},
    "t5-float32-recomputed": {"batch_size": 3, "activation_checkpointing": "full"},
    "gated-float32": {"batch_size": 3, "optimizer": "adamw", "clip_norm": 0.5, "learning_rate": 0.002},
    "gated-float64": {"batch_size": 4, "micro_batch_size": 1, "momentum": 0.9},
    "llama-float32": {"batch_size": 5, "micro_batch_size": 2, "clip_norm": 0.5},
    "llama-float64": {"batch_size": 3},
    "t5-bf16": {"batch_size": 3, "precision": "bf16"},
    "llama-bf16": {"batch_size": 3, "precision": "bf16"},
    "llama-float64-recomputed": {"batch_size": 4, "activation_checkpointing": "full", "z_loss": 1e-3},
}
"""KIND-DTYPE with the packing, if it is not flat, or a word more."""

QUICK: dict[str, dict[str, Any]] = {
    "t5-float64-quick": {"batch_size": 3, "steps": 6, "clip_norm": 0.5},
    "llama-float64-quick": {"batch_size": 5, "steps": 6},
    "t5-float64-quick-buckets": {"batch_size": 3, "steps": 4},
    "t5-bf16-quick-buckets": {"batch_size": 3, "steps": 4, "precision": "bf16"},
    "llama-float64-quick-buckets": {"batch_size": 3, "steps": 4},
}
"""The same, also with the attention that a GPU has."""


class Norm(nn.Module):
    """Llama's norm in the arithmetic of its input; transformers' own is float32 whatever the model is."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.weight, self.epsilon = norm.weight, norm.variance_epsilon

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden * (hidden.square().mean(-1, keepdim=True) + self.epsilon).rsqrt() * self.weight


def widened(model: Any) -> Any:
    """The model in float64."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child).__name__ == "LlamaRMSNorm":
                setattr(parent, name, Norm(child))
    return model.double()


def of_case(place: Path, case: str) -> Recipe:
    return recipe(
        place,
        case.split("-")[0],
        **(
            {"steps": STEPS, "learning_rate": 0.005 if case.startswith("t5") else 0.02, "every": 20}
            | (CASES | QUICK)[case]
        ),
    )


def opened(wanted: Recipe, *, double: bool = False) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Model, tokenizer, a function from an index to a plan of small windows, and what a plan of held-back
    rows needs."""
    tokenizer = load.load_tokenizer(wanted.model)
    model = load.load_model(wanted.model, tokenizer, wanted.seed)
    open_tasks = open_mixture(wanted.mixture)
    stream, encoder = prepare(wanted, open_tasks.tasks, tokenizer, joint=not model.config.is_encoder_decoder)

    def plan_from(sequences_per_window: Sequence[int]) -> ExampleStream:
        return packed_examples(stream, encoder, sequences_per_window, window=24)

    return (widened(model) if double else model), tokenizer, plan_from, open_tasks.validation


@contextmanager
def spied(path: Path, distributed: DistributedContext) -> Iterator[None]:
    """Appends what this process computed the loss of and counted to `path`: a line for each micro-batch, with
    the number of its first row."""
    step_ = Trainer.step

    def step(self: Trainer, number: int, prepared: GlobalBatch, *, wants_stop: bool = False) -> StepResult:
        outcome = step_(self, number, prepared, wants_stop=wants_stop)
        for batch, at, counts in prepared.batches:
            if counts:
                file.write(
                    json.dumps(
                        {
                            "step": number,
                            "ranks": distributed.size,
                            "first": at,
                            "tokens": tokens_of(batch.batch),
                        }
                    )
                    + "\n"
                )
        file.flush()
        return outcome

    Trainer.step = step  # type: ignore[method-assign]
    try:
        with path.open("a") as file:
            yield
    finally:
        Trainer.step = step_  # type: ignore[method-assign]


def tokens_of(batch: Any) -> str:
    """The real tokens of a batch's inputs, in order: padding is 0, and nothing else is."""
    ids = next(
        getattr(batch, name)
        for name in ("input_ids_E", "input_ids_L", "input_ids_RE", "input_ids_RL")
        if hasattr(batch, name)
    )
    return " ".join(str(number) for number in ids.flatten() if number)


def run_case(
    place: Path, case: str, folder: Path, distributed: DistributedContext, nudge: float = 0.0
) -> None:
    """Trains a case in a run folder and leaves its last weights and what each rank saw there. `nudge` is
    added to one weight."""
    run_recipe = of_case(place, case)
    model, tokenizer, plan_from, _ = opened(run_recipe, double="float64" in case)
    packing: Packing = "dense" if case.endswith("dense") else "flat"
    with torch.no_grad():
        next(model.parameters())[7, 3] += nudge
    folder.mkdir(parents=True, exist_ok=True)
    by_device = staged.attending_on
    if case.endswith("buckets"):
        staged.attending_on = lambda device: "buckets"
    try:
        with spied(folder / f"seen-{distributed.rank}.jsonl", distributed):
            train(
                TrainingSetup(
                    run_recipe,
                    Run(folder),
                    TrainableView(model),
                    tokenizer,
                    plan_from,
                    packing=packing,
                    distributed=distributed,
                )
            )
    finally:
        staged.attending_on = by_device
    ends = {
        name: full_tensor(value.detach()).clone()
        for name, value in model.named_parameters(remove_duplicate=False)
    }
    if distributed.main:
        save_file(ends, folder / "end.safetensors")


def cases(place: Path, folder: Path, names: Sequence[str], distributed: DistributedContext) -> None:
    for case in names:
        run_case(place, case, folder / case, distributed)
    if distributed.main:
        (folder / "mesh.json").write_text(
            json.dumps(distributed.mesh.mesh_dim_names if distributed.mesh else [])
        )


def finetuned(path: Path, folder: Path, distributed: DistributedContext) -> None:
    """The whole command; environment: DIE is `STEP` or `STEP,RANK`, after which SIGKILL or the SIGNAL named
    comes; DOUBLE asks for float64."""
    if os.environ.get("DOUBLE"):
        finetuning.load_model = lambda *arguments: widened(load.load_model(*arguments))
    step, _, rank = os.environ.get("DIE", "").partition(",")
    shown = Progress.show

    def show(self: Progress, done: int, metrics: Any) -> None:
        shown(self, done, metrics)
        if str(done) == step and rank in ("", str(distributed.rank)):
            os.kill(os.getpid(), getattr(signal, os.environ.get("SIGNAL", "SIGKILL")))

    Progress.show = show  # type: ignore[method-assign]
    with spied(folder / f"seen-{distributed.rank}.jsonl", distributed):
        finetuning.finetune(load_recipe(str(path)), Run(folder), label="")


def evaluated(place: Path, folder: Path, distributed: DistributedContext) -> None:
    """What in-loop validation and generation give on the ranks, of an Engine's model between two steps."""
    for kind in ("t5", "gated", "llama"):
        run_recipe = with_validation(recipe(place, kind, steps=4, batch_size=3))
        model, tokenizer, plan_from, validation = opened(run_recipe)
        stream, encoder = prepare(run_recipe, validation, tokenizer, joint=kind == "llama")
        plan = packed_examples(stream, encoder, window=20)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        scores: list[list[int]] = []

        def generate(step: int, given: Any, scores: list[list[int]] = scores) -> dict[str, float]:
            scores += answers(given, distributed.device)
            return {"mean": float(len(scores))}

        watch = Watch(2, plan, len(plan.window(0)), generate, "mean")
        train(
            TrainingSetup(
                run_recipe,
                Run(folder / kind),
                TrainableView(model),
                tokenizer,
                plan_from,
                distributed=distributed,
                watch=watch,
            )
        )
        (folder / f"{kind}-answers-{distributed.rank}.json").write_text(json.dumps(scores))


def with_validation(wanted: Recipe, rows: int = 3) -> Recipe:
    return wanted.model_copy(update={"mixture": wanted.mixture.model_copy(update={"validation_rows": rows})})


PROMPTS = [[4, 6, 7, 1], [5, 9, 8, 9, 1], [4, 13, 13, 1]]


def answers(model: Any, device: torch.device, tokens: int = 12, **settings: Any) -> list[list[int]]:
    """So many greedy tokens for each prompt alone."""
    answered = []
    for prompt in PROMPTS:
        ids = torch.tensor([prompt], device=device)
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            **settings,
        )
        answered.append(out[0].tolist())
    return answered


def generated(place: Path, folder: Path, distributed: DistributedContext) -> None:
    """Generation by models that were sharded for nothing else; the second rank asks for fewer tokens, and
    must wait for the first."""
    for kind in ("t5", "gated", "llama"):
        model = random_model(place, kind)
        shard_for_generation(model, distributed)
        answered = answers(model, distributed.device, 12 - 5 * distributed.rank, synced_gpus=True)
        (folder / f"{kind}-tokens-{distributed.rank}.json").write_text(json.dumps(answered))


def random_model(place: Path, kind: str) -> Any:
    """Weights so large that prompts get answers of their own, which was tried out."""
    run_recipe = recipe(place, kind)
    model = load.load_model(run_recipe.model, load.load_tokenizer(run_recipe.model), 5).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(12.0 if kind == "t5" else 1.5)
    return model


MESSAGES = 40


def messages(_: Path, folder: Path, distributed: DistributedContext) -> None:
    """Training and the thread that writes checkpoints exchange messages of different lengths, at another pace
    on each rank; each rank writes what both received."""
    received: dict[str, list[str]] = {"training": [], "saver": []}

    def exchange(name: str, context: DistributedContext, length: int, pause: float) -> None:
        for number in range(MESSAGES):
            time.sleep(pause)
            received[name].append(context.run_on_main(partial(f"{name} {number} {{}}".format, "x" * length)))

    pauses = (0.004, 0.0) if distributed.main else (0.0, 0.004)
    saver = Thread(target=exchange, args=("saver", distributed.for_saver, 5_000, pauses[0]))
    saver.start()
    exchange("training", distributed, 5, pauses[1])
    saver.join()
    (folder / f"received-{distributed.rank}.json").write_text(json.dumps(received))


def main(what: str, *arguments: str) -> int:
    torch.set_num_threads(1)
    distributed = join_distributed()
    try:
        first, second, *rest = map(Path, arguments)
        second.mkdir(parents=True, exist_ok=True)
        if what == "cases":
            cases(first, second, [str(name) for name in rest], distributed)
        elif what == "checkpoints":
            shared(first, second, [str(name) for name in rest], distributed)
        else:
            {"finetune": finetuned, "evaluate": evaluated, "generate": generated, "messages": messages}[what](
                first, second, distributed
            )
    except OpenflanError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    distributed.barrier()
    leave_distributed()
    if threads := gloo_threads():
        # Any that is left may abort the process while Python is being torn down.
        print(f"{threads} threads of gloo are left", file=sys.stderr)
        return 3
    return 0


def forked(size: int, machines: int, *arguments: str) -> None:
    """Runs `main` as so many ranks, as a cluster's own launcher would, but importing once; prints their exit
    codes."""
    children = []
    local = size // machines
    for rank in range(size):
        child = os.fork()
        if child == 0:
            os.environ |= {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank % local),
                "WORLD_SIZE": str(size),
                "LOCAL_WORLD_SIZE": str(local),
            }
            sys.exit(main(*arguments))
        children.append(child)
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))


if __name__ == "__main__":
    if sys.argv[1] == "fork":
        forked(int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
    else:
        sys.exit(main(*sys.argv[1:]))
