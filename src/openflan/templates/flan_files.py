"""The template files of a public FLAN checkout, read as text and never run.

A file is parsed and only literals at module level are taken: the dictionaries of templates, single keys set
afterwards, and keys that name another key. Whatever would need running (a call, a comprehension, a loop) is
reported with its place and left out. The one call understood is the one that gives a few-shot template its
named parts; only its arguments are read, as literals. Layout: Longpre et al. 2023, `flan/v2/templates.py`.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from openflan.errors import InputError

STORES = (
    "PATTERNS",
    "PATTERNS_NO_OPTIONS",
    "FEWSHOT_PATTERNS",
    "FEWSHOT_PATTERNS_NO_OPTIONS",
    "INLINE_FS_PATTERNS",
)
"""The names under which the files keep templates; all else in them is ignored."""

_CONSTRUCTOR = "FewShotPattern"
_TEXTS = {
    "inputs",
    "targets",
    "inputs_prefix",
    "targets_prefix",
    "x_y_delimiter",
    "example_separator",
    "final_suffix",
    "input_pattern",
    "template_type",
}
_SPELLINGS = {"input_prefix": "inputs_prefix", "target_prefix": "targets_prefix"}
_DERIVED = {"PATTERNS_NO_OPTIONS": "PATTERNS", "FEWSHOT_PATTERNS_NO_OPTIONS": "FEWSHOT_PATTERNS"}


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not imported: its `file:line`, what it is, and why."""

    place: str
    entry: str
    reason: str


@dataclass(frozen=True, slots=True)
class Template:
    """A template of a file: its texts by their names there, `inputs` and `targets` among them; `index` is its
    index in its list, `location` its `file:line`."""

    key: str
    index: int
    location: str
    texts: dict[str, str]


@dataclass(slots=True)
class TemplateFile:
    """The contents of one file: templates by store and key."""

    path: Path
    stores: dict[str, dict[str, list[Template]]] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)


def read_template_file(path: Path) -> TemplateFile:
    """The templates of one file. Nothing in it is executed or imported.

    Raises InputError if the file is absent, not UTF-8, not Python, or holds no dictionary of templates.
    """
    try:
        text = path.read_text(encoding="utf-8")
        with warnings.catch_warnings(action="ignore"):  # a stranger's invalid escapes are no concern of ours
            module = ast.parse(text, str(path))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); expected a template file of a FLAN checkout"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 (byte {error.start}); expected a template file of a FLAN checkout"
        ) from None
    except SyntaxError as error:
        raise InputError(
            f"{path}:{error.lineno}: not valid Python ({error.msg}); check the file out again"
        ) from None
    except (
        ValueError,
        RecursionError,
        MemoryError,
    ) as error:  # null bytes; nested too deeply for Python's parser
        raise InputError(
            f"{path}: not readable as Python ({error or 'nested too deeply'}); check the file out again"
        ) from None
    file = TemplateFile(path)
    for statement in module.body:
        _read_statement(statement, file)
    if not file.stores:
        raise InputError(f"{path}: no dictionary of templates; expected one of {', '.join(STORES)}")
    return file


def _read_statement(statement: ast.stmt, file: TemplateFile) -> None:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Import() | ast.ImportFrom():
            return
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            if name in STORES:
                _read_store(name, value, file)
            return
        case ast.Assign(
            targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)))], value=value
        ) if name in STORES:
            _set_key(name, key, value, file)
            return
    changed = sorted(
        {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and node.id in STORES}
    )
    if changed:
        _skip(file, statement, " and ".join(changed), "changed by code, which is not run")


def _read_store(name: str, value: ast.expr, file: TemplateFile) -> None:
    if not isinstance(value, ast.Dict):
        derived = (
            f"computed from {_DERIVED[name]}; openflan makes its own form without options"
            if name in _DERIVED
            else _not_literal(value)
        )
        _skip(file, value, name, derived)
        return
    file.stores[name] = {}
    lines: dict[str, ast.expr] = {}
    for key, templates in zip(value.keys, value.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            _skip(
                file,
                key or templates,
                name,
                "its key is not a literal text" if key is not None else _not_literal(templates),
            )
            continue
        if key.value in lines:
            _skip(
                file,
                lines[key.value],
                f"{name}[{key.value!r}]",
                f"stands again in line {key.lineno}, which counts (as in Python)",
            )
        lines[key.value] = key
        _set_key(name, key.value, templates, file)


def _set_key(name: str, key: str, value: ast.expr, file: TemplateFile) -> None:
    """What `name[key] = value` does, for a list of templates or another key's list; anything else leaves the
    key without templates."""
    store = file.stores.setdefault(name, {})
    entry = f"{name}[{key!r}]"
    store.pop(key, None)
    match value:
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            store[key] = list(_templates(entry, key, elements, file))
        case ast.Subscript(value=ast.Name(id=other), slice=ast.Constant(value=str(same))) if other in STORES:
            if same in file.stores.get(other, {}):
                store[key] = [
                    Template(key, template.index, template.location, template.texts)
                    for template in file.stores[other][same]
                ]
            else:
                _skip(file, value, entry, f"names {other}[{same!r}], which holds no templates")
        case _:
            _skip(file, value, entry, _not_literal(value))


def _templates(entry: str, key: str, elements: list[ast.expr], file: TemplateFile) -> Iterator[Template]:
    for index, element in enumerate(elements):
        try:
            texts = _texts(element)
        except ValueError as error:
            _skip(file, element, f"{entry}[{index}]", str(error))
        else:
            yield Template(key, index, f"{file.path}:{element.lineno}", texts)


def _texts(element: ast.expr) -> dict[str, str]:
    """A template's texts by name; ValueError with the reason if they are not all literal."""
    match element:
        case ast.Tuple(elts=[inputs, targets]) | ast.List(elts=[inputs, targets]):
            parts = {"inputs": inputs, "targets": targets}
        case ast.Call(func=ast.Name(id=name), args=[], keywords=keywords) if name == _CONSTRUCTOR and all(
            one.arg for one in keywords
        ):
            parts = {str(one.arg): one.value for one in keywords}
        case ast.Dict(keys=keys, values=values) if all(
            isinstance(one, ast.Constant) and isinstance(one.value, str) for one in keys
        ):
            parts = {
                str(ast.literal_eval(one)): value
                for one, value in zip(keys, values, strict=True)
                if one is not None
            }
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            raise ValueError(f"{len(elements)} parts; expected inputs and targets")
        case _:
            raise ValueError(_not_literal(element))
    parts = {_SPELLINGS.get(name, name): value for name, value in parts.items()}
    parts.pop(
        "in_template_mix", None
    )  # whether exemplars of other templates may stand beside it; ours never do
    texts: dict[str, str] = {}
    for name, value in parts.items():
        if name not in _TEXTS:
            raise ValueError(f"`{name}` is not a known part of a template")
        try:
            literal = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            raise ValueError(f"`{name}`: {_not_literal(value)}") from None
        if not isinstance(literal, str):
            raise ValueError(f"`{name}` is {type(literal).__name__}, expected a text")
        texts[name] = literal
    for name in ("inputs", "targets"):
        if not texts.get(name, "").strip():
            raise ValueError(f"no `{name}`")
    return texts


def _not_literal(node: ast.expr) -> str:
    try:
        written = " ".join(ast.unparse(node).split())
    except RecursionError:
        written = "..."
    return f"`{written if len(written) <= 60 else written[:57] + '...'}` is not a literal, and is not run"


def _skip(file: TemplateFile, node: ast.stmt | ast.expr, entry: str, reason: str) -> None:
    file.skipped.append(Skipped(f"{file.path}:{node.lineno}", entry, reason))
