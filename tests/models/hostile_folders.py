"""A small model folder, and harm done to its files: for tests, and as a program for a longer run.

`python tests/models/hostile_folders.py SECONDS [SEED]` mutates folders for so many CPU seconds and prints
what came of them.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers

from openflan.errors import InputError, SetupError

FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "model.safetensors.index.json",
    "model-00001-of-00001.safetensors",
)

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**9,
    10**30,
    1e308,
    "",
    "text",
    "\ud800",
    "a\x00b",
    "../../etc/passwd",
    [],
    [[]],
    {},
    {"a": {"b": []}},
    ["x", 1, None],
    float("nan"),
    float("inf"),
)


def make_folder(folder: Path) -> Path:
    """A Llama of some thousand weights with its tokenizer, its weights in one shard with an index."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    ends = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    torch.manual_seed(0)
    sizes = {
        "vocab_size": 40,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    model = LlamaForCausalLM(LlamaConfig(**sizes, **ends, max_position_embeddings=64))
    words = Tokenizer(
        models.WordLevel({"<pad>": 0, "</s>": 1, "<s>": 2, "<unk>": 3, "a": 4, "b": 5}, unk_token="<unk>")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", bos_token="<s>", unk_token="<unk>"
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    weights = {
        name: value.contiguous().clone()
        for name, value in model.state_dict().items()
        if value is not model.get_input_embeddings().weight or "embed" in name
    }
    save_file(weights, folder / FILES[-1], metadata={"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(weights, FILES[-1])}
    (folder / FILES[-2]).write_text(json.dumps(index))
    (folder / "special_tokens_map.json").write_text(
        json.dumps({"pad_token": "<pad>", "eos_token": "</s>", "bos_token": "<s>"})
    )
    return folder


def mutate(folder: Path, draw: random.Random) -> str:
    """Harms one file of a folder; says how."""
    path = folder / draw.choice(FILES)
    content = path.read_bytes()
    how = draw.choice(("value", "value", "value", "value", "key", "cut", "bytes", "deep", "other", "add"))
    if path.suffix != ".json" and how in ("value", "key", "add"):
        how = "bytes"
    if how == "cut":
        path.write_bytes(content[: draw.randrange(len(content))])
    elif how == "bytes":
        changed = bytearray(content)
        for _ in range(draw.randint(1, 8)):
            changed[draw.randrange(min(len(changed), draw.choice((64, len(changed)))))] = draw.randrange(256)
        path.write_bytes(bytes(changed))
    elif how == "deep":
        opened = draw.choice(("[", '{"a":'))
        path.write_text(opened * 100_000)
    elif how == "other":
        path.write_text(
            draw.choice(("", "null", "[]", "3", '"text"', "{}", "NaN", "\x00", "[" * 1000 + "]" * 1000))
        )
    else:
        value = json.loads(content)
        places = [value]
        for part in places:
            places += [
                inner
                for inner in (part.values() if isinstance(part, dict) else part)
                if isinstance(inner, dict | list) and inner
            ]
        part = draw.choice(places)
        key: Any = draw.choice(list(part)) if isinstance(part, dict) else draw.randrange(len(part))
        if how == "key" and isinstance(part, dict):
            del part[key]
            how = f"without {key!r}"
        elif how == "add" and isinstance(part, dict):
            name = draw.choice(
                (
                    "auto_map",
                    "attn_implementation",
                    "quantization_config",
                    "rope_parameters",
                    "layer_types",
                    "chat_template",
                    "dtype",
                    "tokenizer_class",
                )
            )
            part[name] = draw.choice(ODD)
            how = f"{name} {part[name]!r}"
        else:
            part[key] = draw.choice(ODD)
            how = f"{key!r} {part[key]!r}"
        path.write_text(json.dumps(value))
    return f"{path.name}: {how}"


def load(folder: Path) -> str:
    """What reading a folder as a model and a tokenizer comes to: `read`, or the class of a proper error,
    whose message must be one line."""
    from openflan.models.folder import layout_of
    from openflan.models.load_model import context_length, load_pretrained, tokenizer_of

    outcome = "read"
    for read in (
        lambda: load_pretrained(str(folder)),
        lambda: tokenizer_of(str(folder)),
        lambda: context_length(str(folder)),
        lambda: layout_of(folder),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read()
        except (InputError, SetupError) as error:
            outcome = type(error).__name__
            text = str(error)
            assert "\n" not in text, text
            assert text.isprintable(), text
            assert folder.name in text or "model.config" in text, text
    return outcome


def main(seconds: float, seed: int) -> None:
    """Mutates for so many CPU seconds."""
    from openflan.models.quiet import quiet_libraries

    quiet_libraries()
    draw, counts = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as place:
        intact = make_folder(Path(place) / "whole")
        assert load(intact) == "read"
        end, slowest = time.process_time() + seconds, (0.0, "")
        while time.process_time() < end:
            folder = Path(place) / "harmed"
            shutil.copytree(intact, folder)
            harm, start = mutate(folder, draw), time.process_time()
            try:
                counts[load(folder)] += 1
            except BaseException as error:
                counts[f"ESCAPED {type(error).__name__}"] += 1
                print(
                    harm[:200],
                    type(error).__name__,
                    str(error)[:300].encode("ascii", "backslashreplace").decode(),
                )
                if isinstance(error, KeyboardInterrupt):
                    raise
            slowest = max(slowest, (time.process_time() - start, harm[:120]))
            shutil.rmtree(folder)
    print(dict(counts), "slowest", slowest)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
