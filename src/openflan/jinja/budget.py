"""The cost limit of one render of an untrusted Jinja text: items looped over, and items and characters read,
compared and built, against one budget.

Every loop, filter, test, comparison, call, slice and operator charges its operands before it runs, so the
budget bounds memory, and time with it. Sizes are estimates within a small factor. A list may hold the same
list many times, and so be far longer than the memory it takes: sizes count it each time, as printing,
comparing and hashing it would.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any

from jinja2 import Undefined, UndefinedError
from jinja2.runtime import Context

WORK = 20_000_000
"""Items and characters, at most, in one render; the longest public prompts need some hundred thousand."""

DIGITS = 10_000
"""Bits of a number, at most."""

WORK_KEY = "|work"
"""The variable of a render that holds its budget; no template can spell this name."""

_OTHER = 8
_VALUES = (
    str,
    int,
    float,
    complex,
    bytes,
    type(None),
    range,
    decimal.Decimal,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.tzinfo,
)
"""What prints the same text in every process, besides lists and mappings of it; truth values are ints, and
dates with a time are dates."""


class Refused(ValueError):
    """Raised for what a text may not do: a construct, a name or a limit."""


class Short(UndefinedError):
    """An item beyond the end of a list or text."""


class Work:
    """The rest of a render's budget, in items and characters."""

    __slots__ = ("_most", "left")

    def __init__(self, budget: int = WORK) -> None:
        self.left = self._most = budget

    def charge(self, amount: int) -> None:
        """Raises Refused when the budget is spent."""
        self.left -= amount
        if self.left < 0:
            raise Refused(f"loops over or builds more than {self._most:,} items and characters for one row")

    def charge_size(self, value: Any) -> None:
        """Charges the size of a value, which is counted no further than what is left."""
        self.charge(size(value, budget=self.left))


def words(text: str) -> frozenset[str]:
    """The words of a text, for lists of names that are to be read."""
    return frozenset(text.split())


def work_of(context: Context) -> Work:
    """The budget of the render that a context belongs to."""
    work: Work = context.parent[WORK_KEY]
    return work


def size(value: Any, size_of_other: Callable[[Any], int] = lambda value: _OTHER, budget: int = WORK) -> int:
    """About how long a value is when it is printed, counted until it is over `budget`.

    `size_of_other` measures what is neither text, list nor mapping.
    """
    if isinstance(value, str):
        return len(value)
    total, waiting = 0, [value]
    while waiting and total <= budget:
        item = waiting.pop()
        total += 2
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, Mapping):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | set | frozenset | KeysView | ValuesView | ItemsView):
            waiting += item
        else:
            total += size_of_other(item)
    return total


def as_text(value: Any, work: Work) -> str:
    """The text of a value, charged.

    Raises Refused for a value whose text differs between processes (an iterator, a function, a method).
    Refused is also raised for lists of lists that are much longer than they look, and UndefinedError for an
    undefined value. Values inside a list are checked too.
    """
    if isinstance(value, str):
        return value
    work.charge(size(value, _plain_size, work.left))
    return str(value)


def built(operator: str, left: Any, right: Any) -> int:
    """The size of what an operator would build, in items or characters. Raises Refused for numbers beyond all
    limits."""
    sized = [value for value in (left, right) if isinstance(value, str | list | tuple)]
    if operator == "+":
        return sum(len(value) for value in sized)
    if operator == "%":
        if isinstance(left, str):
            raise Refused("formats a text with `%`; put the parts side by side")
        return 0
    if operator == "*" and sized:
        times = right if sized[0] is left else left
        return len(sized[0]) * max(times, 0) if isinstance(times, int) else 0
    if isinstance(left, int) and isinstance(right, int):
        bits = (
            left.bit_length() * max(right, 0) if operator == "**" else left.bit_length() + right.bit_length()
        )
        if bits > DIGITS:
            raise Refused(f"computes a number of {bits:,} bits; at most {DIGITS:,}")
    return 0


def replaced(text: str, old: str, new: str) -> int:
    """The most characters that a text can have after a replacement."""
    times = text.count(old) if old else len(text) + 1
    return len(text) + times * len(new)


def joined(separator: str, items: Sequence[Any]) -> int:
    """About how long a list is when it is joined."""
    return size(items) + len(separator) * len(items)


def one_by_one(items: Iterator[Any], work: Work) -> Iterator[Any]:
    """The items of an iterator, each charged when it is reached."""
    for item in items:
        work.charge_size(item)
        yield item


def _plain_size(value: Any) -> int:
    if isinstance(value, Undefined):
        return len(str(value))  # raises, which it would not inside a list
    if not isinstance(value, _VALUES):
        raise Refused(
            f"prints a {type(value).__name__}, which is no value; a `map` or `select` needs `| list` or "
            "`| join` behind it"
        )
    return _OTHER
