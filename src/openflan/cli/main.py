"""The command line: one verb a stage. It parses, calls and prints; there is no logic here.

A failure ends with one line for people and an exit code: 1 failed, 2 bad input or usage, 75 checkpointed after SIGTERM. `--debug` shows the
traceback instead.
"""

from __future__ import annotations

import sys
import warnings

import typer

from openflan import __version__
from openflan.cli import (
    build,
    compare,
    convert,
    evaluate,
    finetune,
    generate,
    mixture,
    overlap,
    pretrain,
    quickstart,
    recipe,
    report,
    run,
    score,
    study,
    tasks,
    wordings,
)
from openflan.errors import OpenflanError

app = typer.Typer(
    name="openflan",
    help="Instruction finetuning after Chung et al. 2022: tasks, wordings, mixture, packing, finetuning, held-out evaluation, report.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("quickstart")(quickstart.quickstart)
app.add_typer(tasks.app, name="tasks")
app.add_typer(wordings.app, name="wordings")
app.add_typer(recipe.app, name="recipe")
app.command("mixture")(mixture.mixture)
app.command("overlap")(overlap.overlap)
app.command("build")(build.build_)
app.command("pretrain")(pretrain.pretrain)
app.command("finetune")(finetune.finetune)
app.command("run")(run.run)
app.command("evaluate")(evaluate.evaluate)
app.command("score")(score.score)
app.command("compare")(compare.compare)
app.command("show")(evaluate.show)
app.command("generate")(generate.generate)
app.command("study")(study.study)
app.command("report")(report.report)
app.add_typer(convert.app, name="convert")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"openflan {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of a failure."),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options of every verb."""


def main() -> None:
    """The `openflan` command."""
    warnings.showwarning = lambda message, *rest, **more: print(f"openflan: {message}", file=sys.stderr)
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        app()
    except OpenflanError as error:
        if "--debug" in sys.argv:
            raise
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        sys.exit(130)
