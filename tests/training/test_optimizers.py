"""The recipe's optimiser, its statistics by name, clipping, and parts of sharded tensors."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from openflan.errors import InputError, SetupError
from openflan.recipe.schema import Training
from openflan.training.adafactor import Adafactor
from openflan.training.optimizers import (
    clip_gradients,
    make_optimizer,
    restore_statistics,
    set_learning_rate,
    statistics,
)
from openflan.training.shards import local_shard, rows_before, slice_like, square_sums

SHAPES = {"matrix": (130, 140), "small": (6, 4), "norm": (5,)}


def parameters(seed: int = 0) -> dict[str, torch.nn.Parameter]:
    random = torch.Generator().manual_seed(seed)
    return {name: torch.nn.Parameter(torch.randn(shape, generator=random)) for name, shape in SHAPES.items()}


def settings(**values: Any) -> Training:
    return Training.model_validate({"steps": 10, "learning_rate": 0.1} | values)


def take_steps(
    model: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, first: int, last: int
) -> None:
    for step in range(first, last):
        for name, gradient in parameters(seed=10 + step).items():
            model[name].grad = gradient.detach()
        optimizer.step()


# The optimiser of a recipe


def test_adafactor_has_the_recipes_settings() -> None:
    optimizer = make_optimizer(
        parameters().items(), settings(step_offset=7, momentum=0.9, weight_decay=0.2, warmup_steps=4)
    )
    assert isinstance(optimizer, Adafactor)
    (group,) = optimizer.param_groups
    assert (group["lr"], group["step_offset"], group["momentum"], group["weight_decay"]) == (
        0.025,
        7,
        0.9,
        0.2,
    )
    assert group["param_names"] == list(SHAPES)


def test_what_needs_no_gradient_is_left_out() -> None:
    model = parameters()
    model["small"].requires_grad_(False)
    assert make_optimizer(model.items(), settings()).param_groups[0]["param_names"] == ["matrix", "norm"]


@pytest.mark.parametrize(("momentum", "beta1"), [(None, 0.9), (0.8, 0.8)])
def test_adamw_follows_its_rules(momentum: float | None, beta1: float) -> None:
    """Loshchilov and Hutter (2019), written out in float64; norms are not decayed."""
    model = parameters()
    expected = {name: value.detach().double() for name, value in model.items()}
    first, second = ({name: torch.zeros_like(value) for name, value in expected.items()} for _ in range(2))
    take_steps(
        model,
        make_optimizer(
            model.items(),
            settings(optimizer="adamw", weight_decay=0.3, **({"momentum": momentum} if momentum else {})),
        ),
        0,
        4,
    )
    for step in range(4):
        for name, gradient in parameters(seed=10 + step).items():
            first[name] = beta1 * first[name] + (1 - beta1) * gradient.detach().double()
            second[name] = 0.999 * second[name] + 0.001 * gradient.detach().double() ** 2
            decayed = expected[name] * (1 - 0.1 * 0.3 * (name != "norm"))
            expected[name] = decayed - 0.1 * first[name] / (1 - beta1 ** (step + 1)) / (
                (second[name] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
            )
    assert all(torch.allclose(model[name].double(), expected[name], rtol=1e-5, atol=1e-5) for name in SHAPES)


def test_the_rate_is_set_for_all_groups() -> None:
    optimizer = make_optimizer(parameters().items(), settings(optimizer="adamw"))
    set_learning_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]


# Statistics by name

KINDS: dict[str, dict[str, Any]] = {
    "adafactor": {},
    "momentum": {"momentum": 0.9},
    "adamw": {"optimizer": "adamw"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_going_on_from_statistics_is_bit_identical(kind: str) -> None:
    model, again = parameters(), parameters()
    optimizer = make_optimizer(model.items(), settings(**KINDS[kind]))
    take_steps(model, optimizer, 0, 3)
    kept = {name: value.clone() for name, value in statistics(optimizer).items()}
    for name, value in model.items():
        again[name].data.copy_(value.data)
    take_steps(model, optimizer, 3, 6)
    resumed = make_optimizer(again.items(), settings(**KINDS[kind]))
    restore_statistics(resumed, kept)
    take_steps(again, resumed, 3, 6)
    assert all(torch.equal(model[name], again[name]) for name in SHAPES)
    before, after = dict(statistics(optimizer).items()), dict(statistics(resumed).items())
    assert before.keys() == after.keys()
    assert all(
        torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before
    )


def test_restoring_copies() -> None:
    model = parameters()
    optimizer = make_optimizer(model.items(), settings())
    take_steps(model, optimizer, 0, 1)
    kept = {name: value.clone() for name, value in statistics(optimizer).items()}
    untouched = {name: value.clone() for name, value in kept.items()}
    resumed = make_optimizer(model.items(), settings())
    restore_statistics(resumed, kept)
    take_steps(model, resumed, 1, 2)
    assert all(torch.equal(kept[name], untouched[name]) for name in kept)


def test_names_are_those_of_checkpoints_before() -> None:
    model = parameters()
    optimizer = make_optimizer(model.items(), settings())
    take_steps(model, optimizer, 0, 1)
    shapes = {
        name: tuple(value.shape)
        for name, value in statistics(optimizer).items()
        if not name.endswith("|step")
    }
    assert shapes == {"matrix|row": (130,), "matrix|column": (140,), "small|full": (6, 4), "norm|full": (5,)}


def test_parameters_without_statistics_start_afresh() -> None:
    model = parameters()
    optimizer = make_optimizer(model.items(), settings())
    restore_statistics(optimizer, {})
    take_steps(model, optimizer, 0, 1)
    assert {int(value) for name, value in statistics(optimizer).items() if name.endswith("|step")} == {1}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("other|full", torch.zeros(3), "`other|full` has no place in this model and optimiser"),
        ("norm|exp_avg", torch.zeros(5), "`norm|exp_avg` has no place"),
        ("norm|full", torch.zeros(6), r"`norm|full` is of shape (6,), expected (5,)"),
        ("matrix|row", torch.zeros(140), r"`matrix|row` is of shape (140,), expected (130,)"),
        ("matrix|row", None, r"`matrix|row` is missing, expected (130,)"),
        ("norm|step", None, r"`norm|step` is missing, expected ()"),
    ],
)
def test_statistics_of_something_else_are_refused(key: str, value: Tensor | None, message: str) -> None:
    model = parameters()
    optimizer = make_optimizer(model.items(), settings())
    take_steps(model, optimizer, 0, 1)
    kept = dict(statistics(optimizer).items())
    changed = {name: tensor for name, tensor in kept.items() if name != key} | (
        {} if value is None else {key: value}
    )
    with pytest.raises(InputError) as caught:
        restore_statistics(make_optimizer(model.items(), settings()), changed)
    assert message in str(caught.value)


# Clipping


def norm_of(model: dict[str, torch.nn.Parameter]) -> float:
    return math.sqrt(
        sum(float(value.grad.double().square().sum()) for value in model.values() if value.grad is not None)
    )


@pytest.mark.parametrize(("max_norm", "after"), [(1.0, 1.0), (0.01, 0.01), (1e6, None)])
def test_gradients_are_scaled_to_the_norm_and_no_further(max_norm: float, after: float | None) -> None:
    model = parameters()
    for name, value in parameters(seed=1).items():
        model[name].grad = value.detach() if name != "norm" else None
    before, gradients = (
        norm_of(model),
        {name: value.grad.clone() for name, value in model.items() if value.grad is not None},
    )
    assert clip_gradients(model.values(), max_norm) == pytest.approx(before, rel=1e-6)
    assert norm_of(model) == pytest.approx(before if after is None else after, rel=1e-6)
    scale = 1.0 if after is None else after / before
    assert all(torch.allclose(model[name].grad, gradient * scale) for name, gradient in gradients.items())


@pytest.mark.parametrize("harm", [math.nan, math.inf])
def test_a_norm_that_is_no_number_is_told_and_changes_nothing(harm: float) -> None:
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([1.0, harm, 2.0])
    assert not math.isfinite(clip_gradients([parameter], 1.0))
    assert parameter.grad[0] == 1.0


def test_norms_of_large_tensors_are_exact() -> None:
    """Negative control: torch's own norm of so many float32 values is off by far more."""
    values = torch.rand(4_000_000, generator=torch.Generator().manual_seed(0)) + 0.5
    exact = float(values.double().square().sum())
    assert float(square_sums([values])[0]) == pytest.approx(exact, rel=1e-6)
    assert float(torch.linalg.vector_norm(values)) ** 2 != pytest.approx(exact, rel=1e-5)


# Parts of sharded tensors


@given(rows=st.integers(0, 40), ranks=st.integers(1, 9))
def test_first_rows_are_those_of_chunks(rows: int, ranks: int) -> None:
    chunks = torch.arange(rows).chunk(ranks) if rows else ()
    for rank in range(ranks):
        size = rows_before(rows, ranks, rank + 1) - rows_before(rows, ranks, rank)
        assert size == (len(chunks[rank]) if rank < len(chunks) else 0)
        assert size == 0 or int(chunks[rank][0]) == rows_before(rows, ranks, rank)


@pytest.fixture
def mesh() -> Iterator[Any]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def test_a_mesh_of_one_rank_is_its_own_part(mesh: Any) -> None:
    full = torch.arange(6.0).view(3, 2)
    for placement in (Shard(0), Replicate()):
        truncated = distribute_tensor(full, mesh, [placement])
        shard = local_shard(truncated)
        assert (shard.shape, shard.first, shard.group) == ((3, 2), 0, None)
        assert torch.equal(shard.local, full)
        again = slice_like(full, truncated)
        assert isinstance(again, DTensor)
        assert torch.equal(again.full_tensor(), full)
        assert again.placements == truncated.placements


def test_other_cuts_are_refused(mesh: Any) -> None:
    with pytest.raises(
        SetupError, match="cut along dimension 0, as fully_shard does by default; found .*Shard\\(dim=1\\)"
    ):
        local_shard(distribute_tensor(torch.zeros(2, 2), mesh, [Shard(1)]))
