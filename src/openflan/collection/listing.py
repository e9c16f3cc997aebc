"""What the hub says that a data set holds, and which of its files a split is made of.

Two layouts are known: that of the conversion branch, `CONFIG/SPLIT/0000.parquet`, where a data set above five
gigabytes has `CONFIG/partial-SPLIT/`, and that of data sets published as Parquet or JSON lines,
`[data/][CONFIG/]SPLIT-00000-of-00002[-HASH].parquet`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from openflan.collection.plan import Piece, Source
from openflan.collection.servers import Servers
from openflan.downloads.requests import Missing
from openflan.errors import InputError, SetupError

CONVERTED = "refs/convert/parquet"
BRANCHES = (CONVERTED, "main")
"""Where a split is looked for, in this order."""

SUFFIXES = (".parquet", ".jsonl")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as the hub lists it. Large files have a `sha256`, small ones the SHA-1 that git gives their
    content (`git_sha1`)."""

    path: str
    size: int
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit of a data set, with its card's licence; `gated`: its owners ask for consent first."""

    name: str
    commit: str
    licence: str | None
    gated: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """The files of a split in their order; `partial`: the hub converted only its first gigabytes."""

    files: tuple[HubFile, ...]
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Located:
    """A piece of a source, the revision that has it, and its files."""

    piece: Piece
    revision: Revision
    choice: Choice


@dataclass(frozen=True, slots=True)
class Listing:
    """What the hub has of a source, and the pieces that it has not, each with what is there instead."""

    source: Source
    located: tuple[Located, ...]
    absent: tuple[tuple[Piece, str], ...]
    gated: bool
    licence: str | None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for located in self.located for file in located.choice.files)


def hub_files(pages: Iterable[Any], address: str) -> list[HubFile]:
    """The files of the hub's list. Raises SetupError for anything that is no such list."""
    try:
        return [
            HubFile(
                entry["path"],
                int((entry.get("lfs") or entry)["size"]),
                entry["lfs"]["oid"].removeprefix("sha256:") if entry.get("lfs") else None,
                None if entry.get("lfs") else entry["oid"],
            )
            for page in pages
            for entry in page
            if entry["type"] == "file"
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SetupError(f"{address}: not the list of files that the hub gives") from None


def choose_files(
    files: Sequence[HubFile],
    config: str | None,
    split: str,
    *,
    first_only: bool = False,
    may_be_renamed: bool = True,
) -> Choice:
    """The files of a split of a configuration; none if they are not there.

    Without a configuration, the only one that has the split is taken, or `default`. `may_be_renamed`: a
    configuration that is not there may be called `default` now, as the hub has renamed some when it converted
    them; never may it be another.
    """
    groups: dict[tuple[str, bool], list[HubFile]] = {}
    for file in files:
        if place := _place(file.path, split):
            groups.setdefault(place, []).append(file)
    configs = {name for name, _ in groups}
    named = next((name for name in configs if config is not None and name.strip() == config.strip()), None)
    if named is None and config is None and len(configs) == 1:
        (named,) = configs
    elif named is None and (config is None or may_be_renamed):
        named = "default"
    elif named is None:
        return Choice(())
    for partial in (False, True):
        if chosen := sorted(groups.get((named, partial), []), key=lambda file: file.path):
            # Of a split in two formats one is enough.
            suffix = next(suffix for suffix in SUFFIXES if any(file.path.endswith(suffix) for file in chosen))
            kept = [file for file in chosen if file.path.endswith(suffix)]
            return Choice(tuple(kept[:1] if first_only else kept), partial and not first_only)
    return Choice(())


def _place(path: str, split: str) -> tuple[str, bool] | None:
    """The configuration that a file belongs to, and whether it is of a partial conversion; None if it is not
    of the split."""
    if not path.endswith(SUFFIXES):
        return None
    *folders, name = path.split("/")
    if folders[:1] == ["data"]:
        folders = folders[1:]
    stem = name.rsplit(".", 1)[0]
    if folders and folders[-1] in (split, f"partial-{split}"):
        return "/".join(folders[:-1]) or "default", folders[-1] != split
    if re.fullmatch(rf"{re.escape(split)}(-\d+-of-\d+(-\w+)?)?", stem):
        return "/".join(folders) or "default", False
    # The conversion branch before 2023-07: CONFIG/NAME-SPLIT[-00000-of-00002].parquet
    if folders and re.fullmatch(rf"[\w.-]+-{re.escape(split)}(-\d+-of-\d+)?", stem):
        return "/".join(folders), False
    return None


def list_source(servers: Servers, source: Source, commits: Sequence[str] = ()) -> Listing:
    """What the hub has of a source: of `commits` if any are given, else of BRANCHES.

    Raises InputError if there is no such data set or it is not for this user, SetupError if the hub does not
    answer.
    """
    located: dict[Piece, Located] = {}
    seen: list[Revision] = []
    for name in commits or BRANCHES:
        wanted = [piece for piece in source.pieces if piece not in located or located[piece].choice.partial]
        if not wanted:
            break
        revision = _revision(servers, source.repository, name)
        if revision is None:
            continue
        seen.append(revision)
        address = servers.tree_address(source.repository, revision.commit)
        try:
            files = hub_files(servers.requests.pages(address), address)
        except Missing as error:
            raise refused(source.repository, error) from None
        for piece in wanted:
            choice = choose_files(
                files,
                piece.config,
                piece.split,
                first_only=piece.first_only,
                may_be_renamed=len({other.config for other in source.pieces}) == 1,
            )
            if choice.files and (piece not in located or not choice.partial):
                located[piece] = Located(piece, revision, choice)
    if seen and not commits and not any(revision.licence for revision in seen):
        # The conversion branch has no card.
        card = _revision(servers, source.repository, "main")
        seen += [card] if card is not None else []
    if not seen:
        raise InputError(
            f"{source.repository}: no such data set on the hub"
            + (
                f" at the commit that the lock file names ({commits[0][:12]}); move collection.lock.json "
                "away to take what is there now; unchanged files stay"
                if commits
                else ""
            )
        )
    return Listing(
        source,
        tuple(located[piece] for piece in source.pieces if piece in located),
        tuple((piece, _not_there(piece)) for piece in source.pieces if piece not in located),
        any(revision.gated for revision in seen),
        next((revision.licence for revision in seen if revision.licence), None),
    )


def refused(repository: str, error: Missing) -> InputError:
    """The error of a data set that the hub does not give."""
    if error.forbidden:
        return InputError(
            f"{repository}: the hub refuses it ({error.status}): accept its terms on "
            f"https://huggingface.co/datasets/{repository} and set HF_TOKEN, or leave it out"
        )
    return InputError(f"{repository}: the hub no longer has it ({error.status})")


def _revision(servers: Servers, repository: str, name: str) -> Revision | None:
    address = servers.revision_address(repository, name)
    try:
        (value,) = servers.requests.pages(address)
        card = value.get("cardData") or {}
        licence = card.get("license")
        return Revision(
            name,
            str(value["sha"]),
            ", ".join(map(str, licence)) if isinstance(licence, list) else licence,
            bool(value.get("gated")),
        )
    except Missing as error:
        if error.forbidden:
            raise refused(repository, error) from None
        return None
    except (KeyError, AttributeError, TypeError):
        raise SetupError(f"{address}: not what the hub says of a data set") from None


def _not_there(piece: Piece) -> str:
    config = f"`{piece.config}`, " if piece.config else ""
    return f"no Parquet or JSON lines of {config}split `{piece.split}`"
