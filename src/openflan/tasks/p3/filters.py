"""The filters and functions of prompts that are not Jinja's own: those of promptsource, and Jinja's under a budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.filters import FILTERS, do_join, do_replace
from jinja2.runtime import Context
from jinja2.utils import Namespace

from openflan.randomness import Draws
from openflan.tasks.p3.budget import DRAWS_KEY, Refused, Short, Work, joined, replaced, size, work_of

LOOPED, READ = "_looped", "_read"
"""What the compiler puts around the items of a loop and around what a filter or slice reads; no template may name them."""


def words(text: str) -> frozenset[str]:
    """The words of a text, for lists of names that are to be read."""
    return frozenset(text.split())


@pass_context
def _looped(context: Context, items: Any) -> Any:
    """The items of a loop, charged at once if their number is known, else one by one."""
    work = work_of(context)
    if isinstance(items, Iterator):
        return _one_by_one(items, work)
    if not isinstance(items, Undefined) and hasattr(items, "__len__"):
        work.charge(len(items))
    return items


@pass_context
def _read(context: Context, value: Any) -> Any:
    """A value that is about to be read whole, and perhaps copied."""
    work = work_of(context)
    if isinstance(value, Iterator):
        return _one_by_one(value, work)
    work.charge(size(value))
    return value


def _one_by_one(items: Iterator[Any], work: Work) -> Iterator[Any]:
    for item in items:
        work.charge(size(item))
        yield item


@pass_context
def _range(context: Context, *bounds: int) -> range:
    made = range(*bounds)
    work_of(context).charge(len(made))
    return made


@pass_context
def _join(context: Context, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    items = list(value)
    work_of(context).charge(joined(d, items))
    text: str = do_join(context.eval_ctx, items, d, attribute)
    return text


@pass_context
def _replace(context: Context, s: Any, old: Any, new: Any, count: int | None = None) -> str:
    work_of(context).charge(replaced(str(s), old, new))
    return do_replace(context.eval_ctx, str(s), str(old), str(new), count)


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if abs(precision) > 20:
        raise Refused(f"rounds to {precision:,} digits; at most 20")
    rounded: Callable[..., float] = FILTERS["round"]
    return rounded(value, precision, method)


@pass_context
def _choice(context: Context, items: Iterable[Any]) -> Any:
    """One of the items, drawn from what the caller passed to `render`."""
    draws: Draws = context.parent[DRAWS_KEY]
    there = items if isinstance(items, Sequence) else list(items)
    if not there:
        raise Short("chooses from an empty list")
    return draws.choice(there)


def _most_frequent(items: Sequence[Any]) -> list[Any] | None:
    """All items that occur most often, in the order of their first occurrence."""
    counts = Counter(items)
    most = max(counts.values(), default=0)
    return [item for item, count in counts.items() if count == most] or None


def _highlight(text: str) -> str:
    """Nothing: it is for looking at templates in a browser."""
    return text


OWN: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        LOOPED: _looped,
        READ: _read,
        "choice": _choice,
        "highlight": _highlight,
        "join": _join,
        "most_frequent": _most_frequent,
        "random": _choice,
        "replace": _replace,
        "round": _round,
    }
)
JINJAS = words("""
    abs capitalize count d default dictsort first float int items last length list lower map max min reject rejectattr reverse select selectattr sort string
    sum title trim truncate unique upper wordcount
""")
FUNCTIONS: Mapping[str, Any] = MappingProxyType({"range": _range, "zip": zip, "dict": dict, "namespace": Namespace})
