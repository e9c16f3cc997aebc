"""The command line: one command for each stage. It parses, calls `openflan.api` and the rooms, and prints.

An error prints one line and sets the exit code: 1 for a failure, 2 for bad input or usage, 75 after SIGTERM
and 130 after Ctrl-C. Finished work is kept. `openflan --debug COMMAND ...` prints the traceback instead.
"""

from __future__ import annotations

import sys
import warnings

import typer

from openflan import __version__
from openflan.cli.streams import discard_output, tolerant_streams
from openflan.cli.verbs import MARKUP, LateGroup
from openflan.errors import explained

_INTERRUPTED = 130

app = typer.Typer(
    name="openflan",
    cls=LateGroup,
    help=(
        "Instruction finetuning after Chung et al. 2022: tasks, wordings, mixture, packing, finetuning, "
        "held-out evaluation, report."
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=MARKUP,
    pretty_exceptions_enable=False,
)


def _version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"openflan {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Print the traceback of an error."),
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Options of every command."""


def main() -> None:
    """The `openflan` command."""
    warnings.showwarning = lambda message, *rest, **more: print(f"openflan: {message}", file=sys.stderr)
    warnings.filterwarnings("ignore", category=FutureWarning)
    tolerant_streams()
    try:
        try:
            app(prog_name="openflan")
        finally:
            # A write error is reported below, and not by the interpreter when it exits.
            if sys.stdout is not None:
                sys.stdout.flush()
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:  # typer makes this of KeyboardInterrupt
            print("stopped; run the same command again to go on", file=sys.stderr)
        raise
    except BrokenPipeError:
        # The reader of the output, such as `head`, has closed the pipe.
        discard_output()
        sys.exit(1)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        failure = explained(error)
        print(failure, file=sys.stderr)
        discard_output()
        sys.exit(failure.exit_code)
