"""Many generations at once: a generation that ends leaves the batch, and a waiting one takes its place.

Static batches take two to three times the steps that their generations need, because lengths of answers vary.
The generations of a prompt (its samples) share what was computed for the prompt. Decision: what may be in
memory at once is counted in tokens: those of prompts, and the most that generations may still generate.
Waiting prompts are ordered longest first, so that neighbours have like lengths and what does not fit fails at
the start. Price: requests finish in no order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from openflan.inference.ending import Ending, Progress
from openflan.inference.protocol import Completion, Request
from openflan.inference.sampling import draw_tokens, sampling_key_of, uniform


@dataclass(slots=True, eq=False)
class Generation:
    """One generation in progress: a sample of a request. `owners` are the indices of all requests that are
    the same, `new` the ids generated so far. `opened`: the prompt ends within a thinking block; `progress` is
    how far the generation is, and `reserved` the tokens that it may take in memory."""

    request: Request
    sample: int
    owners: list[int]
    sampling_key: int
    new: list[int] = field(default_factory=list)
    opened: bool = False
    progress: Progress = field(default_factory=lambda: Progress(False))
    reserved: int = 0


Watch: TypeAlias = Callable[[Generation], None]
"""Called with a generation after each of its tokens but the last, after which it is finished."""


@dataclass(slots=True, eq=False)
class Prompt:
    """The ids of a prompt, the generations that continue it, and the number of tokens at its start that it
    shares with its neighbours; these are computed once for all of them."""

    ids: tuple[int, ...]
    generations: list[Generation]
    shared: int = 0

    @property
    def prefix(self) -> tuple[int, ...]:
        return self.ids[: self.shared]


class Decoder(Protocol):
    """The state of all generations in a model. They are numbered 0, 1, ...; when one is dropped, the last
    one takes its number."""

    def admit(self, prompts: Sequence[Prompt]) -> None:
        """Reads prompts: computes what the generations of each share."""
        ...

    def add(self, prompt: Prompt) -> int:
        """Adds a generation of an admitted prompt as the last one; returns the id that is its first input."""
        ...

    def step(self, ids: list[int]) -> Tensor:
        """Feeds one id to every generation; returns the logits of the next token, (generations,
        vocabulary)."""
        ...

    def drop(self, index: int) -> None: ...

    def release(self, prompt: Prompt) -> None:
        """Frees the states of a prompt that has no generations left."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that is computed at once: tokens in memory, generations, and prompts in one forward."""

    tokens: int
    generations: int
    prompts: int


def prompts_of(requests: Iterable[tuple[int, tuple[int, ...], Request]]) -> list[Prompt]:
    """The prompts of requests (index, ids, request), longest first. Equal prompts, and equal generations
    of a prompt, occur once."""
    prompts: dict[tuple[int, ...], Prompt] = {}
    generations: dict[tuple[object, ...], Generation] = {}
    for index, ids, request in requests:
        prompt = prompts.setdefault(ids, Prompt(ids, []))
        greedy = request.temperature == 0
        generation_key = (
            ids,
            request.max_tokens,
            request.stop,
            request.thinking_tokens,
            *(
                ()
                if greedy
                else (
                    request.prompt,
                    request.before,
                    request.conversation,
                    request.temperature,
                    request.top_k,
                    request.seed,
                )
            ),
        )
        # All greedy samples are equal.
        for sample in range(1 if greedy else request.samples):
            generation = generations.get((*generation_key, sample))
            if generation is None:
                generation = generations[(*generation_key, sample)] = Generation(
                    request, sample, [], 0 if greedy else sampling_key_of(request)
                )
                prompt.generations.append(generation)
            generation.owners.append(index)
    return sorted(prompts.values(), key=lambda prompt: -len(prompt.ids))


def decode(
    decoder: Decoder,
    prompts: Iterable[Prompt],
    ending: Ending,
    budget: Budget,
    watch: Watch | None = None,
) -> Iterator[tuple[Generation, Completion]]:
    """Every generation of every prompt with its completion, in the order in which they end."""
    waiting, admitted = deque(prompts), deque[Prompt]()
    active: list[tuple[Prompt, Generation]] = []
    left: dict[Prompt, int] = {}
    following: list[int] = []
    spent = 0
    while waiting or admitted or active:
        while taken := _admit(decoder, waiting, admitted, left, budget, spent, len(active)):
            spent += taken
        while admitted and len(active) < budget.generations:
            prompt = admitted[0]
            generation = prompt.generations[len(prompt.generations) - left[prompt]]
            if active and spent + generation.request.max_tokens > budget.tokens:
                break
            generation.progress = ending.begin(generation.request, opened=generation.opened)
            generation.reserved = _reserved(generation)
            spent += generation.reserved
            following.append(decoder.add(prompt))
            active.append((prompt, generation))
            left[prompt] -= 1
            if not left[prompt]:
                admitted.popleft()
        following = _chosen(decoder.step(following), [generation for _, generation in active])
        for index in reversed(range(len(active))):
            prompt, generation = active[index]
            generation.new.append(following[index])
            if not ending.is_over(generation.new, generation.request, generation.progress):
                # What thinks takes more memory than was known when it began.
                spent += _reserved(generation) - generation.reserved
                generation.reserved = _reserved(generation)
                if watch is not None:
                    watch(generation)
                continue
            yield (
                generation,
                ending.completion(
                    generation.new, generation.request, generation.sample, opened=generation.opened
                ),
            )
            decoder.drop(index)
            active[index], following[index] = active[-1], following[-1]
            active.pop()
            following.pop()
            spent -= generation.reserved
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
    """Reads prompts while the budget allows them and one generation of each; returns the tokens that they
    take."""
    free = budget.generations - active - sum(left[prompt] for prompt in admitted)
    arrivals: list[Prompt] = []
    cost = 0
    while waiting and free > 0 and len(arrivals) < budget.prompts:
        prompt = waiting[0]
        taken = _cost(prompt)
        if (active or arrivals or admitted) and spent + cost + taken + prompt.generations[
            0
        ].request.max_tokens > budget.tokens:
            break
        arrivals.append(waiting.popleft())
        cost += taken
        free -= len(prompt.generations)
    # Reading few prompts at a time wastes an accelerator: the places of a quarter of what it reads together
    # are worth waiting for.
    if waiting and active and 4 * len(arrivals) < budget.prompts:
        waiting.extendleft(reversed(arrivals))
        return 0
    if arrivals:
        decoder.admit(arrivals)
        for prompt in arrivals:
            left[prompt] = len(prompt.generations)
            admitted.append(prompt)
    return cost


def _reserved(generation: Generation) -> int:
    """The most tokens that a generation may have, by what is known of it."""
    thinks = generation.progress.thinking or generation.progress.answer_start
    return generation.request.max_tokens + (generation.request.thinking_tokens if thinks else 0)


def _cost(prompt: Prompt) -> int:
    return len(prompt.ids) - prompt.shared


def _chosen(logits_BV: Tensor, generations: Sequence[Generation]) -> list[int]:
    """The next token of each generation."""
    indices_by_setting: dict[tuple[float, int], list[int]] = {}
    for index, generation in enumerate(generations):
        request = generation.request
        indices_by_setting.setdefault(
            (request.temperature, request.top_k if request.temperature else 0), []
        ).append(index)
    next_ids = [0] * len(generations)
    for (temperature, top_k), indices in indices_by_setting.items():
        logits = (
            logits_BV
            if len(indices) == len(generations)
            else logits_BV[torch.tensor(indices, device=logits_BV.device)]
        )
        if temperature == 0:
            tokens = logits.argmax(-1).tolist()
        else:
            tokens = draw_tokens(
                logits,
                [
                    uniform(
                        generations[index].sampling_key,
                        generations[index].sample,
                        len(generations[index].new),
                    )
                    for index in indices
                ],
                temperature,
                top_k,
            )
        for index, token in zip(indices, tokens, strict=True):
            next_ids[index] = token
    return next_ids
