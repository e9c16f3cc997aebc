"""The verbs of the command line, each imported only when it is called.

Importing all of them loads pydantic, numpy and more, which `openflan --help` and a mistyped verb need not
wait for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

MARKUP: Literal["markdown"] = "markdown"


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb, where its function or its own group of commands stands, and the line of help that the list of
    verbs shows.

    The line is the first paragraph of the verb's own help.
    """

    name: str
    module: str
    attribute: str
    line: str


VERBS = (
    Verb(
        "quickstart",
        "quickstart",
        "quickstart",
        "The embedded world, offline: base, finetuning, held-out evaluation before and after, report.",
    ),
    Verb(
        "mixture",
        "mixture",
        "mixture",
        (
            "The ledger: what the mixture gives each task and what it will take, before any training; or "
            "the "
            "mixture itself, as text or as packed rows."
        ),
    ),
    Verb(
        "overlap",
        "overlap",
        "overlap",
        (
            "Compare training rows with the questions of the benchmarks: what is trained on must not be "
            "what "
            "is tested."
        ),
    ),
    Verb(
        "build",
        "build",
        "build_",
        "Render, tokenise and pack ahead of training; the same command again goes on where it stopped.",
    ),
    Verb(
        "pretrain",
        "pretrain",
        "pretrain",
        (
            "Continued pretraining on plain text, before finetuning; the same command again goes on "
            "where it "
            "stopped."
        ),
    ),
    Verb(
        "finetune",
        "finetune",
        "finetune",
        "Finetune a model; the same command again goes on where it stopped.",
    ),
    Verb(
        "run",
        "chain",
        "run",
        (
            "Recipes one after another, each starting from the model of the one before; the same command "
            "again goes on where it stopped."
        ),
    ),
    Verb(
        "evaluate",
        "evaluate",
        "evaluate",
        "Evaluate a model; the same command again goes on where it stopped.",
    ),
    Verb("score", "score", "score", "Score saved generations; no model is needed."),
    Verb(
        "compare",
        "compare",
        "compare",
        "Compare two models question by question, or one with the paper's printed figures; needs no model.",
    ),
    Verb("show", "show", "show", "Print the exact prompt that is sent for an item, and its target."),
    Verb(
        "generate",
        "generate",
        "generate",
        "Try a model: one prompt, a file of prompts, or an interactive line. Decoding is greedy.",
    ),
    Verb(
        "study",
        "study",
        "study",
        (
            "Run a grid of finetuning runs that answers a question; the same command again goes on where it "
            "stopped."
        ),
    ),
    Verb(
        "report",
        "report",
        "report",
        (
            "What a run is, did and scored: tables here, and the whole as report.html in its folder. Of a "
            "model that was only evaluated, its results."
        ),
    ),
    Verb(
        "recipe",
        "recipe",
        "app",
        "Look up recipe keys, print the JSON schema, or show a packaged recipe with every default filled in.",
    ),
    Verb("tasks", "tasks", "app", "Browse tasks and see how they are rendered."),
    Verb("wordings", "wordings", "app", "List wordings, check your own, import the collection's."),
    Verb(
        "convert",
        "convert",
        "app",
        ("Convert checkpoints of other tools into Hugging Face folders, and back."),
    ),
)


def command_of(verb: Verb) -> Any:
    """Imports a verb; returns its click command, or group of commands, as typer makes it."""
    target = getattr(import_module(f"openflan.cli.{verb.module}"), verb.attribute)
    # A group around it, as a verb alone would become the whole program.
    group = typer.Typer(rich_markup_mode=MARKUP, pretty_exceptions_enable=False)
    group.callback()(lambda: None)
    if isinstance(target, typer.Typer):
        group.add_typer(target, name=verb.name)
    else:
        group.command(verb.name)(target)
    made: Any = typer.main.get_command(group)
    return made.commands[verb.name]


class LateCommand(TyperCommand):
    """Stands for a verb in the list of verbs, and gives way to the verb itself when that is called."""

    def __init__(self, verb: Verb) -> None:
        super().__init__(verb.name, help=verb.line)
        self.verb = verb

    @cached_property
    def loaded(self) -> Any:
        """The verb's own command, imported at the first look."""
        return command_of(self.verb)

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the verb itself."""
        return self.loaded.make_context(info_name, args, parent=parent, **extra)


class LateGroup(TyperGroup):
    """The group of all verbs."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": {verb.name: LateCommand(verb) for verb in VERBS}})
