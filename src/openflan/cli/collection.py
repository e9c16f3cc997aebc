"""`openflan collection`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from openflan.cli.output import next_command, print_json, print_table
from openflan.collection.fetch import Done, Failure, Fetch, Ready
from openflan.collection.lock_file import read_lock
from openflan.collection.plan import FROM_SOURCES, PARTS, Plan, plan
from openflan.collection.recipes import write_recipes
from openflan.collection.servers import Servers
from openflan.collection.verify import HEAD, verify
from openflan.errors import InputError

app = typer.Typer(help="Fetch the public files of the Flan collection.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Fetch the public files of the Flan collection."""


@app.command("fetch")
def fetch(
    parts: list[str] | None = typer.Argument(
        None,
        metavar=f"[{'|'.join(PARTS)} ...]",
        help=f"The parts to fetch. Default: {', '.join(FROM_SOURCES)}.",
    ),
    to: Path | None = typer.Option(None, help="The folder for the files."),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Print the plan, and what no longer exists, without a connection."
    ),
    check: bool = typer.Option(
        False, "--verify", help="Ask the servers about everything, fetch nothing, and print a table."
    ),
    whole: bool = typer.Option(
        False,
        "--whole",
        help=(
            "Fetch all files of the two largest translation sets. By default the first, which has far more "
            "rows than their cap counts."
        ),
    ),
    hash_all: bool = typer.Option(
        False, "--hash", help="Read every file that is there, even if its size and time are unchanged."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON value on standard output."),
) -> None:
    """Fetch the public files of the collection into a folder, where all commands find them. If you run the
    same command again, it continues where it stopped.

    Sizes and licences are printed first. Every file is checked against the hash that the hub lists.
    `collection.lock.json` in the folder holds the commits, and the next fetch takes the same. HF_TOKEN is
    used for data sets whose owners ask for consent; HF_ENDPOINT and OPENFLAN_GITHUB_ENDPOINT name other
    servers.

    Examples:

    `openflan collection fetch --dry-run`

    `openflan collection fetch ready-made --to FLAN`

    `openflan collection fetch muffin t0_sf niv2 cot --to FLAN`
    """
    planned = plan(parts or (), whole=whole)
    if dry_run or check:
        if dry_run and check:
            raise InputError("--dry-run asks nobody and --verify asks the servers; give one of them")
        _print_plan(planned, as_json) if dry_run else _verify(planned, as_json)
        return
    if to is None:
        raise InputError("name the folder for the files with --to, such as --to FLAN, or look with --dry-run")
    if to.exists() and not to.is_dir():
        raise InputError(f"{to}: not a folder; name another with --to")
    _fetch(planned, to, hash_all, as_json)


def _print_plan(planned: Plan, as_json: bool) -> None:
    if as_json:
        print_json(planned.described)
        return
    print_table(
        f"{len(planned.sources)} repositories",
        ["part", "repository", "tasks", "GB", "licence of the data", "lands in"],
        [
            [
                source.part,
                source.repository,
                source.tasks,
                source.gigabytes,
                source.licence or "see its card",
                source.folder,
            ]
            for source in planned.sources
        ],
    )
    _print_absent(planned)
    looked_up = max(source.looked_up for source in planned.sources)
    typer.echo(
        f"\nLooked up on {looked_up}, and not tried on the live hub; --verify asks it, and --json has the "
        "source of each statement. Sizes without a figure are asked for before anything is fetched."
    )
    if planned.shortened:
        typer.echo(f"Of {' and '.join(planned.shortened)} the first file is fetched; --whole fetches all.")
    more = [part for part in PARTS if part not in planned.parts]
    if more:
        typer.echo(f"Not in this plan: {', '.join(f'{part} ({PARTS[part]})' for part in more)}.")


def _print_absent(planned: Plan) -> None:
    if planned.gone:
        print_table(
            "what no longer exists",
            ["what", "instead", "source"],
            [[absent.what, absent.instead, absent.source] for absent in planned.gone],
        )
    if planned.not_fetched:
        print_table(
            "not fetched",
            ["task", "what to do"],
            [[absent.what, absent.instead] for absent in planned.not_fetched],
        )


def _verify(planned: Plan, as_json: bool) -> None:
    servers = Servers.from_environment(_say)
    verified = []
    if not as_json:
        typer.echo(HEAD)
    for entry in verify(planned, servers):
        verified.append(entry)
        if not as_json:
            typer.echo(entry.line)
    if as_json:
        print_json([asdict(entry) for entry in verified])
    if any(entry.state != "there" for entry in verified):
        raise typer.Exit(1)


def _fetch(planned: Plan, to: Path, hash_all: bool, as_json: bool) -> None:
    servers = Servers.from_environment(_say)
    work = Fetch(planned, to, servers, hashed=hash_all)
    _say(f"asking about {len(planned.sources)} repositories")
    ready = work.prepare()
    if not as_json:
        _print_ready(ready)
    to.mkdir(parents=True, exist_ok=True)
    with _Progress(sum(entry.to_come or 0 for entry in ready)) as progress:
        done = work.run(ready, progress.show)
    recipes = write_recipes(to, {key.partition(":")[0] for key in read_lock(to)})
    if as_json:
        print_json(
            {
                "folder": str(to),
                "sources": {
                    key: {
                        "commits": source.commits,
                        "licence": source.licence,
                        "files": len(source.files),
                        "bytes": sum(file.size for file in source.files.values()),
                    }
                    for key, source in done.sources.items()
                },
                "failures": [asdict(failure) for failure in done.failures],
                "not_fetched": [asdict(absent) for absent in planned.not_fetched],
                "recipes": [str(path) for path in recipes],
            }
        )
    else:
        _print_done(planned, done, to)
        if recipes:
            next_command("mixture", recipes[0])
    if done.failures:
        raise typer.Exit(1)


def _print_ready(ready: Sequence[Ready]) -> None:
    def size(entry: Ready) -> str:
        if entry.whole:
            return "there"
        return f"about {entry.source.gigabytes:g} GB" if entry.to_come is None else _size(entry.to_come)

    total = sum(entry.to_come or 0 for entry in ready)
    archives = [entry for entry in ready if entry.to_come is None]
    to_fetch = [f"{_size(total)} of data sets"] * (total > 0) + ["archives of repositories"] * bool(archives)
    print_table(
        f"to fetch: {' and '.join(to_fetch)}" if to_fetch else "nothing to fetch",
        ["part", "repository", "tasks", "size", "licence of the data"],
        [
            [
                entry.source.part,
                entry.source.repository,
                entry.source.tasks,
                size(entry),
                entry.licence or "not stated",
            ]
            for entry in ready
        ],
    )


def _print_done(planned: Plan, done: Done, to: Path) -> None:
    files = {place for source in done.sources.values() for place in source.files}
    size = sum(file.size for source in done.sources.values() for file in source.files.values())
    typer.echo(
        f"{to}: {len(done.sources)} of {len(planned.sources)} repositories, {len(files):,} files, "
        f"{_size(size)}"
    )
    if done.failures:
        print_table("not there", ["part", "what", "why"], [_cells(failure) for failure in done.failures])
    if planned.not_fetched:
        names = ", ".join(absent.what for absent in planned.not_fetched)
        typer.echo(f"not fetched: {names}; --dry-run says what to do about each")


def _size(count: int) -> str:
    """Bytes as people write them."""
    for unit, one in (("GB", 1e9), ("MB", 1e6)):
        if count >= one:
            return f"{count / one:,.1f} {unit}"
    return f"{count / 1e3:,.1f} kB"


def _cells(failure: Failure) -> list[str]:
    return [failure.part, failure.what, failure.why]


def _say(line: str) -> None:
    typer.echo(f"openflan: {line}", err=True)


class _Progress:
    """A bar of bytes on a terminal; in a pipe, one line for every file."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self._shown = sys.stderr.isatty()
        self._bar: Any = tqdm(
            total=total,
            unit="B",
            unit_scale=True,
            file=sys.stderr,
            disable=not self._shown,
            dynamic_ncols=True,
        )
        self._place, self._size = "", 0

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, place: str, size: int) -> None:
        if place != self._place:
            self._place, self._size = place, size
            self._bar.set_description(place[-40:])
            if not self._shown:
                _say(place)
        self._bar.update(max(size - self._size, 0))
        self._size = size
