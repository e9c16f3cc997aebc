"""Tensors of a sharded model in safetensors files: one rank writes a file, any number of ranks read its rows.

A file holds full tensors, so the files of a checkpoint are a Hugging Face folder without further work; files
of slices would have to be joined first. Trade-off: sharded tensors are gathered one after the other when they
are written, which costs about the communication of a forward pass. A rank keeps the tensors of its own files.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from openflan.hashes import sha256_of_file
from openflan.run_folder import flush, replacing, unwritten
from openflan.training.distributed import DistributedContext
from openflan.training.shards import FullTensor, full_tensor

WEIGHT_FILES = "model"
"""The beginning of the names of files that hold a complete model, as transformers names them."""

TRAINED_FILES = "trained"
"""The beginning of the names of files that hold only the parameters that were trained."""


@dataclass(frozen=True, slots=True)
class File:
    """A file, the rank that writes it and the names of its tensors."""

    name: str
    rank: int
    tensors: tuple[str, ...]


def files_of(stem: str, values: Mapping[str, Tensor], parts: int, ranks: int) -> list[File]:
    """The tensors in at most `parts` files of about equally many bytes, neighbours together; the ranks write
    them in turn. A single file is named `STEM.safetensors`."""
    sizes = {name: size_of(value) for name, value in values.items()}
    total, before = max(1, sum(sizes.values())), 0
    groups: dict[int, list[str]] = {}
    for name, size in sizes.items():
        # A tensor belongs to the file in which its middle lies.
        groups.setdefault(min(parts - 1, (2 * before + size) * parts // (2 * total)), []).append(name)
        before += size
    count = len(groups)
    names = (
        [f"{stem}-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]
        if count > 1
        else [f"{stem}.safetensors"]
    )
    return [
        File(name, number % ranks, tuple(group))
        for number, (name, group) in enumerate(zip(names, groups.values(), strict=False))
    ]


def size_of(value: Tensor) -> int:
    """Bytes of the full tensor."""
    return value.numel() * value.element_size()


def gather(values: Mapping[str, Tensor], files: Iterable[File], rank: int) -> dict[str, Tensor]:
    """Copies on the CPU of the tensors of the files that `rank` writes. Every rank must call it with the same
    files, as sharded tensors are gathered."""
    kept = {}
    for file in files:
        for name in file.tensors:
            full = full_tensor(values[name].detach())
            if file.rank == rank:
                kept[name] = full.to("cpu", copy=True).contiguous()
    return kept


def write_files(
    folder: Path, files: Iterable[File], tensors: Mapping[str, Tensor], rank: int
) -> dict[str, str]:
    """Writes the files of a rank and returns their hashes by name. Raises OSError if they cannot be
    written."""
    hashes = {}
    for file in files:
        if file.rank == rank:
            path = folder / file.name
            try:
                save_file({name: tensors[name] for name in file.tensors}, path, {"format": "pt"})
            except SafetensorError as error:
                raise OSError(str(error)) from error
            flush(path)
            hashes[file.name] = sha256_of_file(path)
    return hashes


def write_index(folder: Path, files: Sequence[File]) -> None:
    """Writes transformers' index of the tensors of several weight files; a single file needs none."""
    if len(files) > 1 and files[0].name.startswith(WEIGHT_FILES):
        size = sum((folder / file.name).stat().st_size for file in files)
        file_of_tensor = {name: file.name for file in files for name in file.tensors}
        text = json.dumps(
            {"metadata": {"total_size": size}, "weight_map": file_of_tensor}, indent=2, sort_keys=True
        )
        (folder / "model.safetensors.index.json").write_text(text + "\n", encoding="utf-8")


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """The tokenizer's files. Raises OSError if they cannot be written: the library raises a bare Exception,
    such as `No space left on device (os error 28)`."""
    try:
        tokenizer.save_pretrained(folder)
    except OSError:
        raise
    except Exception as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def stored(paths: Iterable[Path]) -> dict[str, FullTensor]:
    """The tensors of files by name. Only the rows that are indexed are read."""
    tensors: dict[str, FullTensor] = {}
    for path in paths:
        with safe_open(path, framework="pt") as file:
            # `keys` is needed, as an open file is no mapping.
            tensors |= {name: _Stored(file.get_slice(name)) for name in file.keys()}  # noqa: SIM118
    return tensors


@contextmanager
def replacing_together(path: Path, distributed: DistributedContext) -> Iterator[Path]:
    """A folder that all ranks write into. It appears at `path` when the block has ended on all ranks
    (`run_folder.replacing`).

    The block must raise on all ranks or on none, which `DistributedContext.on_all_ranks` and `run_on_main`
    see to.
    """
    with ExitStack() as stack:

        def begin() -> Path:
            partial = stack.enter_context(replacing(path))
            partial.mkdir()
            return partial

        try:
            yield distributed.run_on_main(begin)
            distributed.run_on_main(stack.close)
        except OSError as error:
            raise unwritten(path, error) from error


class _Stored:
    """A tensor in a file. Indexing it reads the rows."""

    __slots__ = ("_slice", "shape")

    def __init__(self, piece: Any) -> None:
        self._slice = piece
        self.shape: tuple[int, ...] = tuple(piece.get_shape())

    def __getitem__(self, index: Any, /) -> Tensor:
        rows: Tensor = self._slice[index]
        return rows
