"""Whole runs with weights in bfloat16, and the number format of what a run exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_runs import losses, recipe

from openflan.models.load_model import load_model, load_tokenizer, save_pretrained
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run
from openflan.training.finetune import finetune
from openflan.training.progress import Progress


class Stopped(Exception):
    pass


def stored_formats(folder: Path) -> set[torch.dtype]:
    return {value.dtype for value in load_file(folder / "model.safetensors").values()}


@pytest.mark.parametrize(
    ("kind", "training"),
    [
        ("gated", {}),
        pytest.param(
            "llama",
            {"optimizer": "adamw", "statistics": "bf16", "learning_rate": 0.002},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_killed_run_in_bfloat16_ends_with_the_same_bits(
    kind: str, training: dict[str, Any], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(place, kind, dropout=0.1, steps=4, weights="bf16", **training)
    whole, broken = Run(tmp_path / "whole"), Run(tmp_path / "broken")
    finetune(wanted, whole)
    show = Progress.show

    def stop(self: Any, step: int, metrics: Any) -> None:
        show(self, step, metrics)
        if step == 3:
            raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "show", stop)
        with pytest.raises(Stopped):
            finetune(wanted, broken)
    finetune(wanted, broken)
    assert losses(whole) == losses(broken)
    assert losses(whole)[-1] < losses(whole)[0]
    for name in ("model", "checkpoints/step-4"):
        first, second = (run.folder / name / "model.safetensors" for run in (whole, broken))
        assert first.read_bytes() == second.read_bytes()
        assert stored_formats(whole.folder / name) == {torch.bfloat16}
    statistics = load_file(whole.checkpoints / "step-4" / "optimizer.safetensors")
    formats = {value.dtype for name, value in statistics.items() if "exp_avg" in name}
    assert formats == ({torch.bfloat16} if kind == "llama" else set())


def with_base(place: Path, folder: Path, dtype: torch.dtype, **model: Any) -> Recipe:
    """A recipe of one step on a base whose files are in a number format."""
    wanted = recipe(place, "gated", steps=1)
    base = load_model(wanted.model, load_tokenizer(wanted.model), 0).to(dtype)
    save_pretrained(base, folder)
    section = {"base": str(folder), "config": None} | model
    return wanted.model_copy(update={"model": wanted.model.model_copy(update=section)})


@pytest.mark.parametrize(
    ("of_base", "named", "expected"),
    [
        ("bfloat16", None, "bfloat16"),
        pytest.param("float32", None, "float32", marks=pytest.mark.slow),
        pytest.param("float16", "float32", "float32", marks=pytest.mark.slow),
        pytest.param("float32", "bfloat16", "bfloat16", marks=pytest.mark.slow),
    ],
)
def test_the_export_has_the_number_format_of_the_base(
    of_base: str, named: str | None, expected: str, place: Path, tmp_path: Path
) -> None:
    import transformers

    wanted = with_base(place, tmp_path / "base", getattr(torch, of_base), export_dtype=named)
    run = Run(tmp_path / "run")
    finetune(wanted, run)
    assert stored_formats(run.model) == {getattr(torch, expected)}
    trained = load_file(run.checkpoints / "step-1" / "model.safetensors")
    assert {value.dtype for value in trained.values()} == {torch.float32}
    exported = load_file(run.model / "model.safetensors")
    assert all(torch.equal(value.to(exported[name].dtype), exported[name]) for name, value in trained.items())
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(run.model, dtype="auto")
    assert model.dtype == getattr(torch, expected), "config.json states it"
