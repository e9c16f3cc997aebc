"""Whether the servers still have what the plan names: one line for each source, to be pasted into a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from openflan.collection.listing import Listing, list_source
from openflan.collection.plan import Plan, Source
from openflan.collection.servers import Servers
from openflan.downloads.requests import Missing, Unreachable
from openflan.errors import OpenflanError


@dataclass(frozen=True, slots=True)
class Verified:
    """What a server says of a source today. `state` is `there`, `there, in part` or `missing`; `size` in
    bytes, None if the server does not say."""

    part: str
    repository: str
    state: str
    detail: str
    commit: str | None
    files: int
    size: int | None
    licence: str | None
    checked: str

    @property
    def line(self) -> str:
        """The line of a Markdown table."""
        size = "" if self.size is None else f"{self.size / 1e6:,.1f} MB"
        cells = (
            self.part,
            self.repository,
            self.state,
            (self.commit or "")[:12],
            str(self.files or ""),
            size,
            self.licence or "not stated",
            self.checked,
            self.detail,
        )
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


HEAD = (
    "| part | repository | state | commit | files | size | licence | checked | detail |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
"""The first lines of the table."""


def verify(plan: Plan, servers: Servers) -> Iterator[Verified]:
    """Asks about every source of a plan, fetching nothing. Raises Unreachable if a server does not answer."""
    for source in plan.sources:
        try:
            yield (
                _of_archive(source, servers)
                if source.kind == "github"
                else _of_data_set(source, list_source(servers, source))
            )
        except Unreachable:
            raise
        except OpenflanError as error:
            yield _verified(source, "missing", str(error))


def _of_archive(source: Source, servers: Servers) -> Verified:
    address = servers.archive_address(source.repository, f"refs/heads/{source.branch}")
    try:
        with servers.requests.answer(address) as response:
            length = response.headers.get("Content-Length")
    except Missing as error:
        return _verified(source, "missing", f"{address}: {error.status}")
    return _verified(source, "there", f"branch {source.branch}", size=int(length) if length else None)


def _of_data_set(source: Source, listing: Listing) -> Verified:
    notes = [f"{', '.join(piece.folders)}: {why}" for piece, why in listing.absent]
    notes += [
        f"{', '.join(located.piece.folders)}: only the first gigabytes are converted"
        for located in listing.located
        if located.choice.partial
    ]
    if listing.gated:
        notes.append("its owners ask for consent: accept the terms and set HF_TOKEN")
    branches = dict.fromkeys(located.revision.name for located in listing.located)
    state = "missing" if not listing.located else "there, in part" if notes else "there"
    return _verified(
        source,
        state,
        "; ".join(notes) or f"branch {', '.join(branches)}",
        commit=next((located.revision.commit for located in listing.located), None),
        files=sum(len(located.choice.files) for located in listing.located),
        size=listing.size,
        licence=listing.licence,
    )


def _verified(
    source: Source,
    state: str,
    detail: str,
    *,
    commit: str | None = None,
    files: int = 0,
    size: int | None = None,
    licence: str | None = None,
) -> Verified:
    return Verified(
        source.part,
        source.repository,
        state,
        detail,
        commit,
        files,
        size,
        licence or source.licence,
        date.today().isoformat(),
    )
