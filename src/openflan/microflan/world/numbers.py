"""Small numbers: sums, neighbours, doubles, and which of two is larger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from openflan.microflan.world.forms import Item, Skill, make_task, phrase_item, yes_no_row
from openflan.microflan.world.splits import split_of_skill
from openflan.randomness import Draws
from openflan.tasks.task import Row, Task

LARGEST_COMPARED = 20
"""Pairs of numbers up to this one are compared."""

EVEN_BELOW = 40
"""Numbers under this one are called even or odd."""

_CLAIMS = ("Is {phrase} equal to {value}?",)


@dataclass(frozen=True, slots=True)
class _Operation:
    name: str
    phrase: str
    operands: tuple[tuple[int, ...], ...]
    compute: Callable[..., int]


def _next(a: int) -> int:
    return a + 1


def _before(a: int) -> int:
    return a - 1


def _double(a: int) -> int:
    return 2 * a


def _half(a: int) -> int:
    return a // 2


def _next_even(a: int) -> int:
    return a + 2 - a % 2


def _plus(a: int, b: int) -> int:
    return a + b


def _minus(a: int, b: int) -> int:
    return a - b


_OPERATIONS = (
    _Operation("next", "the number after {}", tuple((a,) for a in range(40)), _next),
    _Operation("before", "the number before {}", tuple((a,) for a in range(1, 41)), _before),
    _Operation("double", "double {}", tuple((a,) for a in range(21)), _double),
    _Operation("half", "half of {}", tuple((a,) for a in range(0, 42, 2)), _half),
    _Operation("even", "the next even number after {}", tuple((a,) for a in range(EVEN_BELOW)), _next_even),
    _Operation("plus", "{} plus {}", tuple((a, b) for a in range(11) for b in range(11)), _plus),
    _Operation("minus", "{} minus {}", tuple((a, b) for a in range(13) for b in range(a + 1)), _minus),
)


def number_skills() -> Iterator[Skill]:
    """One skill for each operation, with every operand once; then which of two numbers is larger or
    smaller."""
    for operation in _OPERATIONS:
        name = f"number_{operation.name}"
        yield Skill(
            name,
            "number operations",
            len(operation.operands),
            partial(_result, operation),
            split=split_of_skill(name),
        )
    pairs = LARGEST_COMPARED * (LARGEST_COMPARED + 1)
    for name, word in (("compare_larger", "larger"), ("compare_smaller", "smaller")):
        yield Skill(name, "comparison", pairs, partial(_of_two, word), split=split_of_skill(name))


def even_tasks(seed: int) -> Iterator[Task]:
    """Even or not."""
    yield make_task(
        "microflan/is_even-verify", seed, EVEN_BELOW, _is_even, "number operations", frozenset({"options"})
    )


def unequal(index: int) -> tuple[int, int]:
    """The `index`-th ordered pair of different numbers up to LARGEST_COMPARED; even and odd indices take
    turns at which is larger."""
    pair_index, swap = divmod(index, 2)
    larger = 1
    while pair_index >= larger:
        pair_index, larger = pair_index - larger, larger + 1
    return (pair_index, larger) if swap else (larger, pair_index)


def near(answer: int) -> tuple[str, ...]:
    """The six nearest other numbers, none below zero."""
    low = max(0, answer - 3)
    return tuple(str(number) for number in range(low, low + 7) if number != answer)


def _result(operation: _Operation, index: int, _: Draws) -> Item:
    operands = operation.operands[index]
    answer = operation.compute(*operands)
    return phrase_item(operation.phrase.format(*operands), str(answer), near(answer), claims=_CLAIMS)


def _of_two(word: str, pair_index: int, _: Draws) -> Item:
    first, second = unequal(pair_index)
    answer = max(first, second) if word == "larger" else min(first, second)
    return phrase_item(f"the {word} of {first} and {second}", str(answer), (str(first + second - answer),))


def _is_even(index: int, _: Draws) -> Row:
    return yes_no_row(f"Is {index} an even number?", index % 2 == 0)
