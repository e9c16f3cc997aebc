"""The files of a run that go to the hub, and what is left out or changed.

Decision: a list of what may go, and nothing else of the run folder. Generations and builds hold rows and
questions of others, checkpoints hold the optimizer, and the logs of trackers name the machine. Paths of this
machine in configurations, the recipe and the scores are replaced by their last part. Where a path stands in
the middle of a text, nothing is sent.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.json_files import read_json_file
from openflan.local_paths import Replaced, is_local_path, without_local_paths
from openflan.models.adapter_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from openflan.models.folder import has_tokenizer, weight_files
from openflan.publishing.card import CardFacts, write_card
from openflan.recipe.load_recipe import dump_recipe, load_any_recipe
from openflan.recipe.pretraining import AnyRecipe
from openflan.run_folder import Run

CARD = "README.md"


_KINDS = frozenset({".json", ".safetensors", ".model", ".txt", ".jinja"})
"""No file that is a program or a pickle."""

_VOCABULARIES = frozenset({"tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "added_tokens.json"})
"""Files of tokens: a token may look like a path."""

_BASE_KEYS = frozenset({"base_model_name_or_path", "base"})
"""Keys of an adapter's configuration and of its record that name the base."""

_LARGEST_HEADER = 100 << 20


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file of the hub's repository: its name there, and its content or where it lies."""

    name: str
    content: Path | bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


@dataclass(frozen=True, slots=True)
class Publication:
    """All that goes to the hub, and lines for the user about what was changed or left out."""

    files: tuple[PublishedFile, ...]
    notes: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def gather_files(run: Run, repository: str, *, adapter: bool = False, base: str | None = None) -> Publication:
    """What goes to the hub of a run: the model with its tokenizer, or the adapter; the card, the recipe, the
    scores.

    `repository` is OWNER/NAME. `base` is the hub id of the base, for one that was read from a folder. Raises
    InputError for a run without a finished model or adapter, and for texts that name paths of this machine.
    """
    folder = run.folder / ("adapter" if adapter else "model")
    _check_complete(run, folder, adapter)
    recipe = _published_recipe(load_any_recipe(run.recipe), base)
    notes: list[str] = []
    files: list[PublishedFile] = []
    left_out: list[str] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name.startswith(".") or "/." in name or name == CARD:
            continue
        if path.suffix not in _KINDS or ("/" in name and path.suffix != ".jinja"):
            left_out.append(name)
            continue
        files.append(PublishedFile(name, _cleaned(path, name, base, notes)))
    if left_out:
        notes.append(f"left out of {folder.name}/: {', '.join(left_out[:5])}")
    recipe_text, replaced = recipe
    notes += _lines_of("recipe.yaml", replaced)
    files.append(PublishedFile("recipe.yaml", recipe_text.encode()))
    if run.scores.is_file():
        files.append(PublishedFile("scores.json", _cleaned(run.scores, "scores.json", None, notes)))
    files.append(PublishedFile(CARD, _card(run, folder, repository, adapter, base, notes)))
    _refuse_paths(files, _private_places(run))
    return Publication(tuple(sorted(files, key=lambda file: file.name)), tuple(notes))


def _check_complete(run: Run, folder: Path, adapter: bool) -> None:
    if not folder.is_dir():
        raise InputError(
            f"{run.folder}: has no adapter (no adapter/); leave --adapter out to push the model"
            if adapter
            else f"{run.folder}: has no model to push (no model/), which is written when training ends; run "
            "the same `openflan` command again to finish it"
        )
    missing = [] if (folder / "config.json").is_file() or adapter else ["config.json"]
    missing += [] if not adapter or (folder / ADAPTER_CONFIG).is_file() else [ADAPTER_CONFIG]
    # Of an adapter, `weight_files` also gives the base's files, which need not be there.
    weights = [folder / ADAPTER_WEIGHTS] if adapter else weight_files(folder)
    missing += [] if weights and all(file.is_file() for file in weights) else ["*.safetensors"]
    missing += [] if has_tokenizer(folder) else ["tokenizer.json"]
    if missing:
        raise InputError(f"{folder}: has no {', no '.join(missing)}; train the run again with --restart")


def _published_recipe(recipe: AnyRecipe, base: str | None) -> tuple[str, list[Replaced]]:
    """The recipe as YAML without paths of this machine, and what was replaced."""
    values = recipe.model_dump(mode="json", exclude_none=True)
    if base is not None and "base" in values["model"]:
        values["model"]["base"] = base
    cleaned, replaced = without_local_paths(values)
    return dump_recipe(type(recipe).model_validate(cleaned)), replaced


def _cleaned(path: Path, name: str, base: str | None, notes: list[str]) -> Path | bytes:
    """The file itself, or its content with other texts in place of paths; `notes` gets a line for each."""
    if path.suffix == ".safetensors":
        _refuse_header(path)
    if path.suffix != ".json" or name in _VOCABULARIES or name.endswith(".index.json"):
        return path
    value = read_json_file(path, remedy="restore it, or export the model again")
    if base is not None and isinstance(value, dict) and name in (ADAPTER_CONFIG, "base.json"):
        named = dict.fromkeys(_BASE_KEYS & value.keys(), base)
        changed = any(value[key] != base for key in named)
        value = {**value, **named}
    else:
        changed = False
    cleaned, replaced = without_local_paths(value)
    if not replaced and not changed:
        return path
    notes += _lines_of(name, replaced)
    return (json.dumps(cleaned, indent=2, ensure_ascii=False) + "\n").encode()


def _lines_of(name: str, replaced: Sequence[Replaced]) -> Iterator[str]:
    for item in replaced:
        remedy = "; --base OWNER/NAME names its hub id" if item.key.rpartition(".")[2] in _BASE_KEYS else ""
        yield f"{name}: `{item.key}` says {item.text} in place of {item.path}{remedy}"


def _card(
    run: Run, folder: Path, repository: str, adapter: bool, base: str | None, notes: list[str]
) -> Path | bytes:
    own = next((path for path in (run.folder / CARD, folder / CARD) if path.is_file()), None)
    if own is not None:
        return own
    notes.append(
        f"{CARD}: there is no card, so one was written from the run; {run.folder / CARD} replaces it"
    )
    return write_card(CardFacts.of(run, folder, repository, adapter=adapter, base=base)).encode()


def _private_places(run: Run) -> list[str]:
    """Beginnings of paths that only this machine has."""
    places = [Path.home(), Path.cwd(), run.folder.resolve()]
    return [f"{place}/" for place in dict.fromkeys(map(str, places)) if len(place) > 1]


def _refuse_paths(files: Sequence[PublishedFile], places: Sequence[str]) -> None:
    """Raises InputError for a text of which a part is a path of this machine."""
    for file in files:
        if file.name in _VOCABULARIES or file.name.endswith((".safetensors", ".model")):
            continue
        content = file.content if isinstance(file.content, bytes) else file.content.read_bytes()
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
            place = next((place for place in places if place in line), None)
            if place is not None:
                begin = line.index(place)
                raise InputError(
                    f"{file.name}: line {number} names a path of this machine "
                    f"({line[begin : begin + 60]}); change it, as what is pushed is read by others"
                )


def _refuse_header(path: Path) -> None:
    """Raises InputError for a path of this machine in the free texts of a safetensors file."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        header: Any = None
        if 0 < length <= min(_LARGEST_HEADER, path.stat().st_size):
            try:
                header = json.loads(file.read(length))
            except ValueError:
                header = None
    if not isinstance(header, dict):
        raise InputError(f"{path}: not a safetensors file; train the run again with --restart")
    texts = header.get("__metadata__") or {}
    for key, text in texts.items() if isinstance(texts, dict) else ():
        if isinstance(text, str) and is_local_path(text):
            raise InputError(
                f"{path}: `{key}` of its header is {text[:60]}, a path of this machine; write the file "
                "without it"
            )
