"""Flat forwards: gradients, precision and dropout equal those of dense masks."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from flat_models import ALL, ATTENDING, PAD, SOME, gradients_of, model_of

from openflan.models.attention import attend, kept_area
from openflan.models.packed import prepare_batch, token_losses
from openflan.models.staged import Attending, stage


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["tied T5", "untied gated T5", "deep decoder T5", "umT5", "Llama", "Gemma"])
@pytest.mark.parametrize(
    "options", [{}, {"chunk": 5}, {"z_loss": 0.01}, {"chunk": 5, "z_loss": 0.01}, {"attending": "buckets"}]
)
def test_gradients_are_those_of_dense_masks(name: str, options: dict[str, Any]) -> None:
    """The reference writes cross entropy as torch does, so this also checks our own."""
    model = ALL[name]().double()
    dense = gradients_of(model, SOME, "dense", z_loss=options.get("z_loss", 0.0))
    flat = gradients_of(model, SOME, "flat", **options)
    assert (flat - dense).norm() <= 1e-5 * dense.norm()


@pytest.mark.parametrize("attending", ATTENDING)
@pytest.mark.parametrize("name", ["tied T5", "umT5"])
def test_the_gradient_of_every_parameter_of_t5_is_right(name: str, attending: Attending) -> None:
    """A bias table is a thousandth of the parameters, which a norm over all of them would not notice."""
    model = ALL[name]().double()
    expected, found = (
        gradients_of(model, SOME, "dense"),
        gradients_of(model, SOME, "flat", attending=attending),
    )
    start = 0
    for name, parameter in model.named_parameters():
        part = slice(start, start := start + parameter.numel())
        assert (found[part] - expected[part]).norm() <= 2e-5 * expected[part].norm(), name


def test_probabilities_computed_again_give_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = gradients_of(model_of("tied T5"), SOME, "flat")
    monkeypatch.setattr("openflan.models.attention.KEPT_BYTES", 0)
    assert torch.allclose(gradients_of(model_of("tied T5"), SOME, "flat"), kept, atol=1e-6)


@pytest.mark.parametrize("attending", ATTENDING)
@pytest.mark.parametrize("name", ["untied gated T5", "mT5", "Llama", "Qwen3", "Gemma2"])
def test_bfloat16_is_near_float32(name: str, attending: Attending) -> None:
    wide, narrow = (
        gradients_of(model_of(name), SOME, "flat", precision, attending=attending)
        for precision in (torch.float32, torch.bfloat16)
    )
    assert narrow.isfinite().all()
    assert 0 < (narrow - wide).norm() <= 0.1 * wide.norm()


def test_the_attention_of_float32_states_is_float32_under_autocast() -> None:
    """And its backward there too, where some loops put it."""
    torch.manual_seed(0)
    states = [torch.randn(9, 2, 4, requires_grad=True) for _ in range(3)]
    bias = torch.randn(2, 11, requires_grad=True)
    offsets = torch.tensor([0, 3, 4, 9])
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            out, _ = attend(*states, bias, offsets, offsets, 35, 0.0, offsets[0])
            found.append([out, *torch.autograd.grad(out.square().sum(), [*states, bias])])
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def _attention(bias: bool, dropout: float, area: int = 0) -> Callable[..., torch.Tensor]:
    offsets = torch.tensor([0, 3, 4, 9])
    area = kept_area(offsets, offsets, 2) if area else 0

    def call(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, by_distance: torch.Tensor
    ) -> torch.Tensor:
        return attend(
            query, key, value, by_distance if bias else None, offsets, offsets, area, dropout, torch.tensor(5)
        )[0]

    return call


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("area", [0, 1])
def test_attention_under_dropout_has_the_gradient_of_its_own_draws(bias: bool, area: int) -> None:
    """Finite differences: the backward must drop what the forward dropped."""
    torch.manual_seed(3)
    inputs = [torch.randn(9, 2, 4) for _ in range(3)] + [torch.randn(2, 11)]
    call, weights = _attention(bias, 0.5, area), torch.randn(9, 2, 4)
    for values in inputs:
        values.requires_grad_()
    (call(*inputs) * weights).sum().backward()
    assert not torch.equal(call(*inputs), _attention(bias, 0.0)(*inputs))
    for number, values in enumerate(inputs[: 4 if bias else 3]):
        direction = torch.randn_like(values)
        ends = []
        for step in (1e-2, -1e-2):
            moved = [
                other.detach() + (step * direction if number == place else 0)
                for place, other in enumerate(inputs)
            ]
            ends.append((call(*moved).double() * weights).sum())
        assert values.grad is not None
        assert (values.grad * direction).sum().item() == pytest.approx(
            ((ends[0] - ends[1]) / 2e-2).item(), rel=0.02, abs=1e-3
        )


@pytest.mark.parametrize("attending", ATTENDING)
def test_dropout_keeps_means_and_follows_the_seed(attending: Attending) -> None:
    model = model_of("tied T5")
    model.train()
    try:
        batch = stage(prepare_batch(model, SOME, PAD), torch.device("cpu"), attending)
        with torch.no_grad():
            torch.manual_seed(1)
            first, _ = token_losses(model, batch)
            again, _ = token_losses(model, batch)
            torch.manual_seed(1)
            repeated, _ = token_losses(model, batch)
            mean = torch.stack([token_losses(model, batch)[0].sum() for _ in range(60)]).mean()
            reference = torch.stack(
                [token_losses(model, prepare_batch(model, SOME, PAD, "dense"))[0].sum() for _ in range(60)]
            ).mean()
    finally:
        model.eval()
    assert torch.equal(first, repeated)
    assert not torch.equal(first, again)
    assert mean.item() == pytest.approx(reference.item(), rel=0.05)
