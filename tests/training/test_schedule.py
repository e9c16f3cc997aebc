"""The learning rate in closed form."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.recipe.load_recipe import recipe_from
from openflan.recipe.schema import Training
from openflan.training.schedule import learning_rate_at


def rates(schedule: str, warmup: int, steps: int, peak: float = 8.0) -> list[float]:
    training = Training.model_validate(
        {"steps": steps, "learning_rate": peak, "schedule": schedule, "warmup_steps": warmup}
    )
    return [learning_rate_at(training, step) for step in range(steps)]


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0, [8, 8, 8, 8, 8, 8]),
        ("constant", 4, [2, 4, 6, 8, 8, 8]),
        ("linear", 0, [8, 8 * 5 / 6, 8 * 4 / 6, 8 * 3 / 6, 8 * 2 / 6, 8 / 6]),
        ("linear", 2, [4, 8, 8, 6, 4, 2]),
        ("cosine", 2, [4, 8, 8, 4 + 4 * math.cos(math.pi / 4), 4, 4 - 4 * math.cos(math.pi / 4)]),
        ("rsqrt", 0, [8 / math.sqrt(number) for number in (1, 2, 3, 4, 5, 6)]),
        ("rsqrt", 1, [8 / math.sqrt(number) for number in (1, 2, 3, 4, 5, 6)]),
        (
            "rsqrt",
            2,
            [4, 8, 8 * math.sqrt(2 / 3), 8 * math.sqrt(2 / 4), 8 * math.sqrt(2 / 5), 8 * math.sqrt(2 / 6)],
        ),
        ("cosine", 6, [8 / 6, 16 / 6, 4, 32 / 6, 40 / 6, 8]),
    ],
)
def test_six_steps_in_closed_form(schedule: str, warmup: int, expected: list[float]) -> None:
    assert rates(schedule, warmup, 6) == pytest.approx(expected, rel=1e-12)


def test_the_default_is_the_papers_constant() -> None:
    assert {learning_rate_at(Training(steps=98_000), step) for step in (0, 1, 50_000, 97_999, 200_000)} == {
        5e-4
    }


@given(
    schedule=st.sampled_from(["constant", "linear", "cosine", "rsqrt"]),
    steps=st.integers(1, 60),
    share=st.floats(0, 1),
    peak=st.floats(1e-6, 1.0),
)
def test_rates_rise_to_the_peak_and_never_rise_again(
    schedule: str, steps: int, share: float, peak: float
) -> None:
    warmup = int(share * steps)
    step_rates = rates(schedule, warmup, steps, peak)
    assert max(step_rates) == pytest.approx(peak)
    assert min(step_rates) > 0
    assert step_rates[:warmup] == sorted(step_rates[:warmup])
    assert step_rates[max(0, warmup - 1) :] == sorted(step_rates[max(0, warmup - 1) :], reverse=True)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"steps": 10, "warmup_steps": 11}, "`warmup_steps` is 11, `steps` 10: the warm-up would never end"),
        (
            {"steps": 10, "optimizer": "adamw", "step_offset": 5},
            "`step_offset` belongs to `optimizer: adafactor`; leave it out",
        ),
        (
            {"steps": 10, "schedule": "polynomial"},
            "`training.schedule`: expected 'constant', 'linear', 'cosine' or 'rsqrt'",
        ),
        ({"steps": 10, "momentum": 1.0}, "`training.momentum`: expected less than 1; found 1.0"),
        ({"steps": 10, "clip_norm": 0}, "`training.clip_norm`: expected greater than 0; found 0"),
        (
            {"steps": 10, "activation_checkpointing": True},
            "expected a number, a text or a mapping; found `true`",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(training: dict[str, Any], message: str) -> None:
    values = {
        "name": "mine",
        "model": {"base": "org/base"},
        "mixture": {"submixtures": {"cot": {}}},
        "training": training,
    }
    with pytest.raises(InputError) as caught:
        recipe_from(values, "here")
    assert message in str(caught.value)
