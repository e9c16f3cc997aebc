"""`collection.lock.json` beside the data: which commit of each source was fetched, and the hash of each file.

The next `fetch` takes the same commits. A file whose size and time are those of the lock file is not read
again; any other is hashed, and fetched again if it is not the one that was fetched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from openflan.downloads.download import Expected, check
from openflan.errors import InputError
from openflan.hashes import sha256_of

NAME = "collection.lock.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A file that was fetched: where it was in its repository, bytes, SHA-256, and when it was last changed
    on this disk (nanoseconds)."""

    path: str
    size: int
    sha256: str
    changed: int


@dataclass(frozen=True, slots=True)
class LockedSource:
    """What was fetched of a source. `commits`: of a data set's branches, or of the repository's archive,
    whose SHA-256 is `archive`. `fetched` is a date. `whole`: all files were asked for, of very large data
    sets too. `files`: by their paths below the target folder."""

    repository: str
    commits: Mapping[str, str]
    licence: str | None
    fetched: str
    archive: str | None = None
    whole: bool = False
    files: Mapping[str, LockedFile] = field(default_factory=dict)


def read_lock(folder: Path) -> dict[str, LockedSource]:
    """The sources of a folder's lock file by key; none if there is no such file.

    Raises InputError for a file that cannot be read.
    """
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != _FORMAT:
            raise InputError(
                f"{path}: written by another version of openflan (format {document['format']}); move it away "
                "to fetch anew"
            )
        return {
            key: LockedSource(
                **{
                    **source,
                    "files": {place: LockedFile(**file) for place, file in source["files"].items()},
                }
            )
            for key, source in document["sources"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: not a lock file of openflan; move it away to fetch anew") from None


def write_lock(folder: Path, sources: Mapping[str, LockedSource]) -> None:
    """Writes the lock file, whole or not at all."""
    document = {"format": _FORMAT, "sources": {key: asdict(source) for key, source in sources.items()}}
    unfinished = folder / f".{NAME}.part"
    unfinished.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(folder / NAME)


def locked_file(folder: Path, place: str, path: str, sha256: str) -> LockedFile:
    """The entry of a file that lies at `place` below the folder."""
    status = (folder / place).stat()
    return LockedFile(path, status.st_size, sha256, status.st_mtime_ns)


def is_whole(folder: Path, place: str, file: LockedFile, *, hashed: bool = False) -> bool:
    """Whether the file on disk is the one that was fetched; `hashed` reads it even where its size and time
    say so."""
    path = folder / place
    try:
        status = path.stat()
    except OSError:
        return False
    if status.st_size != file.size:
        return False
    if status.st_mtime_ns == file.changed and not hashed:
        return True
    return check(path, Expected(file.size, file.sha256))[1]


def digest_of_files(source: LockedSource) -> str:
    """One hash of all files of a source, for a table."""
    lines: list[Any] = sorted(f"{place} {file.sha256}" for place, file in source.files.items())
    return sha256_of("\n".join(lines))
