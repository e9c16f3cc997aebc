"""The commands of `openflan`, each imported only when it is called.

To import all of them loads pydantic, numpy and more. `openflan --help` and a mistyped command need none of
these.
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
    """A command: its name, the module and attribute of its function or group, and its line in `openflan
    --help`.

    The line equals the first paragraph of the command's own help; a test checks this.
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
        (
            "Run the whole path offline on the embedded world: finetune a small model, evaluate it "
            "before and after, and write a report."
        ),
    ),
    Verb(
        "mixture",
        "mixture",
        "mixture",
        (
            "Print the ledger of a recipe before training: the share of each task, and the memory and "
            "time that training needs. Or print or export the mixture as text."
        ),
    ),
    Verb(
        "overlap",
        "overlap",
        "overlap",
        ("Find training rows that share text with questions of the benchmarks."),
    ),
    Verb(
        "build",
        "build",
        "build_",
        (
            "Render, tokenise and pack before training. If you run the same command again, it "
            "continues where it stopped."
        ),
    ),
    Verb(
        "pretrain",
        "pretrain",
        "pretrain",
        (
            "Continue pretraining on plain text, before finetuning. If you run the same command "
            "again, it continues where it stopped."
        ),
    ),
    Verb(
        "finetune",
        "finetune",
        "finetune",
        "Finetune a model. If you run the same command again, it continues where it stopped.",
    ),
    Verb(
        "run",
        "chain",
        "run",
        (
            "Train several recipes one after another; each starts from the model of the one before. "
            "If you run the same command again, it continues where it stopped."
        ),
    ),
    Verb(
        "evaluate",
        "evaluate",
        "evaluate",
        "Evaluate a model. If you run the same command again, it continues where it stopped.",
    ),
    Verb("score", "score", "score", "Score saved generations, without a model."),
    Verb(
        "compare",
        "compare",
        "compare",
        (
            "Compare two models question by question, or one model with the figures in the paper, "
            "without a model."
        ),
    ),
    Verb(
        "paper",
        "paper",
        "app",
        "Print the tables of the paper as data: as a table, CSV or JSON.",
    ),
    Verb(
        "show",
        "show",
        "show",
        "Print the exact prompt that a model gets for a row of a benchmark, and the target.",
    ),
    Verb(
        "generate",
        "generate",
        "generate",
        ("Generate text: for one prompt, for a file of prompts, or for prompts from the terminal."),
    ),
    Verb(
        "study",
        "study",
        "study",
        (
            "Run a grid of finetuning runs that answers a question. If you run the same command "
            "again, it continues where it stopped."
        ),
    ),
    Verb(
        "report",
        "report",
        "report",
        (
            "Print a run's settings, training and scores as tables, and write them to report.html in "
            "its folder. For a model that was only evaluated, print its scores."
        ),
    ),
    Verb(
        "runs",
        "runs",
        "runs",
        "List runs and evaluated models: state, step, best score and sizes.",
    ),
    Verb(
        "push",
        "push",
        "push",
        "Push the model of a run to the Hugging Face hub, with tokenizer, card, recipe and scores.",
    ),
    Verb(
        "recipe",
        "recipe",
        "app",
        "Look up recipe keys, print the JSON schema, or show a packaged recipe with every default filled in.",
    ),
    Verb("collection", "collection", "app", "Fetch the public files of the Flan collection."),
    Verb(
        "bench",
        "bench",
        "bench",
        "Measure how fast this machine trains and generates, and print a table that can be pasted.",
    ),
    Verb("tasks", "tasks", "app", "Browse tasks and see how they are rendered."),
    Verb("wordings", "wordings", "app", "List wordings, check your own, and import those of the collection."),
    Verb(
        "convert",
        "convert",
        "app",
        ("Convert checkpoints of other tools into Hugging Face folders, and back."),
    ),
)


def command_of(verb: Verb) -> Any:
    """Imports a command; returns the click command, or the group of commands, that typer makes of it."""
    target = getattr(import_module(f"openflan.cli.{verb.module}"), verb.attribute)
    # A group around it, because a single command would become the whole program.
    group = typer.Typer(rich_markup_mode=MARKUP, pretty_exceptions_enable=False)
    group.callback()(lambda: None)
    if isinstance(target, typer.Typer):
        group.add_typer(target, name=verb.name)
    else:
        group.command(verb.name)(target)
    made: Any = typer.main.get_command(group)
    return made.commands[verb.name]


class LateCommand(TyperCommand):
    """A placeholder for a command, which imports the command when it is called."""

    def __init__(self, verb: Verb) -> None:
        super().__init__(verb.name, help=verb.line)
        self.verb = verb

    @cached_property
    def loaded(self) -> Any:
        """The command itself, imported at first use."""
        return command_of(self.verb)

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The click context of the command itself."""
        return self.loaded.make_context(info_name, args, parent=parent, **extra)


class LateGroup(TyperGroup):
    """The group of all commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": {verb.name: LateCommand(verb) for verb in VERBS}})
