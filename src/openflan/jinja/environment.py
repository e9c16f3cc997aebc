"""A Jinja sandbox in which every render has a budget (see `budget`), and in which a value always prints the
same text.

    environment = ChargedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[...])
    environment.filters["shout"] = shout
    text = render(environment.from_string(source), values)

Loops, slices, comparisons and keys are charged by nodes that are put around them when a text is compiled;
filters, tests, calls, operators and what is printed where the environment runs them. What has no fixed text
(`zip`, `map`, methods) is never turned into one. Price: a text runs two to three times slower for being
counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from jinja2 import nodes, pass_context
from jinja2.environment import Template
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from openflan.jinja.budget import (
    WORK,
    WORK_KEY,
    Refused,
    Work,
    as_text,
    built,
    joined,
    one_by_one,
    replaced,
    size,
    words,
    work_of,
)

LOOPED, READ, SPEND = "_looped", "_read", "_spend"
"""Wraps the items of a loop and values that are read as a whole. Charges the budget at the start of code that
may run many times."""

CHARGES = frozenset({LOOPED, READ, SPEND})

NODES_AT_ONCE = 16
"""Nodes that cost as much as one item when they run."""

WIDEST = 1_000
"""The largest number in a format text, such as the width in `{:20}`."""

FILTER_NAMES = words("""
    abs attr capitalize count d default dictsort e escape first float groupby indent int items join last
    length list lower map max min reject rejectattr replace reverse round safe select selectattr sort
    string sum title tojson trim truncate unique upper wordcount
""")
"""Jinja's filters that an environment has: those whose results cannot be much longer than what is charged."""

_TEXTUAL = words("capitalize e escape indent lower safe string title trim truncate upper wordcount")
_WIDENING = words("indent tojson")
_LIGHT = words("attr count d default first items last length")
_TYPE_TESTS = words("""
    boolean callable defined false filter float integer iterable mapping none number sequence string test
    true undefined
""")
_SAME_OBJECT = "sameas"
_LIGHT_METHODS = frozenset({"get", "items", "keys", "values"})


def render(template: Template, values: Mapping[str, Any], budget: int = WORK) -> str:
    """The text of a template of a ChargedEnvironment, at the cost of `budget` items and characters.

    Raises Refused where it would cost more, and what Jinja raises.
    """
    return template.render({**values, WORK_KEY: Work(budget)})


class ChargedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with charges; render its templates by `render`, or with a `Work` under `WORK_KEY` among
    their variables.

    It has the filters of FILTER_NAMES, no test `sameas`, whose answer depends on Python's caches, and no
    `lipsum`, which is random. Filters and tests that are added before a text is compiled are charged as these
    are.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, *args: Any, shorten: Callable[[str], str] | None = None, **options: Any) -> None:
        """Takes the options of Jinja's environment except `finalize`, which is used here; `shorten` changes
        the text of every printed value."""

        @pass_context
        def finalize(context: Context, value: Any) -> str:
            work = work_of(context)
            text = as_text(value, work)
            if isinstance(value, str):
                work.charge(len(text))
            return text if shorten is None else shorten(text)

        super().__init__(*args, finalize=finalize, **options)
        self._plain = ImmutableSandboxedEnvironment(undefined=self.undefined)
        self.filters = {name: FILTERS[name] for name in FILTER_NAMES} | dict(_OWN)
        self.tests.pop(_SAME_OBJECT)
        self.globals.pop("lipsum", None)
        self.globals["range"] = _range

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        # Jinja looks at how a filter is marked when it compiles a text, and takes it by its name when a text
        # runs: both see these.
        for key, function in [*self.filters.items()]:
            if not hasattr(function, "charges"):
                self._plain.filters[key] = function
                self.filters[key] = _charged_filter(self._plain, key)
        for key, function in [*self.tests.items()]:
            if key not in _TYPE_TESTS and not hasattr(function, "charges"):
                self._plain.tests[key] = function
                self.tests[key] = _charged_test(self._plain, key)
        return super()._generate(_Charged().visit(source), name, filename, defer_init)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        work_of(context).charge(built(operator, left, right))
        return super().call_binop(context, operator, left, right)

    # The parameters' names are those of the base class, which may not collide with keywords of the call.
    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        work = work_of(__context)
        args = tuple(one_by_one(arg, work) if isinstance(arg, Iterator) else arg for arg in args)
        arguments = [*args, *kwargs.values()]
        work.charge_size(arguments)
        numbers = sum(abs(value) for value in arguments if isinstance(value, int))
        work.charge(min(numbers, WORK + 1))
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        if isinstance(owner, str):
            args = _charged_text_call(owner, name, args, numbers, work)
        elif isinstance(owner, list | tuple | dict) and name not in _LIGHT_METHODS:
            work.charge_size(owner)
        return super().call(__context, __obj, *args, **kwargs)


def _charged_text_call(
    owner: str, name: str, args: tuple[Any, ...], numbers: int, work: Work
) -> tuple[Any, ...]:
    """Charges a call of a text's method; gives its arguments, of which an iterator has been read."""
    work.charge(len(owner))
    if name == "replace" and len(args) >= 2 and isinstance(args[0], str) and isinstance(args[1], str):
        work.charge(replaced(owner, args[0], args[1]))
    elif name == "join" and args:
        items = list(args[0])
        work.charge(joined(owner, items))
        return (items, *args[1:])
    elif name in ("expandtabs", "translate"):
        work.charge(len(owner) * (8 + numbers + size(args)))
    elif name in ("format", "format_map"):
        if any(len(digits) > 9 or int(digits) > WIDEST for digits in re.findall(r"[0-9]+", owner)):
            raise Refused(f"formats a text with a number above {WIDEST:,}")
        work.charge(len(owner) * size(args))
    return args


class _Charged(NodeTransformer):
    """A text that charges the budget: what it loops over, reads, compares and hashes, and what it joins by
    `~`."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _through(LOOPED, cast(nodes.Expr, node.iter))
        node.body = _spending(node.body, node)
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        self.generic_visit(node)
        node.body = _spending(node.body, node)
        return node

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        self.generic_visit(node)
        node.body = _spending(node.body, node)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _through(READ, node.node)
        elif not isinstance(node.arg, nodes.Const):
            node.arg = _through(READ, node.arg)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.key, nodes.Const):
            node.key = _through(READ, node.key)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _through(READ, node.expr)
        for operand in node.ops:
            operand.expr = _through(READ, operand.expr)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _through("join", nodes.List(node.nodes, lineno=node.lineno, environment=node.environment))


def _through(name: str, node: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno, environment=node.environment)


def _spending(body: list[nodes.Node], owner: nodes.Node) -> list[nodes.Node]:
    """A body that charges, each time it runs, for what it does whatever its values are."""
    inside = [inner for node in body for inner in (node, *node.find_all(nodes.Node))]
    cost = (
        sum(len(node.data) if isinstance(node, nodes.TemplateData) else 0 for node in inside)
        + len(inside) // NODES_AT_ONCE
    )
    if not cost:
        return body
    amount = nodes.Const(cost, lineno=owner.lineno, environment=owner.environment)
    return [
        nodes.ExprStmt(_through(SPEND, amount), lineno=owner.lineno, environment=owner.environment),
        *body,
    ]


def _charged_filter(plain: ImmutableSandboxedEnvironment, name: str) -> Callable[..., Any]:
    @pass_context
    def charged(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        work = work_of(context)
        if name not in _LIGHT:
            arguments = [*args, *kwargs.values()]
            work.charge_size(arguments)
            value = _read(context, as_text(value, work) if name in _TEXTUAL else value)
            if name in _WIDENING:
                widest = max((abs(number) for number in arguments if isinstance(number, int)), default=0)
                work.charge(min(size(value) * widest, WORK + 1))
        return plain.call_filter(name, value, args, kwargs, context=context)

    return _marked(charged)


def _charged_test(plain: ImmutableSandboxedEnvironment, name: str) -> Callable[..., Any]:
    @pass_context
    def charged(context: Context, value: Any, *args: Any) -> Any:
        work_of(context).charge_size([value, *args])
        return plain.call_test(name, value, args, context=context)

    return _marked(charged)


def _marked(function: Callable[..., Any]) -> Callable[..., Any]:
    function.charges = True  # type: ignore[attr-defined]
    return function


@pass_context
def _looped(context: Context, items: Any) -> Any:
    """The items of a loop, charged at once if their number is known, else one by one."""
    work = work_of(context)
    if isinstance(items, Iterator):
        return one_by_one(items, work)
    if isinstance(items, Sequence | Mapping) or hasattr(type(items), "__len__"):
        work.charge(_length(items))
    return items


def _length(items: Any) -> int:
    try:
        return len(items)
    except TypeError:  # what is not defined; the loop itself says so
        return 0


@pass_context
def _read(context: Context, value: Any) -> Any:
    """A value that is about to be read whole, and perhaps copied."""
    work = work_of(context)
    if isinstance(value, Iterator):
        return one_by_one(value, work)
    work.charge_size(value)
    return value


@pass_context
def _spend(context: Context, amount: int) -> None:
    work_of(context).charge(amount)


@pass_context
def _range(context: Context, *bounds: int) -> range:
    made = range(*bounds)
    work_of(context).charge(len(made))
    return made


@pass_context
def _join(context: Context, value: Iterable[Any], d: Any = "", attribute: str | int | None = None) -> str:
    work = work_of(context)
    items: Iterable[Any] = _read(context, value)
    if attribute is not None:
        items = map(make_attrgetter(context.environment, attribute), items)
    texts, separator = [as_text(item, work) for item in items], as_text(d, work)
    work.charge(joined(separator, texts))
    return separator.join(texts)


@pass_context
def _replace(context: Context, s: Any, old: Any, new: Any, count: int | None = None) -> str:
    work = work_of(context)
    text, sought, replacement = (as_text(value, work) for value in (s, old, new))
    work.charge(replaced(text, sought, replacement))
    return text.replace(sought, replacement, -1 if count is None else count)


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    if abs(precision) > 20:
        raise Refused(f"rounds to {precision:,} digits; at most 20")
    rounded: Callable[..., float] = FILTERS["round"]
    return rounded(value, precision, method)


@pass_context
def _sum(context: Context, value: Iterable[Any], attribute: str | int | None = None, start: Any = 0) -> Any:
    """The sum of numbers: that of lists copies them once for each."""
    items: Iterable[Any] = (
        value if attribute is None else map(make_attrgetter(context.environment, attribute), value)
    )
    total = start
    for item in items:
        if not isinstance(item, int | float) or not isinstance(total, int | float):
            raise TypeError(f"`sum` adds numbers; found {type(item).__name__} and {type(total).__name__}")
        total += item
    return total


_OWN: Mapping[str, Callable[..., Any]] = {
    LOOPED: _marked(_looped),
    READ: _marked(_read),
    SPEND: _marked(_spend),
    "join": _marked(_join),
    "replace": _marked(_replace),
    "round": _round,
    "sum": _sum,
}
"""Filters of ours; those that are marked charge for themselves."""
