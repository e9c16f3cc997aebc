"""Recipes one after another: each from the model before, and the same bits wherever the chain was stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from small_runs import CONFIGS, LETTERS, recipe

from openflan.errors import InputError
from openflan.recipe.chain_steps import load_chain
from openflan.recipe.load_recipe import dump_recipe
from openflan.run_chain import forget_from, run_chain
from openflan.run_folder import Run, read_json, read_jsonl
from openflan.training.progress import Progress

STEPS = ("1-pre", "2-again", "3-small")


@pytest.fixture(scope="module")
def chain(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of pretraining, the second of which adds tokens, and one of finetuning; four steps each, with
    dropout."""
    folder = tmp_path_factory.mktemp("chain")
    (folder / "text.txt").write_text(
        "\n".join(" ".join(LETTERS[(start + at) % 8] for at in range(20 + start)) for start in range(30))
        + "\n"
    )
    pre = {
        "name": "pre",
        "model": {
            "config": CONFIGS["llama"] | {"vocab_size": 14},
            "tokenizer": str(place / "words"),
            "dropout": 0.1,
        },
        "pretraining": {"objective": "causal-lm", "length": 16, "window": 16},
        "packing": {"inputs": 32, "targets": 32},
        "training": {"learning_rate": 0.02, "batch_size": 2, "steps": 4},
        "checkpoints": {"every": 2},
    }
    (folder / "pre.yaml").write_text(yaml.safe_dump(pre))
    (folder / "fine.yaml").write_text(dump_recipe(recipe(place, "llama", dropout=0.1, steps=9)))
    steps = [
        {"pretrain": "pre.yaml", "set": {"pretraining.data": "text.txt"}},
        {
            "pretrain": "pre.yaml",
            "set": {
                "name": "again",
                "pretraining": {"objective": "ul2r", "data": ["text.txt"]},
                "model": {"base": "previous", "attention": "prefix"},
            },
        },
        {"finetune": "fine.yaml", "set": {"training": {"steps": 4}}},
    ]
    (folder / "chain.yaml").write_text(yaml.safe_dump(steps))
    return folder / "chain.yaml"


def run(chain: Path, folder: Path, *overrides: str) -> list[str]:
    run_on_main: list[str] = []
    model = run_chain(load_chain(chain, folder, overrides), folder, run_on_main.append)
    assert model == folder / STEPS[-1] / "model"
    return run_on_main


@pytest.fixture(scope="module")
def whole(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert run(chain, folder) == [
        "step 1 of 3, pretrain pre",
        "step 2 of 3, pretrain again",
        "step 3 of 3, finetune small",
    ]
    return folder


def weights(folder: Path, step: str) -> bytes:
    return (folder / step / "model" / "model.safetensors").read_bytes()


def test_each_step_starts_from_the_model_before(whole: Path) -> None:
    for before, after in pairwise(STEPS):
        run_on_main = yaml.safe_load((whole / after / "recipe.yaml").read_text())["model"]
        assert run_on_main["base"] == str(whole / before / "model")
        assert not {"config", "tokenizer"} & set(run_on_main)
    known = read_json(whole / "chain.json")
    assert [known[step]["base"] for step in STEPS] == [
        None,
        known["1-pre"]["model"],
        known["2-again"]["model"],
    ]
    last = load_file(whole / "3-small" / "model" / "model.safetensors")
    grown = load_file(whole / "2-again" / "model" / "model.safetensors")["model.embed_tokens.weight"]
    assert last["model.embed_tokens.weight"].shape == grown.shape, "the tokens that a step added stay"
    assert grown.shape[0] > 14
    says = [
        json.loads((whole / step / "model" / "generation_config.json").read_text()).get("openflan_attention")
        for step in STEPS
    ]
    assert says == [None, "prefix", "prefix"], "and so does how inputs attend"
    moved = (last["model.embed_tokens.weight"] - grown).abs().max()
    assert 0 < moved < 1, "finetuned from there, not from anywhere"


def test_a_finished_chain_is_not_trained_again(chain: Path, whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()}
    assert [run_on_main.rpartition(": ")[2] for run_on_main in run(chain, whole)] == ["finished"] * 3
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()} == before


class Stop(Exception):
    pass


@pytest.mark.parametrize("step", range(3))
def test_a_chain_stopped_in_any_step_ends_with_the_same_bits(
    step: int, chain: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []

    def show(self: Progress, done: int, metrics: Any) -> None:
        shown.append(done)
        if len(shown) == 4 * step + 3:
            raise Stop

    # Paths are part of a recipe, so the chain must run where the other one did.
    shutil.copytree(whole, kept := tmp_path / "kept")
    shutil.rmtree(whole)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Progress, "show", show)
            with pytest.raises(Stop):
                run(chain, whole)
        assert [(whole / name / "model").is_dir() for name in STEPS] == [number < step for number in range(3)]
        run_on_main = run(chain, whole)
        assert [line.endswith("finished") for line in run_on_main] == [number < step for number in range(3)]
        assert [weights(whole, name) for name in STEPS] == [weights(kept, name) for name in STEPS]
        assert read_json(whole / "chain.json") == read_json(kept / "chain.json")
        for name in STEPS:
            steps = [line["step"] for line in read_jsonl(Run(whole / name).metrics)]
            assert steps == [1, 2, 3, 4]
    finally:
        shutil.rmtree(whole, ignore_errors=True)
        shutil.copytree(kept, whole)


def test_a_finished_step_of_another_recipe_is_refused(chain: Path, whole: Path) -> None:
    with pytest.raises(
        InputError,
        match=(
            r"2-again: made by another recipe \(training.steps: 4 -> 5\); start it anew with "
            r"--restart-from 2"
        ),
    ):
        run(chain, whole, "2.training.steps=5")


def test_how_often_a_step_is_saved_may_change(chain: Path, whole: Path) -> None:
    assert run(chain, whole, "1.checkpoints.every=3")[0].endswith("finished")


def test_a_step_that_knew_another_model_is_refused_and_begun_anew_on_request(
    chain: Path, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, kept := tmp_path / "kept")
    try:
        path = whole / "1-pre" / "model" / "model.safetensors"
        changed = load_file(path)
        changed["model.norm.weight"] = changed["model.norm.weight"] + 1
        save_file(changed, path, metadata={"format": "pt"})
        with pytest.raises(
            InputError,
            match=(
                "2-again: began with another model than the step before it has now; start it anew with "
                "--restart-from 2"
            ),
        ):
            run(chain, whole)
        steps = load_chain(chain, whole)
        for step in forget_from(steps, whole, 2):
            shutil.rmtree(step.folder)
        assert [run_on_main.endswith("finished") for run_on_main in run(chain, whole)] == [True, False, False]
        assert weights(whole, "3-small") != weights(kept, "3-small")
        with pytest.raises(InputError, match="the chain has 3 steps"):
            forget_from(steps, whole, 4)

        for name in STEPS[1:]:
            shutil.rmtree(whole / name)
        shutil.copytree(kept / "1-pre", whole / "1-pre", dirs_exist_ok=True)
        assert [run_on_main.endswith("finished") for run_on_main in run(chain, whole)] == [
            True,
            False,
            False,
        ], "runs removed by hand are begun anew too"
        assert [weights(whole, name) for name in STEPS] == [weights(kept, name) for name in STEPS]
        assert read_json(whole / "chain.json")["2-again"] == read_json(kept / "chain.json")["2-again"]
    finally:
        shutil.rmtree(whole)
        shutil.copytree(kept, whole)


KILLED = """
import os, signal, sys
from openflan.cli.main import main
from openflan.training.progress import Progress

shown = []
def show(self, step, metrics):
    shown.append(step)
    if len(shown) == int(os.environ["KILL_AFTER"]):
        os.kill(os.getpid(), signal.SIGKILL)
Progress.show = show
main()
"""


@pytest.mark.slow
def test_a_chain_killed_in_each_of_its_steps_ends_with_the_same_bits(
    chain: Path, whole: Path, tmp_path: Path
) -> None:
    """SIGKILL after the third update of each step; the last process finishes what is left."""
    shutil.copytree(whole, kept := tmp_path / "kept")
    shutil.rmtree(whole)
    try:
        command = [sys.executable, "-c", KILLED, "run", str(chain), "--run", str(whole)]
        for index, after in enumerate((3, 2 + 3, 2 + 3, 1_000)):
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                env=os.environ | {"OMP_NUM_THREADS": "1", "KILL_AFTER": str(after)},
            )
            assert done.returncode == (0 if after == 1_000 else -signal.SIGKILL), done.stderr
            assert [(whole / name / "model").is_dir() for name in STEPS] == [
                position < index for position in range(3)
            ]
        assert [weights(whole, name) for name in STEPS] == [weights(kept, name) for name in STEPS]
    finally:
        shutil.rmtree(whole, ignore_errors=True)
        shutil.copytree(kept, whole)


def test_the_bits_could_differ(chain: Path, whole: Path) -> None:
    """The control of those above: another seed gives other weights."""
    other = whole.parent / "other"
    run(chain, other, "3.seed=9")
    assert weights(other, "2-again") == weights(whole, "2-again")
    assert weights(other, "3-small") != weights(whole, "3-small")
    assert torch.isfinite(
        load_file(other / "3-small" / "model" / "model.safetensors")["model.norm.weight"]
    ).all()
    assert json.loads((other / "chain.json").read_text()).keys() == set(STEPS)
