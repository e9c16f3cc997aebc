"""What is not a T5 and not a plain decoder, through the whole command: prefix attention, sparse experts,
PaLM's shape."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import experts_work
import pytest
import torch
from small_runs import CONFIGS, LLAMA, losses, recipe
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from openflan.errors import InputError
from openflan.models.folder import attention_of
from openflan.recipe.load_recipe import recipe_from
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run, read_jsonl
from openflan.training.finetune import finetune

PALM = {
    "model_type": "cohere",
    "vocab_size": 56,
    "hidden_size": 16,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "logit_scale": 0.25,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
}
SWITCH = CONFIGS["t5"] | {
    "model_type": "switch_transformers",
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_experts": 4,
    "num_sparse_encoder_layers": 1,
    "num_sparse_decoder_layers": 1,
}


def changed(wanted: Recipe, model: dict[str, Any], training: dict[str, Any] | None = None) -> Recipe:
    values = wanted.model_dump(mode="json", exclude_none=True)
    return recipe_from(
        values | {"model": values["model"] | model, "training": values["training"] | (training or {})},
        "the test",
    )


@pytest.mark.parametrize("config", [PALM, LLAMA | {"num_hidden_layers": 2}], ids=["PaLM", "Llama"])
def test_prefix_finetuning_ends_in_a_folder_that_says_so(
    config: dict[str, Any], place: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    finetune(
        changed(recipe(place, "llama", steps=60, every=60), {"config": config, "attention": "prefix"}), run
    )
    assert attention_of(run.model) == attention_of(run.checkpoints / "step-60") == "prefix"
    run_losses = losses(run)
    assert run_losses[-1] < 0.75 * run_losses[0]
    plain = AutoModelForCausalLM.from_pretrained(run.model)
    assert type(plain).__module__.startswith("transformers.")
    # Finetuned on, it keeps what it was finetuned for, unless it is told otherwise.
    again = {"config": None, "base": str(run.model)}
    on, off = (Run(tmp_path / name) for name in ("on", "off"))
    finetune(changed(recipe(place, "llama", steps=1), again), on)
    finetune(changed(recipe(place, "llama", steps=1), again | {"attention": "causal"}), off)
    assert (attention_of(on.model), attention_of(off.model)) == ("prefix", "causal")
    assert losses(on) != losses(off)


@pytest.mark.parametrize(
    ("kind", "model", "training", "message"),
    [
        (
            "t5",
            {"attention": "prefix"},
            {},
            (
                "a model of type t5 cannot have `model.attention: prefix`, which is for causal models that "
                "pack flat"
            ),
        ),
        (
            "llama",
            {"attention": "prefix"},
            {"loss_on": "full_sequence"},
            "loss_on: full_sequence does not go with prefix attention",
        ),
        (
            "llama",
            {"expert_dropout": 0.2},
            {},
            "model.expert_dropout: a model of type llama has no experts known here",
        ),
        (
            "t5",
            {},
            {"router_aux_loss": 0.1},
            "training.router_aux_loss: a model of type t5 has no routers known here",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    kind: str, model: dict[str, Any], training: dict[str, Any], message: str, place: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        finetune(changed(recipe(place, kind, steps=1), model, training), Run(tmp_path / "run"))
    assert not (tmp_path / "run" / "metrics.jsonl").is_file()


def test_a_sparse_model_finetunes_and_is_plain_transformers_after(place: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    finetune(
        changed(
            recipe(place, "t5", steps=60, every=60),
            {"config": SWITCH, "dropout": 0.05, "expert_dropout": 0.2},
        ),
        run,
    )
    lines = read_jsonl(run.metrics)
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]
    # By the configuration's own weights, 0.001 each: two terms of load balance, at least 1 each, and the
    # z-losses.
    assert all(0.002 <= line["router_loss"] < 0.2 for line in lines)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(run.model).eval()
    assert loaded.config.expert_capacity >= 2**20
    ids = loaded.generate(torch.tensor([[4, 6, 7, 1]]), max_new_tokens=4)
    assert ids.shape[0] == 1


def test_dense_models_have_no_router_loss(place: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    finetune(recipe(place, steps=1), run)
    assert "router_loss" not in json.loads(run.metrics.read_text())


@pytest.mark.slow
def test_two_ranks_take_the_steps_of_one() -> None:
    """Sparse experts above all, which idle on one rank and not on the other: their gradients must be there on
    both."""
    program = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(Path(experts_work.__file__)),
    ]
    done = subprocess.run(
        program, capture_output=True, text=True, timeout=240, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-3_000:]
