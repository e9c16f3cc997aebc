"""`openflan mixture --export`: the file, its card, and one line about both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import typer

import openflan
from openflan.cli.output import print_counts, print_json
from openflan.hashes import sha256_of_json
from openflan.mixture.data_card import CardFacts, write_card
from openflan.mixture.export import export
from openflan.mixture.export_parts import parts_are_there
from openflan.mixture.export_records import Form
from openflan.mixture.fingerprints import fingerprints
from openflan.mixture.open_mixture import Opened, build_stream, group_of, open_tasks, task_shares
from openflan.mixture.stream import Stream
from openflan.packing.encode import Encoder
from openflan.recipe.load_recipe import dump_recipe
from openflan.recipe.schema import Recipe
from openflan.tasks.file_notes import reading_in_full, trusting_stamps

PRUNED, WHOLE = "as in training", "none"


@dataclass(frozen=True, slots=True)
class Target:
    """What the command line asks for: the file, the number of examples, the form, and the processes."""

    path: Path
    count: int
    form: Form
    workers: int


def export_to_file(
    recipe: Recipe, opened: Opened, stream: Stream, encoder: Encoder | None, target: Target, *, as_json: bool
) -> None:
    """Writes the file and its card, and prints what they hold. `encoder` is None where exemplars are not
    pruned. Raises as `export` does."""
    began = time.monotonic()
    resolved, pruning = dump_recipe(recipe), PRUNED if encoder else WHOLE
    done = export(
        stream,
        target.path,
        target.count,
        {"openflan.recipe": resolved, "openflan.pruning": pruning},
        form=target.form,
        workers=target.workers,
        make=_opener(recipe, pruned=encoder is not None),
        key=_key(recipe, opened, encoder, target),
    )
    seconds = time.monotonic() - began
    card = write_card(
        done,
        CardFacts(
            recipe.name,
            recipe.seed,
            resolved,
            target.form,
            opened.tasks,
            task_shares(recipe.mixture, opened.tasks),
            partial(group_of, recipe.mixture),
            {left.task: left.reason for left in opened.left_out},
            "left out as in training" if encoder else "kept",
        ),
    )
    if as_json:
        print_json(
            {
                "path": str(done.path),
                "card": str(card),
                "examples": done.examples,
                "bytes": done.size,
                "seconds": seconds,
                "form": target.form,
                "workers": target.workers,
                "pruning": encoder is not None,
                "tasks": dict(done.tasks),
                "formats": dict(done.formats),
            }
        )
        return
    typer.echo(
        f"{target.path}: {done.examples:,} examples of {len(done.tasks)} tasks, {done.size / 1e6:,.1f} MB, "
        f"in {seconds:,.1f} s; {card.name} says what it holds"
    )
    print_counts("formats", done.formats)


def _key(recipe: Recipe, opened: Opened, encoder: Encoder | None, target: Target) -> str:
    """The hash of all that the exported examples depend on. Where an export goes on, the data are read in
    full."""
    with reading_in_full() if parts_are_there(target.path) else trusting_stamps():
        data = fingerprints(recipe, opened.tasks)
    mixture = recipe.mixture.model_dump(mode="json")
    for submixture in mixture["submixtures"].values():
        del submixture["data"]
    budget: list[object] | None = None
    if encoder is not None:
        from openflan.models.load_model import load_tokenizer
        from openflan.training.prepare import tokenizer_hash

        budget = [recipe.packing.inputs, tokenizer_hash(load_tokenizer(recipe.model))]
    return sha256_of_json(
        [openflan.__version__, recipe.seed, mixture, data, budget, target.form, target.path.suffix]
    )


def _opener(recipe: Recipe, *, pruned: bool) -> Callable[[], Stream]:
    """What opens the stream in another process; it can be pickled."""
    if pruned:
        from openflan.training.prepare import stream_opener

        return stream_opener(recipe)
    return partial(_open_unpruned, recipe)


@trusting_stamps()  # the process that started this one has looked at the files
def _open_unpruned(recipe: Recipe) -> Stream:
    return build_stream(recipe.mixture, open_tasks(recipe.mixture), recipe.seed)
