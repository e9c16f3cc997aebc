"""Jinja texts of strangers, run so that they can neither reach out nor run away.

Decision: what is not known to be harmless is refused when a text is compiled: the constructs, filters,
functions and methods that prompts need are listed, and nothing else runs. Jinja's own sandbox checks
attributes and changes of values once more while a text is rendered, and `budget` limits what a render may do.
Price: macros, includes and rare filters are refused, by name, and loops and filters run slower for being
counted.

A name that is not defined is an error, where promptsource would print nothing. Random choices come from the
draws that the caller passes.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, UndefinedError, nodes
from jinja2.environment import Template
from jinja2.exceptions import SecurityError
from jinja2.filters import do_truncate

from openflan.jinja.budget import WORK, WORK_KEY, Refused, Short, Work, words
from openflan.jinja.environment import CHARGES, ChargedEnvironment
from openflan.randomness import Draws
from openflan.tasks.p3.filters import DRAWS_KEY, FUNCTIONS, JINJAS, OWN

TEXT = 100_000
"""Characters of a template, at most; the longest public ones have some thousand."""

_CONSTRUCTS = words("""
    Add And Assign Call Compare Concat CondExpr Const Dict Div Filter FloorDiv For Getattr Getitem If
    Keyword List Mod Mul NSRef Name Neg Not Operand Or Output Pair Pos Pow Slice Sub Template TemplateData
    Test Tuple
""")
_METHODS = words("""
    capitalize casefold count cycle endswith find get index isalnum isalpha isdecimal isdigit islower
    isnumeric isspace istitle isupper items join keys lower lstrip partition removeprefix removesuffix
    replace rfind rindex rpartition rsplit rstrip split splitlines startswith strip swapcase title upper
    values
""")
_FILTERS = JINJAS | OWN.keys()
_CALLED = FUNCTIONS.keys() | {"range"}


class Missing(ValueError):
    """A name, key or attribute that a text needs and the record lacks; `name` is the innermost one."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Program:
    """A compiled text."""

    def __init__(self, template: Template) -> None:
        self._template = template

    def render(self, values: Mapping[str, Any], draws: Draws, budget: int = WORK) -> str:
        """The text with the values filled in, at the cost of `budget` items and characters.

        Raises Missing for a name without a value, Short for an item beyond a list's end, and Refused for a
        forbidden operation. Raises ValueError for a computation that fails on these values, such as a sum of
        a number and a text.
        """
        context = self._template.new_context({**values, WORK_KEY: Work(budget), DRAWS_KEY: draws})
        try:
            return "".join(self._template.root_render_func(context))
        except (Short, Refused):
            raise
        except SecurityError as error:
            raise Refused(str(error)) from None
        except UndefinedError as error:
            raise _missing(str(error)) from None
        except (
            TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            MemoryError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise ValueError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from None


def compiled(text: str, clip: int | None = None) -> Program:
    """The program of a Jinja text; `clip` cuts every printed value to so many characters.

    Raises Refused for what no text may do, ValueError for what is no Jinja.
    """
    if len(text) > TEXT:
        raise Refused(f"has {len(text):,} characters; at most {TEXT:,}")
    environment = _Environment(clip)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # Python's, of escapes that need none, such as "\|", and of what will fail when it runs
            tree = environment.parse(text)
            for node in tree.find_all(nodes.Node):
                _check(node)
            code = environment.compile(tree)
        return Program(Template.from_code(environment, code, environment.make_globals(None)))
    except TemplateSyntaxError as error:
        raise ValueError(f"not valid Jinja: {error.message} (line {error.lineno})") from None
    except SyntaxError as error:
        raise ValueError(f"not a text that Python can run: {error.msg}") from None
    except (RecursionError, MemoryError):
        raise Refused("is nested too deep") from None


class _Environment(ChargedEnvironment):
    """The charged sandbox with the filters and functions of prompts only."""

    def __init__(self, clip: int | None) -> None:
        super().__init__(
            undefined=StrictUndefined,
            shorten=None if clip is None else lambda text: do_truncate(self, text, clip),
        )
        self.globals = {"range": self.globals["range"], **FUNCTIONS}
        self.filters = {
            name: function for name, function in self.filters.items() if name in JINJAS or name in CHARGES
        } | dict(OWN)

    def getitem(self, obj: Any, argument: Any) -> Any:
        item = super().getitem(obj, argument)
        if isinstance(item, Undefined) and isinstance(argument, int) and isinstance(obj, list | tuple | str):
            return StrictUndefined(obj=obj, name=str(argument), exc=Short)
        return item


def _check(node: nodes.Node) -> None:
    """Raises Refused for a node that is not on the lists."""
    kind = type(node).__name__
    if kind not in _CONSTRUCTS:
        raise Refused(f"uses `{kind.lower()}` (line {node.lineno}), which prompts may not")
    if isinstance(node, nodes.For) and node.recursive:
        raise Refused(f"has a recursive loop (line {node.lineno})")
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        raise Refused(
            f"uses the filter `{node.name}` (line {node.lineno}), which prompts may not; they have "
            f"{_listed(_FILTERS)}"
        )
    attribute = _attribute(node)
    if isinstance(attribute, str) and attribute.startswith("__"):
        raise Refused(
            f"reads `{attribute}` (line {node.lineno}); a prompt may read values, not what Python is made of"
        )
    if isinstance(node, nodes.Call) and not _may_be_called(node.node):
        raise Refused(
            f"calls something (line {node.lineno}) that is none of the functions {_listed(_CALLED)} and "
            f"of the methods {_listed(_METHODS)}"
        )


def _attribute(node: nodes.Node) -> Any:
    """The lookups of a text by a literal name: `x.name` or `x["name"]`."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) else None


def _may_be_called(node: nodes.Expr) -> bool:
    if isinstance(node, nodes.Name):
        return node.name in _CALLED
    return isinstance(node, nodes.Getattr) and node.attr in _METHODS


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _missing(message: str) -> Missing:
    """The missing name, from Jinja's message."""
    match = re.fullmatch(r"'(?P<name>\w+)' is undefined", message) or re.search(
        r"has no (?:attribute|element) '?(?P<name>[^']+)'?$", message
    )
    return Missing(match["name"] if match else "a value", message)
