"""Equations as people write them in rationales: rates with blanks around the slash, and unknowns."""

from decimal import Decimal

import pytest

from openflan.evaluation.numbers import number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("There are 16 carts x 4 wheels / cart = 64 cart wheels.", 64),
        ("He takes 800 feet / 40 feet / minute = 20 minutes.", 20),
        ("3 years * 12 months / year + 6 months = 42 months", 42),
        ("2 boxes * $5 / box = $10", 10),
        ("7 kg * 3 € / kg = 21 €", 21),
        ("60 km/h * 2 h = 120 km", 120),
        ("12 apples / 4 = 3 apples", 3),
        ("12 / 4 = 3", 3),
        ("1 / 4 of them", Decimal("0.25")),
    ],
)
def test_a_rate_with_blanks_around_its_slash_is_a_unit(text: str, value: Decimal) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "6x = 30",
        "x + 2x = 150",
        "11x + 15 = 301.",
        "10 + 2*x = 50",
        "7y - 4 = 17",
        "4*12 + 8*z = 80",
        "5x + 3x = 8x",
    ],
)
def test_an_equation_with_an_unknown_states_no_number(text: str) -> None:
    assert number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5x4 = 20", 20),
        ("5 x 4 = 20", 20),
        ("3 x $2 = $6", 6),
        ("x = 5", 5),
        ("so x = 12 + 3 = 15", 15),
        ("y = 7 apples", 7),
        ("2 boxes x 3 = 6 boxes", 6),
        ("5x more is 5", 5),
        ("5 x two = 10", 10),
    ],
)
def test_the_sign_of_a_product_and_a_solved_unknown_are_none(text: str, value: Decimal) -> None:
    assert number(text) == value
