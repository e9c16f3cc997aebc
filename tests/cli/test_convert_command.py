"""`openflan convert t5x`: there and back, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from commands import openflan
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer


@pytest.fixture(scope="module")
def checkpoint(t5: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted") / "checkpoint_5"
    done = openflan("convert", "t5x", t5, "--to", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder}: 26 arrays\n"
    return folder


@torch.no_grad()
def _logits(folder: Path) -> torch.Tensor:
    ids = torch.tensor([[3, 4, 5, 1]])
    return AutoModelForSeq2SeqLM.from_pretrained(folder).eval()(input_ids=ids, decoder_input_ids=ids).logits


@pytest.mark.parametrize("named", ["the checkpoint", "the folder above"])
def test_there_and_back_is_the_same_model(named: str, checkpoint: Path, t5: Path, tmp_path: Path) -> None:
    source = checkpoint if named == "the checkpoint" else checkpoint.parent
    done = openflan("convert", "t5x", source, "--to", tmp_path / "hf", "--tokenizer", t5)
    assert done.returncode == 0, done.stderr
    assert "hf: t5 with 1 + 1 layers of width 16" in done.stdout
    assert "next (replace RECIPE): openflan finetune RECIPE model.base=" in done.stderr
    assert torch.equal(_logits(tmp_path / "hf"), _logits(t5))
    assert (
        AutoTokenizer.from_pretrained(tmp_path / "hf")("grass")["input_ids"]
        == AutoTokenizer.from_pretrained(t5)("grass")["input_ids"]
    )


def test_layers_in_one_array_come_back_too(t5: Path, tmp_path: Path) -> None:
    assert openflan("convert", "t5x", t5, "--to", tmp_path / "t5x", "--stacked").returncode == 0
    assert (tmp_path / "t5x" / "target.encoder.encoder.attention.query.kernel").is_dir()
    assert openflan("convert", "t5x", tmp_path / "t5x", "--to", tmp_path / "hf").returncode == 0
    assert torch.equal(_logits(tmp_path / "hf"), _logits(t5))


def test_what_does_not_fit_is_refused(checkpoint: Path, t5: Path, llama: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (
            (tmp_path, "--to", tmp_path / "out"),
            "neither a T5X checkpoint (no folders target.*) nor a Hugging Face folder (no config.json)",
        ),
        ((t5, "--to", tmp_path / "out", "--tokenizer", t5), "--tokenizer is for Hugging Face folders"),
        ((checkpoint, "--to", tmp_path / "out", "--stacked"), "--stacked is for T5X checkpoints"),
        ((checkpoint, "--to", tmp_path / "out", "--tokenizer", checkpoint), "no tokenizer"),
        ((checkpoint, "--to", t5), "something is there already"),
        ((llama, "--to", tmp_path / "out"), "found `model_type` 'llama'"),
    ):
        done = openflan("convert", "t5x", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert not (tmp_path / "out").exists()
