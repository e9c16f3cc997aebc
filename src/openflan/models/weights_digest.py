"""A hash of all tensor bytes of a model folder, kept on disk so that the same files are not hashed again.

Decision: tensors are hashed by name, type, shape and bytes, in the order of their names, so that the same
weights in other files are the same model. Hashing tens of gigabytes takes longer than many evaluations, so a
hash is stored under the path, size and time of change of every file. Price: a change that leaves all three as
they were is not noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from openflan.cache_folder import cache_folder
from openflan.errors import InputError
from openflan.hashes import sha256_of
from openflan.models.folder import weight_files

CACHE = "fingerprints.json"
_BLOCK = 1 << 22
_MOST_REMEMBERED = 1_000
_LONGEST_HEADER = 100_000_000
"""The most bytes that the header of a safetensors file has, by its specification."""


def weights_digest(folder: Path) -> str:
    """The sha256 of all tensors of a folder, from the cache where its files were hashed before."""
    files = [
        (str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in weight_files(folder)
    ]
    key = sha256_of(json.dumps(files))
    known = _remembered()
    if key not in known:
        known[key] = _hashed(folder)
        _remember(known)
    return known[key]


def _hashed(folder: Path) -> str:
    tensors = sorted(
        (name, path, kind, shape, first, end)
        for path in weight_files(folder)
        for name, kind, shape, first, end in _tensors(path)
    )
    digest = hashlib.sha256()
    for name, path, kind, shape, first, end in tensors:
        digest.update(f"{name} {kind} {shape}\n".encode())
        with path.open("rb") as file:
            file.seek(first)
            left = end - first
            while left and (block := file.read(min(left, _BLOCK))):
                digest.update(block)
                left -= len(block)
    return digest.hexdigest()


def _tensors(path: Path) -> Iterator[tuple[str, str, str, int, int]]:
    """Name, type, shape, and where each tensor's bytes begin and end in the file."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > _LONGEST_HEADER:
                raise ValueError(f"a header of {size} bytes")
            header = json.loads(file.read(size))
        for name, entry in header.items():
            if name != "__metadata__":
                first, end = entry["data_offsets"]
                yield (
                    name,
                    str(entry["dtype"]),
                    str(entry["shape"]),
                    8 + size + int(first),
                    8 + size + int(end),
                )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: cannot read its weights: it is no safetensors file ({error}); fetch or export the "
            "checkpoint again"
        ) from error


def _remembered() -> dict[str, str]:
    """The stored digests by key; empty where there is no readable file."""
    with suppress(OSError, ValueError, RuntimeError):
        digests = json.loads((cache_folder() / CACHE).read_text(encoding="utf-8"))
        if isinstance(digests, dict):
            return {str(key): str(value) for key, value in digests.items()}
    return {}


def _remember(known: dict[str, str]) -> None:
    """Stores digests, atomically; a folder that cannot be written to is no error."""
    with suppress(OSError, RuntimeError):
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        kept = dict(list(known.items())[-_MOST_REMEMBERED:])
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{CACHE}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(kept, file)
            Path(name).replace(folder / CACHE)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
