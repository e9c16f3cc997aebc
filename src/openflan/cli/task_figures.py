"""`openflan tasks figures`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from openflan.cli.output import next_command, print_json
from openflan.errors import InputError
from openflan.mixture.outline import outline
from openflan.recipe.load_recipe import load_recipe
from openflan.reports import collection, collection_figures
from openflan.run_folder import replacing, write_json
from openflan.tasks.catalogue import SUBMIXTURES, find
from openflan.tasks.file_notes import trusting_stamps

_TITLES = {name: submixture.title for name, submixture in SUBMIXTURES.items()}


@trusting_stamps()
def figures(
    recipe: str | None = typer.Argument(
        None,
        metavar="[RECIPE]",
        help="A recipe file, or the name of a packaged recipe. Default: the whole catalogue.",
    ),
    overrides: list[str] | None = typer.Argument(
        None, metavar="[KEY=VALUE ...]", help="New values for keys of the recipe."
    ),
    out: Path = typer.Option(..., "--out", help="The folder to write."),
    form: str = typer.Option("svg", "--format", help="The format of the figures, `svg` or `png`."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON value on standard output."),
) -> None:
    """Draw the top 20 categories of each submixture, and its languages, as in the paper's Figures 17 and 18.

    The command writes categories and languages as a figure, a CSV file and a JSON file each; for a recipe it
    also writes the categories by share. It downloads nothing: for rows that are not here it uses the
    published counts. Example: `openflan tasks figures recipes/mine.yaml --out figures`
    """
    collection_figures.check_suffix(f".{form}")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; name a folder to write to")
    lines, notes = _lines(recipe, overrides or [])
    categories, languages = collection.categories(lines), collection.languages(lines)
    written = _draw(out, form, categories, languages, with_shares=recipe is not None)
    for name, counts in (("categories", categories), ("languages", languages)):
        written += _write(out, name, counts)
    described: dict[str, Any] = {
        "recipe": recipe,
        "tasks": len(lines),
        "notes": notes,
        "files": [str(path) for path in written],
    }
    if as_json:
        print_json(
            described
            | {"categories": collection.as_records(categories), "languages": collection.as_records(languages)}
        )
        return
    typer.echo(
        f"{len(lines):,} tasks in {len({task.category for task in categories}):,} categories and "
        f"{len(languages):,} languages"
    )
    for note in notes:
        typer.echo(note)
    typer.echo("\n".join(f"written: {path}" for path in written))
    next_command("tasks", "list", "--counts")


def _lines(recipe: str | None, overrides: Sequence[str]) -> tuple[list[collection.TaskLine], list[str]]:
    if recipe is None:
        return [
            collection.TaskLine(entry.name, entry.submixture, entry.category, entry.languages)
            for entry in find()
        ], []
    outlined = outline(load_recipe(recipe, overrides).mixture)
    listed, unknown = (
        sum(not task.opened for task in outlined),
        [task.task for task in outlined if task.rows is None],
    )
    notes = (
        [f"{listed:,} of {len(outlined):,} tasks as the catalogue lists them, as their rows are not here"]
        if listed
        else []
    )
    if unknown:
        notes.append(f"weighed by their cap, as nothing is published of their rows: {', '.join(unknown)}")
    return [
        collection.TaskLine(task.task, task.submixture, task.category, task.languages, task.share)
        for task in outlined
    ], notes


def _draw(
    out: Path,
    form: str,
    categories: Sequence[collection.CategoryCount],
    languages: Sequence[collection.LanguageCount],
    *,
    with_shares: bool,
) -> list[Path]:
    totals = {
        task.submixture: sum(other.submixture == task.submixture for other in categories)
        for task in categories
    }
    names: dict[str, collection.By] = {"categories": "tasks"}
    if with_shares:
        names["categories-by-share"] = "share"
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, by in names.items():
        if panels := collection.largest_categories(categories, by):
            written.append(out / f"{name}.{form}")
            with replacing(written[-1]) as partial:
                collection_figures.draw_categories(panels, by, _TITLES, totals, partial, form)
    written.append(out / f"languages.{form}")
    with replacing(written[-1]) as partial:
        collection_figures.draw_languages(languages, partial, form)
    return written


def _write(
    out: Path, name: str, counts: Sequence[collection.CategoryCount | collection.LanguageCount]
) -> list[Path]:
    table, values = out / f"{name}.csv", out / f"{name}.json"
    with replacing(table) as partial:
        partial.write_text(collection.as_csv(counts), encoding="utf-8", newline="\n")
    write_json(values, collection.as_records(counts))
    return [table, values]
