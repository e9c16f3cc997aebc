"""`openflan overlap`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from tqdm import tqdm

from openflan.benchmark_data.items import benchmark_items, built_in_folders, find_benchmark_files
from openflan.benchmark_data.registry import benchmark_names
from openflan.cli.output import print_json, print_table
from openflan.cli.own_data_options import FORMAT, MAP
from openflan.errors import InputError, OpenflanError
from openflan.mixture.open_mixture import open_tasks
from openflan.mixture.overlap.index import Index, build_index
from openflan.mixture.overlap.report import Example, TaskOverlap, check_task
from openflan.recipe.load_recipe import load_recipe
from openflan.run_folder import replacing
from openflan.tasks.formats.reading import Reading, make_reading
from openflan.tasks.reach import reach
from openflan.tasks.task import Task

_BENCHMARKS: Path = typer.Option(
    ..., help=f"The folder that contains {'/, '.join(built_in_folders())}/, or some of them."
)


def overlap(
    arguments: list[str] | None = typer.Argument(
        None,
        metavar="[RECIPE] [KEY=VALUE ...]",
        help="A recipe file or the name of a packaged recipe, and new values for its keys.",
    ),
    tasks_data: Path | None = typer.Option(
        None, help="Without a recipe: a file or folder of training rows in any layout that recipes read."
    ),
    form: str | None = FORMAT,
    columns: str | None = MAP,
    benchmarks: Path = _BENCHMARKS,
    examples: int = typer.Option(
        1,
        min=0,
        help="The number of examples to print for each task and benchmark, the longest matches first.",
    ),
    out: Path | None = typer.Option(
        None,
        help=(
            "Write every match to this .jsonl file. With `mixture.drop_overlaps: FILE` a recipe "
            "leaves these rows out."
        ),
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON value on standard output."),
) -> None:
    """Find training rows that share text with questions of the benchmarks.

    A row and a question match if they share 13 consecutive words (24 characters of Chinese or Japanese, 55 of
    Thai). They also match if the row contains the whole of a shorter question. Case, width and punctuation do
    not matter. The fields of a row are compared, and not the text of a wording around them.

    Examples:

    `openflan overlap recipes/mine.yaml --benchmarks DATA --out hits.jsonl`

    `openflan overlap --tasks-data FOLDER --benchmarks DATA --json`
    """
    start = time.monotonic()
    if out is not None and out.suffix != ".jsonl":
        raise InputError(f"{out}: expected a file name that ends in .jsonl")
    missing = find_benchmark_files(benchmarks).missing
    if missing:
        typer.echo(f"{benchmarks}: lacks {', '.join(missing)}; the rest is compared", err=True)
    tasks, broken = _tasks(arguments or [], tasks_data, out, make_reading(form, columns))
    index = build_index(benchmark_items(benchmarks))
    prepared = time.monotonic()
    task_overlaps = list(_checked(tasks, index, examples, out))
    result = {
        "benchmarks": _sizes(index),
        "missing": list(missing),
        "tasks": [task.described() for task in task_overlaps],
        "broken": broken,
        "index": {"ngrams": index.ngrams, "bytes": index.nbytes, "seconds": prepared - start},
        "rows": sum(task.rows for task in task_overlaps),
        "seconds": time.monotonic() - prepared,
        "peak_memory_bytes": _peak_memory(),
    }
    if as_json:
        print_json(result)
    else:
        _print(result, task_overlaps)
        if out is not None:
            typer.echo(f"hits: {out}; to leave these rows out of training: mixture.drop_overlaps={out}")
    if broken:
        for name, why in broken.items():
            typer.echo(f"{name}: not checked: {why}", err=True)
        raise typer.Exit(1)


def _tasks(
    arguments: list[str], data: Path | None, out: Path | None, reading: Reading
) -> tuple[list[Task], dict[str, str]]:
    """The tasks of a recipe or of a folder; of a folder's, why some cannot be opened. `reading` says how a
    folder's rows are to be read."""
    names, overrides = (
        [text for text in arguments if "=" not in text],
        [text for text in arguments if "=" in text],
    )
    if len(names) + (data is not None) != 1 or (overrides and not names):
        raise InputError("name one recipe, and overrides if you like, or give --tasks-data")
    if data is None and reading.is_given:
        raise InputError(
            "--format and --map say how the rows of --tasks-data are to be read; with a recipe, override its "
            "keys: mixture.submixtures.NAME.format=FORMAT"
        )
    if data is None:
        mixture = load_recipe(names[0], overrides).mixture
        if out is not None and mixture.drop_overlaps is not None:
            raise InputError(
                f"--out {out}: the recipe already leaves rows out, so their numbers have moved; add "
                "mixture.drop_overlaps=null"
            )
        return list(open_tasks(mixture).values()), {}
    tasks: list[Task] = []
    broken: dict[str, str] = {}
    for reached in reach(data, None, reading):
        try:
            tasks.append(reached.open())
        except OpenflanError as error:
            broken[reached.name] = str(error)
    return tasks, broken


def _checked(tasks: list[Task], index: Index, examples: int, out: Path | None) -> Iterator[TaskOverlap]:
    total = sum(len(task.rows) for task in tasks)
    with (
        _writer(out) as write,
        tqdm(total=total, desc="rows", unit=" rows", unit_scale=True, disable=None) as bar,
    ):
        for task in tasks:
            yield check_task(task, index, examples, write, bar.update)


@contextmanager
def _writer(path: Path | None) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    if path is None:
        yield None
        return
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        yield lambda hit: print(json.dumps(hit, ensure_ascii=False), file=file)


def _sizes(index: Index) -> dict[str, int]:
    """Questions, options or passages of each group."""
    sizes: dict[str, int] = {}
    for item in index.items:
        sizes[item.group] = sizes.get(item.group, 0) + 1
    return sizes


def _peak_memory() -> int | None:
    """Bytes of memory that this process has had at most; None on Windows, which does not tell it so."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _megabytes(size: int | None) -> str:
    return "not known" if size is None else f"{size / 1e6:,.0f} MB"


def _print(result: dict[str, Any], task_overlaps: list[TaskOverlap]) -> None:
    # A benchmark without hits is news; options and passages without any are not.
    hit = {name for task in task_overlaps for name in task.groups}
    groups = [name for name in result["benchmarks"] if name in benchmark_names() or name in hit]
    rows = [
        [task.task, task.rows, task.hit_rows, task.stock_rows, *(_cell(task, name) for name in groups)]
        for task in sorted(task_overlaps, key=lambda task: (-task.hit_rows, task.task))
    ]
    sizes = ", ".join(f"{size:,} of {name}" for name, size in result["benchmarks"].items())
    typer.echo(f"{len(task_overlaps):,} tasks compared with {sizes}")
    print_table(
        "rows, and items of each benchmark that they share text with",
        ["task", "rows", "with hits", "stock only", *groups],
        rows,
    )
    for example in _strongest(task_overlaps):
        _print_example(*example)
    seconds = max(result["seconds"], 1e-9)
    typer.echo(
        f"{result['rows']:,} rows in {seconds:,.1f} s ({result['rows'] / seconds:,.0f}/s), after "
        f"{result['index']['seconds']:,.1f} s for the index"
    )
    typer.echo(
        f"index: {result['index']['ngrams']:,} n-grams, {result['index']['bytes'] / 1e6:,.0f} MB; peak "
        f"memory {_megabytes(result['peak_memory_bytes'])}"
    )


def _cell(task: TaskOverlap, group: str) -> str | int:
    counted = task.groups.get(group)
    if counted is None:
        return 0
    return f"{counted.items:,} ({counted.whole:,} whole)" if counted.whole else counted.items


def _strongest(task_overlaps: Iterable[TaskOverlap]) -> Iterator[tuple[str, Example]]:
    return (
        (task.task, example)
        for task in task_overlaps
        for example in task.examples
        if example.hit.kind != "stock"
    )


def _print_example(task: str, example: Example) -> None:
    hit = example.hit
    item = hit.item
    typer.secho(
        f"{task} row {hit.row}, {hit.field}: {hit.kind}, {hit.units} units, {item.group} {item.task} "
        f"{item.index}",
        bold=True,
    )
    for name, text in (("shared", hit.span), ("row", example.text), ("item", item.text)):
        typer.echo(f"  {name + ':':8}{_short(text)}")
    typer.echo()


def _short(text: str, max_characters: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= max_characters else f"{line[:max_characters]} ..."
