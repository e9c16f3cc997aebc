"""What is fetched, from where, and where it lands: pure data, made from the catalogue and `sources.yaml`.

Below the target folder, everything lies where openflan's readers look for it:

    muffin/NAME/0000.parquet           a folder for each data set
    t0_sf/CONFIGURATION/0000.parquet   P3
    niv2/tasks/task*.json              natural-instructions
    cot/*_train.tsv                    FLAN, whose template files go to FLAN/
    ready-made/NAME_submix_original/data/0000.parquet
    t0_promptsource/templates, t0_promptsource/data
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from openflan.errors import InputError, did_you_mean
from openflan.tasks.catalogue import catalogue
from openflan.tasks.muffin.families import DATASETS
from openflan.tasks.p3.names import HUB_SPELLINGS, known_names
from openflan.yaml_files import read_yaml

PARTS: Mapping[str, str] = {
    "muffin": "Muffin's data sets as their publishers have them",
    "t0_sf": "T0-SF as its publishers rendered it (P3)",
    "niv2": "natural-instructions",
    "cot": "the chain-of-thought files, and the original wordings of all tasks (FLAN)",
    "ready-made": "the whole collection as others rendered it",
    "promptsource": "T0-SF's templates and the data sets behind them",
}
"""What can be fetched, by the names of the command line."""

FROM_SOURCES = ("muffin", "t0_sf", "niv2", "cot")
"""The parts that together are the collection; they are fetched if none is named."""

READY_MADE = "ready-made"
"""The part, and the folder, of rows that others rendered."""

TEMPLATES_FOLDER = "t0_promptsource"
"""The folder of promptsource's templates and the data sets behind them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A split of a data set of the hub, and the folders that its files go to (the same files, if there are
    several). `first_only`: only rows at the beginning are used, so the first file is enough."""

    config: str | None
    split: str
    folders: tuple[str, ...]
    first_only: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A repository that is fetched. `kind` is `hub` (a data set, of which `pieces` are taken) or `github` (an
    archive of `branch`, of which the files that `keep` names go to its folders).

    `tasks`: how many tasks its files serve. `licence`: of the data as their publication states it, None where
    only the card says so. `gigabytes`: the size on disk where it is known without asking. `statement` says
    where all this comes from, `looked_up` when it was looked up.
    """

    part: str
    kind: Literal["hub", "github"]
    repository: str
    tasks: int
    licence: str | None
    gigabytes: float | None
    statement: str
    looked_up: str
    pieces: tuple[Piece, ...] = ()
    branch: str = ""
    keep: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """What names it in the lock file."""
        return f"{self.part}:{self.repository}"

    @property
    def folder(self) -> str:
        """The folder that most of its files go to."""
        folders = [folder for piece in self.pieces for folder in piece.folders] or [
            folder for _, folder in self.keep
        ]
        return folders[0] if len(folders) == 1 else folders[0].partition("/")[0] + "/"


@dataclass(frozen=True, slots=True)
class NotFetched:
    """What is not fetched, or no longer exists, and what to do or take instead."""

    part: str
    what: str
    instead: str
    source: str
    looked_up: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The sources of the parts that were asked for, and what cannot be had."""

    parts: tuple[str, ...]
    sources: tuple[Source, ...]
    not_fetched: tuple[NotFetched, ...]
    gone: tuple[NotFetched, ...]
    whole: bool = False

    @property
    def shortened(self) -> tuple[str, ...]:
        """The tasks of very large data sets of which the first file is fetched."""
        names = {f"muffin/{name}" for name in _facts()["muffin"]["first_file"]}
        return tuple(
            folder
            for source in self.sources
            for piece in source.pieces
            for folder in piece.folders
            if folder in names and piece.first_only
        )

    @property
    def described(self) -> dict[str, Any]:
        """The plan as plain JSON values."""
        return asdict(self)


def plan(parts: Sequence[str] = (), *, whole: bool = False) -> Plan:
    """The plan for some parts, those of FROM_SOURCES if none is named. Needs no network. `whole` takes all
    files also of very large data sets, whose first file is enough for their cap.

    Raises InputError for an unknown part, with the nearest name.
    """
    for part in parts:
        if part not in PARTS:
            hint = did_you_mean(part, PARTS) or f"; there are {', '.join(PARTS)}"
            raise InputError(f"the collection has no part `{part}`{hint}")
    chosen = tuple(part for part in PARTS if part in (parts or FROM_SOURCES))
    return Plan(
        chosen,
        tuple(source for source in _sources(whole) if source.part in chosen),
        tuple(absent for absent in _not_fetched() if absent.part in chosen),
        tuple(dict.fromkeys(absent for absent in _gone(chosen))),
        whole,
    )


@cache
def _facts() -> Mapping[str, Any]:
    facts: Mapping[str, Any] = read_yaml(Path(str(files("openflan.collection") / "sources.yaml")))
    return facts


def _looked_up() -> str:
    return str(_facts()["looked_up"])


@cache
def _sources(whole: bool) -> tuple[Source, ...]:
    return (*_muffin(whole), _p3(), *_archives(), *_ready_made(), *_raw_t0())


def _muffin(whole: bool) -> Iterable[Source]:
    """One source for each repository, as several tasks may be read from one."""
    facts = _facts()["muffin"]
    folders: dict[tuple[str, str | None, str], list[str]] = {}
    in_full: dict[tuple[str, str | None, str], bool] = {}
    for name, dataset in DATASETS.items():
        if dataset.hub is None or name in facts["by_hand"]:
            continue
        repository, config = _repository(dataset.hub)
        key = (repository, config, re.sub(r"\[.*", "", dataset.split))
        folders.setdefault(key, []).append(f"muffin/{name}")
        starts_at_the_beginning = re.search(r"\[\d*:\d+\]$", dataset.split) is not None
        is_shortened = name in facts["first_file"] and not whole
        in_full[key] = in_full.get(key, False) or not (starts_at_the_beginning or is_shortened)
    for repository in dict.fromkeys(repository for repository, _, _ in folders):
        pieces = tuple(
            Piece(config, split, tuple(names), not in_full[repository, config, split])
            for (of, config, split), names in folders.items()
            if of == repository
        )
        names = [folder for piece in pieces for folder in piece.folders]
        licences = dict.fromkeys(catalogue()[name].licence for name in names)
        yield Source(
            part="muffin",
            kind="hub",
            repository=repository,
            tasks=len(names),
            licence="; ".join(licence for licence in licences if licence) or None,
            gigabytes=None,
            statement=facts["statements"].get(repository, facts["source"]),
            looked_up=_looked_up(),
            pieces=pieces,
        )


def _p3() -> Source:
    facts = _facts()["p3"]
    pieces = tuple(
        Piece(HUB_SPELLINGS.get(name, name), "train", (f"t0_sf/{name}",)) for name in known_names()
    )
    return Source(
        part="t0_sf",
        kind="hub",
        repository=facts["repository"],
        tasks=len(pieces),
        licence=facts["licence"],
        gigabytes=None,
        statement=facts["source"],
        looked_up=_looked_up(),
        pieces=pieces,
    )


def _archives() -> Iterable[Source]:
    for facts in _facts()["archives"].values():
        yield Source(
            part=facts["part"],
            kind="github",
            repository=facts["repository"],
            tasks=facts["tasks"],
            licence=facts["licence"],
            gigabytes=facts["gigabytes"],
            statement=facts["source"],
            looked_up=_looked_up(),
            branch=facts["branch"],
            keep=tuple(facts["keep"].items()),
        )


def _ready_made() -> Iterable[Source]:
    facts = _facts()["ready_made"]
    for name in facts["names"]:
        folder = f"{READY_MADE}/{name}_submix_original/data"
        yield Source(
            part=READY_MADE,
            kind="hub",
            repository=f"{facts['owner']}/{name}_submix_original",
            tasks=1,
            licence=None,
            gigabytes=None,
            statement=facts["source"],
            looked_up=_looked_up(),
            pieces=(Piece(None, "train", (folder,)),),
        )


def _raw_t0() -> Iterable[Source]:
    facts = _facts()["raw_t0"]
    pieces: dict[str, list[Piece]] = {}
    for folder, hub in facts["datasets"].items():
        repository, config = _repository(hub)
        pieces.setdefault(repository, []).append(
            Piece(config, "train", (f"{TEMPLATES_FOLDER}/data/{folder}",))
        )
    for repository, of_it in pieces.items():
        entries = [entry for entry in catalogue().values() if entry.hub == repository]
        licences = dict.fromkeys(entry.licence for entry in entries if entry.licence)
        yield Source(
            part="promptsource",
            kind="hub",
            repository=repository,
            tasks=sum(entry.name.startswith("t0_sf/") for entry in entries),
            licence="; ".join(licences) or None,
            gigabytes=None,
            statement=facts["source"],
            looked_up=_looked_up(),
            pieces=tuple(of_it),
        )


def _not_fetched() -> Iterable[NotFetched]:
    facts = _facts()["muffin"]
    for name, instead in facts["by_hand"].items():
        yield NotFetched("muffin", f"muffin/{name}", instead, facts["source"], _looked_up())


def _gone(parts: Sequence[str]) -> Iterable[NotFetched]:
    for facts in _facts()["gone"]:
        concerned = [part for part in facts["parts"] if part in parts]
        if concerned:
            yield NotFetched(
                ", ".join(concerned), facts["what"], facts["instead"], facts["source"], _looked_up()
            )


def _repository(hub: str) -> tuple[str, str | None]:
    """The id and the configuration of `OWNER/NAME[/CONFIG]`."""
    owner, name, *config = hub.split("/", 2)
    return f"{owner}/{name}", config[0] if config else None
