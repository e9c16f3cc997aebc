"""Jinja texts of strangers, run so that they can neither reach out nor run away.

Decision: what is not known to be harmless is refused when a text is compiled: the constructs, filters, functions and methods that prompts need are
listed, and nothing else runs. Jinja's own sandbox checks attributes and changes of values once more while a text is rendered, and `budget` limits
what a render may do. Price: macros, includes and rare filters are refused, by name, and loops and filters run slower for being counted.

A name that is not defined is an error, where promptsource would print nothing. Random choices come from the draws that the caller passes.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, UndefinedError, nodes
from jinja2.environment import Template
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS, do_truncate
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from openflan.randomness import Draws
from openflan.tasks.p3.budget import DRAWS_KEY, WORK_KEY, Refused, Short, Work, built, joined, printed, replaced, size, work_of
from openflan.tasks.p3.filters import FUNCTIONS, JINJAS, LOOPED, OWN, READ, words

TEXT = 100_000
"""Characters of a template, at most; the longest public ones have some thousand."""

_CONSTRUCTS = words("""
    Add And Assign Call Compare Concat CondExpr Const Dict Div Filter FloorDiv For Getattr Getitem If Keyword List Mod Mul NSRef Name Neg Not Operand Or
    Output Pair Pos Pow Slice Sub Template TemplateData Test Tuple
""")
_METHODS = words("""
    capitalize casefold count cycle endswith find get index isalnum isalpha isdecimal isdigit islower isnumeric isspace istitle isupper items join keys lower
    lstrip partition removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip split splitlines startswith strip swapcase title upper values
""")
_FILTERS = (JINJAS | OWN.keys()) - {LOOPED, READ}


class Missing(ValueError):
    """A name, key or attribute that a text needs and the record lacks; `name` is the innermost one."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Program:
    """A compiled text."""

    def __init__(self, template: Template) -> None:
        self._template = template

    def render(self, values: Mapping[str, Any], draws: Draws) -> str:
        """The text with the values filled in.

        Raises Missing for a name that they lack, Short for an item beyond a list's end, Refused for what no text may do, and ValueError for a
        computation that fails on these values, such as a sum of a number and a text.
        """
        work = Work()
        context = self._template.new_context({**values, WORK_KEY: work, DRAWS_KEY: draws})
        parts: list[str] = []
        try:
            for part in self._template.root_render_func(context):
                work.charge(len(part))
                parts.append(part)
        except (Short, Refused):
            raise
        except SecurityError as error:
            raise Refused(str(error)) from None
        except UndefinedError as error:
            raise _missing(str(error)) from None
        except (TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from None
        return "".join(parts)


def compiled(text: str, clip: int | None = None) -> Program:
    """The program of a Jinja text; `clip` cuts every printed value to so many characters.

    Raises Refused for what no text may do, ValueError for what is no Jinja.
    """
    if len(text) > TEXT:
        raise Refused(f"has {len(text):,} characters; at most {TEXT:,}")
    environment = _Environment(clip)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's, of escapes that need none, such as "\|", and of what will fail when it runs
            tree = environment.parse(text)
            for node in tree.find_all(nodes.Node):
                _check(node)
            code = environment.compile(_Charged().visit(tree))
        return Program(Template.from_code(environment, code, environment.make_globals(None)))
    except TemplateSyntaxError as error:
        raise ValueError(f"not valid Jinja: {error.message} (line {error.lineno})") from None
    except SyntaxError as error:
        raise ValueError(f"not a text that Python can run: {error.msg}") from None
    except (RecursionError, MemoryError):
        raise Refused("is nested too deep") from None


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with our filters and functions, and with operators and methods that charge the budget."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, clip: int | None) -> None:
        super().__init__(undefined=StrictUndefined, finalize=printed if clip is None else lambda value: do_truncate(self, str(printed(value)), clip))
        self.globals = dict(FUNCTIONS)
        self.filters = {name: FILTERS[name] for name in JINJAS} | dict(OWN)

    def getitem(self, obj: Any, argument: Any) -> Any:
        found = super().getitem(obj, argument)
        if isinstance(found, Undefined) and isinstance(argument, int) and isinstance(obj, list | tuple | str):
            return StrictUndefined(obj=obj, name=str(argument), exc=Short)
        return found

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        work_of(context).charge(built(operator, left, right))
        return super().call_binop(context, operator, left, right)

    # The parameters' names are those of the base class, which may not collide with keywords of the call.
    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        work = work_of(__context)
        if isinstance(owner, str) and name == "replace" and len(args) >= 2:
            work.charge(replaced(owner, *args[:2]))
        elif isinstance(owner, str) and name == "join" and args:
            args = (list(args[0]), *args[1:])
            work.charge(joined(owner, args[0]))
        elif isinstance(owner, str | list | dict):
            work.charge(size(owner))
        return super().call(__context, __obj, *args, **kwargs)


class _Charged(NodeTransformer):
    """A text that charges the budget: the items of loops, what filters and slices read, and what `~` joins."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _through(LOOPED, node.iter)
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:
        self.generic_visit(node)
        node.node = node.node and _through(READ, node.node)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _through(READ, node.node)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _through("join", nodes.List(node.nodes, lineno=node.lineno, environment=node.environment))


def _through(name: str, node: nodes.Node) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno, environment=node.environment)


def _check(node: nodes.Node) -> None:
    """Raises Refused for a node that is not on the lists."""
    kind = type(node).__name__
    if kind not in _CONSTRUCTS:
        raise Refused(f"uses `{kind.lower()}` (line {node.lineno}), which prompts may not")
    if isinstance(node, nodes.For) and node.recursive:
        raise Refused(f"has a recursive loop (line {node.lineno})")
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        raise Refused(f"uses the filter `{node.name}` (line {node.lineno}), which prompts may not; they have {_listed(_FILTERS)}")
    attribute = _attribute(node)
    if isinstance(attribute, str) and attribute.startswith("__"):
        raise Refused(f"reads `{attribute}` (line {node.lineno}); a prompt may read values, not what Python is made of")
    if isinstance(node, nodes.Call) and not _may_be_called(node.node):
        raise Refused(f"calls something (line {node.lineno}) that is none of the functions {_listed(FUNCTIONS)} and of the methods {_listed(_METHODS)}")


def _attribute(node: nodes.Node) -> Any:
    """What a text reads by a name that it spells out: `x.name` or `x["name"]`."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) else None


def _may_be_called(node: nodes.Expr) -> bool:
    if isinstance(node, nodes.Name):
        return node.name in FUNCTIONS
    return isinstance(node, nodes.Getattr) and node.attr in _METHODS


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _missing(message: str) -> Missing:
    """From Jinja's message, which is all that it tells."""
    found = re.fullmatch(r"'(?P<name>\w+)' is undefined", message) or re.search(r"has no (?:attribute|element) '?(?P<name>[^']+)'?$", message)
    return Missing(found["name"] if found else "a value", message)
