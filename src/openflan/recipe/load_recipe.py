"""Load a `Recipe` from a YAML file: inheritance, overrides, and errors that name file, line and key.

`extends:` names another recipe (a path beside this one, or a packaged name) whose keys this one overrides,
section by section. Overrides are `dotted.key=value`; the value is read as YAML. Paths in a file are relative
to its folder, paths in overrides to the current folder.
"""

from __future__ import annotations

import copy
import json
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from openflan.errors import InputError, did_you_mean
from openflan.recipe.packaged import file_or_packaged, packaged
from openflan.recipe.paths import resolve_paths
from openflan.recipe.pretraining import AnyRecipe, PretrainRecipe
from openflan.recipe.renamed import with_present_names
from openflan.recipe.schema import Recipe
from openflan.yaml_files import read_document, yaml_value

KeyPath: TypeAlias = tuple[str, ...]
R = TypeVar("R", Recipe, PretrainRecipe)


@dataclass(slots=True)
class _Draft:
    """Values that are not checked yet, and the file and line of each key."""

    values: dict[str, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, "recipe")


def load_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Return the finetuning recipe of a file, or a packaged one by name, with overrides.

    Raises InputError for a missing file, broken YAML, an unknown key (with the nearest name), a value of the
    wrong kind, or an `extends:` that leads back to its own file.
    """
    return _check(_draft(name, overrides, packaged_recipes() | planning_recipes()), Recipe)


def load_pretrain_recipe(name: str | Path, overrides: Sequence[str] = ()) -> PretrainRecipe:
    """Return the pretraining recipe of a file, or a packaged one by name, with overrides. Raises InputError
    like `load_recipe`."""
    return _check(_draft(name, overrides, pretraining_recipes()), PretrainRecipe)


def load_any_recipe(name: str | Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """Return the finetuning or pretraining recipe of a file, such as that of a run folder, with overrides.
    Raises InputError like `load_recipe`."""
    draft = _draft(name, overrides, {})
    return _check(draft, PretrainRecipe) if "pretraining" in draft.values else _check(draft, Recipe)


def find_any_recipe(name: str, overrides: Sequence[str] = ()) -> AnyRecipe:
    """Return the finetuning or pretraining recipe of a file or a packaged name, with overrides. Raises
    InputError like `load_recipe`."""
    draft = _draft(name, overrides, packaged_recipes() | planning_recipes() | pretraining_recipes())
    return _check(draft, PretrainRecipe) if "pretraining" in draft.values else _check(draft, Recipe)


def recipe_from(values: dict[str, Any], place: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return a recipe made of values that do not come from a file; messages begin with `place`. Relative
    paths start at the current folder. Raises InputError like `load_recipe`."""
    draft = _Draft(copy.deepcopy(values), {(): place})
    resolve_paths(draft.values, Path.cwd())
    for override in overrides:
        _apply(draft, override)
    return _check(draft, Recipe)


def packaged_recipes() -> dict[str, Path]:
    """Return the paths of the finetuning recipes that come with openflan, by name."""
    return packaged()


def planning_recipes() -> dict[str, Path]:
    """Return the packaged recipes of models whose weights are not public, by name (`shapes/...`). They are
    for estimates only."""
    return packaged("shapes", "shapes/")


def pretraining_recipes() -> dict[str, Path]:
    """Return the paths of the packaged pretraining recipes, by name."""
    return packaged("pretraining")


def dump_recipe(recipe: AnyRecipe) -> str:
    """Return the recipe as YAML with every default filled in. Loading it gives an equal recipe."""
    return yaml.dump(
        recipe.model_dump(mode="json", exclude_none=True), Dumper=_Dumper, sort_keys=False, allow_unicode=True
    )


class _Dumper(yaml.SafeDumper):
    """Escapes Unicode's own line breaks, which PyYAML would write as they are and read back as LF."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(mark in text for mark in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _find(name: str, folder: Path, fitting: Mapping[str, Path]) -> Path:
    """Return the path of a recipe of any kind, as `_check` explains what a recipe of another kind is for. The
    message about an unknown name lists the recipes of `fitting`."""
    every = packaged_recipes() | planning_recipes() | pretraining_recipes()
    return file_or_packaged(name, every if name in every else fitting or every, "recipe", folder)


def _draft(name: str | Path, overrides: Sequence[str], fitting: Mapping[str, Path]) -> _Draft:
    draft = _read(_find(str(name), Path.cwd(), fitting), (), fitting)
    for override in overrides:
        _apply(draft, override)
    return draft


def _read(path: Path, seen: tuple[Path, ...], fitting: Mapping[str, Path]) -> _Draft:
    path = path.resolve()
    if path in seen:
        raise InputError(
            f"{path}: `extends:` leads back to its own file: "
            f"{' -> '.join(step.name for step in (*seen, path))}"
        )
    places: dict[KeyPath, str] = {}
    document = read_document(path)
    values = document.value if document else None
    if document is not None:
        _note_places(document.node, (), path, places)
    if not isinstance(values, dict):
        raise InputError(
            f"{path}: {'empty file' if values is None else 'not a mapping'}; expected `name:`, `model:`, "
            "`mixture:` and `training:`"
        )
    draft = _Draft(values, places)
    base = values.pop("extends", None)
    resolve_paths(values, path.parent)
    if base is None:
        return draft
    if not isinstance(base, str):
        raise InputError(f"{draft.place(('extends',))}: `extends:` must name one recipe")
    parent = _read(_find(base, path.parent, fitting), (*seen, path), fitting)
    _merge(parent.values, draft.values)
    return _Draft(parent.values, parent.places | draft.places)


def _note_places(node: yaml.Node, path: KeyPath, file: Path, places: dict[KeyPath, str]) -> None:
    places.setdefault(path, f"{file}:{node.start_mark.line + 1}")
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            places[inner] = f"{file}:{key.start_mark.line + 1}"
            _note_places(value, inner, file, places)


def _apply(draft: _Draft, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(f"`{override}` is not an override; write key=value, such as training.steps=100")
    if key == "extends":
        raise InputError(
            f"`{override}`: only a recipe file can extend another; name that recipe on the command line, "
            "or write a file with `extends:`"
        )
    try:
        value = yaml_value(text)
    except ValueError as error:
        raise InputError(
            f"`{override}`: the value is not valid YAML ({str(error).removeprefix('not valid YAML: ')}); "
            "put it in quotes"
        ) from None
    path = tuple(key.split("."))
    tree: dict[str, Any] = {path[-1]: value}
    for name in reversed(path[:-1]):
        tree = {name: tree}
    resolve_paths(tree, Path.cwd())
    into = draft.values
    for name in path[:-1]:
        if not isinstance(into.get(name), dict):
            into[name] = {}
        into, tree = into[name], tree[name]
    _merge(into, tree)
    place = f"override `{override}`"
    for length in range(1, len(path)):
        draft.places.setdefault(path[:length], place)
    for inner in _paths(value, path):
        draft.places[inner] = place


def _paths(value: Any, path: KeyPath) -> list[KeyPath]:
    """Return `path` and the paths of all keys below it."""
    below = value.items() if isinstance(value, dict) else ()
    return [path, *(inner for name, part in below for inner in _paths(part, (*path, str(name))))]


def _merge(into: dict[str, Any], new: dict[str, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict) and key != "config":
            _merge(into[key], value)
        else:
            into[key] = value


def _check(draft: _Draft, kind: type[R]) -> R:
    section, verb = ("mixture", "finetune") if kind is PretrainRecipe else ("pretraining", "pretrain")
    if section in draft.values:
        raise InputError(f"{draft.place((section,))}: a recipe with `{section}:` is for `openflan {verb}`")
    for former, present in with_present_names(draft.values, draft.place).items():
        draft.places[present] = draft.place(former)
    try:
        return kind.model_validate(draft.values)
    except ValidationError as error:
        raise InputError(
            "\n".join(_message(draft, problem, kind) for problem in error.errors(include_url=False))
        ) from None


def _message(draft: _Draft, problem: Any, kind: type[BaseModel]) -> str:
    path = _key_path(draft.values, problem["loc"])
    dotted, place = ".".join(path), draft.place(path)
    if problem["type"] == "extra_forbidden":
        section = _section_at(path[:-1], kind)
        known = [*(section.model_fields if section else ()), *(() if path[:-1] else ("extends",))]
        hint = did_you_mean(path[-1], known) or f"; keys here: {', '.join(known)}"
        return f"{place}: `{dotted}` is not a key of a recipe{hint}"
    if problem["type"] == "missing":
        return f"{place}: `{dotted}` is missing"
    detail = str(problem["msg"]).removeprefix("Value error, ")
    expected = _WANTED.get(
        problem["type"], detail.removeprefix(_EXPECTED).strip() if detail.startswith(_EXPECTED) else ""
    )
    if expected:
        detail = (
            f"expected {expected}; found {json.dumps(problem['input'], default=str, ensure_ascii=False)[:60]}"
        )
    return f"{place}: `{dotted}`: {detail}" if dotted else f"{place}: {detail}"


_EXPECTED = "Input should be"
_WANTED = {
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "path_type": "a path",
    "too_short": "at least one",
    "string_pattern_mismatch": "letters, digits, `_`, `.` and `-`, a letter or digit first",
}


def _key_path(values: Any, loc: tuple[int | str, ...]) -> KeyPath:
    """Return pydantic's location without the names of types that it contains. The last part always stays, as
    a missing key is not in the values."""
    path: list[str] = []
    for index, part in enumerate(loc):
        if isinstance(values, dict) and (part in values or index == len(loc) - 1):
            values = values.get(part)
        elif isinstance(values, list) and isinstance(part, int):
            values = values[part]
        else:
            continue
        path.append(str(part))
    return tuple(path)


def _section_at(path: KeyPath, kind: type[BaseModel]) -> type[BaseModel] | None:
    """Return the schema class with the keys at `path` of a recipe, or None."""
    current: Any = kind
    for part in path:
        if isinstance(current, type) and issubclass(current, BaseModel):
            if part not in current.model_fields:
                return None
            current = _unwrapped(current.model_fields[part].annotation)
        else:
            arguments = get_args(current)
            current = (
                _unwrapped(arguments[1]) if get_origin(current) is dict and len(arguments) == 2 else None
            )
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _unwrapped(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        return next((part for part in get_args(annotation) if part is not type(None)), None)
    return annotation
