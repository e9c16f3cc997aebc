"""Finds, checks, initialises and exports Hugging Face models and tokenizers.

Weights are safetensors only. T5 needs care: transformers (5.23) forces `tie_word_embeddings`, so that a fresh
"v1.1" model would share its two matrices; here the head is untied when the configuration says so, and the
exported configuration states whether the weights are tied.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from openflan.errors import InputError, did_you_mean
from openflan.models.adapter_folder import is_adapter
from openflan.models.experts import set_experts
from openflan.models.folder import (
    attention_of,
    base_folder,
    bundled_model_folder,
    contents,
    described_in,
    has_tokenizer,
    model_folder,
    weight_files,
)
from openflan.models.hub import fetch_from_hub, path_exists
from openflan.models.json_file import one_line
from openflan.models.palm import UNLISTED, initialise, is_palm_shaped
from openflan.models.prefix import state_attention
from openflan.models.read_model import (
    build,
    configuration_of,
    guarded,
    read_configuration,
    read_generation_settings,
    read_tokenizer,
    read_weights,
)
from openflan.models.sizes import check_counts, check_memory, stored_sizes
from openflan.recipe.schema import Model

_OF_FILES = ("architectures", "dtype", "transformers_version")
"""Keys of a configuration that describe a folder's files, not an architecture."""


def load_tokenizer(section: Model) -> Any:
    """The recipe's tokenizer, else its base's; see `tokenizer_of`."""
    return tokenizer_of(section.tokenizer or str(model_folder(str(section.base), tokenizer=False)))


def tokenizer_of(name: str) -> Any:
    """The tokenizer of a folder or hub id.

    Raises InputError for a folder without a tokenizer, or with one that cannot be read; SetupError if the hub
    cannot be reached.
    """
    folder = bundled_model_folder(name) or Path(name)
    if not path_exists(folder):
        folder = fetch_from_hub(name)
    if is_adapter(folder) and not has_tokenizer(folder):
        folder = base_folder(folder)
    if not has_tokenizer(folder):
        # transformers would make an empty T5 tokenizer of a folder that says `t5` and has none.
        raise InputError(
            f"{folder}: no tokenizer (it {contents(folder)}); expected tokenizer.json or a vocabulary "
            "file, or name one with `model.tokenizer`"
        )
    return read_tokenizer(folder)


def load_model(section: Model, tokenizer: Any, seed: int) -> Any:
    """The pretrained model of a recipe, or one initialised at random from `seed`, in float32.

    Raises InputError for a folder that is no checkpoint, an unknown architecture, or a tokenizer with more
    tokens than the model; SetupError if the hub cannot be reached.
    """
    model = _initialised(section, seed) if section.base is None else load_pretrained(section.base)
    check_vocabulary(tokenizer, model)
    if section.dropout is not None:
        set_dropout(model, section.dropout)
    set_experts(model, section.expert_dropout, section.expert_capacity)
    return model


def load_pretrained(name: str) -> Any:
    """A model by hub id or folder, in float32; of the folder of an adapter its base with the adapter merged.

    Raises InputError if its files are damaged, need code of their own, or lack a part of what its
    configuration describes; warns of weights without a place.
    """
    folder = model_folder(name, tokenizer=False)
    if is_adapter(folder):
        return _merged(folder)
    name = str(folder)
    config = read_configuration(name)
    # transformers fills in at random what is missing, and says so in a log only.
    model, report = read_weights(name, config, torch.float32)
    if report["missing_keys"]:
        raise InputError(
            f"{name}: its weights lack {_some(report['missing_keys'])}, which its config.json describes; "
            "fetch or export the checkpoint again"
        )
    if report["unexpected_keys"]:
        warnings.warn(
            f"{name}: not used, as its config.json has no place for them: {_some(report['unexpected_keys'])}",
            stacklevel=2,
        )
    _state_ties(model)
    if not config.is_encoder_decoder:
        # transformers forgets keys of generation_config.json that it does not know.
        state_attention(model, attention_of(Path(name)))
    return model


def _merged(folder: Path) -> Any:
    """The base of an adapter folder with the adapter merged, and the folder's own settings of generation."""
    # peft is imported for adapters only.
    from openflan.models.adapter import add_stored_adapter, merge_adapter

    model = load_pretrained(str(base_folder(folder)))
    add_stored_adapter(model, folder)
    merge_adapter(model)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    if (folder / "generation_config.json").is_file():
        model.generation_config = read_generation_settings(folder)
    if not is_seq2seq(model):
        state_attention(model, attention_of(folder))
    return model


def seq2seq_by_config(section: Model) -> bool:
    """Whether the recipe's model is an encoder-decoder, without loading its weights."""
    return bool(_config(section).is_encoder_decoder)


def empty_model(section: Model) -> Any:
    """The recipe's model on torch's meta device: every size, no weights.

    Raises InputError for a configuration that makes no model. A checkpoint with a head of its own has one
    here too, whatever its configuration says.
    """
    if section.base is None:
        with torch.device("meta"):
            return _initialised(section, 0)
    base = section.base
    config = _config(section)
    with torch.device("meta"):
        model = guarded(base, "configuration", lambda: build(config, torch.float32))
        heads = {
            f"{name}.weight"
            for name, module in model.named_modules()
            if module is model.get_output_embeddings()
        }
        if heads & stored_sizes(weight_files(model_folder(base, tokenizer=False))).keys():
            _untie(model)
    return model


def random_init(section: Model) -> Model:
    """Return the recipe's architecture and tokenizer with random weights: the recipe's model with its base's
    configuration in the base's place.

    Raises InputError for a base that is not there, SetupError if the hub cannot be reached.
    """
    if section.base is None:
        return section
    model = empty_model(section)
    default = configuration_of(model.config.model_type, {})
    settings_by_key = {
        key: value
        for key, value in model.config.to_diff_dict().items()
        if hasattr(default, key) and key not in _OF_FILES
    }
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    config = settings_by_key | {"model_type": model.config.model_type, "tie_word_embeddings": tied}
    return section.model_copy(
        update={
            "base": None,
            "adapter": None,
            "config": config,
            "tokenizer": section.tokenizer or section.base,
        }
    )


def check_vocabulary(tokenizer: Any, model: Any) -> None:
    """Raises InputError for a tokenizer with more tokens than the model embeds."""
    vocabulary = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > vocabulary:
        raise InputError(
            f"the tokenizer {tokenizer.name_or_path} has {len(tokenizer):,} tokens, the model embeds "
            f"{vocabulary:,}; use the model's own tokenizer"
        )


def context_length(name: str) -> int | None:
    """The number of positions of a causal model; None for models without such a limit, among them T5."""
    config = _config(Model(base=name))
    return None if config.is_encoder_decoder else getattr(config, "max_position_embeddings", None)


def save_configuration(model: Any, folder: Path) -> None:
    """Writes the configuration and generation settings into a folder, as `save_pretrained` does beside the
    weights."""
    _state_ties(model)
    model.config.dtype = str(model.dtype).removeprefix("torch.")
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    if model.can_generate():
        model.generation_config.save_pretrained(folder)


def stored_names(model: Any) -> dict[str, str] | None:
    """How files name a model's tensors, by the model's own names: transformers renames some of them when it
    writes and reads.

    None for a model of which it also joins or splits tensors, experts above all.
    """
    from transformers.core_model_loading import revert_weight_conversion

    own = {
        name: torch.empty(value.shape, dtype=value.dtype, device="meta")
        for name, value in model.state_dict().items()
    }
    names = {id(value): name for name, value in own.items()}
    names_in_files = {
        names.get(id(value), ""): name for name, value in revert_weight_conversion(model, dict(own)).items()
    }
    return names_in_files if names_in_files.keys() == own.keys() else None


def save_pretrained(model: Any, folder: Path, weights: Mapping[str, torch.Tensor] | None = None) -> None:
    """Configuration and safetensors, as transformers reads them; `weights` replace the model's own. Raises
    OSError if they cannot be written."""
    _state_ties(model)
    try:
        model.save_pretrained(folder, state_dict=None if weights is None else dict(weights))
    except SafetensorError as error:
        raise OSError(str(error)) from error


def set_dropout(model: Any, rate: float) -> None:
    """Sets every dropout layer, and the configuration's own value."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = rate
        for name in ("dropout", "attention_dropout"):
            # Integers too: `dropout_rate: 0` of a configuration is an int here.
            if isinstance(getattr(module, name, None), int | float):
                setattr(module, name, rate)
    for name in ("dropout_rate", "attention_dropout", "dropout"):
        if hasattr(model.config, name):
            setattr(model.config, name, rate)


def is_seq2seq(model: Any) -> bool:
    return bool(model.config.is_encoder_decoder)


def pad_id(model: Any, tokenizer: Any) -> int:
    """The id of the padding token, or of EOS where there is none: padding is masked, so any token will do."""
    return int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id)


def _config(section: Model) -> Any:
    if section.config is None:
        return read_configuration(described_in(model_folder(str(section.base), tokenizer=False)))
    settings = dict(section.config)
    kind = settings.pop("model_type")
    check_counts(settings, "model.config")
    try:
        default = configuration_of(kind, {})
        unknown = next(
            (key for key in settings if not hasattr(default, key) and key not in UNLISTED.get(kind, ())), None
        )
        if unknown is not None:
            raise InputError(
                f"model.config: `{unknown}` is not a setting of "
                f"{kind}{did_you_mean(unknown, default.to_dict())}"
            )
        return configuration_of(kind, settings)
    except (ValueError, TypeError, ArithmeticError, StrictDataclassError) as error:
        raise InputError(f"model.config: {one_line(error)}") from None


def _initialised(section: Model, seed: int) -> Any:
    config = _config(section)
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        start = getattr(getattr(config, "decoder", None), "bos_token_id", None)
        start = config.pad_token_id if start is None else start
        config.decoder_start_token_id = 0 if start is None else start
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            if torch.get_default_device().type != "meta":
                with torch.device("meta"):
                    check_memory(build(config, torch.float32), "model.config")
                torch.manual_seed(seed)
            model = build(config, torch.float32)
        except (ValueError, TypeError, ArithmeticError, RuntimeError) as error:
            raise InputError(f"model.config: {one_line(error)}") from None
        if (section.config or {}).get("tie_word_embeddings") is False:
            _untie(model)
        if is_palm_shaped(config):
            initialise(model)
    _state_ties(model)
    return model


def _untie(model: Any) -> None:
    """Gives the head a matrix of its own, scaled so that a fresh model's loss is near ln V (T5X initialises
    it by fan-in)."""
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    if head.weight is embeddings.weight:
        head.weight = torch.nn.Parameter(
            torch.randn_like(embeddings.weight) * embeddings.weight.shape[1] ** -0.5
        )


def _state_ties(model: Any) -> None:
    head = model.get_output_embeddings()
    if head is not None:
        model.config.tie_word_embeddings = head.weight is model.get_input_embeddings().weight


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:2]) + (f" and {len(listed) - 2} more" if len(listed) > 2 else "")
