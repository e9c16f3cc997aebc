"""The options `--format` and `--map`, which commands share that read a user's own rows."""

from __future__ import annotations

import typer

from openflan.errors import InputError
from openflan.recipe.load_recipe import load_recipe
from openflan.tasks.formats.reading import make_reading
from openflan.tasks.formats.table import FORMATS

FORMAT: str | None = typer.Option(
    None,
    "--format",
    help=f"The format of your own rows: {', '.join(FORMATS)}. Default: recognised by the fields of all rows.",
)
MAP: str | None = typer.Option(
    None,
    "--map",
    help=(
        "Names for the columns of your own rows, such as inputs=prompt,targets=answer: `inputs` is what the "
        "file calls `prompt`."
    ),
)


def overrides_of_own_data(
    recipe: str, overrides: list[str], form: str | None, columns: str | None
) -> list[str]:
    """The overrides of a recipe with those that `--format` and `--map` stand for, in its only submixture with
    `data`.

    Raises InputError for a recipe that has several, with the keys to write instead, and for a format or map
    that does not exist.
    """
    if form is None and columns is None:
        return overrides
    make_reading(form, columns)
    submixtures = load_recipe(recipe, overrides).mixture.submixtures
    names = [name for name, submixture in submixtures.items() if submixture.data is not None]
    if len(names) != 1:
        raise InputError(
            f"--format and --map are for a recipe with one submixture that has `data:`, and {recipe} has "
            f"{len(names)}; write mixture.submixtures.NAME.format=... and "
            "mixture.submixtures.NAME.columns=..."
        )
    given = {"format": form, "columns": columns}
    return [
        *overrides,
        *(
            f"mixture.submixtures.{names[0]}.{key}={value}"
            for key, value in given.items()
            if value is not None
        ),
    ]
