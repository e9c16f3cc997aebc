"""Decoded blocks of tables that were used last, up to some number of bytes over all tables of the process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from openflan.tasks.table_files import Block

MOST_BYTES = 1 << 27


class RecentBlocks:
    """A cache of decoded blocks. At least one block stays, however large it is."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._blocks: OrderedDict[tuple[object, int], Block] = OrderedDict()
        self._bytes = 0
        self._most = most_bytes

    def get(self, table: object, index: int, decode: Callable[[], Block]) -> Block:
        """Block `index` of a table, known by any object of its own; `decode` makes it if it is not there."""
        key = (table, index)
        block = self._blocks.get(key)
        if block is not None:
            self._blocks.move_to_end(key)
            return block
        block = self._blocks[key] = decode()
        self._bytes += block.nbytes
        while len(self._blocks) > 1 and self._bytes > self._most:
            self._bytes -= self._blocks.popitem(last=False)[1].nbytes
        return block


SHARED = RecentBlocks()
"""The cache of this process: a collection has hundreds of tables, each of which may be drawn from."""
