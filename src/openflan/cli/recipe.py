"""`openflan recipe`."""

from __future__ import annotations

import typer

from openflan.cli.output import print_json, print_table

app = typer.Typer(
    help=(
        "Look up recipe keys, print the JSON schema, or show a packaged recipe with every default filled in."
    ),
    no_args_is_help=True,
)


@app.command("keys")
def keys(
    section: str | None = typer.Argument(
        None, help="A section or key, such as training or mixture.submixtures; all keys if absent."
    ),
    pretraining: bool = typer.Option(
        False, "--pretraining", help="List the keys of a recipe for `openflan pretrain`."
    ),
    as_markdown: bool = typer.Option(False, "--markdown", help="Print the whole reference page as Markdown."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON value on standard output."),
) -> None:
    """Print every recipe key with its type, default and meaning.

    Examples:

    `openflan recipe keys training`

    `openflan recipe keys --json`
    """
    from openflan.recipe import keys as reference
    from openflan.recipe.pretraining import PretrainRecipe
    from openflan.recipe.schema import Recipe

    if as_markdown:
        typer.echo(reference.as_markdown(), nl=False)
        return
    chosen = (
        reference.keys_of_section(section)
        if section
        else reference.recipe_keys(PretrainRecipe if pretraining else Recipe)
    )
    if as_json:
        print_json([key.as_json() for key in chosen])
        return
    for key in chosen:
        typer.secho(key.path, bold=True, nl=False)
        typer.echo("" if key.section else f"  ({key.kind}; default: {key.default_text})")
        typer.echo(f"    {key.help}")


@app.command("schema")
def schema(
    pretraining: bool = typer.Option(
        False, "--pretraining", help="Print the schema of a recipe for `openflan pretrain`."
    ),
) -> None:
    """Print the JSON schema of a recipe. Editors use it to complete keys and to mark mistakes.

    Example: `openflan recipe schema > recipe.schema.json`
    """
    from openflan.recipe.keys import json_schema
    from openflan.recipe.pretraining import PretrainRecipe
    from openflan.recipe.schema import Recipe

    print_json(json_schema(PretrainRecipe if pretraining else Recipe))


@app.command("show")
def show(
    name: str | None = typer.Argument(
        None, help="A packaged recipe or a recipe file; absent: list the packaged recipes."
    ),
    overrides: list[str] = typer.Argument(
        None, metavar="[KEY=VALUE ...]", help="New values for keys of the recipe."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON value on standard output."),
) -> None:
    """Print a recipe with `extends` resolved, overrides applied and every default filled in.

    Examples:

    `openflan recipe show`

    `openflan recipe show flan-t5-small training.steps=100`
    """
    from openflan.recipe.load_recipe import (
        dump_recipe,
        find_any_recipe,
        packaged_recipes,
        planning_recipes,
        pretraining_recipes,
    )

    if name is None:
        kinds = {
            "finetune": packaged_recipes(),
            "plan only": planning_recipes(),
            "pretrain": pretraining_recipes(),
        }
        rows = [[recipe, kind] for kind, paths in kinds.items() for recipe in paths]
        if as_json:
            print_json([{"recipe": recipe, "kind": kind} for recipe, kind in rows])
        else:
            print_table("packaged recipes", ["recipe", "kind"], rows)
        return
    recipe = find_any_recipe(name, overrides or [])
    if as_json:
        print_json(recipe.model_dump(mode="json"))
    else:
        typer.echo(dump_recipe(recipe), nl=False)
