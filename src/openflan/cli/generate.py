"""`openflan generate`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import typer

from openflan.api.load_model import load_model
from openflan.api.options import LoadOptions
from openflan.cli.output import print_json
from openflan.errors import InputError
from openflan.inference.protocol import Completion


def generate(
    model: str = typer.Argument(help="A run folder, a Hugging Face folder, or a hub id."),
    prompt: str | None = typer.Argument(
        None, help="The prompt. Without it, the command reads prompts from the terminal."
    ),
    file: Path | None = typer.Option(None, help="A text file with one prompt per line. It replaces PROMPT."),
    max_tokens: int = typer.Option(128, min=1, help="The maximum number of tokens of a generation."),
    checkpoint: str | None = typer.Option(
        None, help="If MODEL is a run: `last` (the default), `base`, or the number of a step."
    ),
    as_json: bool = typer.Option(
        False,
        "--json",
        help="Print one JSON value on standard output: a list of prompts and their generations.",
    ),
) -> None:
    """Generate text greedily: for one prompt, for a file of prompts, or for prompts from the terminal.

    Example: `openflan generate runs/mine "Is the sky green? Explain, then answer."`
    """
    if prompt is not None and file is not None:
        raise InputError("give either a prompt or --file, not both")
    prompts = _prompts(file) if file else [prompt] if prompt is not None else None
    loaded = load_model(model, LoadOptions(checkpoint=checkpoint))

    def complete(texts: list[str]) -> list[Completion]:
        return loaded.generate(texts, max_tokens=max_tokens)

    if prompts is None:
        _converse(complete, as_json)
        return
    answers = complete(prompts)
    if as_json:
        print_json(
            [
                {"prompt": text, "generation": answer.text, "tokens": answer.tokens, "finish": answer.finish}
                for text, answer in zip(prompts, answers, strict=True)
            ]
        )
        return
    for text, answer in zip(prompts, answers, strict=True):
        if answer.finish == "too-long":
            typer.echo(f"(the prompt does not fit the model's context: {text[:60]}...)", err=True)
        typer.echo(answer.text)


def _prompts(file: Path) -> list[str]:
    from openflan.tasks.lines import Lines

    lines = Lines(file)
    return [line for line in (lines[index] for index in range(len(lines))) if line.strip()]


def _converse(complete: Callable[[list[str]], list[Completion]], as_json: bool) -> None:
    """Prompt after prompt until an empty line or the end of the input; each stands alone."""
    if as_json:
        raise InputError("--json needs a prompt or --file")
    if sys.stdin.isatty():
        typer.echo("One prompt a line, each by itself; an empty line ends.", err=True)
    while True:
        if sys.stdin.isatty():
            typer.echo("> ", nl=False, err=True)
        line = sys.stdin.readline().rstrip("\n")
        if not line.strip():
            return
        typer.echo(complete([line])[0].text)
