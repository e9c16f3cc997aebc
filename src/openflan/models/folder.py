"""Facts about a Hugging Face folder without loading it: whether it is complete, its weight files, and its
layout.

Weights are read from safetensors only: a pickle runs code when it is opened. All of it works without a model
library, so that a wrong path fails within a second.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

from openflan.embedded import EMBEDDED, bundled_models
from openflan.errors import InputError, OpenflanError, did_you_mean
from openflan.models.adapter_folder import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    adapter_settings,
    base_name,
    is_adapter,
)
from openflan.models.hub import HUB_ID, fetch_from_hub, path_exists
from openflan.models.json_file import json_object, one_line
from openflan.packing.special_tokens import Layout
from openflan.packing.text_ids import AddedTokens

Separator: TypeAlias = Literal["eos", "none"]
"""What separates inputs and targets of a causal model: its end of sequence, as in the paper's layout, or
nothing."""

Attention: TypeAlias = Literal["causal", "prefix"]
"""What a causal model's inputs see: the tokens before them, or one another (prefix-LM)."""

STATE = "state.json"
"""The file of an openflan checkpoint with the position of training, and under `sha256` the list of the
checkpoint's files."""

_WHOLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_AGAIN = "fetch or export the model again"
_TOKENIZERS = ("tokenizer.json", "spiece.model", "tokenizer.model", "vocab.json", "vocab.txt")
_CHAT_TEMPLATES = ("chat_template.jinja", "chat_template.json")
_HASHED_BYTES = 1 << 20


def model_folder(name: str | Path, *, tokenizer: bool = True) -> Path:
    """The folder that `name` stands for: itself, or the local copy of a hub repository, which is fetched if
    need be.

    Raises InputError that names everything a usable checkpoint lacks (config.json, *.safetensors and, if
    `tokenizer`, a tokenizer), or says that there is no such folder; names what a local folder holds beside
    its weights that would be read in their place; SetupError if the hub cannot be reached.
    """
    folder = bundled_model_folder(str(name)) or Path(name)
    if path_exists(folder):
        _refuse_strangers(folder)
    else:
        folder = fetch_from_hub(str(name))
    if is_adapter(folder):
        return _adapter_folder(folder)
    missing = []
    if not (folder / "config.json").is_file():
        missing.append("config.json")
    if not weight_files(folder):
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        pickled_note = (
            (
                f" (only {pickled[0]}, which is pickled and never loaded: convert it with transformers' "
                "`save_pretrained`)"
            )
            if pickled
            else ""
        )
        missing.append(f"*.safetensors{pickled_note}")
    if tokenizer and not has_tokenizer(folder):
        missing.append("tokenizer (tokenizer.json)")
    if missing:
        raise InputError(
            f"{folder}: not a Hugging Face model folder: no {', no '.join(missing)} (it {contents(folder)})"
        )
    return folder


def base_folder(folder: Path) -> Path:
    """The folder of an adapter's base. Raises InputError if the adapter names none, one that is not there, or
    another adapter."""
    name = base_name(folder)
    try:
        base = bundled_model_folder(name) or Path(name)
        base = base if path_exists(base) else fetch_from_hub(name)
        if not is_adapter(base):
            return model_folder(base, tokenizer=False)
    except OpenflanError as error:
        raise InputError(
            f"{folder}: an adapter without its base: {error}. Put the base back, or write its place as "
            f"`base_model_name_or_path` into {ADAPTER_CONFIG}"
        ) from None
    raise InputError(
        f"{folder}: its base {one_line(ValueError(name))} is an adapter too; merge that one first (the "
        "`model/` of its run)"
    )


def described_in(folder: Path) -> Path:
    """The folder with a model's config.json: the model's own, or the base of an adapter that has none."""
    if is_adapter(folder) and not (folder / "config.json").is_file():
        return base_folder(folder)
    return folder


def _adapter_folder(folder: Path) -> Path:
    """The folder itself, when the adapter in it is complete and its base is there."""
    adapter_settings(folder)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise InputError(
            f"{folder}: an adapter without {ADAPTER_WEIGHTS} (it {contents(folder)}); export or fetch "
            "it again"
        )
    base_folder(folder)
    return folder


def bundled_model_folder(name: str) -> Path | None:
    """The folder of a model that comes with openflan, `embedded:NAME`; None for any other name.

    Raises InputError if no bundled model has that name.
    """
    if not name.startswith(EMBEDDED):
        return None
    folders = bundled_models()
    if name not in folders:
        hint = did_you_mean(name, folders) or f"; there is {', '.join(folders)}"
        raise InputError(f"{name}: no such model comes with openflan{hint}")
    return folders[name]


def has_tokenizer(folder: Path) -> bool:
    return any((folder / file).is_file() for file in _TOKENIZERS)


def contents(folder: Path) -> str:
    """`holds a, b, c` or `is a file`, for messages."""
    return (
        "holds " + (", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing")
        if folder.is_dir()
        else "is a file"
    )


def weight_files(folder: Path) -> list[Path]:
    """The files of a folder's weights, as transformers reads them: model.safetensors, else those that its
    index lists; others where there is neither.

    Of an adapter its own file and those of its base. Raises InputError for an index that is none, or that
    names files which are not there or lie elsewhere.
    """
    if is_adapter(folder):
        return [folder / ADAPTER_WEIGHTS, *weight_files(base_folder(folder))]
    if (folder / _WHOLE).is_file():
        return [folder / _WHOLE]
    if not (folder / _INDEX).is_file():
        return sorted(folder.glob("*.safetensors"))
    index = folder / _INDEX
    places = json_object(index).get("weight_map")
    if (
        not isinstance(places, dict)
        or not places
        or not all(isinstance(name, str) for name in places.values())
    ):
        raise InputError(f"{index}: `weight_map` is missing or does not map tensors to files; {_AGAIN}")
    names = sorted(set(places.values()))
    for name in names:
        if os.path.basename(name) != name or not name.endswith(".safetensors") or not name.isprintable():
            raise InputError(
                f"{index}: names {one_line(ValueError(repr(name)))}, expected safetensors files of the same "
                f"folder; {_AGAIN}"
            )
        if not (folder / name).is_file():
            raise InputError(f"{index}: names {name}, which is not there; {_AGAIN}")
    return [folder / name for name in names]


def unlisted(folder: Path, listed: Container[str]) -> list[str]:
    """What a checkpoint's folder holds beside the files that its `state.json` lists, by name; hidden files,
    which nothing reads, do not count."""
    names = (path.name for path in folder.iterdir())
    return sorted(name for name in names if name != STATE and name not in listed and not name.startswith("."))


def _refuse_strangers(folder: Path) -> None:
    """Raises InputError for a local folder in which a file was put that would be read in place of the model's
    own."""
    if (folder / _WHOLE).is_file() and (folder / _INDEX).is_file():
        raise InputError(
            f"{folder}: holds {_WHOLE} and also {_INDEX}, which names other files: two models; remove "
            "the one that does not belong there"
        )
    if is_adapter(folder) and ((folder / _WHOLE).is_file() or (folder / _INDEX).is_file()):
        raise InputError(
            f"{folder}: holds a model and also {ADAPTER_CONFIG}: two models; remove the one that does not "
            "belong there"
        )
    listed = json_object(folder / STATE).get("sha256")
    if isinstance(listed, dict) and (strangers := unlisted(folder, listed)):
        raise InputError(
            f"{folder}: holds {strangers[0]}, which is not in the list of its {STATE}: it was put there "
            "later; remove it"
        )


def fingerprint(folder: Path, *settings: str) -> str:
    """16 hexadecimal digits for all weight bytes, the configuration, the tokenizer, and settings that change
    what is generated."""
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


def has_chat_template(folder: Path) -> bool:
    """Whether the folder's tokenizer has a chat template: a file of its own, or a key of
    tokenizer_config.json."""
    if any((folder / name).is_file() for name in _CHAT_TEMPLATES):
        return True
    return bool(json_object(folder / "tokenizer_config.json").get("chat_template"))


def separator_of(folder: Path) -> Separator:
    """`eos` for a model of the paper's layout, otherwise `none`; see `layout_of`."""
    return "eos" if layout_of(folder) == "paper" else "none"


def layout_of(folder: Path) -> Layout | None:
    """The layout that a causal model was finetuned with: `openflan_layout` of generation_config.json, else
    of config.json; None where both lack it."""
    folder = _generating_in(folder)
    for name in ("generation_config.json", "config.json"):
        layout = json_object(folder / name).get("openflan_layout")
        if layout is None:
            continue
        if layout not in get_args(Layout):
            raise InputError(
                f"{folder / name}: `openflan_layout` is {layout!r}; expected one of "
                f"{', '.join(get_args(Layout))}"
            )
        return cast(Layout, layout)
    return None


def added_tokens_of(folder: Path) -> AddedTokens:
    """How a model was finetuned to read texts that spell added tokens: `openflan_added_tokens` of
    generation_config.json; `ids` where the key is absent. Raises InputError for another value."""
    path = folder / "generation_config.json"
    added_tokens = json_object(path).get("openflan_added_tokens", "ids")
    if added_tokens not in get_args(AddedTokens):
        raise InputError(
            f"{path}: `openflan_added_tokens` is {added_tokens!r}; expected one of "
            f"{', '.join(get_args(AddedTokens))}"
        )
    return cast(AddedTokens, added_tokens)


def attention_of(folder: Path) -> Attention:
    """How a causal model's inputs attend, `openflan_attention` of generation_config.json; causal where the
    key is absent. Raises InputError for another value."""
    path = _generating_in(folder) / "generation_config.json"
    attention = json_object(path).get("openflan_attention", "causal")
    if attention not in get_args(Attention):
        raise InputError(
            f"{path}: `openflan_attention` is {attention!r}; expected one of {', '.join(get_args(Attention))}"
        )
    return cast(Attention, attention)


def _generating_in(folder: Path) -> Path:
    """The folder whose settings of generation hold: those of an adapter without any are its base's."""
    if is_adapter(folder) and not (folder / "generation_config.json").is_file():
        return base_folder(folder)
    return folder


def check_model_name(name: str) -> None:
    """Raises InputError for a name that is neither a folder nor of the form of a hub id; no library of models
    is imported."""
    if (
        name.startswith(EMBEDDED)
        or os.path.isdir(name)
        or (HUB_ID.fullmatch(name) and not os.path.isfile(name))
    ):
        return
    kind = "a file" if os.path.isfile(name) else "no such folder"
    raise InputError(
        f"{name}: {kind}; expected a Hugging Face model folder or a hub id such as google/t5-small-lm-adapt"
    )
