"""Many generations at once, row by row: whoever finishes leaves, whoever waits takes the place.

Random or sorted batches that end together spend two to three times the steps their rows need, because lengths
of answers vary. Here a row is one generation; the rows of a prompt (its samples) share what was computed for
the prompt. Decision: what may be in memory at once is counted in tokens (of prompts, and the most that rows
may still generate), and waiting prompts come longest first, so that neighbours are of like length and what
does not fit fails at the start. Price: requests finish in no order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from openflan.inference.ending import Ending
from openflan.inference.protocol import Completion, Request
from openflan.inference.sampling import drawn, request_draws, uniform


@dataclass(slots=True, eq=False)
class Row:
    """One generation: a sample of a request, for everyone who asked the same (`owners`, indices of
    requests)."""

    request: Request
    sample: int
    owners: list[int]
    draws: int
    new: list[int] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Prompt:
    """The ids of a prompt, the rows that continue it, and how many tokens at its start it shares with its
    neighbours (computed once for all of them)."""

    ids: tuple[int, ...]
    rows: list[Row]
    shared: int = 0

    @property
    def prefix(self) -> tuple[int, ...]:
        return self.ids[: self.shared]


class Decoder(Protocol):
    """The state of all rows in a model. Rows have places 0, 1, ...; a row that leaves has its place taken by
    the last one."""

    def admit(self, prompts: Sequence[Prompt]) -> None:
        """Computes what the rows of each prompt share."""
        ...

    def add(self, prompt: Prompt) -> int:
        """A row of an admitted prompt, at the last place; gives the id that it is fed first."""
        ...

    def step(self, ids: list[int]) -> Tensor:
        """Feeds every row an id; gives the logits of what follows, (rows, vocabulary)."""
        ...

    def drop(self, place: int) -> None: ...

    def release(self, prompt: Prompt) -> None:
        """Forgets a prompt none of whose rows is left."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be computed at once: tokens in memory, rows, and prompts read together."""

    tokens: int
    rows: int
    together: int


def prompts_of(requests: Iterable[tuple[int, tuple[int, ...], Request]]) -> list[Prompt]:
    """Requests (index, ids, request) as prompts: equal prompts once, equal rows once, longest first."""
    prompts: dict[tuple[int, ...], Prompt] = {}
    rows: dict[tuple[object, ...], Row] = {}
    for index, ids, request in requests:
        prompt = prompts.setdefault(ids, Prompt(ids, []))
        greedy = request.temperature == 0
        how = (
            ids,
            request.max_tokens,
            request.stop,
            *(() if greedy else (request.prompt, request.temperature, request.top_k, request.seed)),
        )
        # Greedy samples are all the same one.
        for sample in range(1 if greedy else request.samples):
            row = rows.get((*how, sample))
            if row is None:
                row = rows[(*how, sample)] = Row(request, sample, [], 0 if greedy else request_draws(request))
                prompt.rows.append(row)
            row.owners.append(index)
    return sorted(prompts.values(), key=lambda prompt: -len(prompt.ids))


def decode(
    decoder: Decoder, prompts: Iterable[Prompt], ending: Ending, budget: Budget
) -> Iterator[tuple[Row, Completion]]:
    """Every row of every prompt with its completion, as they finish."""
    waiting, admitted = deque(prompts), deque[Prompt]()
    active: list[tuple[Prompt, Row]] = []
    left: dict[Prompt, int] = {}
    following: list[int] = []
    spent = 0
    while waiting or admitted or active:
        while taken := _admit(decoder, waiting, admitted, left, budget, spent, len(active)):
            spent += taken
        while admitted and len(active) < budget.rows:
            prompt = admitted[0]
            row = prompt.rows[len(prompt.rows) - left[prompt]]
            if active and spent + row.request.max_tokens > budget.tokens:
                break
            spent += row.request.max_tokens
            following.append(decoder.add(prompt))
            active.append((prompt, row))
            left[prompt] -= 1
            if not left[prompt]:
                admitted.popleft()
        following = _chosen(decoder.step(following), [row for _, row in active])
        for place in reversed(range(len(active))):
            prompt, row = active[place]
            row.new.append(following[place])
            if not ending.is_over(row.new, row.request.stop, row.request.max_tokens):
                continue
            yield row, ending.completion(row.new, row.request.stop, row.sample)
            decoder.drop(place)
            active[place], following[place] = active[-1], following[-1]
            active.pop()
            following.pop()
            spent -= row.request.max_tokens
            if not left[prompt] and all(other is not prompt for other, _ in active):
                decoder.release(prompt)
                del left[prompt]
                spent -= _cost(prompt)


def _admit(
    decoder: Decoder,
    waiting: deque[Prompt],
    admitted: deque[Prompt],
    left: dict[Prompt, int],
    budget: Budget,
    spent: int,
    active: int,
) -> int:
    """Reads prompts while there is room for them and a row of each; gives the tokens they take."""
    free = budget.rows - active - sum(left[prompt] for prompt in admitted)
    arrivals: list[Prompt] = []
    cost = 0
    while waiting and free > 0 and len(arrivals) < budget.together:
        prompt = waiting[0]
        taken = _cost(prompt)
        if (active or arrivals or admitted) and spent + cost + taken + prompt.rows[
            0
        ].request.max_tokens > budget.tokens:
            break
        arrivals.append(waiting.popleft())
        cost += taken
        free -= len(prompt.rows)
    # Reading few prompts at a time wastes an accelerator: the places of a quarter of what it reads together
    # are worth waiting for.
    if waiting and active and 4 * len(arrivals) < budget.together:
        waiting.extendleft(reversed(arrivals))
        return 0
    if arrivals:
        decoder.admit(arrivals)
        for prompt in arrivals:
            left[prompt] = len(prompt.rows)
            admitted.append(prompt)
    return cost


def _cost(prompt: Prompt) -> int:
    return len(prompt.ids) - prompt.shared


def _chosen(logits_BV: Tensor, rows: Sequence[Row]) -> list[int]:
    """The next token of each row."""
    ways: dict[tuple[float, int], list[int]] = {}
    for place, row in enumerate(rows):
        request = row.request
        ways.setdefault((request.temperature, request.top_k if request.temperature else 0), []).append(place)
    found = [0] * len(rows)
    for (temperature, top_k), places in ways.items():
        logits = (
            logits_BV
            if len(places) == len(rows)
            else logits_BV[torch.tensor(places, device=logits_BV.device)]
        )
        if temperature == 0:
            tokens = logits.argmax(-1).tolist()
        else:
            tokens = drawn(
                logits,
                [uniform(rows[place].draws, rows[place].sample, len(rows[place].new)) for place in places],
                temperature,
                top_k,
            )
        for place, token in zip(places, tokens, strict=True):
            found[place] = token
    return found
