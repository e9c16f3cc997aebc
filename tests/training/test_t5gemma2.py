"""T5Gemma 2 through the whole command: packed, killed, resumed, exported, and read by plain transformers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from small_runs import losses, recipe
from test_killed import KILLED
from transformers import AutoModelForSeq2SeqLM

from openflan.inference.huggingface import HuggingFaceEngine
from openflan.inference.protocol import Request
from openflan.models.load_model import load_model, load_tokenizer
from openflan.recipe.load_recipe import dump_recipe, recipe_from
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run
from openflan.training import checkpoints
from openflan.training.finetune import finetune

SIDE = {
    "vocab_size": 56,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "query_pre_attn_scalar": 8,
    "sliding_window": 4,
    "layer_types": ["sliding_attention", "full_attention"],
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
}
VISION = {
    "model_type": "siglip_vision_model",
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "image_size": 8,
    "patch_size": 4,
}
CONFIG = {
    "model_type": "t5gemma2",
    "encoder": {"text_config": SIDE, "vision_config": VISION, "mm_tokens_per_image": 1},
    "decoder": SIDE,
}


def t5gemma2(place: Path, steps: int) -> Recipe:
    values = recipe(place, "t5", steps=steps, every=2 if steps == 3 else steps).model_dump(
        mode="json", exclude_none=True
    )
    return recipe_from(values | {"model": values["model"] | {"config": CONFIG, "dropout": 0.1}}, "the test")


def test_a_run_packs_and_its_export_writes_as_plain_transformers_does(place: Path, tmp_path: Path) -> None:
    wanted, run = t5gemma2(place, 30), Run(tmp_path / "run")
    with warnings.catch_warnings():
        # One says that examples are padded.
        warnings.simplefilter("error", UserWarning)
        finetune(wanted, run)
    assert losses(run)[-1] < 0.95 * losses(run)[0]
    plain = AutoModelForSeq2SeqLM.from_pretrained(run.model).eval()
    assert type(plain).__module__.startswith("transformers.")
    begun = load_model(wanted.model, load_tokenizer(wanted.model), wanted.seed)
    assert all(map(torch.equal, plain.vision_tower.parameters(), begun.vision_tower.parameters()))
    assert not torch.equal(plain.get_input_embeddings().weight, begun.get_input_embeddings().weight)
    engine = HuggingFaceEngine.load(run.model)
    prompts = ["copy a b", "swap c d c"]
    written = dict(engine.generate([Request(prompt, 4) for prompt in prompts]))
    for number, prompt in enumerate(prompts):
        ids = plain.generate(torch.tensor([engine.ids(prompt)]), max_new_tokens=4, do_sample=False)[0]
        assert ids[0] == SIDE["bos_token_id"]
        assert written[number].text.split() == engine.tokenizer.decode(ids, skip_special_tokens=True).split()


@pytest.mark.slow
def test_a_killed_run_is_resumed_to_the_same_bits(place: Path, tmp_path: Path) -> None:
    wanted, run, whole = t5gemma2(place, 3), Run(tmp_path / "run"), Run(tmp_path / "whole")
    (tmp_path / "small.yaml").write_text(dump_recipe(wanted))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "small.yaml"), str(run.folder)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert checkpoints.steps(run.checkpoints) == [2]
    for folder in (run, whole):
        finetune(wanted, folder)
    assert losses(run) == losses(whole)
    assert (run.model / "model.safetensors").read_bytes() == (whole.model / "model.safetensors").read_bytes()
