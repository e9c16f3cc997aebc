"""The reference page of the command line, docs/reference/cli.md, made from the verbs' own commands.

`python scripts/cli_reference.py` prints it. Types and bounds are read from the annotations and options of the
verbs' functions, which do not depend on the version of typer.
"""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from openflan.cli.verbs import VERBS, command_of

_INTRODUCTION = """\
# Command line

Every verb of `openflan` with its arguments and options. `python scripts/cli_reference.py` prints this page; \
a test keeps it true. `openflan VERB --help` shows one verb.

Results go to standard output; warnings, progress and errors go to standard error. A failure ends with one \
message and an exit code: 1 failed, 2 bad input or usage, 75 stopped by SIGTERM, 130 stopped by Ctrl-C. \
`openflan --debug VERB ...` shows the traceback of a failure, and `openflan --version` prints the version.
"""


def as_markdown() -> str:
    """Return the whole reference page as Markdown, verbs in the order of `openflan --help`."""
    sections = [_INTRODUCTION]
    for verb in VERBS:
        for name, command in _commands(verb.name, command_of(verb)):
            sections.append("\n".join(_section(name, command)))
    return "\n".join(sections)


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield a command and the commands below it, each with its full name, but no hidden one."""
    if command.hidden:
        return
    yield name, command
    for inner_name, inner in getattr(command, "commands", {}).items():
        yield from _commands(f"{name} {inner_name}", inner)


def _section(name: str, command: Any) -> Iterator[str]:
    """Yield the lines of one command: heading, usage, help text, arguments and options."""
    yield f"{'#' * (2 + name.count(' '))} {name}"
    yield ""
    is_group = hasattr(command, "commands")
    parameters = [] if is_group else [item for item in command.params if not getattr(item, "hidden", False)]
    arguments = [item for item in parameters if item.param_type_name == "argument"]
    options = [item for item in parameters if item.param_type_name == "option"]
    usage = " ".join(["openflan", name, *(["COMMAND"] if is_group else map(_argument_name, arguments))])
    yield f"    {usage}{' [OPTIONS]' if options else ''}"
    yield ""
    yield inspect.cleandoc(command.help or "")
    yield ""
    if is_group:
        return
    function = inspect.unwrap(command.callback)
    annotations, declared = get_type_hints(function), inspect.signature(function).parameters
    for title, members in (("argument", arguments), ("option", options)):
        if not members:
            continue
        yield from (f"| {title} | type | default | meaning |", "| --- | --- | --- | --- |")
        for parameter in members:
            spelling = (
                f"`{_argument_name(parameter)}`"
                if title == "argument"
                else ", ".join(f"`{flag}`" for flag in [*parameter.opts, *parameter.secondary_opts])
            )
            kind = _kind(annotations[parameter.name]) + _bounds(declared[parameter.name].default)
            cells = (spelling, kind, _default(parameter), parameter.help or "")
            yield "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
        yield ""


def _argument_name(parameter: Any) -> str:
    """Return an argument as the usage line shows it; brackets mean that it may be left out."""
    name = str(parameter.metavar or str(parameter.name).upper())
    if name.startswith("["):
        return name
    if parameter.nargs == -1:
        name = f"{name}..."
    return name if parameter.required else f"[{name}]"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    if default is None or default in ((), []):
        return ""
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, enum.Enum):
        default = default.value
    return ", ".join(f"`{item}`" for item in (default if isinstance(default, list | tuple) else [default]))


_KINDS = {str: "text", int: "whole number", float: "number", bool: "flag", Path: "path", type(None): ""}


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind for kind in map(_kind, arguments) if kind))
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (list, tuple):
        return f"{_kind(arguments[0])}, repeatable"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    return _KINDS.get(annotation, str(getattr(annotation, "__name__", annotation)))


def _bounds(declared: Any) -> str:
    """Return the bounds of a number as the declaration of its option states them, or an empty text."""
    smallest, largest = getattr(declared, "min", None), getattr(declared, "max", None)
    bounds = [f">= {smallest:g}"] if smallest is not None else []
    bounds += [f"<= {largest:g}"] if largest is not None else []
    return f" ({', '.join(bounds)})" if bounds else ""
