"""Rows that leave and enter a batch, and the draws that decide a token, with a decoder that computes
nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.inference.batching import Budget, Prompt, decode, prompts_of
from openflan.inference.ending import Ending
from openflan.inference.prefixes import LEAST, share_prefixes
from openflan.inference.protocol import Request
from openflan.inference.sampling import draw_tokens, sampling_key_of, uniform

VOCABULARY = 50


class NoText:
    def decode(self, *_: object, **__: object) -> str:
        return ""


ENDING = Ending(NoText(), frozenset())


@dataclass
class Counting:
    """What follows depends on the prompt and the tokens so far; remembers each row's, so that rows that
    change places are found out."""

    generations: list[tuple[Prompt, list[int]]] = field(default_factory=list)
    admitted: list[Prompt] = field(default_factory=list)
    released: list[Prompt] = field(default_factory=list)
    steps: int = 0
    most_rows: int = 0
    most_tokens: int = 0

    def admit(self, prompts: Sequence[Prompt]) -> None:
        self.admitted += prompts

    def add(self, prompt: Prompt) -> int:
        assert prompt in self.admitted
        assert prompt not in self.released
        self.generations.append((prompt, [7]))
        return 7

    def step(self, ids: list[int]) -> torch.Tensor:
        assert ids == [fed[-1] for _, fed in self.generations]
        self.steps += 1
        self.most_rows = max(self.most_rows, len(ids))
        held = [prompt for prompt in self.admitted if prompt not in self.released]
        self.most_tokens = max(self.most_tokens, sum(len(prompt.ids) for prompt in held))
        logits = torch.zeros(len(ids), VOCABULARY)
        for index, (prompt, fed) in enumerate(self.generations):
            token = following(prompt.ids, fed)
            fed.append(token)
            logits[index, token] = 1.0
        return logits

    def drop(self, place: int) -> None:
        self.generations[place] = self.generations[-1]
        self.generations.pop()

    def release(self, prompt: Prompt) -> None:
        assert all(other is not prompt for other, _ in self.generations)
        self.released.append(prompt)


def following(ids: Sequence[int], fed: Sequence[int]) -> int:
    return (sum(ids) + 3 * sum(fed) + len(fed)) % VOCABULARY


def expected(ids: Sequence[int], length: int) -> list[int]:
    fed = [7]
    for _ in range(length):
        fed.append(following(ids, fed))
    return fed[1:]


requests_of = st.lists(
    st.tuples(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(1, 12)),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(
    asked=requests_of, tokens=st.integers(1, 60), generations=st.integers(1, 9), together=st.integers(1, 8)
)
def test_every_request_is_answered_as_if_alone(
    asked: list[tuple[list[int], int]], tokens: int, generations: int, together: int
) -> None:
    requests = [(index, tuple(ids), Request("", length)) for index, (ids, length) in enumerate(asked)]
    decoder = Counting()
    ids_by_owner = {
        owner: generation.new
        for generation, _ in decode(
            decoder, prompts_of(requests), ENDING, Budget(tokens, generations, together)
        )
        for owner in generation.owners
    }
    assert ids_by_owner == {index: expected(ids, length) for index, (ids, length) in enumerate(asked)}
    assert decoder.most_rows <= generations
    assert set(map(id, decoder.admitted)) == set(map(id, decoder.released))
    assert len(decoder.admitted) == len({tuple(ids) for ids, _ in asked})


def test_free_places_are_filled_in_flight() -> None:
    lengths = [40] + [4] * 36
    requests = [(place, (place % 10, place), Request("", length)) for place, length in enumerate(lengths)]
    decoder = Counting()
    assert len(list(decode(decoder, prompts_of(requests), ENDING, Budget(10_000, 4, 1)))) == 37
    ideal = sum(lengths) / 4
    static = sum(max(lengths[first : first + 4]) for first in range(0, 37, 4))
    assert decoder.steps <= 1.2 * ideal < static


def test_memory_is_bounded_by_the_budget() -> None:
    requests = [(place, (place,) * 10, Request("", 5)) for place in range(30)]
    decoder = Counting()
    assert len(list(decode(decoder, prompts_of(requests), ENDING, Budget(60, 100, 1)))) == 30
    assert decoder.most_rows == 4  # of 15 tokens each
    assert decoder.most_tokens <= 60


def test_equal_prompts_are_computed_once() -> None:
    asked = [
        Request("a", 5),
        Request("a", 5),
        Request("a", 6),
        Request("b", 5),
        Request("a", 5, samples=3, temperature=1.0),
    ]
    prompts = prompts_of(
        (index, (1,) if request.prompt == "a" else (2, 2), request) for index, request in enumerate(asked)
    )
    assert [len(prompt.generations) for prompt in prompts] == [1, 5]
    assert [generation.owners for generation in prompts[1].generations] == [[0, 1], [2], [4], [4], [4]]


@settings(max_examples=60, deadline=None)
@given(
    heads=st.lists(st.lists(st.integers(0, 2), min_size=0, max_size=40), min_size=1, max_size=3),
    tails=st.lists(
        st.tuples(st.integers(0, 2), st.lists(st.integers(0, 2), min_size=1, max_size=5)),
        min_size=1,
        max_size=12,
    ),
)
def test_families_share_what_all_of_them_begin_with(
    heads: list[list[int]], tails: list[tuple[int, list[int]]]
) -> None:
    texts = {(*heads[which % len(heads)], *tail) for which, tail in tails}
    prompts = share_prefixes([Prompt(ids, []) for ids in texts])
    assert sorted(prompt.ids for prompt in prompts) == sorted(texts)
    for prompt in prompts:
        assert prompt.shared < len(prompt.ids)
        if prompt.shared:
            assert prompt.shared >= LEAST
            assert sum(other.prefix == prompt.prefix for other in prompts) > 1


def test_exemplars_of_two_subjects_make_two_families() -> None:
    subjects = [tuple(range(100)), tuple(range(200, 280))]
    prompts = share_prefixes([Prompt((*subjects[place % 2], 999 + place, place), []) for place in range(6)])
    assert sorted({len(prompt.prefix) for prompt in prompts}) == [80, 100]


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([0.3, -1.0, 1.2, 0.0, 0.7])
    count = 4_000
    sampling_key = sampling_key_of(Request("p", 5, samples=count, temperature=0.7))
    uniforms = [uniform(sampling_key, sample, 3) for sample in range(count)]

    def statistic(temperature: float, top_k: int, assumed: float) -> float:
        counts = np.bincount(draw_tokens(logits.repeat(count, 1), uniforms, temperature, top_k), minlength=5)
        kept = torch.full_like(logits, float("-inf"))
        best = logits.topk(top_k or 5).indices
        kept[best] = logits[best]
        shares = torch.softmax(kept.double() / assumed, -1).numpy() * count
        assert not counts[shares == 0].any()
        return float(((counts - shares)[shares > 0] ** 2 / shares[shares > 0]).sum())

    # 99.9 % points of chi-square with 4 and 2 degrees of freedom.
    assert statistic(0.7, 0, 0.7) < 18.47
    assert statistic(0.7, 3, 0.7) < 13.82
    assert statistic(0.7, 0, 0.8) > 18.47  # another temperature would be found out


def test_draws_of_positions_and_samples_are_unrelated() -> None:
    sampling_key = sampling_key_of(Request("p", 5, temperature=1.0))
    grid = np.array(
        [[uniform(sampling_key, sample, position) for position in range(200)] for sample in range(200)]
    )
    assert abs(grid.mean() - 0.5) < 0.005
    assert len(np.unique(grid)) == grid.size
    assert np.abs(np.corrcoef(grid)[~np.eye(200, dtype=bool)]).max() < 0.4
    assert sampling_key_of(Request("q", 5, temperature=1.0)) != sampling_key
    assert sampling_key_of(Request("p", 9, ("x",), samples=7, temperature=1.0)) == sampling_key


def test_draws_hardly_move_with_the_last_bits_of_logits() -> None:
    torch.manual_seed(0)
    logits = torch.randn(500, VOCABULARY)
    uniforms = [uniform(1, generation, 0) for generation in range(500)]
    assert draw_tokens(logits, uniforms, 0.7, 40) == draw_tokens(
        logits + 1e-6 * torch.randn_like(logits), uniforms, 0.7, 40
    )


@pytest.mark.parametrize("number", [0.0, 1 - 2.0**-53])
def test_the_ends_of_the_unit_interval_draw_a_token(number: float) -> None:
    logits = torch.tensor([[float("-inf"), 0.0, 0.0, float("-inf")]])
    assert draw_tokens(logits, [number], 1.0, 0) == [1 if number == 0 else 2]
