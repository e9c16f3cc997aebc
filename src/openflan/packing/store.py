"""A build on disk: tokens and packed sequences in blocks of 65,536 examples.

    build.json              what the blocks were made of
    blocks/000000/
        ids.npy             token ids, flat: uint16 where the vocabulary allows, else uint32
        offsets.npy         where each text begins (2 x examples + 1,), int64
        pruned.npy          exemplars left out of each example, uint8
        learned.npy         of conversations: whether the loss is on each token, bool
        cuttable.npy        of conversations: input tokens that may be left out of each example, int32
        members.npy         example numbers within their window, one sequence after another, uint16
        starts.npy          where each sequence begins in members (sequences + 1,), int64
        block.json          sequences of each window, and a SHA-256 of every file above

A block is written beside its place and renamed, so it is there whole or not at all, and needs nothing of its
neighbours: blocks made on different machines are put together by copying. Files are mapped, not read; each
block's hashes are checked the first time one of its windows is asked for.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.errors import InputError
from openflan.hashes import sha256_of_file, sha256_of_json
from openflan.packing.pack import WINDOW, Packed
from openflan.packing.tokens import Tokens
from openflan.run_folder import read_json, replacing, write_json

WINDOWS = 16
"""Windows a block."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Examples a window, and windows a block."""

    window: int = WINDOW
    windows: int = WINDOWS


LAYOUT = Layout()

TOKEN_FILES = ("ids", "offsets", "pruned")
CHAT_FILES = ("learned", "cuttable")
"""Further files of tokens, in builds of conversations."""

SEQUENCE_FILES = ("members", "starts")

_OPEN = 256
"""Blocks that are mapped at a time."""


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a build depends on, as plain values by name: its tokens, and beside those how they are packed
    into sequences."""

    tokens: Mapping[str, Any]
    sequences: Mapping[str, Any]

    @property
    def tokens_key(self) -> str:
        return _key(self.tokens)

    @property
    def sequences_key(self) -> str:
        return _key([self.tokens, self.sequences])


@dataclass(frozen=True, slots=True)
class Block:
    """The content of block.json: keys of the parts it was made of, sequences of each of its windows, SHA-256
    of its files, which block of the build it is.

    Blocks of openflan 0.1 do not say which they are (-1).
    """

    tokens_key: str
    sequences_key: str
    examples: int
    sequences_per_window: list[int]
    files: dict[str, str]
    number: int = -1


def block_folder(folder: Path, number: int) -> Path:
    return folder / "blocks" / f"{number:06d}"


def read_block(folder: Path, number: int) -> Block | None:
    """None: there is no such block. Raises InputError if its block.json is not what a build writes, or is
    that of another block."""
    path = block_folder(folder, number) / "block.json"
    try:
        content = read_json(path)
        if content is None:
            return None
        block = Block(**content)
    except (InputError, TypeError):
        block = None
    if block is None or not _is_sound(block):
        raise InputError(
            f"{path}: not what this version of openflan builds; `openflan build` with --repair makes the "
            "block again"
        )
    if block.number not in (number, -1):
        raise InputError(
            f"{path}: of block {block.number}, in the place of block {number}; `openflan build` with "
            "--repair makes the block again"
        )
    return block


def _is_sound(block: Block) -> bool:
    """Whether values read from a file are of the types they should be."""
    counts = (
        (block.examples, *block.sequences_per_window) if isinstance(block.sequences_per_window, list) else ()
    )
    return (
        bool(counts)
        and all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts)
        and isinstance(block.files, dict)
        and all(
            isinstance(text, str) for text in (block.tokens_key, block.sequences_key, *block.files.values())
        )
        and isinstance(block.number, int)
    )


def write_block(folder: Path, number: int, parts: Parts, tokens: Tokens, packed: Sequence[Packed]) -> Block:
    """Puts a block in its place, whole. Raises SetupError if the disk is full; what was there stays."""
    arrays: dict[str, NDArray[Any]] = {name: getattr(tokens, name) for name in TOKEN_FILES}
    arrays |= {name: array for name in CHAT_FILES if (array := getattr(tokens, name)) is not None}
    arrays |= _arrays(packed)
    with replacing(block_folder(folder, number)) as partial:
        partial.mkdir()
        for name, array in arrays.items():
            _save(partial / f"{name}.npy", array)
        files = {name: sha256_of_file(partial / f"{name}.npy") for name in arrays}
        block = Block(
            parts.tokens_key,
            parts.sequences_key,
            len(tokens),
            [len(one) for one in packed],
            files,
            number,
        )
        write_json(partial / "block.json", asdict(block))
    return block


def _save(path: Path, array: NDArray[Any]) -> None:
    """Writes an array as numpy does. A full disk is an OSError with its reason: that of numpy, for a file it
    writes itself, gives only the number of items written."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    path.write_bytes(content.getbuffer())


def replace_sequences(
    folder: Path, number: int, parts: Parts, block: Block, packed: Sequence[Packed]
) -> Block:
    """Packs a block anew, its tokens untouched."""
    path = block_folder(folder, number)
    arrays = _arrays(packed)
    for name, array in arrays.items():
        with replacing(path / f"{name}.npy") as partial:
            _save(partial, array)
    files = block.files | {name: sha256_of_file(path / f"{name}.npy") for name in arrays}
    new = Block(
        parts.tokens_key,
        parts.sequences_key,
        block.examples,
        [len(one) for one in packed],
        files,
        number,
    )
    write_json(path / "block.json", asdict(new))
    return new


def damaged(
    folder: Path, number: int, block: Block, names: Sequence[str] = (*TOKEN_FILES, *SEQUENCE_FILES)
) -> list[Path]:
    """The files of a block that are missing, or not as they were written."""
    names = [*names, *(name for name in CHAT_FILES if name in block.files)]
    paths = {name: block_folder(folder, number) / f"{name}.npy" for name in names}
    return [
        path
        for name, path in paths.items()
        if not path.is_file() or sha256_of_file(path) != block.files.get(name)
    ]


def read_tokens(folder: Path, number: int) -> Tokens:
    """The tokens of a block, mapped."""
    files = {name: block_folder(folder, number) / f"{name}.npy" for name in (*TOKEN_FILES, *CHAT_FILES)}
    return Tokens(**{name: _mapped(path) for name, path in files.items() if path.is_file()})


class Store:
    """Reads the windows of a build."""

    def __init__(self, folder: Path, parts: Parts, layout: Layout = LAYOUT) -> None:
        """Blocks made of other parts count as missing."""
        self.folder = folder
        self._layout = layout
        self._blocks: list[Block] = []
        while (block := read_block(folder, len(self._blocks))) and block.sequences_key == parts.sequences_key:
            self._blocks.append(block)
            if len(block.sequences_per_window) < layout.windows:
                break
        self._block = lru_cache(maxsize=_OPEN)(self._open)
        self._sound: set[int] = set()

    @property
    def examples(self) -> int:
        return sum(block.examples for block in self._blocks)

    def sequences_per_window(self) -> list[int]:
        """Sequences of the windows from the first on, up to the first that is missing."""
        return [sequences for block in self._blocks for sequences in block.sequences_per_window]

    def window(self, number: int) -> tuple[Tokens, Packed] | None:
        """A window's tokens and sequences as views of the files, or None if it has not been built. Raises
        InputError if the files were damaged."""
        which, within = divmod(number, self._layout.windows)
        if which >= len(self._blocks) or within >= len(self._blocks[which].sequences_per_window):
            return None
        tokens, members, starts, first_sequence = self._block(which)
        sequences = starts[first_sequence[within] : first_sequence[within + 1] + 1]
        size = self._layout.window
        return tokens.part(within * size, (within + 1) * size), Packed(members, sequences)

    def _open(self, number: int) -> tuple[Tokens, NDArray[Any], NDArray[np.int64], list[int]]:
        block = self._blocks[number]
        if number not in self._sound and (broken := damaged(self.folder, number, block)):
            raise InputError(
                f"{broken[0]}: missing, incomplete or changed since it was written; `openflan build` with "
                "--repair makes it again"
            )
        self._sound.add(number)
        members, starts = (
            np.load(block_folder(self.folder, number) / f"{name}.npy") for name in SEQUENCE_FILES
        )
        return (
            read_tokens(self.folder, number),
            members,
            starts,
            [0, *np.cumsum(block.sequences_per_window).tolist()],
        )


def _arrays(packed: Sequence[Packed]) -> dict[str, NDArray[Any]]:
    members = np.concatenate([one.members for one in packed]).astype(np.uint16)
    lengths = np.concatenate([np.diff(one.starts) for one in packed])
    return {"members": members, "starts": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)}


def _mapped(path: Path) -> NDArray[Any]:
    # An array of nothing cannot be mapped. Seen as a plain array: slicing a memmap costs several times as
    # much.
    array: NDArray[Any] = np.load(
        path, mmap_mode="r" if path.stat().st_size > 4_096 else None, allow_pickle=False
    )
    return array.view(np.ndarray)


def _key(value: Any) -> str:
    return sha256_of_json(value)
