"""The code of docs/other-trainers.md, run as it stands there."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from openflan.recipe.load_recipe import load_recipe
from openflan.training.prepare import packed_dataset

PAGE = Path(__file__).parents[1] / "docs" / "other-trainers.md"
WORDS = [
    "<pad>",
    "</s>",
    "<unk>",
    "what",
    "is",
    "the",
    "colour",
    "of",
    "sky",
    "grass",
    "blue",
    "green",
    "question",
    "answer",
    ":",
    "?",
]
RECIPE = """\
name: mine
model: {base: FOLDER/llama}
mixture:
  submixtures:
    own: {data: FOLDER/rows.jsonl, styles: {few_shot: 0.5}}
packing: {inputs: 48, targets: 12}
training: {steps: 3, batch_size: 8}
"""


@pytest.fixture(scope="module")
def work_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama, rows and a recipe for them."""
    folder = tmp_path_factory.mktemp("place")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder / "llama")
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder / "llama")
    rows = [
        {"inputs": f"what is the colour of the {what} ?", "targets": colour}
        for what, colour in (("sky", "blue"), ("grass", "green"))
    ] * 10
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipes").mkdir()
    (folder / "recipes" / "mine.yaml").write_text(RECIPE.replace("FOLDER", str(folder)))
    return folder


def _code(importing: str) -> str:
    (record,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        if importing in block
    ]
    return str(record)


def _run(code: str, work_folder: Path, *arguments: str) -> str:
    (work_folder / "train.py").write_text(code)
    command = [sys.executable, "train.py", *arguments]
    done = subprocess.run(
        command,
        cwd=work_folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="trl is not installed")
def test_trl_trains_on_the_stream(work_folder: Path) -> None:
    code = _code("from trl import")
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    losses = re.findall(r"'loss': '?([0-9.]+)", _run(code, work_folder, "recipes/mine.yaml", "llama", "3"))
    assert len(losses) == 3


@pytest.mark.slow
def test_packed_rows_come_in_full_width(work_folder: Path) -> None:
    """With a build, as the page has it, and the shapes that it promises."""
    code = _code("packed_dataset")
    build = [sys.executable, "-m", "openflan", "build", "recipes/mine.yaml"]
    subprocess.run(
        build, cwd=work_folder, capture_output=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    printed = _run(code, work_folder).splitlines()
    assert len(printed) == 3
    assert printed[0] == str(dict.fromkeys(("input_ids", "position_ids", "segment_ids", "labels"), (8, 60)))


def test_a_causal_model_tells_packed_examples_apart_by_their_positions(work_folder: Path) -> None:
    """As the page says: without a mask and without a cache. With a cache, transformers lets them see each
    other."""
    recipe = load_recipe(str(work_folder / "recipes" / "mine.yaml"), [])
    items = packed_dataset(recipe, 4)
    row = max((items[index] for index in range(4)), key=lambda item: int(item["segment_ids"].max()))
    model = LlamaForCausalLM.from_pretrained(work_folder / "llama").eval()
    inputs = {name: row[name][None] for name in ("input_ids", "position_ids", "labels")}
    losses, seen = [], int(row["segment_ids"].max())
    assert seen > 1
    with torch.no_grad():
        packed, cached = (model(**inputs, use_cache=cache) for cache in (False, True))
        for segment in range(1, seen + 1):
            mine = row["segment_ids"] == segment
            alone = model(input_ids=row["input_ids"][mine][None], use_cache=False).logits[0]
            assert torch.allclose(packed.logits[0, mine], alone, atol=1e-5)
            losses += torch.nn.functional.cross_entropy(
                alone[:-1], row["labels"][mine][1:], reduction="none"
            ).tolist()
    expected = [loss for loss in losses if loss]
    assert len(expected) == int((row["labels"] != -100).sum())
    assert float(packed.loss) == pytest.approx(sum(expected) / len(expected), rel=1e-4)
    assert not torch.allclose(cached.logits, packed.logits, atol=1e-4)
