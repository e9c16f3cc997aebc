"""The files of a T5X checkpoint: a zarr array (version 2) in a folder for every parameter, and a msgpack
index.

T5X writes arrays through TensorStore, in chunks compressed with gzip. Both formats are simple enough for the
standard library, so nothing needs to be installed for them; other compressors need numcodecs, the extra
`t5x`. The index is written and never read, because every array has its own description. Facts of the format:
t5x/checkpoints.py (version 3, since June 2021; version 2 wrote bfloat16 as 16-bit integers, which is read as
what it is).
"""

from __future__ import annotations

import bz2
import gzip
import itertools
import json
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.errors import InputError, SetupError

Array = NDArray[Any]

CHUNK_BYTES = 64 * 1024 * 1024
"""The size of a chunk that T5X aims at."""

_DTYPES = {"<f4": "float32", "<f2": "float16", "<f8": "float64", "bfloat16": "bfloat16", "<u2": "bfloat16"}


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array on disk, not read yet."""

    folder: Path
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    compressor: dict[str, Any] | None
    order: str
    separator: str

    @property
    def bytes_in_float32(self) -> int:
        return 4 * math.prod(self.shape)

    def read(self) -> Array:
        """The values in float32.

        Raises InputError for a chunk that is missing or damaged, which an interrupted download leaves;
        SetupError for a compressor that is not installed.
        """
        values = np.empty(self.shape, dtype=np.float32)
        for chunk_index in itertools.product(
            *(range(-(-size // chunk)) for size, chunk in zip(self.shape, self.chunks, strict=True))
        ):
            path = self.folder / (self.separator.join(map(str, chunk_index)) or "0")
            where = tuple(
                slice(at * chunk, (at + 1) * chunk)
                for at, chunk in zip(chunk_index, self.chunks, strict=True)
            )
            block = self._block(path)
            values[where] = block[tuple(slice(size) for size in values[where].shape)]
        return values

    def _block(self, path: Path) -> Array:
        try:
            raw = _decompressed(path.read_bytes(), self.compressor, path)
            words = np.frombuffer(raw, dtype="<u2" if self.dtype == "bfloat16" else self.dtype).reshape(
                self.chunks, order="F" if self.order == "F" else "C"
            )
        except FileNotFoundError:
            raise InputError(
                f"{path}: missing, though {self.folder / '.zarray'} counts on it; copy the checkpoint again"
            ) from None
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise InputError(f"{path}: damaged ({error}); copy the checkpoint again") from None
        # bfloat16 is the upper half of a float32.
        return (
            (words.astype(np.uint32) << 16).view(np.float32)
            if self.dtype == "bfloat16"
            else words.astype(np.float32)
        )


def open_array(folder: Path) -> StoredArray:
    """The array in a folder. Raises InputError if its description cannot be read."""
    path = folder / ".zarray"
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        dtype = _DTYPES[metadata["dtype"]]
        if metadata["zarr_format"] != 2 or metadata.get("filters"):
            raise ValueError(f"zarr format {metadata['zarr_format']} with filters {metadata.get('filters')}")
        shape, chunks = tuple(metadata["shape"]), tuple(metadata["chunks"])
        return StoredArray(
            folder,
            shape,
            chunks,
            dtype,
            metadata["compressor"],
            metadata["order"],
            metadata.get("dimension_separator", "."),
        )
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not a zarr array as T5X writes them "
            f"({' '.join(str(error).split()) or type(error).__name__})"
        ) from None


def write_array(folder: Path, values: Array) -> dict[str, Any]:
    """Writes float32 values in chunks along the first axis, compressed with gzip; returns their entry in
    the index, without the path."""
    values = np.ascontiguousarray(values, dtype=np.float32)
    rows = max(1, min(len(values), CHUNK_BYTES // max(1, values[:1].nbytes)))
    chunks = [rows, *values.shape[1:]]
    described: dict[str, Any] = {
        "chunks": chunks,
        "compressor": {"id": "gzip", "level": 1},
        "shape": list(values.shape),
    }
    folder.mkdir(parents=True)
    zarray = described | {
        "dtype": "<f4",
        "fill_value": None,
        "filters": None,
        "order": "C",
        "zarr_format": 2,
        "dimension_separator": ".",
    }
    (folder / ".zarray").write_text(json.dumps(zarray, sort_keys=True), encoding="utf-8")
    for chunk_number in range(-(-len(values) // rows)):
        block = values[chunk_number * rows : (chunk_number + 1) * rows]
        whole = np.concatenate([block, np.zeros((rows - len(block), *block.shape[1:]), dtype=np.float32)])
        # Without the time of writing, so that the same values are the same bytes.
        (folder / ".".join(map(str, [chunk_number] + [0] * (values.ndim - 1)))).write_bytes(
            gzip.compress(whole.tobytes(), 1, mtime=0)
        )
    return described


def msgpack_bytes(value: Any) -> bytes:
    """Mappings, lists, texts and whole numbers as msgpack."""
    return b"".join(_msgpack_parts(value))


def _msgpack_parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        yield b"\xdf" + len(value).to_bytes(4)
        for key, inner in value.items():
            yield from _msgpack_parts(key)
            yield from _msgpack_parts(inner)
    elif isinstance(value, list):
        yield b"\xdd" + len(value).to_bytes(4)
        for inner in value:
            yield from _msgpack_parts(inner)
    elif isinstance(value, str):
        text = value.encode()
        yield b"\xdb" + len(text).to_bytes(4) + text
    elif isinstance(value, int) and not isinstance(value, bool):
        yield b"\xd3" + value.to_bytes(8, signed=True)
    else:
        raise TypeError(f"a {type(value).__name__} has no place in the index")


def _decompressed(raw: bytes, compressor: dict[str, Any] | None, path: Path) -> bytes:
    name = None if compressor is None else compressor["id"]
    if name is None:
        return raw
    known: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.decompress,
        "zlib": zlib.decompress,
        "bz2": bz2.decompress,
    }
    if name in known:
        return known[name](raw)
    try:
        from numcodecs import get_codec
    except ImportError:
        raise SetupError(
            f'{path} is compressed with {name}, which needs numcodecs: pip install "openflan[t5x]"'
        ) from None
    try:
        return bytes(get_codec(compressor).decode(raw))
    except Exception as error:  # numcodecs raises RuntimeError, ValueError or its own, by codec
        raise ValueError(f"{name}: {error}") from error
