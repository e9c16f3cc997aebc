"""Reads a model folder's configuration, tokenizer and weights with transformers, or builds a model of a
configuration. No other module does.

A folder may come from anybody. So no code of it runs (`trust_remote_code=False`; without it transformers asks
on standard input, and "y" runs the code), weights are safetensors only, files are checked before transformers
reads them, and everything that it or its libraries raise becomes one InputError that names the folder.
Folders are local here: what is on the hub was fetched before (`models.hub`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from openflan.errors import InputError, OpenflanError
from openflan.models.folder import weight_files
from openflan.models.json_file import json_object, one_line
from openflan.models.sizes import check_against_weights, check_counts, stored_sizes

T = TypeVar("T")

_READ = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
    "model.safetensors.index.json",
)
_INDEX = "model.safetensors.index.json"
_CAUSAL_ALWAYS = ("gpt_neox", "gpt_neox_japanese", "trocr")
"""`model_type` of decoders whose configuration has an `is_decoder` without meaning."""
_NO_CODE: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
_REMEDY = "fetch or export the model again"


def read_configuration(folder: str | Path) -> Any:
    """The configuration in a folder. Raises InputError for a file that is damaged, needs code of its own, or
    has sizes that cannot be."""
    from transformers import AutoConfig

    folder = Path(folder)
    content = _checked_files(folder)["config.json"]
    if not isinstance(content.get("model_type", ""), str):
        raise InputError(
            f"{folder / 'config.json'}: `model_type` is a {type(content['model_type']).__name__}, "
            f"expected text; {_REMEDY}"
        )
    check_counts(content, str(folder / "config.json"))
    config = guarded(folder, "configuration", lambda: AutoConfig.from_pretrained(str(folder), **_NO_CODE))
    refuse_encoder(config, folder)
    return config


def read_tokenizer(folder: str | Path) -> Any:
    """The tokenizer in a folder. Raises InputError for one that cannot be read, or needs code of its own."""
    from transformers import AutoTokenizer

    folder = Path(folder)
    content = _checked_files(folder)["config.json"]
    if content:
        check_counts(content, str(folder / "config.json"))
    tokenizer = guarded(folder, "tokenizer", lambda: AutoTokenizer.from_pretrained(str(folder), **_NO_CODE))
    # Settings of wrong types show only when a text is tokenised.
    guarded(folder, "tokenizer", lambda: _try_tokenizer(tokenizer))
    return tokenizer


def read_generation_settings(folder: str | Path) -> Any:
    """The settings of generation in a folder. Raises InputError for a file that cannot be read."""
    from transformers import GenerationConfig

    content = _checked_files(Path(folder))["generation_config.json"]
    return guarded(folder, "settings of generation", lambda: GenerationConfig.from_dict(content))


def read_weights(folder: str | Path, config: Any, dtype: Any) -> tuple[Any, Mapping[str, Any]]:
    """The model in a folder, and transformers' report on loading it (`missing_keys`, `unexpected_keys`).

    Raises InputError for weights that are damaged, are no numbers, or do not belong to the configuration.
    """
    import torch

    folder = Path(folder)
    files = _listed_weights(folder)
    shapes = stored_sizes(files)
    check_counts(config.to_dict(), str(folder / "config.json"), len(shapes))
    with torch.device("meta"):
        empty = guarded(folder, "configuration", lambda: build(config, dtype))
    stored = sum(_product(shape) for shape in shapes.values())
    check_against_weights(empty, stored, str(folder / "config.json"))
    del empty
    settings: dict[str, Any] = _NO_CODE | {
        "use_safetensors": True,
        "output_loading_info": True,
        "dtype": dtype,
    }
    model, report = guarded(
        folder, "weights", lambda: _auto_class(config).from_pretrained(str(folder), config=config, **settings)
    )
    broken = next((name for name, value in model.named_parameters() if not _finite(value)), None)
    if broken is not None:
        raise InputError(f"{folder}: its weights hold NaN or infinite values (first in {broken}); {_REMEDY}")
    return model, report


def build(config: Any, dtype: Any) -> Any:
    """A model of a configuration, its weights random. Raises what transformers raises; see `guarded`."""
    return _auto_class(config).from_config(config, dtype=dtype, trust_remote_code=False)


def configuration_of(kind: str, settings: Mapping[str, Any]) -> Any:
    """A configuration of a known kind. Raises what transformers raises."""
    from transformers import AutoConfig

    return AutoConfig.for_model(kind, **settings)


def guarded(folder: str | Path, what: str, read: Callable[[], T]) -> T:
    """Runs a reader of a folder; any failure becomes an InputError of one line.

    Catches all: what transformers, tokenizers, safetensors, jinja and the hub's library raise over a damaged
    file has no common type, and a panic of a Rust library is no Exception. Raises InputError.
    """
    try:
        return read()
    except (KeyboardInterrupt, SystemExit, GeneratorExit, OpenflanError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise InputError(
            f"{one_line(ValueError(str(folder)))}: cannot read its {what}: {_reason(error, what)}"
        ) from None


def _reason(error: BaseException, what: str) -> str:
    reason = one_line(error, 2_000)
    if "trust_remote_code" in reason or "custom code" in reason:
        return (
            "it needs code of its own, which is never run; use a model of an architecture that "
            "transformers has"
        )
    if "ignore_mismatched_sizes" in reason:
        return (
            f"they have other sizes than its config.json describes; the two do not belong together: {_REMEDY}"
        )
    if isinstance(error, RecursionError):
        return f"it is nested too deeply; {_REMEDY}"
    if isinstance(error, MemoryError) or "can't allocate memory" in reason:
        return f"its sizes do not fit into memory; {_REMEDY}"
    if "Unrecognized configuration class" in reason:
        return "an architecture that writes no text; use an encoder-decoder such as T5, or a causal model"
    kind = "" if isinstance(error, OSError | ValueError | ImportError) else f"{type(error).__name__}: "
    return f"{kind}{reason[:300]}; {_REMEDY}"


def _auto_class(config: Any) -> Any:
    import transformers

    return (
        transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    )


def refuse_encoder(config: Any, folder: Path) -> None:
    """Raises InputError for BERT and similar encoders: unless `is_decoder` is set they see the tokens that
    they would learn to write."""
    silent = config.is_encoder_decoder or config.model_type in _CAUSAL_ALWAYS
    if not silent and getattr(type(config), "is_decoder", None) is False and not config.is_decoder:
        raise InputError(
            f"{folder}: a model of type {config.model_type} is an encoder, which reads text and writes "
            "none; "
            "use an encoder-decoder such as T5, or a causal model"
        )


def _checked_files(folder: Path) -> dict[str, dict[str, Any]]:
    """The content of the folder's JSON files by name, after checks of all files that transformers is about to
    read."""
    content = {name: json_object(folder / name) for name in _READ if name != "tokenizer.json"}
    tokens = content["tokenizer_config.json"]
    template = tokens.get("chat_template")
    if template is not None and not isinstance(template, str | list):
        raise InputError(
            f"{folder / 'tokenizer_config.json'}: `chat_template` is a {type(template).__name__}, "
            f"expected text; {_REMEDY}"
        )
    for name in ("config.json", "tokenizer_config.json"):
        if "auto_map" in content[name]:
            _refuse_code(folder, name, content[name], content["config.json"])
    implementation = content["config.json"].get(
        "attn_implementation", content["config.json"].get("_attn_implementation")
    )
    if implementation is not None and implementation not in ("eager", "sdpa"):
        raise InputError(
            f"{folder / 'config.json'}: `attn_implementation` is "
            f"{one_line(ValueError(repr(implementation)))}, expected eager or sdpa, or leave it out"
        )
    if content["config.json"].get("transformers_weights") is not None:
        raise InputError(
            f"{folder / 'config.json'}: `transformers_weights` names other weights, which are not read; "
            "leave it out"
        )
    return content


def _refuse_code(folder: Path, name: str, content: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raises InputError for a folder that names code of its own, unless transformers has the architecture
    itself, which is then used."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = config.get("model_type")
    if name == "config.json" and not (isinstance(kind, str) and kind in CONFIG_MAPPING):
        raise InputError(
            f"{folder / name}: `model_type` {one_line(ValueError(repr(kind)))} is not in transformers, and "
            "`auto_map` names code of the folder's own, which is "
            "never run; use a model of an architecture that transformers has"
        )


def _listed_weights(folder: Path) -> list[Path]:
    """Return the weight files that transformers will read. Raises InputError if the folder has none."""
    if not (folder / "model.safetensors").is_file() and not (folder / _INDEX).is_file():
        raise InputError(f"{folder}: no model.safetensors, and no {_INDEX} that lists others; {_REMEDY}")
    return weight_files(folder)


def _try_tokenizer(tokenizer: Any) -> None:
    ids = tokenizer("a b", verbose=False)["input_ids"]
    if not all(isinstance(token, int) for token in ids):
        raise ValueError("it gives no ids")
    len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.decode(ids)


def _finite(value: Any) -> bool:
    # The sum is NaN or infinite where any value is; a finite one that overflows is looked at value by value.
    return not value.is_floating_point() or bool(value.sum().isfinite()) or bool(value.isfinite().all())


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
