"""Facts about the folder of a LoRA adapter, without a model library.

An adapter folder holds `adapter_config.json` and `adapter_model.safetensors`, as the library peft writes
them, and not the model that it changes: the configuration names that base. Openflan's own folders also hold
`base.json` with a hash of the base's weights, so that an adapter is never joined with another base. A folder
may come from anybody, so settings that would load modules by name, or that change the base in other ways than
LoRA does, are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.models.json_file import json_object, one_line

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
BASE_RECORD = "base.json"

_HARMLESS = {
    "peft_type",
    "task_type",
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "peft_version",
    "megatron_core",
    "qalora_group_size",
    "ensure_weight_tying",
}
"""Settings that change no weight, or do so only together with others that are refused."""

TAKEN = (
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "fan_in_fan_out",
    "use_rslora",
)
"""Settings that say which matrices an adapter has, and of which size."""

_REMEDY = "merge it into its base with peft's `merge_and_unload`, and take that model"


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter instead of a model."""
    return (folder / ADAPTER_CONFIG).is_file()


def base_name(folder: Path) -> str:
    """The base that an adapter names: a hub id, a folder, or `embedded:NAME`. Raises InputError if it names
    none."""
    name = json_object(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    if not isinstance(name, str) or not name.strip():
        raise InputError(
            f"{folder}: an adapter without a base: `base_model_name_or_path` of {ADAPTER_CONFIG} is "
            f"{json.dumps(name)[:60]}; write the base's folder or hub id there"
        )
    return name


def base_digest(folder: Path) -> str | None:
    """The hash of the base's weights that an adapter was trained on; None where it is not recorded."""
    digest = json_object(folder / BASE_RECORD).get("weights_sha256")
    return digest if isinstance(digest, str) else None


def adapter_settings(folder: Path) -> Mapping[str, Any]:
    """The settings of `TAKEN` in a folder. Raises InputError for an adapter of another kind than LoRA, or
    with extensions of it."""
    settings = json_object(folder / ADAPTER_CONFIG)
    kind = settings.get("peft_type")
    if kind != "LORA":
        raise InputError(f"{folder}: an adapter of kind {str(kind)[:40]!r}, expected LORA; {_REMEDY}")
    extension = next(
        (
            name
            for name, value in settings.items()
            if value and name not in (*_HARMLESS, *TAKEN) and not _is_plain(name, value)
        ),
        None,
    )
    if extension is not None:
        raise InputError(
            f"{folder / ADAPTER_CONFIG}: `{one_line(ValueError(extension), 60)}` is set to "
            f"{json.dumps(settings[extension])[:60]}, which is not supported; {_REMEDY}"
        )
    rank = settings.get("r")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise InputError(f"{folder / ADAPTER_CONFIG}: `r` is {json.dumps(rank)[:40]}, expected a rank from 1")
    return {name: settings[name] for name in TAKEN if settings.get(name) is not None}


def write_base_record(folder: Path, name: str, digest: str) -> None:
    """Writes the name of an adapter's base and the hash of its weights."""
    text = json.dumps({"base": name, "weights_sha256": digest}, indent=2)
    (folder / BASE_RECORD).write_text(text + "\n", encoding="utf-8")


def _is_plain(name: str, value: Any) -> bool:
    return (
        (name == "bias" and value == "none")
        or (name == "revision" and value == "main")
        or (name == "init_lora_weights" and value in (True, "gaussian", "orthogonal"))
    )
