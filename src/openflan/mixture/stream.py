"""Finds the example at a position of the stream: a pure function of (mixture, seed, position).

The stream is made of blocks. At a block's end every task's cumulative count is within one of its share;
inside, the order is a seeded shuffle. The n-th draw of a task is element n mod rows of that epoch's seeded
permutation. An epoch contains every row once, and the next epoch has another order. No draw depends on the
one before, so the example at any position can be computed alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from openflan.mixture.rates import counts_at
from openflan.randomness import Draws, Permutation, combine, shuffled
from openflan.tasks.task import Task
from openflan.templates.render import Rendered, Renderer, TokenBudget
from openflan.templates.style import Style, StyleShares

BLOCK = 65_536
"""Examples per block."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A task of the mixture: how it is rendered, how often, and in which formats.

    `share` is of the examples. Where the recipe's rates are of tokens, `token_share` is the task's share of
    them, and `mean_tokens` the estimated tokens of one of its examples.
    """

    task: Task
    renderer: Renderer
    share: float
    styles: StyleShares
    token_share: float | None = None
    mean_tokens: float | None = None


class Stream:
    """An endless sequence of rendered examples by position."""

    def __init__(
        self, entries: Mapping[str, Entry], seed: int, token_budget: TokenBudget | None = None
    ) -> None:
        """`token_budget` bounds few-shot examples; see `Renderer.render`."""
        self.entries = tuple(entries.values())
        self.seed = seed
        self.token_budget = token_budget
        self._shares = np.array([entry.share for entry in self.entries])
        self._rows = np.array([len(entry.task.rows) for entry in self.entries])
        self._counts = [np.zeros(len(self.entries), dtype=np.int64)]
        self._block = lru_cache(maxsize=2)(self._make_block)
        self._permutation = lru_cache(maxsize=4096)(self._make_permutation)

    def __getitem__(self, position: int) -> Rendered:
        return self._render(position, self.token_budget)

    def unpruned(self, position: int) -> Rendered:
        """Return the example with all its exemplars, whether or not they fit `token_budget`."""
        return self._render(position, None)

    def source(self, position: int) -> tuple[str, int, int]:
        """Return task name, row index and epoch (from 0) at a position, without rendering it."""
        tasks, rows, epochs = self._block(position // BLOCK)
        offset = position % BLOCK
        return self.entries[tasks[offset]].task.name, int(rows[offset]), int(epochs[offset])

    def counts(self, block: int) -> NDArray[np.int64]:
        """Return how often each task was drawn in the first `block` blocks, shape (num_tasks,)."""
        while len(self._counts) <= block:
            self._counts.append(counts_at(self._shares, self._counts[-1], len(self._counts) * BLOCK))
        return self._counts[block]

    def sample(self, number: int, few_shot: bool) -> Sample:
        """Return seeded examples of entry `number`, all few-shot or all zero-shot."""
        return Sample(self, self.entries[number], few_shot)

    def shared_by_tokens(self, mean_tokens: Sequence[float]) -> Stream:
        """Return the same tasks with their shares taken as shares of tokens: a task is drawn so often that
        its examples, of `mean_tokens` each, hold its share."""
        quotients = [entry.share / mean for entry, mean in zip(self.entries, mean_tokens, strict=True)]
        total = sum(quotients)
        entries = {
            entry.task.name: replace(
                entry, share=quotient / total, token_share=entry.share, mean_tokens=float(mean)
            )
            for entry, quotient, mean in zip(self.entries, quotients, mean_tokens, strict=True)
        }
        return Stream(entries, self.seed, self.token_budget)

    def _render(self, position: int, token_budget: TokenBudget | None) -> Rendered:
        tasks, rows, _ = self._block(position // BLOCK)
        offset = position % BLOCK
        entry: Entry = self.entries[tasks[offset]]
        return entry.renderer.render(
            int(rows[offset]), self.style(entry, position), self.seed, position, token_budget=token_budget
        )

    def style(self, entry: Entry, position: int, few_shot: bool | None = None) -> Style:
        """The style of an example at a position; `few_shot` replaces what is drawn for that."""
        draws, shares = Draws(self.seed, "style", position), entry.styles
        drawn, rationale, options = (
            draws.chance(shares.few_shot),
            draws.chance(shares.rationale),
            draws.chance(shares.options),
        )
        few_shot = drawn if few_shot is None else few_shot
        of_few_shot = shares.inverted if shares.inverted_few_shot is None else shares.inverted_few_shot
        inverted, top, none = (
            draws.chance(of_few_shot if few_shot else shares.inverted),
            draws.chance(shares.instruction_on_top),
            draws.chance(shares.exemplars_only),
        )
        return Style(
            few_shot,
            rationale,
            options,
            inverted,
            ("top" if top else "none" if none else "each") if few_shot else "each",
        )

    def _make_block(self, block: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the task, row and epoch of every position of a block, each of shape (BLOCK,)."""
        before, after = self.counts(block), self.counts(block + 1)
        sorted_tasks = np.repeat(np.arange(len(self.entries)), after - before)
        draw = np.arange(BLOCK) - np.repeat(np.cumsum(after - before) - after, after - before)
        epoch, within = np.divmod(draw, self._rows[sorted_tasks])
        rows = np.empty(BLOCK, dtype=np.int64)
        # One call for each (task, epoch) run; the runs are contiguous because the draws are sorted.
        starts = np.flatnonzero(np.diff(sorted_tasks, prepend=-1) | np.diff(epoch, prepend=-1))
        for start, end in zip(starts, [*starts[1:], BLOCK], strict=True):
            rows[start:end] = self._permutation(int(sorted_tasks[start]), int(epoch[start]))[
                within[start:end]
            ]
        order = shuffled(BLOCK, self.seed, "block", block)
        return sorted_tasks[order], rows[order], epoch[order]

    def _make_permutation(self, task: int, epoch: int) -> Permutation:
        return Permutation(int(self._rows[task]), self.seed, "rows", self.entries[task].task.name, epoch)


class Sample:
    """Examples of one task by index, for measuring; they are no part of the stream. Formats are drawn as in
    the stream, but all examples are few-shot, or all zero-shot. A task with fewer rows gives them again."""

    def __init__(self, stream: Stream, entry: Entry, few_shot: bool) -> None:
        self.token_budget = stream.token_budget
        self._stream = stream
        self._entry = entry
        self._few_shot = few_shot
        self._rows = Permutation(len(entry.task.rows), stream.seed, "sample", entry.task.name)

    def __getitem__(self, index: int) -> Rendered:
        return self._render(index, self.token_budget)

    def unpruned(self, index: int) -> Rendered:
        """Return the example with all its exemplars, whether or not they fit `token_budget`."""
        return self._render(index, None)

    def _render(self, index: int, token_budget: TokenBudget | None) -> Rendered:
        stream, entry = self._stream, self._entry
        row = int(self._rows[np.array([index % len(entry.task.rows)])][0])
        position = combine(stream.seed, "sample", entry.task.name, index)
        style = stream.style(entry, position, self._few_shot)
        return entry.renderer.render(row, style, stream.seed, position, token_budget=token_budget)
