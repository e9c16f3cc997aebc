"""T5X checkpoints of T5, mT5 and umT5 as Hugging Face folders, and back.

One table (`t5x_layout.places`) serves both directions. Settings that a checkpoint does not contain are T5's
published ones: buckets reach 128 tokens, norms have epsilon 1e-6, `gated-gelu` where there are two input
kernels. Only weights are converted, not the optimiser's statistics (docs/models.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from openflan.errors import InputError
from openflan.models.folder import contents, weight_files
from openflan.models.json_file import json_object
from openflan.models.t5x_files import Array, StoredArray, msgpack_bytes, open_array, write_array
from openflan.models.t5x_layout import BIAS, Layout, StoredWeight, layout_of, places
from openflan.run_folder import replacing, write_json

FAMILIES = ("t5", "mt5", "umt5")
SHARD_BYTES = 5 * 10**9
"""The size of a weights file, as transformers writes it."""

MAX_DISTANCE, DROPOUT = 128, 0.1
"""T5's published settings that no checkpoint contains."""


def from_t5x(folder: Path, to: Path) -> dict[str, Any]:
    """Writes a T5X checkpoint as a Hugging Face folder (configuration and float32 safetensors, no tokenizer);
    returns the configuration.

    `folder` is a checkpoint, or holds several `checkpoint_N`, of which the last is taken. Raises InputError
    for one that lacks an array or holds one that this family has not, or whose shapes do not fit together;
    SetupError for a compressor that is not installed.
    """
    from safetensors.numpy import save_file

    _refuse_full(to)
    folder = _newest(folder)
    arrays = {
        path.name.removeprefix("target."): open_array(path)
        for path in sorted(folder.glob("target.*"))
        if path.is_dir()
    }
    if not arrays:
        raise InputError(
            f"{folder}: not a T5X checkpoint: no folder target.* (it {contents(folder)}); Orbax's own "
            "format must be saved as T5X's first"
        )
    layout = layout_of(arrays, folder)
    weight_places = places(layout)
    missing = sorted({weight_place.array for weight_place in weight_places.values()} - arrays.keys())
    if missing:
        raise InputError(
            f"{folder}: no "
            f"target.{missing[0]}{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}; is the "
            "copy complete?"
        )
    unknown = sorted(arrays.keys() - {weight_place.array for weight_place in weight_places.values()})
    if unknown:
        raise InputError(
            f"{folder}: target.{unknown[0]} has no place in T5, mT5 or umT5; other T5X models cannot be "
            "converted"
        )
    config = _config(arrays, layout, folder)
    with replacing(to) as partial:
        partial.mkdir(parents=True, exist_ok=True)
        write_json(partial / "config.json", config)
        write_json(
            partial / "generation_config.json",
            {key: config[key] for key in ("decoder_start_token_id", "eos_token_id", "pad_token_id")},
        )
        shards = list(_shards(weight_places, arrays))
        index: dict[str, str] = {}
        for number, names in enumerate(shards, 1):
            file = (
                "model.safetensors"
                if len(shards) == 1
                else f"model-{number:05}-of-{len(shards):05}.safetensors"
            )
            save_file(
                dict(_weights(names, weight_places, arrays, config, folder)),
                partial / file,
                metadata={"format": "pt"},
            )
            index |= dict.fromkeys(names, file)
        if len(shards) > 1:
            size = sum(
                arrays[array].bytes_in_float32
                for array in {weight_place.array for weight_place in weight_places.values()}
            )
            write_json(
                partial / "model.safetensors.index.json",
                {"metadata": {"total_size": size}, "weight_map": index},
            )
    return config


def to_t5x(folder: Path, to: Path, *, stacked: bool = False) -> int:
    """Writes a Hugging Face folder of the T5 family as a T5X checkpoint, in float32; returns how many arrays
    it has.

    `stacked`: layers along the second axis, as T5X's scanned models keep them. The step is N where `to` is
    named checkpoint_N, as T5X names them, else 0. Raises InputError for another family, or a folder whose
    weights lack one.
    """
    _refuse_full(to)
    config = json_object(folder / "config.json")
    if config.get("model_type") not in FAMILIES or not weight_files(folder):
        raise InputError(
            f"{folder}: expected a Hugging Face folder with safetensors of {', '.join(FAMILIES)}; found "
            f"`model_type` {config.get('model_type')!r}"
        )
    per_layer = config["model_type"] == "umt5"
    layout = Layout(
        encoder_layers=_number(config, "num_layers"),
        decoder_layers=_number(
            config, "num_decoder_layers" if config.get("num_decoder_layers") is not None else "num_layers"
        ),
        gated=str(config.get("feed_forward_proj", "relu")).startswith("gated"),
        tied=config.get("tie_word_embeddings", True) is not False,
        bias_per_layer=per_layer,
        stacked=stacked,
        encoder="encoder.encoder." if stacked else "encoder.layers_",
        decoder="decoder.decoder." if stacked else "decoder.layers_",
        encoder_bias=f"encoder.encoder.{BIAS}"
        if stacked and per_layer
        else BIAS
        if per_layer
        else f"encoder.{BIAS}",
        decoder_bias=f"decoder.decoder.{BIAS}"
        if stacked and per_layer
        else BIAS
        if per_layer
        else f"decoder.{BIAS}",
    )
    gathered: dict[str, dict[int | None, tuple[str, StoredWeight]]] = {}
    for name, weight_place in places(layout).items():
        gathered.setdefault(weight_place.array, {})[weight_place.layer] = (name, weight_place)
    written: dict[str, Any] = {}
    with _weights_of(folder) as weight, replacing(to) as partial:
        for array, parts in gathered.items():
            transposed = [
                weight(name).T if weight_place.transposed else weight(name)
                for name, weight_place in parts.values()
            ]
            values = transposed[0] if None in parts else np.stack(transposed, axis=1)
            described = write_array(partial / f"target.{array}", values)
            spec = {
                "driver": "zarr",
                "dtype": "float32",
                "kvstore": {"driver": "file", "path": f"target.{array}"},
                "metadata": described,
            }
            _put(written, array.split("."), spec)
        number = re.fullmatch(r"checkpoint_(\d+)", to.name)
        state = {"step": int(number.group(1)) if number else 0, "param_states": {}}
        (partial / "checkpoint").write_bytes(
            msgpack_bytes({"version": 3, "optimizer": {"target": written, "state": state}})
        )
    return len(gathered)


def is_t5x(folder: Path) -> bool:
    """Whether a folder is a T5X checkpoint or holds some."""
    return any(folder.glob("target.*")) or any(folder.glob("checkpoint_*/target.*"))


def _refuse_full(to: Path) -> None:
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise InputError(f"{to}: something is there already (it {contents(to)}); name a new folder with --to")


def _newest(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a T5X checkpoint, copied whole")
    inside = {
        int(path.name.removeprefix("checkpoint_")): path
        for path in folder.glob("checkpoint_*")
        if re.fullmatch(r"checkpoint_\d+", path.name)
    }
    return inside[max(inside)] if inside else folder


def _config(arrays: Mapping[str, StoredArray], layout: Layout, folder: Path) -> dict[str, Any]:
    """The configuration for transformers, from the arrays' shapes."""
    weight_places = places(layout)
    table = arrays[
        weight_places["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"].array
    ].shape
    vocabulary, width = arrays["token_embedder.embedding"].shape
    own = _sizes(
        arrays[weight_places["encoder.block.0.layer.0.SelfAttention.o.weight"].array], layout.stacked
    )
    kernel = arrays[weight_places["encoder.block.0.layer.1.DenseReluDense.wo.weight"].array].shape
    joined = int(np.prod(own[:-1]))
    if joined % table[0]:
        raise InputError(
            f"{folder}: {table[0]} heads have biases, which do not share attention's width of {joined} evenly"
        )
    umt5 = layout.bias_per_layer
    return {
        "architectures": ["UMT5ForConditionalGeneration" if umt5 else "T5ForConditionalGeneration"],
        "model_type": "umt5" if umt5 else "t5",
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": joined // table[0],
        "d_ff": kernel[0],
        "num_layers": layout.encoder_layers,
        "num_decoder_layers": layout.decoder_layers,
        "num_heads": table[0],
        "relative_attention_num_buckets": table[-1],
        "relative_attention_max_distance": MAX_DISTANCE,
        "feed_forward_proj": "gated-gelu" if layout.gated else "relu",
        "tie_word_embeddings": layout.tied,
        "is_encoder_decoder": True,
        "dropout_rate": DROPOUT,
        "layer_norm_epsilon": 1e-6,
        "decoder_start_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "torch_dtype": "float32",
    }


def _sizes(array: StoredArray, stacked: bool) -> tuple[int, ...]:
    """The shape of one layer's kernel."""
    return array.shape[:1] + array.shape[2:] if stacked else array.shape


def _shards(
    weight_places: Mapping[str, StoredWeight], arrays: Mapping[str, StoredArray]
) -> Iterator[list[str]]:
    """Names of weights, as many a file as it may hold."""
    names: list[str] = []
    size = 0
    for name, weight_place in weight_places.items():
        array = arrays[weight_place.array]
        own = array.bytes_in_float32 // (1 if weight_place.layer is None else array.shape[1])
        if names and size + own > SHARD_BYTES:
            yield names
            names, size = [], 0
        names.append(name)
        size += own
    yield names


def _weights(
    names: list[str],
    weight_places: Mapping[str, StoredWeight],
    arrays: Mapping[str, StoredArray],
    config: Mapping[str, Any],
    folder: Path,
) -> Iterator[tuple[str, Array]]:
    """The weights of some names as torch keeps them; a stacked array is read once for all of them."""
    held: tuple[str, Array] = ("", np.empty(0))
    for name in sorted(names, key=lambda name: weight_places[name].array):
        weight_place = weight_places[name]
        if held[0] != weight_place.array:
            held = (weight_place.array, arrays[weight_place.array].read())
        values = held[1] if weight_place.layer is None else held[1][:, weight_place.layer]
        if name.endswith(".o.weight"):
            values = values.reshape(-1, values.shape[-1])
        elif weight_place.transposed:
            values = values.reshape(values.shape[0], -1)
        values = np.ascontiguousarray(values.T if weight_place.transposed else values)
        expected = _expected(name, config)
        if values.shape != expected:
            raise InputError(
                f"{folder}: target.{weight_place.array} gives {name} the shape {values.shape}, "
                f"the other arrays need {expected}"
            )
        yield name, values


def _expected(name: str, config: Mapping[str, Any]) -> tuple[int, ...]:
    width, inner, joined = config["d_model"], config["d_ff"], config["num_heads"] * config["d_kv"]
    if name in ("shared.weight", "lm_head.weight"):
        return config["vocab_size"], width
    if name.endswith("norm.weight"):
        return (width,)
    if name.endswith("relative_attention_bias.weight"):
        return config["relative_attention_num_buckets"], config["num_heads"]
    last = name.split(".")[-2]
    return {
        "o": (width, joined),
        "wo": (width, inner),
        "q": (joined, width),
        "k": (joined, width),
        "v": (joined, width),
    }.get(last, (inner, width))


class _weights_of:
    """Weights of a folder by name, read one at a time, as float32."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[Any] = []

    def __enter__(self) -> Callable[[str], Array]:
        from safetensors import safe_open

        self._files = [safe_open(path, framework="pt") for path in weight_files(self._folder)]
        where = {name: file for file in self._files for name in file.keys()}  # noqa: SIM118

        def weight(name: str) -> Array:
            at = name if name in where or name != "shared.weight" else "encoder.embed_tokens.weight"
            if at not in where:
                raise InputError(
                    f"{self._folder}: its weights lack {name}, which its config.json describes; export "
                    "the model again"
                )
            values: Array = where[at].get_tensor(at).float().numpy()
            return values

        return weight

    def __exit__(self, *_: object) -> None:
        self._files = []


def _number(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int):
        raise InputError(f"config.json: `{key}` is {json.dumps(value)}, expected a whole number")
    return value


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value
