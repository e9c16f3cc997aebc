"""`openflan pretrain` and `openflan run`, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from commands import openflan
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer


@pytest.fixture
def work(tmp_path: Path, t5: Path, rows: Path) -> Path:
    """A folder with text, a recipe and a chain."""
    texts = [
        "what is the colour of the sky ?",
        "the sky is blue .",
        "the grass is green .",
        "one plus two is three .",
    ]
    (tmp_path / "texts.jsonl").write_text(
        "".join(json.dumps({"text": " ".join(texts[at:] + texts[:at])}) + "\n" for at in range(4)) * 10
    )
    recipe = {
        "name": "more",
        "model": {"base": str(t5)},
        "pretraining": {"data": "texts.jsonl", "objective": "prefix-lm", "window": 16},
        "packing": {"inputs": 48, "targets": 48},
        "training": {"learning_rate": 0.02, "batch_size": 4, "steps": 6},
        "validation": {"documents": 4, "every": 3},
    }
    finetuning = {
        "name": "then",
        "model": {"base": "overridden/by-the-chain"},
        "mixture": {"submixtures": {"own": {"data": str(rows)}}},
        "packing": {"inputs": 48, "targets": 16},
        "training": {"learning_rate": 0.02, "batch_size": 4, "steps": 3},
    }
    (tmp_path / "more.yaml").write_text(yaml.safe_dump(recipe))
    (tmp_path / "then.yaml").write_text(yaml.safe_dump(finetuning))
    (tmp_path / "road.yaml").write_text(
        yaml.safe_dump([{"pretrain": "more.yaml"}, {"finetune": "then.yaml"}])
    )
    return tmp_path


def test_pretraining_gives_a_model_that_finetuning_starts_from(work: Path) -> None:
    done = openflan("pretrain", "more.yaml", "pretraining.objective=ul2r", folder=work)
    assert done.returncode == 0, done.stderr
    assert "model: runs/more/model" in done.stdout
    assert "next (replace RECIPE): openflan finetune RECIPE model.base=runs/more/model" in done.stderr
    run = work / "runs" / "more"
    tokenizer, model = (
        AutoTokenizer.from_pretrained(run / "model"),
        AutoModelForSeq2SeqLM.from_pretrained(run / "model"),
    )
    assert "[S2S]" in tokenizer.get_vocab()
    assert model.get_input_embeddings().weight.shape[0] >= len(tokenizer)
    assert openflan("finetune", "then.yaml", "model.base=runs/more/model", folder=work).returncode == 0
    again = openflan("pretrain", "more.yaml", "pretraining.objective=ul2r", "training.steps=7", folder=work)
    assert again.returncode == 2
    assert "training.steps: 6 -> 7" in again.stderr
    assert openflan("pretrain", "more.yaml", "training.steps=2", "--restart", folder=work).returncode == 0
    assert (
        openflan(
            "generate",
            "runs/more",
            "what is the sky ?",
            "--checkpoint",
            "base",
            "--max-tokens",
            2,
            folder=work,
        ).returncode
        == 0
    )


def test_the_plan_is_printed_and_nothing_is_trained(work: Path) -> None:
    done = openflan("pretrain", "more.yaml", "--plan", "--device", "h100", folder=work)
    assert done.returncode == 0, done.stderr
    assert "more: prefix-lm on 36 documents" in done.stdout
    assert "held back: 4; pieces of up to 48 tokens; no token added" in done.stdout
    assert "100.0%  prefix" in done.stdout
    assert "H100" in done.stdout
    printed = json.loads(
        openflan("pretrain", "more.yaml", "pretraining.objective=ul2", "--plan", "--json", folder=work).stdout
    )
    assert printed["added_tokens"][-3:] == ["[NLU]", "[S2S]", "[NLG]"]
    assert not (work / "runs").exists()


def test_a_chain_runs_resumes_and_begins_anew(work: Path) -> None:
    done = openflan("run", "road.yaml", "1.training.steps=2", folder=work)
    assert done.returncode == 0, done.stderr
    assert "model: runs/road/2-then/model" in done.stdout
    assert "step 1 of 2, pretrain more" in done.stderr
    again = openflan("run", "road.yaml", "1.training.steps=2", folder=work)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("finished") == 2
    other = openflan("run", "road.yaml", "1.training.steps=3", folder=work)
    assert other.returncode == 2
    assert "start it anew with --restart-from 1" in other.stderr
    anew = openflan("run", "road.yaml", "1.training.steps=3", "--restart-from", 1, folder=work)
    assert anew.returncode == 0, anew.stderr
    assert "finished" not in anew.stderr
    assert (
        openflan(
            "generate", "runs/road/2-then", "what is the sky ?", "--max-tokens", 3, folder=work
        ).returncode
        == 0
    )


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["2.mixture.submixtures.own.data=none.jsonl"], "step 2 of 2, finetune then: "),
        (["2.evaluation={benchmarks: [bbh]}"], "step 2 of 2, finetune then: evaluation.benchmarks, `bbh`: "),
    ],
)
def test_a_later_step_without_its_data_stops_the_chain_before_the_first(
    overrides: list[str], message: str, work: Path
) -> None:
    done = openflan("run", "road.yaml", *overrides, folder=work)
    assert done.returncode == 2
    assert message in done.stderr
    assert "pretrain more" not in done.stderr
    assert not (work / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pretrain", "none.yaml"], "none.yaml: no such file, nor a packaged recipe"),
        (["pretrain", "then.yaml"], "then.yaml:1: a recipe with `mixture:` is for `openflan finetune`"),
        (["finetune", "more.yaml"], "is for `openflan pretrain`"),
        (["pretrain", "lm-adapt-t5"], "lm-adapt-t5.yaml:8: `pretraining.data` is missing"),
        (["run", "lm-adapt-flan"], "did you mean `lm-adapt-flan-t5-small`?"),
        (["run", "more.yaml"], "more.yaml: not a chain; expected a list of steps"),
        (["run", "road.yaml", "--restart-from", 3], "the chain has 2 steps"),
    ],
)
def test_a_wrong_argument_ends_with_one_line(arguments: list[object], message: str, work: Path) -> None:
    done = openflan(*arguments, folder=work)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_teaches() -> None:
    done = openflan("pretrain", "--help")
    for word in ("span-corruption", "prefix-lm", "causal-lm", "ul2r", "openflan pretrain lm-adapt-t5"):
        assert word in done.stdout
    assert "1.pretraining.data=texts/" in openflan("run", "--help").stdout
