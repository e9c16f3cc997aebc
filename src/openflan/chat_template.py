"""Renders the chat templates of downloaded models within limits.

A model folder's chat template is a program. transformers runs it in Jinja's sandbox, which prevents access to
files and the network, but not loops of hours or values that fill the memory. Decision: transformers still
renders, so that the text is exactly its own; its compiled template is replaced by one that counts. Loops,
calls and every operation that can build a value are charged to a budget. Sizes are checked before values are
made, and time at each charge.

Trade-off: a single comparison or filter over values within the limits runs to its end. The deadline is
therefore kept within a fraction of a second, not exactly.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from openflan.errors import InputError

SECONDS = 2.0
"""Seconds that one rendering may take."""

WORK = 1_000_000
"""The most loop steps, calls and operations of one rendering."""

LENGTH = 10_000_000
"""The most characters or items of one value, and of the rendered text."""

_COUNTED, _JOINED, _MEASURED = "openflan_counted", "openflan_joined", "openflan_measured"
_WIDE = 100_000


class _Exceeded(Exception):
    """Raised where a template exceeds a limit."""


class _Budget:
    def __init__(self) -> None:
        self.left, self.end = WORK, time.monotonic() + SECONDS

    def charge(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _Exceeded(f"it takes more than {WORK:,} steps")
        if self.left % 256 == 0 and time.monotonic() > self.end:
            raise _Exceeded(f"it takes longer than {SECONDS:g} seconds")


_BUDGET: ContextVar[_Budget | None] = ContextVar("budget", default=None)


def apply_chat_template(tokenizer: Any, messages: Any, **options: Any) -> Any:
    """`tokenizer.apply_chat_template(messages, **options)`, within limits of steps, time and size.

    Raises InputError, naming the tokenizer, for a template that exceeds a limit, is not Jinja, refuses the
    messages, or fails on them.
    """
    with _bounded():
        try:
            return tokenizer.apply_chat_template(messages, **options)
        except _Exceeded as error:
            reason = str(error)
        except RecursionError:
            reason = "it calls itself without an end"
        except MemoryError:
            reason = "it needs more memory than there is"
        except Exception as error:  # Jinja's errors, and whatever an operation of the template raises
            if isinstance(error, InputError):
                raise
            reason = (
                " ".join(str(error).split())[:200].encode("utf-8", "backslashreplace").decode()
                or type(error).__name__
            )
    name = getattr(tokenizer, "name_or_path", "") or "the tokenizer"
    raise InputError(
        f"the chat template of {name} cannot be used: {reason}; use `packing.layout: paper` or plain (with "
        "`openflan generate`: `--no-chat`), or correct the template"
    )


@contextmanager
def _bounded() -> Iterator[None]:
    """Makes transformers compile chat templates with limits while the context lasts."""
    from transformers.utils import chat_template_utils as theirs

    before = theirs._compile_jinja_template
    token = _BUDGET.set(_Budget())
    theirs._compile_jinja_template = _compiler(getattr(before, "__wrapped__", before))
    try:
        yield
    finally:
        theirs._compile_jinja_template = before
        _BUDGET.reset(token)


_COMPILED: dict[str, Any] = {}
_MAX_COMPILED = 64


def _compiler(theirs: Callable[[str], Any]) -> Callable[[str], Any]:
    def compiled(text: str) -> Any:
        if text not in _COMPILED:
            if len(_COMPILED) >= _MAX_COMPILED:
                _COMPILED.clear()
            # Its environment is the same for all texts; compiling this one would compute its constant
            # expressions without limits.
            _COMPILED[text] = _with_limits(theirs("").environment, text)
        return _COMPILED[text]

    compiled.__wrapped__ = theirs  # type: ignore[attr-defined]
    return compiled


def _with_limits(environment: Any, text: str) -> Any:
    """The template of a text, in a copy of transformers' environment whose operations are charged."""
    from jinja2 import nodes
    from jinja2.visitor import NodeTransformer

    class Charged(NodeTransformer):
        """Loops are counted, `~` joins within limits, and compared values are measured first."""

        def visit_For(self, node: Any) -> Any:
            self.generic_visit(node)
            node.iter = nodes.Filter(node.iter, _COUNTED, [], [], None, None, lineno=node.lineno)
            return node

        def visit_Concat(self, node: Any) -> Any:
            self.generic_visit(node)
            return nodes.Filter(
                nodes.List(node.nodes, lineno=node.lineno), _JOINED, [], [], None, None, lineno=node.lineno
            )

        def visit_Compare(self, node: Any) -> Any:
            self.generic_visit(node)
            node.expr = nodes.Filter(node.expr, _MEASURED, [], [], None, None, lineno=node.lineno)
            return node

    # overlay() shares loaded templates and the cache, neither of which a text has.
    limited = environment.overlay()
    limited.intercepted_binops = frozenset({"+", "*", "**", "%", "-", "/", "//"})
    own_call, own_operation = limited.call, limited.call_binop

    def call(context: Any, function: Any, *arguments: Any, **named: Any) -> Any:
        _charge(*arguments, *named.values())
        _check_method(function, arguments)
        return _checked(own_call(context, function, *arguments, **named))

    def operation(context: Any, operator: str, left: Any, right: Any) -> Any:
        _charge()
        _check_operation(operator, left, right)
        return _checked(own_operation(context, operator, left, right))

    limited.call, limited.call_binop = call, operation
    limited.concat = _joined
    limited.finalize = _checked
    for extension in limited.extensions.values():
        if hasattr(extension, "activate_tracker"):
            # transformers marks the assistant's part through it; of a copied environment it is the copied
            # extension's.
            limited.activate_tracker = extension.activate_tracker
    limited.filters = {name: _charged(function) for name, function in environment.filters.items()}
    limited.filters |= {
        _COUNTED: _counted,
        _JOINED: lambda parts: _joined([str(part) for part in map(_checked, parts)]),
        _MEASURED: _checked,
    }
    return limited.from_string(Charged().visit(limited.parse(text)))


def _charge(*arguments: Any) -> None:
    budget = _BUDGET.get()
    if budget is not None:
        budget.charge()
    for argument in arguments:
        if isinstance(argument, int) and argument > _WIDE:
            raise _Exceeded(
                f"it passes the number {argument if argument < 10**12 else 'of many digits'}, more than "
                f"{_WIDE:,}"
            )


def _charged(function: Any) -> Any:
    """A filter whose input and output are measured; Jinja's marks of what it wants passed first stay on
    it."""

    def charged(*arguments: Any, **named: Any) -> Any:
        _charge(*arguments, *named.values())
        for argument in arguments:
            _checked(argument)
        texts = [argument for argument in arguments if isinstance(argument, str)]
        if len(texts) > 2:
            _check_replaced(texts)
        if getattr(function, "__name__", "") == "do_format":
            _check_widths(texts[0] if texts else "", arguments[1:])
        return _checked(function(*arguments, **named))

    charged.__dict__.update(getattr(function, "__dict__", {}))
    return charged


def _counted(items: Any) -> Any:
    """The items of a loop, each of which is charged; empty and undefined values are returned unchanged."""
    return _charged_steps(_checked(items)) if items else items


def _charged_steps(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        _charge()
        yield item


def _joined(parts: Iterable[str]) -> str:
    listed, total = [], 0
    for part in parts:
        total += len(part)
        if total > LENGTH:
            raise _Exceeded(f"it writes more than {LENGTH:,} characters")
        listed.append(part)
    return "".join(listed)


def _check_operation(operator: str, left: Any, right: Any) -> None:
    sizes = [len(value) if isinstance(value, str | list | tuple) else None for value in (left, right)]
    if operator == "*":
        for size, times in ((sizes[0], right), (sizes[1], left)):
            if size is not None and isinstance(times, int) and size * times > LENGTH:
                raise _Exceeded(f"it makes a value of more than {LENGTH:,} items")
    if operator == "+" and sum(size or 0 for size in sizes) > LENGTH:
        raise _Exceeded(f"it makes a value of more than {LENGTH:,} items")
    if operator == "**" and (abs(left) > 10**6 or abs(right) > 1_000):
        raise _Exceeded("it raises a number to a large power")
    if (
        operator == "*"
        and isinstance(left, int)
        and isinstance(right, int)
        and left.bit_length() + right.bit_length() > 10_000
    ):
        raise _Exceeded("it computes a number of many digits")
    if operator == "%" and isinstance(left, str):
        _check_widths(left, right if isinstance(right, tuple) else (right,))


def _check_method(function: Any, arguments: tuple[Any, ...]) -> None:
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    if isinstance(owner, str) and name == "replace":
        _check_replaced([owner, *(argument for argument in arguments if isinstance(argument, str))])
    if isinstance(owner, str) and name in ("format", "format_map"):
        _check_widths(owner, arguments)
    if (
        isinstance(owner, str)
        and name == "join"
        and arguments
        and isinstance(arguments[0], list | tuple | str)
    ):
        _checked(arguments[0])
        if len(owner) * len(arguments[0]) > LENGTH:
            raise _Exceeded(f"it makes a text of more than {LENGTH:,} characters")


def _check_widths(text: str, values: Sequence[Any]) -> None:
    """A format may ask for a width in its text, or by a number among its values."""
    if re.search(r"\d{5}", text) or any(
        isinstance(value, int) and abs(value) > _WIDE for value in values if "*" in text or "{" in text
    ):
        raise _Exceeded("it formats a value to more than 9,999 characters")


def _check_replaced(texts: list[str]) -> None:
    text, old, new = (*texts, "", "")[:3]
    if (len(text) // max(1, len(old)) + 1) * len(new) > LENGTH:
        raise _Exceeded(f"it makes a text of more than {LENGTH:,} characters")


def _checked(value: Any) -> Any:
    """The value, if it is no larger than the limit when all of it is printed; shared parts count each time
    they occur."""
    if isinstance(value, str):
        total = len(value)
    elif isinstance(value, list | tuple | dict):
        total = 0
        waiting: list[Any] = [value]
        while waiting and total <= LENGTH:
            part = waiting.pop()
            total += 1
            if isinstance(part, str):
                total += len(part)
            elif isinstance(part, dict):
                waiting += [*part.keys(), *part.values()]
            elif isinstance(part, list | tuple):
                waiting += part
            if total % 4096 == 0:
                _charge()
    else:
        return value
    if total > LENGTH:
        raise _Exceeded(f"it makes a value of more than {LENGTH:,} characters")
    return value
