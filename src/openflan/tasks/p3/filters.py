"""The filters and functions of prompts: promptsource's own, and which of Jinja's a prompt may use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from jinja2.utils import Namespace

from openflan.jinja.budget import Short, words
from openflan.randomness import Draws

DRAWS_KEY = "|draws"
"""The variable of a render that holds its random choices; no template can spell this name."""


@pass_context
def _choice(context: Context, items: Iterable[Any]) -> Any:
    """One of the items, drawn from what the caller passed to `render`."""
    draws: Draws = context.parent[DRAWS_KEY]
    choices = items if isinstance(items, Sequence) else list(items)
    if not choices:
        raise Short("chooses from an empty list")
    return draws.choice(choices)


def _most_frequent(items: Sequence[Any]) -> list[Any] | None:
    """All items that occur most often, in the order of their first occurrence."""
    counts = Counter(items)
    highest_count = max(counts.values(), default=0)
    return [item for item, count in counts.items() if count == highest_count] or None


def _highlight(text: str) -> str:
    """Nothing: it is for looking at templates in a browser."""
    return text


OWN: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"choice": _choice, "highlight": _highlight, "most_frequent": _most_frequent, "random": _choice}
)
JINJAS = words("""
    abs capitalize count d default dictsort first float int items join last length list lower map max min
    reject rejectattr replace reverse round select selectattr sort string sum title trim truncate unique
    upper wordcount
""")
FUNCTIONS: Mapping[str, Any] = MappingProxyType({"zip": zip, "dict": dict, "namespace": Namespace})
"""Besides `range`, which the environment has."""
