"""Adafactor against T5X's own results, and against its rules written out in float64.

`adafactor_t5x/` holds what T5X's optimiser made of five parameters in ten steps at learning rate 1e-3:
`p_NAME` and the gradients `gT_NAME`, and `CASE_NAME_after1`, `..._after10` for its defaults, for beta1 = 0.9
and for a step counter that begins at 1,000.
"""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from openflan.training import adafactor
from openflan.training.adafactor import Adafactor

INPUTS, OUTPUTS = (
    dict(np.load(Path(__file__).parent / "adafactor_t5x" / f"{name}.npz")) for name in ("inputs", "outputs")
)
Double: TypeAlias = NDArray[np.float64]
NAMES = [name.removeprefix("p_") for name in INPUTS if name.startswith("p_")]
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "resumed": {"step_offset": 1_000},
}


def _after(name: str, steps: int, **settings: Any) -> NDArray[np.float32]:
    parameter = torch.nn.Parameter(torch.from_numpy(INPUTS[f"p_{name}"].copy()))
    optimizer = Adafactor([parameter], lr=1e-3, **settings)
    for step in range(steps):
        parameter.grad = torch.from_numpy(INPUTS[f"g{step}_{name}"])
        optimizer.step()
    return parameter.detach().numpy()


def _distance(found: NDArray[Any], expected: NDArray[Any]) -> float:
    return float(np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max())


def test_all_five_parameters_are_there() -> None:
    assert sorted(NAMES) == ["embedding", "norm", "relative_bias", "small_dim", "square"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("steps", [1, 10])
def test_parameters_are_those_of_t5x(case: str, name: str, steps: int) -> None:
    assert _distance(_after(name, steps, **CASES[case]), OUTPUTS[f"{case}_{name}_after{steps}"]) <= 1e-5


@pytest.mark.parametrize("case", ["momentum", "resumed"])
def test_the_cases_differ(case: str) -> None:
    """Negative control: the settings matter more than the tolerance allows."""
    for name in NAMES:
        assert _distance(_after(name, 10), OUTPUTS[f"{case}_{name}_after10"]) > 1e-4


def _reference(
    start: Double,
    gradients: list[Double],
    rate: float,
    step_offset: int = 0,
    momentum: float | None = None,
    weight_decay: float = 0.0,
) -> Double:
    """The rules, in float64 and for one matrix or vector: rows are the first dimension."""
    value = start.copy()
    factored = value.ndim == 2 and min(value.shape) >= 128
    second, rows, columns, first = (
        np.zeros_like(value),
        np.zeros(value.shape[0]),
        np.zeros(value.shape[-1]),
        np.zeros_like(value),
    )
    for step, gradient in enumerate(gradients, 1 + step_offset):
        keep = 1 - step**-0.8
        square = gradient**2 + 1e-30
        if factored:
            rows = keep * rows + (1 - keep) * square.mean(axis=1)
            columns = keep * columns + (1 - keep) * square.mean(axis=0)
            update = gradient / np.sqrt(np.outer(rows, columns) / rows.mean())
        else:
            second = keep * second + (1 - keep) * square
            update = gradient / np.sqrt(second)
        update = update / max(1.0, np.sqrt((update**2).mean()))
        update = rate * max(1e-3, np.sqrt((value**2).mean())) * update
        if momentum is not None:
            update = first = momentum * first + (1 - momentum) * update
        value = (1 - rate * weight_decay) * value - update
    return value


SHAPES = [(128, 160), (160, 128), (128, 128), (127, 160), (300, 40), (90,)]
RULES: dict[str, dict[str, Any]] = CASES | {
    "decayed": {"weight_decay": 0.5},
    "all": {"step_offset": 7, "momentum": 0.5, "weight_decay": 0.5},
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("settings", RULES.values(), ids=RULES)
def test_fifty_steps_follow_the_rules(
    shape: tuple[int, ...], settings: dict[str, Any], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float64, whose rounding hides nothing, as closely as that allows; matrices are in pieces of 37 rows
    at most."""
    monkeypatch.setattr(adafactor, "PIECE_ON_CPU", 37 * shape[-1])
    random = np.random.default_rng(4)
    start = random.normal(size=shape) * 0.1
    gradients = [random.normal(size=shape) * 10.0 ** random.uniform(-4, 1) for _ in range(50)]
    gradients[7][: shape[0] // 2] = 0.0
    parameter = torch.nn.Parameter(torch.tensor(start, dtype=dtype))
    optimizer = Adafactor([parameter], lr=0.01, **settings)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient, dtype=dtype)
        optimizer.step()
    expected = _reference(start, gradients, 0.01, **settings)
    assert _distance(parameter.detach().numpy(), expected) <= (1e-5 if dtype == torch.float32 else 1e-12)
    assert _distance(start, expected) > 0.02, "nothing was learned, so nothing was tested"


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9, "weight_decay": 0.1}], ids=["plain", "all"])
def test_many_parameters_at_once_are_updated_as_each_alone(settings: dict[str, Any]) -> None:
    random = np.random.default_rng(6)
    values = [
        torch.tensor(random.normal(size=shape), dtype=torch.float32)
        for shape in [*SHAPES, (), (3, 130, 128), (2, 3)]
    ]
    gradients = [
        [torch.tensor(random.normal(size=value.shape), dtype=torch.float32) for value in values]
        for _ in range(3)
    ]
    on_all_ranks = [torch.nn.Parameter(value.clone()) for value in values]
    alone = [torch.nn.Parameter(value.clone()) for value in values]
    for optimizer, parameters in [
        (Adafactor(on_all_ranks, lr=0.1, **settings), on_all_ranks),
        *((Adafactor([one], lr=0.1, **settings), [one]) for one in alone),
    ]:
        for step in range(3):
            for parameter in parameters:
                index = next(
                    position for position, first in enumerate([*on_all_ranks, *alone]) if first is parameter
                ) % len(values)
                parameter.grad = gradients[step][index].clone()
            optimizer.step()
    for first, other in zip(on_all_ranks, alone, strict=True):
        assert torch.equal(first, other)


def test_groups_have_rates_of_their_own() -> None:
    slow, fast = torch.nn.Parameter(torch.ones(128, 128)), torch.nn.Parameter(torch.ones(128, 128))
    optimizer = Adafactor([{"params": [slow]}, {"params": [fast], "lr": 0.2}], lr=0.1)
    for parameter in (slow, fast):
        parameter.grad = torch.ones(128, 128)
    optimizer.step()
    assert torch.allclose(1 - fast, 2 * (1 - slow))
    assert torch.allclose(slow, torch.tensor(0.9))


def test_bfloat16_parameters_are_updated_in_float32_and_rounded_once() -> None:
    random = np.random.default_rng(3)
    start, gradient = (torch.tensor(random.normal(size=(130, 140)), dtype=torch.bfloat16) for _ in range(2))
    results = []
    for dtype in (torch.bfloat16, torch.float32):
        parameter = torch.nn.Parameter(start.to(dtype, copy=True))
        optimizer = Adafactor([parameter], lr=0.01)
        parameter.grad = gradient.to(dtype)
        optimizer.step()
        assert {value.dtype for name, value in optimizer.state[parameter].items() if name != "step"} == {
            torch.float32
        }
        results.append(parameter.detach())
    assert torch.equal(results[0], results[1].bfloat16())


def _state_of(shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    parameter = torch.nn.Parameter(torch.zeros(shape))
    parameter.grad = torch.ones(shape)
    optimizer = Adafactor([parameter], lr=1.0)
    optimizer.step()
    return {name: tuple(value.shape) for name, value in optimizer.state[parameter].items() if name != "step"}


@pytest.mark.parametrize(
    ("shape", "factored"),
    [
        ((128, 128), True),
        ((127, 128), False),
        ((128, 127), False),
        ((2_000, 127), False),
        ((128,), False),
        ((), False),
    ],
)
def test_statistics_are_factored_from_128_on(shape: tuple[int, ...], factored: bool) -> None:
    state = _state_of(shape)
    assert ("full" not in state) == factored
    assert sum(int(np.prod(size)) for size in state.values()) == (
        sum(shape) if factored else int(np.prod(shape))
    )


def test_the_two_largest_dimensions_are_factored_wherever_they_stand() -> None:
    """The mean over each of them; a third dimension keeps statistics of its own."""
    assert sorted(_state_of((3, 128, 200)).values()) == [(3, 128), (3, 200)]
    assert sorted(_state_of((200, 3, 128)).values()) == [(3, 128), (200, 3)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_stack_of_matrices_is_updated_alike_in_any_layout(order: tuple[int, int, int]) -> None:
    random = np.random.default_rng(2)
    value, gradient = (torch.tensor(random.normal(size=(3, 130, 200)), dtype=torch.float32) for _ in range(2))
    results = []
    for layout in ((0, 1, 2), order):
        parameter = torch.nn.Parameter(value.permute(layout).contiguous().clone())
        optimizer = Adafactor([parameter], lr=0.1)
        for scale in (1.0, 0.3):
            parameter.grad = gradient.permute(layout).contiguous() * scale
            optimizer.step()
        results.append(parameter.detach().permute(tuple(int(place) for place in np.argsort(layout))))
    assert _distance(results[0].numpy(), results[1].numpy()) <= 1e-6


def test_rows_without_gradient_stay_where_they_are() -> None:
    """T5's embeddings see few of their rows in a step; epsilon keeps the rest from NaN."""
    parameter = torch.nn.Parameter(torch.ones(200, 130))
    optimizer = Adafactor([parameter], lr=0.1)
    for _ in range(3):
        parameter.grad = torch.zeros(200, 130)
        parameter.grad[:5] = 1.0
        optimizer.step()
    assert torch.equal(parameter[5:], torch.ones(195, 130))
    assert (parameter[:5] < 1).all()


def test_parameters_without_gradient_are_left_alone() -> None:
    used, unused = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
    optimizer = Adafactor([used, unused], lr=0.1)
    used.grad = torch.ones(3)
    optimizer.step()
    assert not torch.equal(used, torch.ones(3))
    assert torch.equal(unused, torch.ones(3))
    assert unused not in optimizer.state


def test_a_closure_gives_its_loss_back() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = Adafactor([parameter], lr=0.1)

    def loss() -> float:
        optimizer.zero_grad()
        value = parameter.square().sum()
        value.backward()
        return value.item()

    assert optimizer.step(loss) == 3.0
    assert loss() < 3.0
