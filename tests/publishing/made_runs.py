"""Finished runs, as training and evaluation leave them, with files that must not be pushed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, processors

from openflan.run_folder import Run

SECRET_ROW = "a row that belongs to somebody else"

MakeRun = Callable[..., Run]


def make(
    tmp_path: Path,
    name: str = "run",
    *,
    causal: bool = False,
    base: str | None = None,
    adapter: bool = False,
    adds_eos: bool = True,
) -> Run:
    run = Run(tmp_path / "home" / "runs" / name)
    data = tmp_path / "home" / "data" / "own.jsonl"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(json.dumps({"inputs": SECRET_ROW, "targets": "x"}) + "\n", encoding="utf-8")
    _model(run.model, causal, {"_name_or_path": base or str(tmp_path / "home" / "t5-base")}, adds_eos)
    if adapter:
        _adapter(run.folder / "adapter", base or str(tmp_path / "home" / "t5-base"))
    run.recipe.write_text(
        json.dumps(
            {
                "name": name,
                "model": {"base": base or str(tmp_path / "home" / "t5-base")},
                "mixture": {"submixtures": {"own": {"data": str(data)}}},
                "training": {"steps": 100, "batch_size": 8},
            }
        ),
        encoding="utf-8",
    )
    run.scores.write_text(json.dumps({"scores": [score(tmp_path)]}), encoding="utf-8")
    for path in (
        run.generations / "bbh.jsonl",
        run.folder / "checkpoints" / "step-2" / "model.safetensors",
        run.build / "tokens.bin",
        run.folder / "wandb" / "debug.log",
        run.model / "notes.md",
        run.model / ".hidden.json",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SECRET_ROW, encoding="utf-8")
    return run


def score(place: Path) -> dict[str, Any]:
    return {
        "model": str(place / "home" / "runs" / "run" / "model"),
        "benchmark": "bbh",
        "mode": "direct",
        "averages": {"average": 28.25},
        "intervals": {"average": {"ci95": [25.0, 31.5], "n": 250}},
        "options": {"benchmark": str(place / "home" / "capitals.yaml")},
    }


def _model(folder: Path, causal: bool, extra: dict[str, Any], adds_eos: bool) -> None:
    folder.mkdir(parents=True)
    config = {"model_type": "llama" if causal else "t5", "is_encoder_decoder": not causal, **extra}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    layout = {"openflan_layout": "paper"} if causal else {}
    (folder / "generation_config.json").write_text(json.dumps(layout), encoding="utf-8")
    save_file({"weight": np.zeros(50_000, "f4")}, folder / "model.safetensors", {"format": "pt"})
    _tokenizer(folder, adds_eos)


def _tokenizer(folder: Path, adds_eos: bool) -> None:
    vocabulary = {"/home/": 0, "a": 1, "<unk>": 2, "</s>": 3}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.add_special_tokens(["/think", "</s>"])
    if adds_eos:
        tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"added_tokens_decoder": {"5": {"content": "/think"}}, "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _adapter(folder: Path, base: str) -> None:
    folder.mkdir(parents=True)
    settings = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "base.json").write_text(json.dumps({"base": base, "weights_sha256": "0"}), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"is_encoder_decoder": True}), encoding="utf-8")
    (folder / "generation_config.json").write_text("{}", encoding="utf-8")
    save_file({"lora": np.zeros(4, "f4")}, folder / "adapter_model.safetensors", {"format": "pt"})
    _tokenizer(folder, True)
