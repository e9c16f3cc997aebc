"""bfloat16 weights keep updates that are smaller than half the distance to the next number, alike however
tensors are divided."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.recipe.schema import Training
from openflan.training.adafactor import Adafactor
from openflan.training.adamw import RoundedAdamW
from openflan.training.optimizers import make_optimizer, restore_statistics, statistics
from openflan.training.rounding import random_bits, round_into, rounding_key

ULP = 2.0**-7
"""The distance of bfloat16 numbers from 1 to 2."""


def rounded(values: torch.Tensor, key: int, first: int = 0) -> torch.Tensor:
    target = torch.empty(values.shape, dtype=torch.bfloat16)
    round_into(target, values.clone(), key, first)
    return target


def training_of(**values: Any) -> Training:
    return Training.model_validate({"steps": 500, "weights": "bf16"} | values)


@given(
    cuts=st.lists(st.integers(0, 1000), max_size=6),
    first=st.integers(0, 2**33),
    key=st.integers(0, 2**64 - 1),
)
@settings(max_examples=40, deadline=None)
def test_pieces_are_rounded_as_the_whole(cuts: list[int], first: int, key: int) -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(1))
    ends = [0, *sorted(cuts), 1000]
    pieces = [rounded(values[start:end], key, first + start) for start, end in itertools.pairwise(ends)]
    assert torch.equal(torch.cat(pieces), rounded(values, key, first))


@pytest.mark.parametrize("dims", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_elements_are_known_by_their_place_in_memory(dims: tuple[int, int, int]) -> None:
    """Pieces of stacked matrices are views with other strides."""
    whole = torch.empty(3, 5, 7, dtype=torch.bfloat16)
    bits = random_bits(whole, 11).permute(dims)
    assert torch.equal(random_bits(whole.permute(dims), 11), bits)


@given(value=st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False), key=st.integers(0, 2**64 - 1))
@settings(max_examples=100, deadline=None)
def test_a_value_goes_to_one_of_its_neighbours(value: float, key: int) -> None:
    values = torch.full((50,), value)
    results = rounded(values, key).float()
    below = (values.view(torch.int32) & -(1 << 16)).view(torch.float32)
    above = ((values.view(torch.int32) & -(1 << 16)) + (1 << 16)).view(torch.float32)
    exact = below == values
    assert bool(torch.where(exact, results == values, (results == below) | (results == above)).all())


def test_special_values_stay() -> None:
    special = torch.tensor([math.inf, -math.inf, 0.0, -0.0, 1.5, math.nan])
    results = rounded(special, 5)
    assert torch.equal(results[:5].float(), special[:5])
    assert bool(results[5].isnan())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_mean_is_the_value(share: float) -> None:
    values = torch.full((200_000,), 1 + share * ULP)
    assert abs(float(rounded(values, 3).double().mean()) - (1 + share * ULP)) < 0.01 * ULP


def test_bits_differ_by_seed_step_name_and_kind() -> None:
    like = torch.empty(50_000)
    base = (0, 1, "encoder.weight", "weight")
    others = [(1, *base[1:]), (0, 2, *base[2:]), (0, 1, "decoder.weight", "weight"), (*base[:3], "exp_avg")]
    bits = [random_bits(like, rounding_key(*parts)).double() for parts in (base, *others)]
    assert torch.corrcoef(torch.stack(bits)).fill_diagonal_(0).abs().max() < 0.02


def moved(optimizer_of: Any, steps: int = 150) -> float:
    """How far the mean of weights of 1 moves when each step would move it by a thirtieth of half the distance
    to the next number."""
    weights = torch.nn.Parameter(torch.ones(130, 140, dtype=torch.bfloat16))
    optimizer = optimizer_of(weights)
    for _ in range(steps):
        weights.grad = torch.ones_like(weights)
        optimizer.step()
    return float((1 - weights.detach().double()).mean())


RATE = ULP / 4 / 30
"""Below 1 numbers are twice as dense."""


@pytest.mark.parametrize("kind", ["adafactor", "adafactor with momentum", "adamw", "all in bf16"])
def test_small_updates_are_kept_on_average(kind: str) -> None:
    values: dict[str, Any] = {"learning_rate": RATE, "optimizer": kind.split()[0]}
    if kind == "all in bf16":
        values |= {"optimizer": "adamw", "statistics": "bf16"}
    if "momentum" in kind:
        values |= {"momentum": 0.5, "statistics": "bf16"}
    found = moved(lambda weights: make_optimizer([("w", weights)], training_of(**values)))
    assert found == pytest.approx(150 * RATE, rel=0.15)


def test_rounding_to_nearest_loses_them() -> None:
    """Negative control: without a seed weights are rounded to nearest, and torch's own AdamW does so too."""
    assert moved(lambda weights: Adafactor([("w", weights)], RATE)) == 0
    assert moved(lambda weights: torch.optim.AdamW([weights], RATE, weight_decay=0.0)) == 0


def test_adamw_in_float32_is_torchs() -> None:
    """With float32 weights, which nothing rounds, the formulas are compared with torch's."""
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 60).view(6, 10).clone()) for _ in range(2))
    optimizers = [
        RoundedAdamW([("w", ours)], 0.01, seed=0, weight_decay=0.1),
        torch.optim.AdamW([theirs], 0.01, weight_decay=0.1),
    ]
    for _ in range(5):
        ours.grad = torch.randn(6, 10, generator=generator)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adafactor", "adamw"])
@pytest.mark.parametrize("kept", ["float32", "bf16"])
def test_statistics_go_on_with_the_same_bits(optimizer: str, kept: str) -> None:
    def steps(weights: torch.nn.Parameter, made: torch.optim.Optimizer, first: int, last: int) -> None:
        for step in range(first, last):
            weights.grad = torch.randn(130, 140, generator=torch.Generator().manual_seed(step)).bfloat16()
            made.step()

    wanted = training_of(optimizer=optimizer, statistics=kept, momentum=0.9, learning_rate=1e-3)
    whole, resumed = (torch.nn.Parameter(torch.ones(130, 140, dtype=torch.bfloat16)) for _ in range(2))
    made = make_optimizer([("w", whole)], wanted, seed=7)
    steps(whole, made, 0, 3)
    resumed.data.copy_(whole.data)
    stored = {name: value.clone() for name, value in statistics(made).items()}
    again = make_optimizer([("w", resumed)], wanted, seed=7)
    restore_statistics(again, stored)
    own = [value.dtype for value in stored.values() if value.shape == whole.shape]
    assert set(own) == {torch.bfloat16 if kept == "bf16" else torch.float32}
    steps(whole, made, 3, 6)
    steps(resumed, again, 3, 6)
    assert torch.equal(whole, resumed)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"precision": "float32"}, "computes in bf16 too"),
        ({"weights": "float32", "statistics": "bf16"}, "belongs to `weights: bf16`"),
    ],
)
def test_formats_that_do_not_go_together_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training_of(**values)
    assert training_of().precision == "bf16"
