"""Several processes train as one does: the same batches, the same losses, whatever is killed on the way."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import ranks_work as work
import torch
from safetensors.torch import load_file
from small_runs import losses, recipe
from torch import Tensor

from openflan.recipe.load_recipe import dump_recipe
from openflan.run_folder import Run, read_jsonl
from openflan.training import best_checkpoint, checkpoints
from openflan.training import finetune as finetuning
from openflan.training.distributed import SINGLE_PROCESS

BOUNDS = {"float32": 1e-5, "float64": 1e-9, "bf16": 0.02}
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
Batches = dict[tuple[int, int], str]


def by_hand(size: int, *arguments: object, machines: int = 1, **environment: str) -> tuple[list[int], str]:
    """Runs `ranks_work` as `size` ranks without torchrun; their exit codes and complaints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    program = [sys.executable, str(Path(work.__file__)), "fork", *map(str, (size, machines, *arguments))]
    done = subprocess.run(
        program,
        env=ENVIRONMENT | environment | meeting,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def by_torchrun(size: int, *arguments: object) -> None:
    program = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(size),
        str(Path(work.__file__)),
        *map(str, arguments),
    ]
    done = subprocess.run(program, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr


def alone(place: Path, folder: Path, cases: Iterable[str]) -> Path:
    work.cases(place, folder, list(cases), SINGLE_PROCESS)
    return folder


def batches(folder: Path) -> Batches:
    """By step and number of ranks, the tokens of the global batch, micro-batches in the order of their
    rows."""
    parts = defaultdict[tuple[int, int], dict[int, str]](dict)
    for path in folder.glob("seen-*.jsonl"):
        for line in read_jsonl(path):
            parts[line["step"], line["ranks"]][line["first"]] = line["tokens"]
    return {key: " ".join(tokens for _, tokens in sorted(found.items())) for key, found in parts.items()}


def planned(wanted: work.Recipe) -> list[str]:
    """The tokens of the inputs of every step, from the plan."""
    _, _, plan_from, _ = work.opened(wanted)
    plan, size = plan_from(()), wanted.training.batch_size
    joint = wanted.model.config is not None and wanted.model.config["model_type"] == "llama"
    steps = (plan.sequences(step * size, size) for step in range(wanted.training.steps))
    return [
        " ".join(
            str(index)
            for row in rows
            for example in row
            for index in (*example.input_ids, *(example.target_ids if joint else ()))
        )
        for rows in steps
    ]


def furthest(found: Sequence[float], expected: Sequence[float]) -> float:
    """The largest difference, relative."""
    assert len(found) == len(expected) > 0
    return max(abs(one / other - 1) for one, other in zip(found, expected, strict=True))


def apart(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest difference of two models' weights, each tensor measured by its own largest value."""
    assert found.keys() == expected.keys()
    return max(
        float(
            (found[name].double() - expected[name].double()).abs().max() / expected[name].double().abs().max()
        )
        for name in expected
    )


def check_alike(case: str, place: Path, found: Path, expected: Path, ranks: int) -> None:
    bound = BOUNDS[case.split("-")[1]]
    run_recipe = work.of_case(place, case)
    # The causal buffer ends before a document's last token, which nothing follows.
    seen, reference = batches(found / case), batches(expected / case)
    assert seen == {(step, ranks): reference[step, 1] for step in range(run_recipe.training.steps)}
    if "llama" not in case:
        assert [seen[step, ranks] for step in range(run_recipe.training.steps)] == planned(run_recipe)
    curve, other = losses(Run(found / case)), losses(Run(expected / case))
    assert len(curve) == run_recipe.training.steps
    assert furthest(curve, other) <= bound
    assert curve[-1] < 0.99 * curve[0], "nothing was learned, so nothing was tested"
    ends = [load_file(folder / case / "end.safetensors") for folder in (found, expected)]
    assert {value.dtype for value in ends[0].values()} == {
        torch.float64 if "float64" in case else torch.float32
    }
    assert apart(*ends) <= (10 * bound if "bf16" in case else bound)


def test_two_ranks_take_the_first_steps_of_one(place: Path, tmp_path: Path) -> None:
    """The long version is below; this one fits `make test`."""
    codes, complaint = by_hand(2, "cases", place, tmp_path / "two", *work.QUICK)
    assert codes == [0, 0], complaint
    alone(place, tmp_path / "one", work.QUICK)
    for case in work.QUICK:
        check_alike(case, place, tmp_path / "two", tmp_path / "one", 2)


@pytest.fixture(scope="module")
def fifty(place: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """All cases on one process and on two."""
    folder = tmp_path_factory.mktemp("fifty")
    by_torchrun(2, "cases", place, folder / "two", *work.CASES)
    return alone(place, folder / "one", work.CASES), folder / "two"


def test_messages_of_the_thread_that_saves_do_not_mix_with_those_of_training(tmp_path: Path) -> None:
    codes, complaint = by_hand(2, "messages", tmp_path, tmp_path)
    assert codes == [0, 0], complaint
    for rank in range(2):
        received = json.loads((tmp_path / f"received-{rank}.json").read_text())
        for name, length in (("training", 5), ("saver", 5_000)):
            assert received[name] == [f"{name} {number} {'x' * length}" for number in range(work.MESSAGES)]


@pytest.mark.slow
@pytest.mark.parametrize("case", work.CASES)
def test_two_ranks_of_torchrun_take_the_fifty_steps_of_one(
    case: str, place: Path, fifty: tuple[Path, Path]
) -> None:
    check_alike(case, place, fifty[1], fifty[0], 2)


@pytest.mark.slow
def test_a_millionth_more_in_one_weight_would_be_noticed(
    place: Path, fifty: tuple[Path, Path], tmp_path: Path
) -> None:
    """Negative control of the bound in float64."""
    work.run_case(place, "t5-float64", tmp_path / "t5-float64", SINGLE_PROCESS, nudge=1e-6)
    assert (
        furthest(losses(Run(tmp_path / "t5-float64")), losses(Run(fifty[0] / "t5-float64")))
        > 10 * BOUNDS["float64"]
    )


@pytest.mark.slow
def test_two_machines_of_two_ranks_take_the_steps_of_one(place: Path, tmp_path: Path) -> None:
    """Sharded within a machine, replicated over machines; a machine here is a number in the environment."""
    names = ["gated-float64", "llama-float64"]
    codes, complaint = by_hand(4, "cases", place, tmp_path / "four", *names, machines=2)
    assert codes == [0] * 4, complaint
    assert json.loads((tmp_path / "four/mesh.json").read_text()) == ["replicate", "shard"]
    alone(place, tmp_path / "one", names)
    for case in names:
        check_alike(case, place, tmp_path / "four", tmp_path / "one", 4)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "seed"), [("float32", 0), ("float64", 1)])
def test_killed_on_one_resumed_on_two_killed_and_resumed_on_one(
    dtype: str, seed: int, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = random.Random(seed)
    first = draws.randrange(8, 20)
    second = draws.randrange(first + 2, 45)
    run_recipe, run, uninterrupted = (
        recipe(place, steps=work.STEPS, learning_rate=0.005, batch_size=5, every=6),
        Run(tmp_path / "run"),
        Run(tmp_path / "whole"),
    )
    (tmp_path / "small.yaml").write_text(dump_recipe(run_recipe))
    double = {"DOUBLE": "1"} if dtype == "float64" else {}
    for ranks, last in ((1, first), (2, second)):
        codes, complaint = by_hand(
            ranks, "finetune", tmp_path / "small.yaml", run.folder, DIE=str(last), **double
        )
        assert codes == [-signal.SIGKILL] * ranks, complaint
        assert max(line["step"] for line in read_jsonl(run.metrics)) in (last - 1, last)
    codes, complaint = by_hand(1, "finetune", tmp_path / "small.yaml", run.folder, **double)
    assert codes == [0], complaint

    if double:
        made = finetuning.load_model
        monkeypatch.setattr(finetuning, "load_model", lambda *arguments: work.widened(made(*arguments)))
    uninterrupted.folder.mkdir()
    with work.spied(uninterrupted.folder / "seen-0.jsonl", SINGLE_PROCESS):
        finetuning.finetune(run_recipe, uninterrupted, label="")
    # `losses` asserts that every step stands there once.
    assert furthest(losses(run), losses(uninterrupted)) <= BOUNDS[dtype]
    assert (
        apart(
            load_file(run.model / "model.safetensors"), load_file(uninterrupted.model / "model.safetensors")
        )
        <= BOUNDS[dtype]
    )
    counts = [
        json.loads((folder.checkpoints / "step-50/state.json").read_text())["counts"]
        for folder in (run, uninterrupted)
    ]
    assert counts[0] == counts[1]
    # Steps that were done again, after a kill, saw what they saw before.
    seen, expected = batches(run.folder), batches(uninterrupted.folder)
    assert {step for step, _ in seen} == set(range(work.STEPS))
    assert all(tokens == expected[step, 1] for (step, _), tokens in seen.items())
    assert {ranks for step, ranks in seen if first <= step < second - 1} == {1, 2}


@pytest.mark.slow
def test_sigterm_to_one_rank_ends_both_with_one_checkpoint_and_code_75(place: Path, tmp_path: Path) -> None:
    run_recipe, run = recipe(place, steps=work.STEPS, batch_size=3, every=20), Run(tmp_path / "run")
    (tmp_path / "small.yaml").write_text(dump_recipe(run_recipe))
    codes, complaint = by_hand(
        2, "finetune", tmp_path / "small.yaml", run.folder, DIE="4,1", SIGNAL="SIGTERM"
    )
    assert codes == [75, 75], complaint
    # The signal came after step 4, and the ranks told each other in step 5.
    assert complaint.count("stopped by SIGTERM after step 5, with a checkpoint") == 2
    assert len(losses(run)) == 5
    assert checkpoints.steps(run.checkpoints) == [5]
    assert checkpoints.newest(run.checkpoints) == run.checkpoints / "step-5"


@pytest.mark.slow
def test_two_ranks_measure_between_steps_what_one_measures(place: Path, tmp_path: Path) -> None:
    """Validation loss, generation by the model that trains, the choice of the best."""
    by_torchrun(2, "evaluate", place, tmp_path / "two")
    (tmp_path / "one").mkdir()
    work.evaluated(place, tmp_path / "one", SINGLE_PROCESS)
    for kind in ("t5", "gated", "llama"):
        one_rank, two_ranks = (
            read_jsonl(tmp_path / name / kind / "metrics.jsonl") for name in ("one", "two")
        )
        measured = [line["validation_loss"] for line in one_rank if "validation_loss" in line]
        assert len(measured) == 2
        assert measured[0] != measured[1]
        assert (
            furthest([line["validation_loss"] for line in two_ranks if "validation_loss" in line], measured)
            <= 1e-5
        )
        tokens = [
            json.loads((tmp_path / name).read_text())
            for name in (
                f"one/{kind}-answers-0.json",
                f"two/{kind}-answers-0.json",
                f"two/{kind}-answers-1.json",
            )
        ]
        assert len(tokens[0]) == 6
        assert tokens[0] == tokens[1] == tokens[2]
        assert all(
            best_checkpoint.best_step(tmp_path / name / kind / "checkpoints") == 4 for name in ("one", "two")
        )


@pytest.mark.slow
def test_sharded_models_generate_the_tokens_of_whole_ones(place: Path, tmp_path: Path) -> None:
    by_torchrun(2, "generate", place, tmp_path)
    for kind in ("t5", "gated", "llama"):
        expected = work.answers(work.random_model(place, kind), SINGLE_PROCESS.device)
        assert len({tuple(answer[-12:]) for answer in expected}) == 3, (
            "prompts must have answers of their own"
        )
        for rank in range(2):
            record = json.loads((tmp_path / f"{kind}-tokens-{rank}.json").read_text())
            assert record == [answer[: len(answer) - 5 * rank] for answer in expected]
