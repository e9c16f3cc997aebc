"""Fetches the sources of a plan into a folder, so that openflan's readers find them there.

First everything is listed, so that sizes and licences are known and the disk can be checked; then file after
file is fetched. The lock file is written again and again, so that nothing is fetched twice. What one source
lacks does not stop the others.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from openflan.collection.archives import unpack
from openflan.collection.listing import HubFile, Listing, Located, list_source, refused
from openflan.collection.lock_file import (
    LockedFile,
    LockedSource,
    is_whole,
    locked_file,
    read_lock,
    write_lock,
)
from openflan.collection.plan import Plan, Source
from openflan.collection.servers import Servers
from openflan.downloads.download import Expected, check, download, partial_path
from openflan.downloads.requests import Missing, Unreachable
from openflan.errors import OpenflanError, SetupError
from openflan.lock import locked

ARCHIVE_FOLDER = ".archives"
_SPARE_BYTES = 1 << 28
"""What is left free on the disk."""

_SECONDS_BETWEEN_LOCKS = 1.0
"""What a crash takes from the lock file is hashed again, not fetched again."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A source before it is fetched: its listing (None for an archive, and for what is there already), the
    bytes still to come (None if only the server knows), and its licence as far as it is known."""

    source: Source
    listing: Listing | None
    to_come: int | None
    licence: str | None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be fetched, and why."""

    part: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """What a fetch left in the folder: the sources that are there whole, and what is missing."""

    sources: Mapping[str, LockedSource]
    failures: tuple[Failure, ...]


class Fetch:
    """A fetch of a plan into a folder. First `prepare`, then `run`."""

    def __init__(self, plan: Plan, folder: Path, servers: Servers, *, hashed: bool = False) -> None:
        """`hashed`: files that are there are read again, even where size and time are those of the lock
        file. Raises InputError for a broken lock file."""
        self._plan = plan
        self._folder = folder
        self._servers = servers
        self._hashed = hashed
        self._lock = read_lock(folder)
        self._failures: list[Failure] = []
        self._written = 0.0

    def prepare(self) -> list[Ready]:
        """Asks what there is of each source. Raises Unreachable if a server does not answer, and SetupError
        if the disk is too small."""
        ready = [entry for source in self._plan.sources if (entry := self._prepare(source))]
        self._check_disk(ready)
        return ready

    def run(self, ready: Sequence[Ready], progress: Callable[[str, int], None]) -> Done:
        """Fetches what is missing; `progress` gets a file's place below the folder and its bytes so far.

        Raises Unreachable if a server does not answer any more, InputError if another process fetches into
        the folder.
        """
        busy = f"{self._folder}: another `openflan collection fetch` is at work there; wait for it"
        with locked(self._folder / ".collection.lock", busy):
            try:
                for entry in ready:
                    self._fetch(entry, progress)
            finally:  # also after Ctrl-C
                self._write_lock()
        keys = [entry.source.key for entry in ready]
        return Done({key: self._lock[key] for key in keys if key in self._lock}, tuple(self._failures))

    def _fetch(self, entry: Ready, progress: Callable[[str, int], None]) -> None:
        if entry.whole:
            return
        try:
            if entry.listing is not None:
                self._fetch_data_set(entry.listing, progress)
            else:
                self._fetch_archive(entry.source, progress)
        except Unreachable:
            raise
        except OpenflanError as error:
            self._fail(entry.source, entry.source.repository, error)

    def _prepare(self, source: Source) -> Ready | None:
        known = self._lock.get(source.key)
        if known and self._is_whole(source, known):
            return Ready(source, None, 0, source.licence or known.licence, whole=True)
        if source.kind == "github":
            return Ready(source, None, None, source.licence)
        try:
            listing = list_source(self._servers, source, [*known.commits.values()] if known else ())
        except Unreachable:
            raise
        except OpenflanError as error:
            self._fail(source, source.repository, error)
            return None
        for piece, why in listing.absent:
            what = ", ".join(piece.folders)
            self._failures.append(Failure(source.part, what, f"{source.repository}: {why}"))
        if not listing.located:
            return None
        return Ready(source, listing, self._bytes_to_come(listing), source.licence or listing.licence)

    def _is_whole(self, source: Source, known: LockedSource) -> bool:
        folders = [folder for piece in source.pieces for folder in piece.folders]
        there = {place.rpartition("/")[0] for place in known.files}
        return (
            bool(known.files)
            and (known.whole or not self._plan.whole)
            and there.issuperset(folders)
            and all(
                is_whole(self._folder, place, file, hashed=self._hashed)
                for place, file in known.files.items()
            )
        )

    def _bytes_to_come(self, listing: Listing) -> int:
        total = 0
        for located in listing.located:
            for number, file in enumerate(located.choice.files):
                target = self._folder / _places(located, number, file)[0]
                if not target.is_file():
                    part = partial_path(target, _expected(file))
                    total += max(file.size - (part.stat().st_size if part.exists() else 0), 0)
        return total

    def _check_disk(self, ready: Sequence[Ready]) -> None:
        # An archive lies there packed and unpacked for a while.
        needed = sum(
            entry.to_come if entry.to_come is not None else int(1.5e9 * (entry.source.gigabytes or 0))
            for entry in ready
        )
        existing = self._folder
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        free = shutil.disk_usage(existing).free
        if needed and needed + _SPARE_BYTES > free:
            raise SetupError(
                f"{self._folder}: {needed / 1e9:,.1f} GB are to come and {free / 1e9:,.1f} GB are free; free "
                "some space, fetch fewer parts, or name a folder on another disk with `--to`"
            )

    def _fetch_data_set(self, listing: Listing, progress: Callable[[str, int], None]) -> None:
        source = listing.source
        known = self._lock.get(source.key)
        locked_source = LockedSource(
            source.repository,
            {located.revision.name: located.revision.commit for located in listing.located}
            if known is None
            else known.commits,
            source.licence or listing.licence,
            date.today().isoformat() if known is None else known.fetched,
            None,
            self._plan.whole or (known is not None and known.whole),
            known.files if known else {},
        )
        for located in listing.located:
            for number, file in enumerate(located.choice.files):
                places = _places(located, number, file)
                locked_source = self._fetch_file(locked_source, located, file, places, progress)
                self._note(source.key, locked_source)
            if located.choice.partial:
                what = ", ".join(located.piece.folders)
                why = f"{source.repository}: only the first gigabytes, as the hub converted no more"
                self._failures.append(Failure(source.part, what, why))

    def _fetch_file(
        self,
        source: LockedSource,
        located: Located,
        file: HubFile,
        places: Sequence[str],
        progress: Callable[[str, int], None],
    ) -> LockedSource:
        first = places[0]
        known = source.files.get(first)
        expected = _expected(file)
        if known is None or not is_whole(self._folder, first, known, hashed=self._hashed):
            repository, commit = source.repository, located.revision.commit
            address = self._servers.file_address(repository, commit, file.path)
            progress(first, 0)
            target = self._folder / first
            fetched, right = check(target, expected) if target.is_file() else (None, False)
            if fetched is None or not right:
                try:
                    fetched = download(
                        self._servers.requests, address, target, expected, lambda size: progress(first, size)
                    )
                except Missing as error:
                    raise refused(repository, error) from None
            progress(first, fetched.size)
            known = locked_file(self._folder, first, file.path, fetched.sha256)
        files = {**source.files, first: known}
        for place in places[1:]:
            self._link(first, place)
            files[place] = replace(known, changed=(self._folder / place).stat().st_mtime_ns)
        return replace(source, files=files)

    def _link(self, first: str, place: str) -> None:
        """The same file under another name; a copy where the disk has no links."""
        target = self._folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(self._folder / first, target)
        except OSError:
            shutil.copy2(self._folder / first, target)

    def _fetch_archive(self, source: Source, progress: Callable[[str, int], None]) -> None:
        known = self._lock.get(source.key)
        commit = known.commits.get(source.branch) if known else None
        ref = commit or f"refs/heads/{source.branch}"
        address = self._servers.archive_address(source.repository, ref)
        name = f"{source.repository.replace('/', '-')}.tar.gz"
        archive = self._folder / ARCHIVE_FOLDER / name
        progress(name, 0)
        try:
            fetched = download(
                self._servers.requests, address, archive, Expected(), lambda size: progress(name, size)
            )
        except Missing as error:
            raise SetupError(
                f"{address}: GitHub has no such archive ({error.status}); fetch the repository yourself: "
                f"git clone --depth 1 https://github.com/{source.repository}"
            ) from None
        progress(name, fetched.size)
        commit, written = unpack(archive, address, source.keep, self._folder)
        archive.unlink()
        archive.parent.rmdir()
        files: dict[str, LockedFile] = {
            place: locked_file(self._folder, place, path, sha256) for place, (path, sha256) in written.items()
        }
        commits = {source.branch: commit} if commit else {}
        today = date.today().isoformat()
        self._note(
            source.key,
            LockedSource(source.repository, commits, source.licence, today, fetched.sha256, True, files),
        )

    def _note(self, key: str, source: LockedSource) -> None:
        self._lock[key] = source
        if time.monotonic() > self._written + _SECONDS_BETWEEN_LOCKS:
            self._write_lock()

    def _write_lock(self) -> None:
        write_lock(self._folder, self._lock)
        self._written = time.monotonic()

    def _fail(self, source: Source, what: str, error: OpenflanError) -> None:
        self._failures.append(Failure(source.part, what, str(error)))


def _places(located: Located, number: int, file: HubFile) -> list[str]:
    """Where a file goes below the target folder. Names say nothing of a split, as readers set aside what is
    named after another than `train`."""
    suffix = file.path.rpartition(".")[2]
    return [f"{folder}/{number:04}.{suffix}" for folder in located.piece.folders]


def _expected(file: HubFile) -> Expected:
    return Expected(file.size, file.sha256, file.git_sha1)
