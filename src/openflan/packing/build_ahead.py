"""Rendering, tokenising and packing ahead of training, into the blocks of `packing.store`.

Windows are made by worker processes, each with a stream of its own; this process packs a block's windows
together and writes it. Every block is a function of the recipe and its number alone, so a build that was
killed goes on where it stopped, shards of it may be made anywhere, and the result is the same to the byte.
What has not changed is kept: other capacities leave the tokens alone, more examples only add blocks.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

from openflan.errors import InputError
from openflan.hashes import sha256_of
from openflan.lock import locked
from openflan.packing.encode import Encoder, Fit
from openflan.packing.example_windows import packed_windows
from openflan.packing.store import (
    LAYOUT,
    SEQUENCE_FILES,
    TOKEN_FILES,
    Block,
    Layout,
    Parts,
    damaged,
    read_block,
    read_tokens,
    replace_sequences,
    write_block,
)
from openflan.packing.tokens import Examples, Tokens, join, tokens_at
from openflan.run_folder import read_json, write_json
from openflan.stopping import become_worker, stoppable

Make: TypeAlias = Callable[[], tuple[Examples, Encoder]]
"""Opens the stream and the encoder; called once in every worker process, so it must be picklable."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` of `count`, from 0: the blocks whose numbers leave that remainder."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Raises InputError unless `text` reads like 0/4."""
        index, _, count = text.partition("/")
        if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
            raise InputError(f"`--shard {text}` is not a part such as 0/4, which is the first of four")
        return cls(int(index), int(count))

    def blocks(self, total: int) -> list[int]:
        return list(range(self.index, total, self.count))


@dataclass(frozen=True, slots=True)
class Summary:
    """What a call did to the blocks of its shard, and what they hold now. `content` is a SHA-256 over the
    hashes of their files."""

    made: int
    packed_anew: int
    kept: int
    examples: int
    sequences: int
    tokens: int
    content: str


def build(
    folder: Path,
    examples: Examples,
    encoder: Encoder,
    parts: Parts,
    windows: int,
    *,
    workers: int = 1,
    make: Make | None = None,
    shard: Shard | None = None,
    repair: bool = False,
    layout: Layout = LAYOUT,
    notice: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Makes what `folder` lacks of the first `windows` windows of a stream.

    `workers` processes render and tokenise, each with what `make` opens; with one, this process does.
    `notice` gets a line about what is made anew and why; `progress(done, total)` counts windows. Complete
    blocks stay whatever happens.

    Raises InputError if another build is at work in the folder, if files are damaged (unless `repair`), or if
    an example does not fit under the policy `error`; SetupError if the disk is full; after SIGTERM Terminated
    and after Ctrl-C Interrupted, once the block under way is written.
    """
    shard = shard or Shard()
    wide = layout.windows
    sizes = {number: min(wide, windows - number * wide) for number in shard.blocks(-(-windows // wide))}
    with _locked(folder, shard), stoppable("block") as asked:
        blocks = {
            number: block
            for number, size in sizes.items()
            if (block := _usable(folder, number, parts, size, repair, notice))
        }
        _state(folder, parts, notice)
        stale = [number for number, block in blocks.items() if block.sequences_key != parts.sequences_key]
        missing = [number for number in sizes if number not in blocks]
        for number in stale:
            packed = packed_windows(
                _fits(_windows_of(read_tokens(folder, number), layout), number, layout, examples, encoder),
                encoder.limits,
            )
            blocks[number] = replace_sequences(folder, number, parts, blocks[number], packed)
            if asked and (missing or number != stale[-1]):
                raise asked.ended(f"after block {number}, which is written")
        with _tokens_of(
            examples, encoder, layout.window, make if workers > 1 and missing else None, workers
        ) as tokens_of:
            todo = [number * wide + within for number in missing for within in range(sizes[number])]
            arriving = _counted(tokens_of(todo), len(todo), progress)
            for number in missing:
                windows_of = [next(arriving) for _ in range(sizes[number])]
                packed = packed_windows(_fits(windows_of, number, layout, examples, encoder), encoder.limits)
                blocks[number] = write_block(folder, number, parts, join(windows_of), packed)
                if asked and number != missing[-1]:
                    raise asked.ended(f"after block {number}, which is written")
    found = [blocks[number] for number in sizes]
    return Summary(
        made=len(missing),
        packed_anew=len(stale),
        kept=len(found) - len(missing) - len(stale),
        examples=sum(block.examples for block in found),
        sequences=sum(sum(block.sequences_per_window) for block in found),
        tokens=sum(len(read_tokens(folder, number).ids) for number in sizes),
        content=sha256_of("".join(block.files[name] for block in found for name in sorted(block.files))),
    )


def differences(folder: Path, parts: Parts) -> tuple[list[str], list[str]]:
    """Names of the parts, of tokens and of sequences, in which a build differs from `parts`; both empty where
    there is none, or no build."""
    before = read_json(folder / "build.json")
    if before is None:
        return [], []
    if (
        not isinstance(before, dict)
        or not isinstance(before.get("tokens"), dict)
        or not isinstance(before.get("sequences"), dict)
    ):
        raise InputError(
            f"{folder / 'build.json'}: not what this version of openflan builds; delete it, and "
            "`openflan build` makes "
            "what it cannot use anew"
        )
    return tuple(  # type: ignore[return-value]
        sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        for old, new in (
            (before["tokens"], _as_json(parts.tokens)),
            (before["sequences"], _as_json(parts.sequences)),
        )
    )


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are once written and read again: tuples have become lists."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(values)))
    return plain


def _state(folder: Path, parts: Parts, notice: Callable[[str], None]) -> None:
    """Brings build.json up to date, and says what changed. Shards that begin at the same time take turns."""
    with locked(folder / ".lock-build.json"):
        tokens, sequences = differences(folder, parts)
        if tokens:
            notice(f"changed since the build: {', '.join(tokens)}; all of it is made anew")
        elif sequences:
            notice(
                f"changed since the build: {', '.join(sequences)}; the tokens stay, sequences are packed anew"
            )
        if tokens or sequences or not (folder / "build.json").is_file():
            write_json(
                folder / "build.json", {"tokens": dict(parts.tokens), "sequences": dict(parts.sequences)}
            )


def _usable(
    folder: Path, number: int, parts: Parts, windows: int, repair: bool, notice: Callable[[str], None]
) -> Block | None:
    """The block that is there, if it holds these tokens; its sequences may be stale. Raises InputError if its
    files are damaged, unless `repair`."""
    try:
        block = read_block(folder, number)
        if block is None or block.tokens_key != parts.tokens_key or len(block.sequences_per_window) < windows:
            return None
    except InputError as error:
        if not repair:
            raise
        notice(str(error))
        return None
    broken = damaged(
        folder,
        number,
        block,
        TOKEN_FILES if block.sequences_key != parts.sequences_key else (*TOKEN_FILES, *SEQUENCE_FILES),
    )
    if not broken:
        return block
    reason = f"{broken[0]}: missing, incomplete or changed since it was written"
    if not repair:
        raise InputError(f"{reason}; give --repair to make block {number} again")
    notice(f"{reason}; block {number} is made again")
    return None


def _fits(
    windows: Sequence[Tokens], block: int, layout: Layout, examples: Examples, encoder: Encoder
) -> list[Fit]:
    found = [encoder.fit(tokens) for tokens in windows]
    for within, fit in enumerate(found):
        first = (block * layout.windows + within) * layout.window
        encoder.refuse(fit, lambda number, first=first: examples[first + number])  # type: ignore[misc]
    return found


def _windows_of(tokens: Tokens, layout: Layout) -> list[Tokens]:
    return [tokens.part(first, first + layout.window) for first in range(0, len(tokens), layout.window)]


def _counted(
    arriving: Iterator[Tokens], total: int, progress: Callable[[int, int], None]
) -> Iterator[Tokens]:
    progress(0, total)
    for done, tokens in enumerate(arriving, 1):
        progress(done, total)
        yield tokens


@contextmanager
def _tokens_of(
    examples: Examples, encoder: Encoder, size: int, make: Make | None, workers: int
) -> Iterator[Callable[[Sequence[int]], Iterator[Tokens]]]:
    """A function from window numbers to their tokens, in the same order."""
    if make is None:
        yield lambda numbers: (_window(examples, encoder, size, number) for number in numbers)
        return
    # Spawned, not forked: tokenizers and torch have threads, which a fork does not survive.
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_open_in_worker, initargs=(make,)
    ) as pool:
        try:
            yield lambda numbers: _in_order(pool, size, numbers, ahead=2 * workers)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, size: int, numbers: Sequence[int], ahead: int) -> Iterator[Tokens]:
    """Keeps `ahead` windows under way, so that what waits to be written stays bounded."""
    waiting: deque[Future[Tokens]] = deque()
    for number in numbers:
        waiting.append(pool.submit(_window_in_worker, size, number))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _window(examples: Examples, encoder: Encoder, size: int, number: int) -> Tokens:
    return tokens_at(examples, number * size, size, encoder.tokenize)[1]


_opened: list[tuple[Examples, Encoder]] = []
"""What a worker process has opened; empty in every other process."""


def _open_in_worker(make: Make) -> None:
    become_worker()
    # One core a worker: the tokenizer would start threads on all of them.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _opened[:] = [make()]


def _window_in_worker(size: int, number: int) -> Tokens:
    return _window(*_opened[0], size, number)


@contextmanager
def _locked(folder: Path, shard: Shard) -> Iterator[None]:
    """One build a folder; shards may work side by side, each once. Raises InputError if another is at work,
    SetupError if the folder cannot be written."""
    busy = f"{folder}: another build is at work there; wait for it, or name another folder with --to"
    whole, own = (folder / f".lock-{name}" for name in ("0-of-1", f"{shard.index}-of-{shard.count}"))
    with ExitStack() as held:
        # Those that begin take turns, so that none sees another's short look at a lock.
        with locked(folder / ".lock"):
            held.enter_context(locked(own, busy))
            others = sorted(folder.glob(".lock-*-of-*")) if own == whole else [whole]
            for other in others:
                if other != own and other.is_file():
                    with locked(other, busy):
                        pass
        yield
