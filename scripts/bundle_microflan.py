"""Copies a trained base of the embedded world into the package as a bundled model: weights in bfloat16,
configuration, tokenizer.

The model card (README.md of the folder) is written by hand, from `openflan evaluate embedded:NAME --benchmark
microflan-probes`.

    python scripts/bundle_microflan.py microflan-tiny runs/microflan-tiny/5-microflan-base/model
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

BUNDLED = Path(__file__).resolve().parent.parent / "src" / "openflan" / "microflan" / "bundled"
LARGEST = 8_000_000
"""Bytes of weights that may ship."""

LOADING_KEYS = ("is_local", "local_files_only")
"""What transformers keeps of how a tokenizer was loaded, which is of no use to others."""


def main(name: str, model: Path) -> None:
    folder = BUNDLED / name
    folder.mkdir(exist_ok=True)
    weights = {
        key: value.to(torch.bfloat16).contiguous()
        for key, value in load_file(model / "model.safetensors").items()
    }
    size = sum(value.nbytes for value in weights.values())
    if size > LARGEST:
        raise SystemExit(f"{model}: {size:,} bytes of weights; at most {LARGEST:,} may be bundled")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((model / "config.json").read_text(encoding="utf-8")) | {"dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for file in ("generation_config.json", "tokenizer.json"):
        shutil.copyfile(model / file, folder / file)
    tokenizer = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    kept = {key: value for key, value in tokenizer.items() if key not in LOADING_KEYS}
    (folder / "tokenizer_config.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(f"{folder}: {sum(value.numel() for value in weights.values()):,} weights, {size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
