"""The road of U-PaLM in miniature, as a user types it: UL2R on PaLM's shape, then instructions, with prompts
whose tokens see one another."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Done, openflan
from safetensors.torch import load_file

from openflan.microflan.world import plain_sentences
from openflan.run_folder import read_jsonl
from openflan.training.progress import Progress

STEPS = ("1-ul2r-palm-tiny", "2-flan-u-palm-tiny")
SMALL = ["training.steps=3", "training.batch_size=2", "checkpoints.every=10"]
TASKS = {"microflan": "microflan/person_colour-*", "microflan_text": "microflan_text/words"}
"""A few of the world's tasks: most of the time would go into reading all of them."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences of the embedded world as documents."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("road")
    sentences = list(plain_sentences())[::40]
    documents = [" ".join(sentences[at : at + 6]) for at in range(0, len(sentences), 6)]
    (folder / "documents.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    return folder


def road(work: Path, name: str) -> Done:
    own = [
        "1.pretraining.data=documents.jsonl",
        "2.evaluation={every: 3, benchmarks: [microflan], limit: 1, max_tokens: 4}",
    ]
    small = [f"{step}.{key}" for step in (1, 2) for key in SMALL]
    small += [f"2.mixture.submixtures.{name}.tasks=['{tasks}']" for name, tasks in TASKS.items()]
    return openflan("run", "ul2r-flan-u-palm-tiny", *own, *small, "--run", name, folder=work)


@pytest.fixture(scope="module")
def finished_run(work: Path) -> Path:
    done = road(work, "whole")
    assert done.returncode == 0, done.stderr
    return work / "whole"


def test_both_steps_let_inputs_see_one_another_and_the_export_says_so(finished_run: Path) -> None:
    says = [
        json.loads((finished_run / step / "model" / "generation_config.json").read_text()) for step in STEPS
    ]
    assert [one["openflan_attention"] for one in says] == ["prefix", "prefix"]
    assert says[1]["openflan_layout"] == "paper"
    first, last = (
        load_file(finished_run / step / "model" / "model.safetensors")["model.embed_tokens.weight"]
        for step in STEPS
    )
    assert first.shape == last.shape
    assert first.shape[0] > 1_536, "mode tokens and sentinels stay"
    assert all(read_jsonl(finished_run / step / "metrics.jsonl")[-1]["step"] == 3 for step in STEPS)


def test_it_is_generated_with_and_evaluated(work: Path, finished_run: Path) -> None:
    """A finished model answers what it answered in memory, after its last step."""
    model = f"whole/{STEPS[1]}"
    done = openflan("generate", model, "What is 3 plus 4?", "--max-tokens", 3, "--json", folder=work)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["tokens"] >= 1
    done = openflan(
        "evaluate", model, "--benchmark", "microflan", "--limit", 1, "--max-tokens", 4, folder=work
    )
    assert done.returncode == 0, done.stderr
    beside, after = (
        finished_run / STEPS[1] / "while-training" / "generations" / "step-3-microflan-direct.jsonl",
        finished_run / STEPS[1] / "generations",
    )
    answered = [
        {(line["task"], line["index"]): line["generation"] for line in read_jsonl(path)}
        for path in (beside, next(after.glob("*.jsonl")))
    ]
    assert answered[0] == answered[1]
    assert len(answered[0]) > 20


@pytest.mark.slow
def test_it_goes_on_where_it_was_stopped_with_the_same_bits(
    work: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []

    def show(self: Progress, done: int, metrics: Any) -> None:
        shown.append(done)
        if len(shown) in (2, 4):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Progress, "show", show)
    # The second stop is in the second step's first update; a stop is after the update under way.
    assert [road(work, "stopped").returncode for _ in range(3)] == [75, 75, 0]
    for step in STEPS:
        assert (work / "stopped" / step / "model" / "model.safetensors").read_bytes() == (
            finished_run / step / "model" / "model.safetensors"
        ).read_bytes()
    assert "finished" in road(work, "stopped").stderr
