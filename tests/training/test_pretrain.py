"""Continued pretraining: every objective is learned, by both kinds of models, in runs that resume like any
other."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import CONFIGS, LETTERS, losses
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from openflan.errors import InputError
from openflan.objectives.denoisers import OBJECTIVES
from openflan.recipe.pretraining import PretrainRecipe
from openflan.run_folder import Run, read_jsonl
from openflan.stopping import Terminated
from openflan.training import checkpoints
from openflan.training.pretrain import pretrain, survey_documents
from openflan.training.progress import Progress


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Letters in turn, by ones and by threes, so that there is something to learn in a minute."""
    path = tmp_path_factory.mktemp("texts") / "text.txt"
    lines = [
        " ".join(LETTERS[(start + step * at) % 8] for at in range(length))
        for start in range(8)
        for step in (1, 3)
        for length in (12, 17, 25, 33)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def recipe(
    place: Path, texts: Path, kind: str = "t5", objective: str = "span-corruption", **changes: Any
) -> PretrainRecipe:
    values: dict[str, Any] = {
        "name": "small",
        "seed": 3,
        "model": {"config": CONFIGS[kind], "tokenizer": str(place / "words"), "dropout": 0.0},
        "pretraining": {"data": str(texts), "objective": objective, "length": 16, "window": 32},
        "packing": {"inputs": 64, "targets": 64},
        "training": {"learning_rate": 0.03, "batch_size": 4, "steps": 40},
        "checkpoints": {"every": 50},
    }
    for name, change in changes.items():
        values[name] = values.get(name, {}) | change if isinstance(change, dict) else change
    return PretrainRecipe.model_validate(values)


@pytest.mark.parametrize("kind", ["t5", "llama"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_loss_falls(objective: str, kind: str, place: Path, texts: Path, tmp_path: Path) -> None:
    """By half a nat a token and more; and on text that was never trained on, too."""
    run = Run(tmp_path / "run")
    pretrain(recipe(place, texts, kind, objective, validation={"documents": 8, "every": 20}), run)
    seen = losses(run)
    held_back = [line["validation_loss"] for line in read_jsonl(run.metrics) if "validation_loss" in line]
    assert sum(seen[-5:]) / 5 < seen[0] - 0.5
    assert len(held_back) == 2
    assert held_back[1] < held_back[0] < seen[0]


@pytest.fixture(scope="module")
def finished(place: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("finished") / "run")
    pretrain(wanted(place, texts), run)
    return run


def wanted(place: Path, texts: Path, **changes: Any) -> PretrainRecipe:
    tight = CONFIGS["llama"] | {"vocab_size": 14}
    return recipe(
        place,
        texts,
        "llama",
        "ul2r",
        **{"model": {"config": tight, "dropout": 0.1}, "training": {"steps": 5}, "checkpoints": {"every": 2}}
        | changes,
    )


def test_the_model_and_its_new_tokens_are_plain_transformers(finished: Run) -> None:
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(finished.model),
        AutoTokenizer.from_pretrained(finished.model),
    )
    added = json.loads(finished.ledger.read_text())["added_tokens"]
    assert added == [
        *(f"<extra_id_{number}>" for number in reversed(range(len(added) - 3))),
        "[NLU]",
        "[S2S]",
        "[NLG]",
    ]
    assert len(tokenizer) == 14 + len(added)
    assert (
        model.get_input_embeddings().weight.shape[0]
        == model.get_output_embeddings().weight.shape[0]
        == -(-len(tokenizer) // 8) * 8
    )
    ids = tokenizer("[S2S] a b c", return_tensors="pt").input_ids
    assert tokenizer.convert_ids_to_tokens(ids[0].tolist()) == ["[S2S]", "a", "b", "c"]
    assert torch.isfinite(model(input_ids=ids).logits).all()
    assert model.generation_config.eos_token_id == 1
    step = AutoModelForCausalLM.from_pretrained(finished.checkpoints / "step-5")
    assert torch.equal(step.get_input_embeddings().weight, model.get_input_embeddings().weight)


def test_an_encoder_decoder_is_exported_too(place: Path, texts: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    pretrain(recipe(place, texts, "gated", training={"steps": 1}), run)
    model = AutoModelForSeq2SeqLM.from_pretrained(run.model)
    assert model.get_input_embeddings().weight.shape[0] == 56, "there were rows to spare"
    assert model.config.n_positions == 64


def _interrupted(monkeypatch: pytest.MonkeyPatch, run: Run, one: PretrainRecipe, after: int) -> None:
    class Stop(Exception):
        pass

    def show(self: Progress, step: int, metrics: Any) -> None:
        if step == after:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "show", show)
        with pytest.raises(Stop):
            pretrain(one, run)


@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_run_that_was_stopped_ends_with_the_same_bits(
    after: int, finished: Run, place: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run")
    _interrupted(monkeypatch, run, wanted(place, texts), after)
    assert not run.model.exists()
    pretrain(wanted(place, texts), run)
    assert losses(run) == losses(finished)
    assert (run.model / "model.safetensors").read_bytes() == (
        finished.model / "model.safetensors"
    ).read_bytes()
    assert checkpoints.position_of(run.checkpoints / "step-5") == checkpoints.position_of(
        finished.checkpoints / "step-5"
    )


def test_another_recipe_or_other_text_in_the_folder_is_refused(
    finished: Run, place: Path, texts: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"holds a run of another recipe \(pretraining.length: 16 -> 12"):
        pretrain(
            wanted(place, texts, pretraining={"data": str(texts), "objective": "ul2r", "length": 12}),
            finished,
        )
    own = tmp_path / "text.txt"
    own.write_text(texts.read_text())
    run = Run(tmp_path / "run")
    pretrain(wanted(place, own), run)
    own.write_text(texts.read_text() + "a b c\n")
    with pytest.raises(InputError, match="changed since the run began: the rows or wordings of documents"):
        pretrain(wanted(place, own), run)


def test_pieces_that_may_not_fit_are_refused_with_the_longest_that_do(place: Path, texts: Path) -> None:
    with pytest.raises(
        InputError,
        match=(
            "pieces of 70 tokens may not fit 64 input and 64 target tokens; the longest that always do have "
            "64"
        ),
    ):
        survey_documents(
            recipe(
                place,
                texts,
                objective="prefix-lm",
                pretraining={"data": str(texts), "objective": "prefix-lm", "length": 70},
            )
        )
    with pytest.raises(
        InputError, match=r"packing.inputs \+ packing.targets is 164, but the model has 128 positions"
    ):
        survey_documents(recipe(place, texts, "llama", "causal-lm", packing={"inputs": 100}))
    with pytest.raises(InputError, match="loss_on: full_sequence is for finetuning"):
        pretrain(
            recipe(place, texts, "llama", "causal-lm", training={"loss_on": "full_sequence"}),
            Run(texts.parent / "none"),
        )


def test_the_ledger_says_what_will_be_read(place: Path, texts: Path) -> None:
    ledger = survey_documents(recipe(place, texts, objective="ul2r", validation={"documents": 4}))
    measured = ledger["measured"]
    assert (ledger["documents"], ledger["held_back"], ledger["piece_length"]) == (60, 4, 16)
    assert sum(measured["denoisers"].values()) == pytest.approx(1)
    assert ledger["epochs"] == pytest.approx(40 * 4 * 32 / measured["rows"] / 60)
    assert ledger["estimates"]["tokens"] == pytest.approx(160 * measured["tokens_per_row"], abs=1)
    json.dumps(ledger)


def test_sigterm_is_known_here_too(
    place: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run")

    def show(self: Progress, step: int, metrics: Any) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Progress, "show", show)
    with pytest.raises(Terminated):
        pretrain(wanted(place, texts, checkpoints={"every": 50}), run)
    assert checkpoints.newest(run.checkpoints) is not None
