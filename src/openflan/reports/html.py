"""report.html: a run on one page that needs nothing else, no network and no scripts.

The same folder gives the same bytes: no dates, no paths but those of the recipe. Whatever comes from data is
escaped by the template engine; the one exception is the drawing of the loss, which holds nothing but numbers
and our own words. The page's own policy forbids to load or run anything.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from openflan.recipe.schema import Recipe
from openflan.reports import tables
from openflan.reports.commands import evaluation_command
from openflan.reports.curve import INSTALL, loss_curve
from openflan.reports.gather import Gathered, gather
from openflan.reports.tables import ABSENT, Cell, Table
from openflan.run_folder import Run, replacing

OPEN_ROWS = 40
"""A table with more rows starts folded."""


def write_report(run: Run, gathered: Gathered | None = None) -> Path:
    """Writes the report of a run and returns its path; reads the folder unless that was done.

    Raises InputError for damaged files, SetupError if the disk is full.
    """
    page = render(gathered or gather(run))
    with replacing(run.report) as temporary:
        # Half a surrogate pair, which a generation may hold, has no UTF-8 form and is spelt out.
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace", newline="\n")
    return run.report


def render(gathered: Gathered) -> str:
    """The whole page."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": cell, "one_decimal": one_decimal, "points": points}
    curve = loss_curve(gathered.metrics)
    template = (files("openflan.reports") / "report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        run=gathered,
        absent=ABSENT,
        summary=summary(gathered),
        gain=tables.gain(gathered),
        headlines=tables.headlines(gathered),
        comparisons=tables.before_after(gathered),
        checkpoints=tables.by_checkpoint(gathered),
        scores=tables.scores(gathered),
        training=tables.training(gathered),
        curve=Markup(curve) if curve else None,  # noqa: S704 - our own drawing; it holds no data but numbers
        loss=tables.loss(gathered),
        watched=tables.watched(gathered),
        window=tables.window(gathered.metrics),
        install=INSTALL,
        mixture=[table for table in (tables.submixtures(gathered), tables.tasks(gathered)) if table],
        details=[table for table in (tables.formats(gathered), tables.counts(gathered)) if table],
        numeric=numeric,
        open_rows=OPEN_ROWS,
        commands=commands(gathered),
    )


def summary(gathered: Gathered) -> str:
    """What the run is, in one sentence."""
    recipe, ledger = gathered.recipe, gathered.ledger
    if recipe is None:
        return "Evaluated here, trained elsewhere."
    done = gathered.metrics[-1].step if gathered.metrics else 0
    steps = (
        f"{recipe.training.steps:,} steps"
        if done in (0, recipe.training.steps)
        else f"{done:,} of {recipe.training.steps:,} steps so far"
    )
    if recipe.model.base is not None:
        folder = Path(recipe.model.base)
        # Where a folder lies says nothing, but the model of a run is always called `model`.
        start = (
            "/".join(folder.parts[-2 if folder.name == "model" else -1 :])
            if folder.is_absolute()
            else recipe.model.base
        )
    else:
        start = f"A {(recipe.model.config or {})['model_type']} model from random weights"
    over = (
        (
            f" on {_number(len(ledger.tasks), 'task')} in {_number(len(ledger.submixtures), 'submixture')}, "
            f"about {ledger.examples:,} examples"
        )
        if ledger
        else ""
    )
    return f"{start}, {'finetuned' if isinstance(recipe, Recipe) else 'pretrained'} for {steps}{over}."


def commands(gathered: Gathered) -> list[str]:
    """What repeats the run: training, every evaluation of its models with all options that mattered, and this
    report."""
    name, recipe = gathered.name, gathered.recipe
    lines = (
        [f"openflan {'finetune' if isinstance(recipe, Recipe) else 'pretrain'} {name}.yaml"] if recipe else []
    )
    model, options = (f"runs/{name}", []) if recipe else ("MODEL", ["--run", f"runs/{name}"])
    lines += [
        evaluation_command(score, model, options)
        for score in gathered.scores
        if score.key.model != "random-init"
    ]
    return [*lines, f"openflan report runs/{name}"]


def numeric(table: Table) -> list[bool]:
    """Return True for each column that holds numbers only; such columns are aligned to the right."""
    return [
        all(row[column] is None or isinstance(row[column], int | float) for row in table.rows)
        for column in range(len(table.columns))
    ]


def cell(value: Cell, column: str = "") -> str:
    """A value as it is read: two decimals, more for small numbers; differences with their sign."""
    if column == "difference" and isinstance(value, float | int):
        return signed(value)
    if isinstance(value, float):
        digits = 2 if value == 0 or abs(value) >= 0.1 else 4
        return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")
    if isinstance(value, int):
        return f"{value:,}"
    return "\N{EN DASH}" if value is None else value


def signed(value: float) -> str:
    """A difference with its sign, two decimals; none at all has no sign."""
    return f"{value:+,.2f}".replace("+0.00", "0.00").replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")


def one_decimal(value: float | None) -> str:
    """A percentage of the headline."""
    return "\N{EN DASH}" if value is None else f"{value:,.1f}".replace("-", "\N{MINUS SIGN}")


def points(value: float) -> str:
    """A difference of the headline with its sign, one decimal, as the terminal prints it; none at all has no
    sign."""
    text = f"{value:+,.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\N{MINUS SIGN}")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
