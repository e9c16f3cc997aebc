"""A study small enough to run in a test: a random T5 of a few thousand weights, the embedded world, a few
steps."""

from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

from openflan.models.folder import bundled_model_folder

SHAPE = {
    "vocab_size": 1536,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 1,
    "num_heads": 2,
    "feed_forward_proj": "gated-gelu",
}


def tiny_base(folder: Path, seed: int = 0) -> Path:
    """A T5 with random weights and the tokenizer of the embedded world."""
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(bundled_model_folder("embedded:microflan-base"))
    config = T5Config(**SHAPE, pad_token_id=0, eos_token_id=tokenizer.eos_token_id, decoder_start_token_id=0)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def small_study(base: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "question": "Does it run?",
        "recipe": "microflan",
        "set": {
            "model.base": str(base),
            "training.steps": 2,
            "training.batch_size": 2,
            "checkpoints.every": 1,
            "packing.inputs": 96,
            "packing.targets": 48,
            "mixture.submixtures.microflan.tasks": [
                "microflan/person_*-qa",
                "microflan/person_*-mc",
                "microflan/person_*-verify",
            ],
        },
        "axes": {
            "tasks": {"0": {"tasks": 0}, "3": {"tasks": 3}},
            "rate": {"low": {"training.learning_rate": 0.001}, "high": {"training.learning_rate": 0.02}},
        },
        "seeds": [0, 1],
        "evaluations": {
            "direct": {
                "benchmark": "microflan-dev",
                "tasks": ["*flower-qa", "*flower-verify"],
                "limit": 3,
                "max_tokens": 4,
            }
        },
        "directions": [
            {
                "says": "Three tasks beat none.",
                "more": {"where": {"tasks": 3}},
                "less": {"where": {"tasks": 0}},
                "evaluation": "direct",
                "groups": ["skill"],
            }
        ],
        "figures": [
            {"name": "tasks", "title": "Tasks", "x": "tasks", "lines": "rate", "evaluations": ["direct"]}
        ],
        **changes,
    }


def write_study(path: Path, study: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    return path
