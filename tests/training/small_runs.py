"""Recipes, data and runs small enough to train in a test."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from openflan.mixture.open_mixture import open_tasks
from openflan.models.load_model import load_model, load_tokenizer
from openflan.packing.example_windows import ExampleStream, packed_examples
from openflan.recipe.load_recipe import recipe_from
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run, read_jsonl
from openflan.training.loop import train
from openflan.training.prepare import prepare
from openflan.training.setup import TrainingSetup
from openflan.training.trainable import TrainableView

T5 = {
    "model_type": "t5",
    "vocab_size": 56,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 1,
    "num_heads": 2,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
GATED = T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
LLAMA = {
    "model_type": "llama",
    "vocab_size": 56,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 2,
    "eos_token_id": 1,
}
CONFIGS = {"t5": T5, "gated": GATED, "llama": LLAMA}
LETTERS = "abcdefgh"


def furnish(place: Path) -> Path:
    """Puts `words` (a tokenizer) and `data` (two JSONL files) into a folder."""
    vocabulary = {"<pad>": 0, "</s>": 1, "<s>": 2, "<unk>": 3, "copy": 4, "swap": 5} | {
        letter: 6 + index for index, letter in enumerate(LETTERS)
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", bos_token="<s>", unk_token="<unk>"
    ).save_pretrained(place / "words")
    write_data(place / "data")
    return place


def write_data(folder: Path, answer: str = "a") -> None:
    folder.mkdir(exist_ok=True)
    pairs = [(first, second) for first in LETTERS for second in LETTERS]
    copies = [{"inputs": f"copy {first} {second}", "targets": f"{first} {second}"} for first, second in pairs]
    constant = [
        {"inputs": f"swap {first} {second} {first}", "targets": answer} for first, second in pairs[:20]
    ]
    for name, rows in (("copies", copies), ("constant", constant)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def recipe(
    place: Path,
    kind: str = "t5",
    dropout: float = 0.0,
    tokenizer: str = "words",
    data: str = "data",
    **training: Any,
) -> Recipe:
    values = {
        "name": "small",
        "seed": 3,
        "model": {"config": CONFIGS[kind], "tokenizer": str(place / tokenizer), "dropout": dropout},
        "mixture": {"submixtures": {"own": {"data": str(place / data), "styles": {"few_shot": 0.2}}}},
        "packing": {"inputs": 40, "targets": 12},
        "training": {"learning_rate": 0.02, "batch_size": 4, "steps": 7}
        | {key: value for key, value in training.items() if key not in ("every", "keep")},
        "checkpoints": {"every": training.get("every", 2), "keep": training.get("keep", 3)},
    }
    return recipe_from(values, "the test")


def trained(wanted: Recipe, run: Run, window: int = 12) -> Any:
    """`train` over small windows, so that a few steps cross several; what `finetune` does around it is left
    out."""
    tokenizer = load_tokenizer(wanted.model)
    model = load_model(wanted.model, tokenizer, wanted.seed)
    stream, encoder = prepare(
        wanted, open_tasks(wanted.mixture), tokenizer, joint=not model.config.is_encoder_decoder
    )

    def open_stream(sequences_per_window: Sequence[int]) -> ExampleStream:
        return packed_examples(stream, encoder, sequences_per_window, window=window)

    run.folder.mkdir(parents=True, exist_ok=True)
    train(TrainingSetup(wanted, run, TrainableView(model), tokenizer, open_stream, label="finetune"))
    return model


def losses(run: Run) -> list[float]:
    lines = read_jsonl(run.metrics)
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1)), "every step once, in order"
    return [line["loss"] for line in lines]


def same(first: Any, second: Any) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
