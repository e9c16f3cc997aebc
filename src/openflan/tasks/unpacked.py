"""Compressed files of rows, unpacked once into the cache.

A row of a compressed file cannot be read by its position. The file is therefore unpacked once, under a name
made of its path, size and time: a changed file is unpacked again. Trade-off: disk space for the unpacked
rows; `$OPENFLAN_CACHE/unpacked` (else `~/.cache/openflan/unpacked`) may be emptied at any time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from openflan.cache_folder import cache_folder
from openflan.errors import InputError, SetupError
from openflan.json_files import reading
from openflan.tasks.row_files import packing_of

_CHUNK = 1 << 20


def unpacked(path: Path) -> Path:
    """The file itself, or for a compressed one its unpacked copy in the cache.

    Raises InputError for a file that is missing, cut off or not compressed as its name says, and SetupError
    where zstandard is needed and missing.
    """
    packing = packing_of(path)
    if packing is None:
        return path
    with reading(path):
        status = path.stat()
        key = f"{path.resolve()}\n{status.st_size}\n{status.st_mtime_ns}"
        folder = cache_folder() / "unpacked"
        name = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        copy = folder / f"{name}{Path(path.stem).suffix.lower()}"
        if copy.is_file():
            return copy
        folder.mkdir(parents=True, exist_ok=True)
    number, written = tempfile.mkstemp(dir=folder, prefix=name)
    try:
        with os.fdopen(number, "wb") as target:
            _unpack(path, packing, target)
        os.replace(written, copy)  # whole or not at all, also where several processes unpack
    except BaseException:
        with suppress(OSError):
            os.unlink(written)
        raise
    return copy


def _unpack(path: Path, packing: str, target: BinaryIO) -> None:
    if packing == ".gz":
        import gzip

        with reading(path), cast(BinaryIO, gzip.open(path)) as source:
            shutil.copyfileobj(source, target, _CHUNK)
        return
    zstandard = _import_zstandard(path)
    with reading(path), path.open("rb") as file:
        try:
            _unpack_frames(file, target, zstandard.ZstdDecompressor().decompressobj)
        except (zstandard.ZstdError, EOFError) as error:
            raise InputError(f"{path}: not a whole zstandard file ({error}); copy it again") from None


def _unpack_frames(file: BinaryIO, target: BinaryIO, new_frame: Callable[[], Any]) -> None:
    """Unpacks all frames of a file, one after the other. Raises EOFError if the last one is cut off, which
    the library's own reader does not say."""
    frame, is_begun = new_frame(), False
    while data := file.read(_CHUNK):
        while data:
            target.write(frame.decompress(data))
            is_begun, data = not frame.eof, b""
            if frame.eof:
                data, frame = frame.unused_data, new_frame()
    if is_begun:
        raise EOFError("its last frame is cut off")


def _import_zstandard(path: Path) -> Any:
    try:
        import zstandard
    except ImportError:
        raise SetupError(
            f"{path}: reading .zst files needs the library `zstandard`; run `pip install 'openflan[zstd]'`, "
            "or "
            f"unpack the file with `zstd -d {path}`"
        ) from None
    return zstandard
