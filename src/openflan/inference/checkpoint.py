"""A Hugging Face folder looked at from outside: is it complete, which weights are these, how is its text laid out.

Weights are read from safetensors only: a pickle runs code when it is opened. All of it works without a model library, so that a wrong path fails
within a second.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Literal, TypeAlias

from openflan.errors import InputError

Separator: TypeAlias = Literal["eos", "none"]
"""What stands between inputs and targets of a causal model: its end of sequence, as in the paper's finetuning layout, or nothing."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.\-]*(/[A-Za-z0-9][\w.\-]*)?")
_TOKENIZERS = ("tokenizer.json", "spiece.model", "tokenizer.model", "vocab.json", "vocab.txt")
_HASHED_BYTES = 1 << 20


def checkpoint_folder(name: str | Path) -> Path:
    """The folder that `name` stands for: itself, or the local copy of a hub repository, which is fetched if need be.

    Raises InputError that names everything a usable checkpoint lacks: config.json, *.safetensors, a tokenizer.
    """
    folder = Path(name)
    if not folder.is_dir():
        folder = _fetched(str(name))
    missing = []
    if not (folder / "config.json").is_file():
        missing.append("config.json")
    if not weight_files(folder):
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        found = f" (only {pickled[0]}, which is pickled and never loaded: convert it to safetensors)" if pickled else ""
        missing.append(f"*.safetensors{found}")
    if not any((folder / file).is_file() for file in _TOKENIZERS):
        missing.append("a tokenizer (tokenizer.json)")
    if missing:
        raise InputError(f"{folder} is not a Hugging Face checkpoint: it has no {', no '.join(missing)}")
    return folder


def weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def fingerprint(folder: Path, *settings: str) -> str:
    """16 hexadecimal digits for all weight bytes, the configuration, the tokenizer, and settings that change what is generated."""
    digest = hashlib.sha256()
    described = [folder / "config.json", *(folder / file for file in _TOKENIZERS)]
    for path in [*weight_files(folder), *(path for path in described if path.is_file())]:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(_HASHED_BYTES):
                digest.update(block)
    for setting in settings:
        digest.update(f"{setting}\n".encode())
    return digest.hexdigest()[:16]


def separator_of(folder: Path) -> Separator:
    """`eos` where the folder says `"openflan_layout": "paper"` (generation_config.json, else config.json), otherwise `none`."""
    for name in ("generation_config.json", "config.json"):
        layout = read_json(folder / name).get("openflan_layout")
        if layout == "paper":
            return "eos"
        if layout is not None:
            raise InputError(f'{folder / name}: `openflan_layout` is {layout!r}; the one layout known is "paper"')
    return "none"


def read_json(path: Path) -> dict[str, object]:
    """The object in a JSON file, empty if there is no such file; InputError if it holds something else."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is not JSON ({error}): fetch or export the checkpoint again") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a {type(value).__name__}, expected a JSON object")
    return value


def _fetched(name: str) -> Path:
    if not _HUB_ID.fullmatch(name):
        raise InputError(f"{name} is no folder, and no hub id such as google/flan-t5-small")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.model", "*.txt"]))
    except Exception as error:  # the hub client raises a dozen unrelated types: offline, no such repository, gated, bad proxy
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{name} is no folder here and could not be fetched from the hub ({reason[0]})") from error
