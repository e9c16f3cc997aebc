"""A finetuning recipe becomes a run: data opened, model loaded, ledger written, trained, exported.

Everything that can be wrong with the input is found before the first step.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.mixture.embedded_seeds import data_of_mixture, warn_of_other_data
from openflan.mixture.fingerprints import fingerprints
from openflan.mixture.open_mixture import open_mixture
from openflan.mixture.own_data import own_data_described, own_data_lines
from openflan.mixture.row_checks import row_check_lines
from openflan.models.adapter import adapter_outputs, shape_with_adapter
from openflan.models.estimate import Hardware, shape_of_model
from openflan.models.load_model import (
    check_vocabulary,
    empty_model,
    is_seq2seq,
    load_model,
    load_tokenizer,
    pad_id,
    seq2seq_by_config,
)
from openflan.models.staged import attending_on
from openflan.packing.encode import Encoder
from openflan.packing.example_windows import ExampleStream, packed_examples
from openflan.packing.special_tokens import chat_template_of
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run
from openflan.tasks.slices import files_closed
from openflan.tasks.task import Task
from openflan.tracking.trackers import check_trackers
from openflan.training.changes import changed_data, changed_keys
from openflan.training.distributed import join_distributed
from openflan.training.export import export
from openflan.training.ledger import ledger, notices
from openflan.training.load_sharded import load_on_main
from openflan.training.loop import train
from openflan.training.model_checks import check_context, check_loss, packing_for
from openflan.training.prepare import (
    layout_of,
    packed_stream_of,
    parts_of,
    prepare,
    special_tokens_as_json,
    template_hash,
    tokenizer_hash,
)
from openflan.training.progress import announce
from openflan.training.room import check_fit
from openflan.training.run_record import provenance, recorded
from openflan.training.setup import Evaluate, TrainingSetup, Watch
from openflan.training.trainable import trainable_view


@files_closed()
def finetune(
    recipe: Recipe,
    run: Run,
    *,
    build: Path | None = None,
    strict: bool = False,
    allow_changes: bool = False,
    evaluate: Evaluate | None = None,
    label: str = "finetune",
    device: str | None = None,
) -> None:
    """Trains the recipe in its run folder and exports `model/`; continues where an earlier call stopped.
    Under `torchrun` all its processes train together.

    `build`: a folder of windows made ahead; absent, the run's own if there is one. `strict`: refuses a model
    that cannot be packed, which is otherwise trained on padded examples of similar length. `allow_changes`:
    continues with another recipe or other data than the run began with, and records it. `evaluate` scores the
    model at the steps that `recipe.evaluation` names. `device`: see `models.device`.

    Raises InputError for bad data, a device that is not here, a model that does not fit, or a run folder that
    holds another recipe or in which another training is running.
    """
    setup = prepare_run(
        recipe,
        run,
        build=build,
        strict=strict,
        allow_changes=allow_changes,
        evaluate=evaluate,
        label=label,
        device=device,
    )
    with recorded(setup) as record:
        train(setup, record)
        export(setup)


def prepare_run(
    recipe: Recipe,
    run: Run,
    *,
    build: Path | None = None,
    strict: bool = False,
    allow_changes: bool = False,
    evaluate: Evaluate | None = None,
    label: str = "finetune",
    device: str | None = None,
) -> TrainingSetup:
    """Opens the data and loads the model of a finetuning recipe. Parameters and errors are those of
    `finetune`. Nothing is written."""
    check_trackers(recipe.track)
    distributed = join_distributed(device)
    check_fit(recipe, distributed)
    # Before the run folder is looked at: data that cannot be read is what the user must correct first.
    opened = open_mixture(recipe.mixture)
    changes = changed_keys(recipe, run, allow_changes)
    if distributed.main:
        warn_of_other_data(recipe.model.base, data_of_mixture(recipe.mixture))
    if distributed.main and opened.warning:
        warnings.warn(opened.warning, stacklevel=3)
    tasks = opened.tasks
    if distributed.main:
        for line in own_data_lines(own_data_described(tasks.values())):
            announce(line, label)
        for line in row_check_lines(tasks.values()):
            announce(line, label)
    tokenizer = load_tokenizer(recipe.model)
    layout = recipe.packing.layout
    stream, encoder = prepare(recipe, tasks, tokenizer, joint=not seq2seq_by_config(recipe.model))
    origin = provenance(fingerprints(recipe, tasks), tokenizer_hash(tokenizer)) | {
        "chat_template": template_hash(tokenizer, layout),
        "special_tokens": special_tokens_as_json(encoder),
    }
    changes += changed_data(origin, run, allow_changes)
    model = load_on_main(lambda: load_model(recipe.model, tokenizer, recipe.seed), distributed)
    check_context(recipe, model)
    packing = distributed.run_on_main(
        lambda: packing_for(model, recipe.model, strict, attending_on(distributed.device))
    )
    check_loss(recipe, model)
    _describe(model, tokenizer, recipe, encoder)
    window = layout_of(stream)
    parts = parts_of(recipe, tasks, encoder, tokenizer, origin["data"], window)
    build = _build_folder(run, build)
    view = trainable_view(model, recipe, distributed)
    packed_stream = packed_stream_of(stream, encoder, parts, build)
    if distributed.main and label and not packed_stream.index():
        announce(f"rendering and tokenising {window.window:,} examples for the first step", label)

    def open_stream(sequences_per_window: Sequence[int]) -> ExampleStream:
        if not sequences_per_window:
            return packed_stream
        return packed_stream_of(stream, encoder, parts, build, sequences_per_window)

    def make_ledger() -> dict[str, Any]:
        shape = shape_of_model(model, view.frozen, adapter_outputs(recipe.model, model))
        return ledger(recipe, tasks, stream, encoder, packed_stream, shape) | opened.described

    def summary(written: Mapping[str, Any]) -> str | None:
        return "\n".join(notices(written, encoder.limits)) or None

    return TrainingSetup(
        recipe,
        run,
        view,
        tokenizer,
        open_stream,
        packing=packing,
        distributed=distributed,
        watch=_watch(recipe, opened.validation, tokenizer, model, evaluate),
        label=label,
        provenance=origin,
        changes=changes,
        describe=lambda: _describe(model, tokenizer, recipe, encoder),
        ledger=make_ledger,
        summary=summary,
    )


def survey(
    recipe: Recipe, *, windows: int = 1, examples: int | None = None, hardware: Hardware | None = None
) -> dict[str, Any]:
    """The ledger of a recipe, measured on its first `windows` windows, or on those that hold the first
    `examples` examples, without its model's weights."""
    opened = open_mixture(recipe.mixture)
    tokenizer = load_tokenizer(recipe.model)
    model = empty_model(recipe.model)
    check_vocabulary(tokenizer, model)
    check_context(recipe, model)
    stream, encoder = prepare(recipe, opened.tasks, tokenizer, joint=not is_seq2seq(model))
    size, shape = layout_of(stream).window, shape_with_adapter(recipe.model, model)
    packed_stream = packed_examples(stream, encoder, window=size)
    windows = windows if examples is None else -(-examples // size)
    table = ledger(
        recipe, opened.tasks, stream, encoder, packed_stream, shape, windows=windows, hardware=hardware
    )
    return table | opened.described


def _watch(
    recipe: Recipe, validation: dict[str, Task], tokenizer: Any, model: Any, evaluate: Evaluate | None
) -> Watch | None:
    section = recipe.evaluation
    if section is None:
        return None
    if not validation:
        return Watch(section.every, evaluate=evaluate, select=section.select or "mean")
    stream, encoder = prepare(recipe, validation, tokenizer, joint=not is_seq2seq(model))
    packed_stream = packed_examples(stream, encoder, window=section.validation_examples)
    num_sequences = len(packed_stream.window(0))
    return Watch(section.every, packed_stream, num_sequences, evaluate, section.select or "mean")


def _build_folder(run: Run, named: Path | None) -> Path:
    """Raises InputError if a folder that was named holds no build."""
    if named is not None and not (named / "build.json").is_file():
        raise InputError(
            f"{named}: no build there (no build.json); name the folder that `openflan build` printed"
        )
    return named or run.build


def _describe(model: Any, tokenizer: Any, recipe: Recipe, encoder: Encoder) -> None:
    """Writes into the configuration how the model is finetuned. Checkpoints and the exported model carry
    it."""
    if is_seq2seq(model):
        # T5's relative positions have no limit, but other tools read this number as one.
        model.config.n_positions = recipe.packing.inputs
    else:
        model.generation_config.openflan_layout = recipe.packing.layout
        if recipe.packing.added_tokens != "ids":
            model.generation_config.openflan_added_tokens = recipe.packing.added_tokens
        # Other tools then send the prompt that the model was finetuned with.
        tokenizer.chat_template = (
            chat_template_of(tokenizer, recipe.packing.layout) or tokenizer.chat_template
        )
    model.generation_config.eos_token_id = _end_tokens(model, tokenizer, encoder)
    model.generation_config.pad_token_id = pad_id(model, tokenizer)


def _end_tokens(model: Any, tokenizer: Any, encoder: Encoder) -> int | list[int]:
    """What generations stop at: the end of sequence, and in the layout `chat` also the tokens that end a turn
    there, which need not be that one, and those that the model stopped at before."""
    eos, chat = int(tokenizer.eos_token_id), encoder.tokenize.chat
    if chat is None:
        return eos
    known = model.generation_config.eos_token_id
    before = known if isinstance(known, list | tuple) else [] if known is None else [known]
    ends = list(dict.fromkeys([eos, *chat.ends, *map(int, before)]))
    return ends if len(ends) > 1 else eos
