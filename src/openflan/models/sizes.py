"""Checks that the sizes in a configuration are possible, before anything of those sizes is made.

A config.json may contain `num_layers: 1000000000`; building such a model takes hours and all memory, even
without weights. So counts of layers are compared with a limit, and where there are weights with the number of
their tensors; then the model is built on torch's meta device, which takes no memory, and its parameters are
compared with what the weights hold, or with this machine's memory.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from openflan.errors import InputError, SetupError
from openflan.models.json_file import one_line

MAX_LAYERS = 10_000
_MAX_SIZE = 2**40
_MAX_HEADER = 100_000_000
"""Bytes of a safetensors header, at most: the format's own limit."""

_LAYERS = re.compile(
    r"(num_|n_)?(hidden_|encoder_|decoder_|self_)?(layers?|blocks?)|(num_)(encoder|decoder)_layers|depth"
)
_COUNTS = re.compile(r"num_\w+|n_\w+|\w*(layers|experts|heads|blocks|groups)")
_SLACK = 1_000_000
_DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def check_counts(config: Mapping[str, Any], where: str, tensors: int | None = None) -> None:
    """Raises InputError for impossible counts and sizes in a configuration; `tensors` is the number of
    tensors in its weights."""
    for key, value in _numbers(config):
        if _LAYERS.fullmatch(key) and (value > MAX_LAYERS or (tensors is not None and value > tensors)):
            has = (
                f"; its weights have {tensors:,} tensors"
                if tensors is not None and value > tensors
                else f", expected at most {MAX_LAYERS:,}"
            )
            raise InputError(
                f"{where}: `{key}` is {value:,}{has}; correct it, or fetch or export the model again"
            )
        if value > _MAX_SIZE or (_COUNTS.fullmatch(key) and "id" not in key.split("_") and value > 10**8):
            raise InputError(
                f"{where}: `{key}` is {one_line(ValueError(f'{float(value):.3g}'))}, which no model has; "
                "correct it, or fetch or export the model again"
            )


def stored_sizes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in safetensors files, from their headers. Raises InputError for a damaged
    header."""
    return {name: shape for name, (_, shape) in _stored(files).items()}


def stored_dtype(files: list[Path]) -> str | None:
    """The number format of most numbers in safetensors files, as torch names it (`bfloat16`); None if it is
    another than float32, bfloat16 or float16. Raises InputError for a damaged header."""
    numbers: Counter[str] = Counter()
    for kind, shape in _stored(files).values():
        numbers[kind] += math.prod(shape)
    return _DTYPES.get(numbers.most_common(1)[0][0]) if numbers else None


def _stored(files: list[Path]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Number format and shape of each tensor in safetensors files."""
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
    for path in files:
        try:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if not 2 <= length <= min(_MAX_HEADER, path.stat().st_size - 8):
                    raise ValueError("its header does not fit into it")
                header = json.loads(file.read(length))
            tensors |= {
                str(name): (str(entry["dtype"]), tuple(int(size) for size in entry["shape"]))
                for name, entry in header.items()
                if name != "__metadata__"
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{path}: no safetensors file, or a damaged one ({one_line(error)}); fetch or export the "
                "model again"
            ) from None
    return tensors


def check_against_weights(empty: Any, stored: int, where: str) -> None:
    """Raises InputError for a model (on the meta device) that is far larger than the `stored` numbers of its
    weights."""
    described = sum(value.numel() for value in (*empty.parameters(), *empty.buffers()))
    if described > 2 * stored + 64 * _SLACK:
        raise InputError(
            f"{where}: describes a model of {described:,} parameters, but its weights hold {stored:,}; "
            "the two do not belong together: "
            "fetch or export the model again"
        )


def check_memory(empty: Any, where: str) -> None:
    """Raises SetupError for a model (on the meta device) whose float32 weights do not fit into this machine's
    memory."""
    needed, there = 4 * sum(value.numel() for value in empty.parameters()), machine_memory()
    if there is not None and needed > there:
        raise SetupError(
            f"{where}: a model of {needed / 2**30:,.0f} GiB in float32, and this machine has "
            f"{there / 2**30:,.0f} GiB; take a smaller one"
        )


def _numbers(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    waiting: list[Mapping[str, Any]] = [config]
    while waiting:
        for key, value in waiting.pop().items():
            if isinstance(value, Mapping):
                waiting.append(value)
            elif isinstance(value, int) and not isinstance(value, bool):
                yield str(key), value


def machine_memory() -> int | None:
    """This machine's memory in bytes; None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
