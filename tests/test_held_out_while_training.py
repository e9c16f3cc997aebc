"""Held-out scores and the best checkpoint while a model trains, from a recipe's `evaluation:` section."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from openflan.errors import InputError
from openflan.recipe.load_recipe import load_recipe
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run, read_jsonl
from openflan.training import best_checkpoint, checkpoints
from openflan.training.finetune import finetune
from openflan.training_evaluation import MEAN, evaluator


def recipe(*more: str) -> Recipe:
    shape = (
        "{model_type: t5, vocab_size: 1536, d_model: 16, d_kv: 8, d_ff: 16, num_layers: 1, num_heads: 2, "
        "feed_forward_proj: gated-gelu}"
    )
    small = [
        f"model={{config: {shape}, tokenizer: embedded:microflan-base, base: null}}",
        "training.steps=6",
        "training.batch_size=2",
        "checkpoints.every=100",
    ]
    return load_recipe("microflan", [*small, *more])


EVALUATION = [
    "evaluation={every: 2, benchmarks: [microflan], limit: 1, max_tokens: 4}",
    "mixture.validation_rows=5",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    torch.set_num_threads(1)
    trained_run, run_recipe = Run(tmp_path_factory.mktemp("run")), recipe(*EVALUATION)
    finetune(run_recipe, trained_run, evaluate=evaluator(run_recipe, trained_run), label="")
    return trained_run


def test_scores_and_validation_loss_stand_in_the_metrics_where_they_are_due(run: Run) -> None:
    lines = read_jsonl(run.metrics)
    assert (
        [line["step"] for line in lines if "scores" in line]
        == [2, 4, 6]
        == [line["step"] for line in lines if "validation_loss" in line]
    )
    assert all(
        set(line["scores"]) == {"microflan", MEAN} and line["validation_loss"] > 0
        for line in lines
        if "scores" in line
    )


def test_the_best_checkpoint_is_kept_and_ties_go_to_the_earlier_step(run: Run) -> None:
    """The model knows nothing after six steps: all scores are equal, so the first evaluation is the best."""
    scores = {line["step"]: line["scores"][MEAN] for line in read_jsonl(run.metrics) if "scores" in line}
    best = min(step for step, score in scores.items() if score == max(scores.values()))
    assert best_checkpoint.best_step(run.checkpoints) == best
    assert set(checkpoints.steps(run.checkpoints)) == {best, 6}


def test_evaluating_changes_nothing_in_training(run: Run, tmp_path: Path) -> None:
    plain = Run(tmp_path / "plain")
    finetune(recipe("mixture.validation_rows=5"), plain, label="")
    assert (plain.model / "model.safetensors").read_bytes() == (run.model / "model.safetensors").read_bytes()


def test_generations_lie_apart_from_those_of_finished_models(run: Run) -> None:
    assert not run.generations.exists()
    assert (
        len(list((run.folder / "while-training" / "generations").glob("step-*-microflan-direct.jsonl"))) == 3
    )
    assert {
        score["model"]
        for score in json.loads((run.folder / "while-training" / "scores.json").read_text())["scores"]
    } == {"step-2", "step-4", "step-6"}


@pytest.mark.parametrize(
    ("benchmark", "complaint"),
    [("bbb", "there is no benchmark `bbb`"), ("bbh", "needs --data"), ("microflan:deep", "is not a mode")],
)
def test_a_benchmark_that_cannot_be_asked_stops_before_training(
    benchmark: str, complaint: str, tmp_path: Path
) -> None:
    run_recipe: Any = recipe(f"evaluation={{benchmarks: ['{benchmark}']}}")
    with pytest.raises(InputError, match=f"evaluation.benchmarks, `{benchmark}`: .*{complaint}"):
        evaluator(run_recipe, Run(tmp_path))


def test_no_evaluation_no_evaluator(tmp_path: Path) -> None:
    assert evaluator(recipe(), Run(tmp_path)) is None
    assert evaluator(recipe("evaluation={every: 2}"), Run(tmp_path)) is None
