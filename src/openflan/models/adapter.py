"""LoRA adapters (Hu et al. 2021) through the library peft: made for training, read from a folder, merged.

An adapted matrix W becomes W + scale B A, with A (rank, inputs) and B (outputs, rank); the base's modules
stay where they are, inside peft's, so every forward works as before. A begins at random from the recipe's
seed, B at 0, so that training starts from the base. Of peft only the layers are used; files have the names
that peft gives them, so it reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from openflan.errors import InputError, SetupError, did_you_mean
from openflan.models.adapter_folder import (
    ADAPTER_WEIGHTS,
    adapter_settings,
    base_digest,
    is_adapter,
    write_base_record,
)
from openflan.models.attention import at_least_float32
from openflan.models.estimate import Shape, shape_of_model
from openflan.models.folder import base_folder, bundled_model_folder, model_folder
from openflan.models.json_file import one_line
from openflan.models.weights_digest import weights_digest
from openflan.randomness import combine
from openflan.recipe.schema import Adapter, Model

_NAME = "default"
"""peft's name of the only adapter."""

_PREFIX = "base_model.model."
"""What peft puts before the names of a model's modules in files."""


@dataclass(frozen=True, slots=True)
class AdapterRecord:
    """What the folder of an adapter says beside its weights: peft's configuration, the base's name and the
    hash of the base's weights."""

    configuration: Any
    base: str
    digest: str

    def write(self, folder: Path) -> None:
        """Writes adapter_config.json and base.json."""
        self.configuration.save_pretrained(str(folder))
        write_base_record(folder, self.base, self.digest)

    def check_base(self, folder: Path) -> None:
        """Raises InputError if the adapter in `folder` was trained on another base."""
        _check_digest(folder, self.base, self.digest)


def check_peft() -> None:
    """Raises SetupError if the library peft is not installed."""
    if find_spec("peft") is None:
        raise SetupError("adapters need the library peft: pip install 'openflan[lora]'")


def matrices_of(model: Any, adapter: Adapter) -> dict[str, tuple[int, int]]:
    """The matrices that an adapter changes, by the name of their module: outputs and inputs.

    Raises InputError for a target that the model does not have, and for a rank that no matrix has.
    """
    sizes = dict(_linear_sizes(model))
    if adapter.targets != "all-linear":
        last_parts = sorted({name.rpartition(".")[2] for name in sizes})
        for target in adapter.targets:
            if not any(_is_target(name, target) for name in sizes):
                raise InputError(
                    f"model.adapter.targets: `{target}` is not a linear layer of a model of type "
                    f"{model.config.model_type}{did_you_mean(target, last_parts)}; it has "
                    f"{', '.join(last_parts)}, or take all-linear"
                )
        sizes = {
            name: size
            for name, size in sizes.items()
            if any(_is_target(name, target) for target in adapter.targets)
        }
    if not sizes:
        raise InputError(
            f"model.adapter: a model of type {model.config.model_type} has no linear layers that an adapter "
            "could change; leave `adapter` out"
        )
    largest = max(min(size) for size in sizes.values())
    if adapter.rank > largest:
        raise InputError(
            f"model.adapter.rank is {adapter.rank:,}, but the smaller side of the largest matrix has "
            f"{largest:,}, so it would save nothing; lower it, for instance to {max(1, largest // 4)}"
        )
    return sizes


def add_adapter(
    model: Any, section: Model, seed: int, on_main: Callable[[Callable[[], str]], str] = lambda get: get()
) -> AdapterRecord:
    """Puts a new adapter into a model, whose own parameters it freezes. Parameters of the adapter are
    float32. `on_main` gives, on every rank, what a function returns on one of them.

    Raises SetupError without peft, InputError as `matrices_of` does, and for a base that is an adapter too.
    """
    check_peft()
    adapter = section.adapter
    if adapter is None or section.base is None:
        raise ValueError("the recipe has no adapter, or no base for it")
    folder = model_folder(section.base, tokenizer=False)
    _refuse_adapter_on_adapter(section.base, folder)
    names = {name.rpartition(".")[2] for name in matrices_of(model, adapter)}
    settings = {
        "r": adapter.rank,
        "lora_alpha": adapter.scale_alpha,
        "lora_dropout": adapter.dropout,
        "target_modules": sorted(names if adapter.targets == "all-linear" else adapter.targets),
    }
    task = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    with torch.random.fork_rng():
        torch.manual_seed(combine(seed, "adapter") >> 1)
        configuration = _inject(model, settings | {"task_type": task})
    local = bundled_model_folder(section.base) is None and Path(section.base).exists()
    name = str(Path(section.base).resolve()) if local else section.base
    # peft makes a set of it, which would be written in another order by each process.
    configuration.target_modules = settings["target_modules"]
    configuration.base_model_name_or_path = name
    configuration.inference_mode = True
    return AdapterRecord(configuration, name, on_main(lambda: weights_digest(folder)))


def check_adapter_on(section: Model, model: Any) -> None:
    """Checks, on a model that may have no weights, that a recipe's adapter can be added. Raises what
    `add_adapter` raises."""
    if section.adapter is not None and section.base is not None:
        check_peft()
        _refuse_adapter_on_adapter(section.base, model_folder(section.base, tokenizer=False))
        matrices_of(model, section.adapter)


def is_adapter_parameter(name: str) -> bool:
    """Whether a parameter of a model belongs to its adapter."""
    return f".lora_A.{_NAME}." in name or f".lora_B.{_NAME}." in name


def name_in_file(name: str) -> str:
    """How peft's files name a parameter of an adapter."""
    return _PREFIX + name.replace(f".{_NAME}.", ".")


def cast_inputs(model: Any, enabled: bool) -> None:
    """Whether adapters cast their inputs to their own format. Under autocast that is a copy of each input
    that the backward pass keeps, and autocast casts anyway."""
    for _, module in _adapted(model):
        module.cast_input_dtype_enabled = enabled


def _rows_of_whole(tensor: Tensor) -> tuple[Tensor, int]:
    return tensor, 0


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


@torch.no_grad()
def merge_adapter(
    model: Any,
    rows_of: Callable[[Tensor], tuple[Tensor, int]] = _rows_of_whole,
    full: Callable[[Tensor], Tensor] = _as_it_is,
) -> None:
    """Adds a model's adapter to its matrices and takes the adapter out of it.

    The product is computed in float32. Matrices of fewer bits are rounded once, to nearest. Of a sharded
    model `rows_of` gives this rank's rows of a tensor and the number of the first one, and `full` the full
    tensor; every rank must call this, and each adds its own rows.
    """
    for name, module in list(_adapted(model)):
        lower, upper = (full(part[_NAME].weight.detach()).float() for part in (module.lora_A, module.lora_B))
        rows, first = rows_of(module.base_layer.weight.detach())
        if module.fan_in_fan_out:
            added = lower.T[first : first + len(rows)] @ upper.T
        else:
            added = upper[first : first + len(rows)] @ lower
        rows.copy_(at_least_float32(rows).add_(added, alpha=float(module.scaling[_NAME])))
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, module.base_layer)
    if hasattr(model, "peft_config"):
        del model.peft_config


def add_stored_adapter(model: Any, folder: Path) -> None:
    """Puts the adapter of a folder into its base's model.

    Raises SetupError without peft, InputError for files that do not fit together, and for another base than
    the one that the adapter was trained on.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_peft()
    settings = adapter_settings(folder)
    base = base_folder(folder)
    if base_digest(folder) is not None:
        _check_digest(folder, str(base), weights_digest(base))
    try:
        stored = load_file(folder / ADAPTER_WEIGHTS)
        _inject(model, dict(settings))
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise InputError(
            f"{folder}: its adapter cannot be put into {base}: {one_line(error)}; the two do not belong "
            "together"
        ) from None
    expected = {name: value for name, value in model.named_parameters() if is_adapter_parameter(name)}
    tensors = {name: stored.pop(name_in_file(name), None) for name in expected}
    wrong = next(
        (name for name, value in tensors.items() if value is None or value.shape != expected[name].shape),
        next(iter(stored), None),
    )
    if wrong is not None or not expected:
        actual = tensors.get(str(wrong))
        shape = "not there" if actual is None else f"of shape {tuple(actual.shape)}"
        wanted = f", expected {tuple(expected[wrong].shape)}" if wrong in expected else ""
        raise InputError(
            f"{folder / ADAPTER_WEIGHTS}: `{str(wrong)[:120]}` is {shape}{wanted} by adapter_config.json and "
            f"the base {base}; these files do not belong together"
        )
    with torch.no_grad():
        for name, value in tensors.items():
            if value is not None:
                if not bool(value.isfinite().all()):
                    raise InputError(
                        f"{folder / ADAPTER_WEIGHTS}: `{name[:120]}` holds NaN or infinite values"
                    )
                expected[name].copy_(value)


def adapter_outputs(section: Model, model: Any) -> int:
    """`Shape.adapter_outputs` of a recipe's model: 0 without an adapter. The model may have its adapter in it
    already."""
    if section.adapter is None:
        return 0
    present = sum(1 for _ in _adapted(model))
    return section.adapter.rank * (present or len(matrices_of(model, section.adapter)))


def shape_with_adapter(section: Model, model: Any) -> Shape:
    """The shape of a recipe's model, its adapter included, by a model of the base that may have no
    weights. Raises what `matrices_of` raises."""
    shape = shape_of_model(model)
    if section.adapter is None:
        return shape
    rank = section.adapter.rank
    added = tuple(
        size
        for outputs, inputs in matrices_of(model, section.adapter).values()
        for size in ((rank, inputs), (outputs, rank))
    )
    return replace(
        shape,
        tensors=(*shape.tensors, *added),
        trained=added,
        adapter_outputs=adapter_outputs(section, model),
    )


def _inject(model: Any, settings: Mapping[str, Any]) -> Any:
    """Puts adapter layers into a model and returns their configuration."""
    from peft import LoraConfig, inject_adapter_in_model

    configuration = LoraConfig(**settings)
    inject_adapter_in_model(configuration, model, adapter_name=_NAME)
    return configuration


def _adapted(model: Any) -> Iterator[tuple[str, Any]]:
    for name, module in model.named_modules():
        if hasattr(module, "base_layer") and hasattr(module, "lora_A"):
            yield name, module


def _linear_sizes(model: Any) -> Iterator[tuple[str, tuple[int, int]]]:
    """Every linear layer but the head, which turns states into logits."""
    head = model.get_output_embeddings()
    for name, module in model.named_modules():
        if module is head:
            continue
        if isinstance(module, nn.Linear):
            yield name, (module.out_features, module.in_features)
        elif type(module).__name__ == "Conv1D" and isinstance(getattr(module, "weight", None), Tensor):
            inputs, outputs = module.weight.shape
            yield name, (int(outputs), int(inputs))


def _is_target(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _refuse_adapter_on_adapter(base: str, folder: Path) -> None:
    if is_adapter(folder):
        raise InputError(
            f"model.base: {base} is an adapter, and `model.adapter` would train another on it; take the "
            "merged model of its run (`model/`) as base"
        )


def _check_digest(folder: Path, base: str, digest: str) -> None:
    recorded = base_digest(folder)
    if recorded != digest:
        raise InputError(
            f"{folder}: its adapter was trained on other weights than those of {base} "
            f"(sha256 {str(recorded)[:12]} recorded, {digest[:12]} there); use the base that it was trained "
            "on, or start anew with --restart"
        )
