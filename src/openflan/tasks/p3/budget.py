"""What one render of a stranger's text may cost: items looped over, and items and characters read and built, against one budget.

Every loop, filter, method, slice and operator that can copy or build charges its operands before it runs, so the budget bounds memory, and time with
it. Sizes are estimates within a small factor, and counted no further than the budget itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jinja2 import Undefined, UndefinedError
from jinja2.runtime import Context, LoopContext, TemplateReference
from jinja2.utils import Namespace

WORK = 20_000_000
"""Items and characters, at most, in one render; the longest public prompts need some hundred thousand."""

DIGITS = 10_000
"""Bits of a number, at most."""

# No name in a template can be written so.
WORK_KEY, DRAWS_KEY = "|work", "|draws"

_OTHER = 8


class Refused(ValueError):
    """What a text may not do: construct, name or limit."""


class Short(UndefinedError):
    """An item beyond the end of a list or text."""


class Work:
    """What a render has left of its budget."""

    __slots__ = ("_left",)

    def __init__(self, most: int = WORK) -> None:
        self._left = most

    def charge(self, amount: int) -> None:
        """Raises Refused when the budget is spent."""
        self._left -= amount
        if self._left < 0:
            raise Refused(f"loops over or builds more than {WORK:,} items and characters for one row")


def work_of(context: Context) -> Work:
    work: Work = context.parent[WORK_KEY]
    return work


def size(value: Any, other: Callable[[Any], int] = lambda value: _OTHER) -> int:
    """About how long a value is when it is printed; `other` measures what is neither text, list nor mapping."""
    if isinstance(value, str):
        return len(value)
    total, waiting = 0, [value]
    while waiting and total <= WORK:
        one = waiting.pop()
        total += 2
        if isinstance(one, str):
            total += len(one)
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
        else:
            total += other(one)
    return total


def printed(value: Any) -> Any:
    """A value on its way into the text, as it is.

    Raises Refused for what has no text of its own but an address in memory, and for lists of lists that are much longer than they look; UndefinedError
    for what is not defined, inside a list too.
    """
    if not isinstance(value, str) and size(value, _plain_size) > WORK:
        raise Refused(f"prints a list of more than {WORK:,} characters")
    return value


def built(operator: str, left: Any, right: Any) -> int:
    """What an operator would build, in items or characters; Refused for numbers without measure."""
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
        bits = left.bit_length() * max(right, 0) if operator == "**" else left.bit_length() + right.bit_length()
        if bits > DIGITS:
            raise Refused(f"computes a number of {bits:,} bits; at most {DIGITS:,}")
    return 0


def replaced(text: str, old: Any, new: Any) -> int:
    """At most how long a text is after a replacement."""
    times = text.count(str(old)) if str(old) else len(text) + 1
    return len(text) + times * len(str(new))


def joined(separator: str, items: Sequence[Any]) -> int:
    return size(items) + len(separator) * len(items)


def _plain_size(value: Any) -> int:
    if isinstance(value, Undefined):
        return len(str(value))  # raises, which it would not inside a list
    if isinstance(value, Iterator) or callable(value) or isinstance(value, Namespace | TemplateReference | LoopContext):
        raise Refused(f"prints a {type(value).__name__}, which is no value; a `map` or `select` needs `| list` or `| join` behind it")
    return _OTHER
