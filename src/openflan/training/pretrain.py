"""A recipe of continued pretraining becomes a run, by the loop, the checkpoints and the rules of finetuning;
only the data is another.

The exported model is a plain Hugging Face folder with its tokenizer, new tokens included, from which
`openflan finetune` starts.
"""

from __future__ import annotations

from typing import Any

from openflan.errors import InputError
from openflan.models.adapter import adapter_outputs, shape_with_adapter
from openflan.models.estimate import Hardware, Shape, shape_of_model
from openflan.models.load_model import (
    empty_model,
    is_seq2seq,
    load_model,
    load_tokenizer,
    pad_id,
    seq2seq_by_config,
)
from openflan.models.staged import attending_on
from openflan.models.vocabulary import grow_embeddings
from openflan.objectives.document_windows import DocumentStream, DocumentWindow
from openflan.packing.encode import Limits
from openflan.packing.measure import Measured, Tally
from openflan.recipe.pretraining import PretrainRecipe
from openflan.run_folder import Run
from openflan.tasks.slices import files_closed
from openflan.tracking.trackers import check_trackers
from openflan.training.changes import changed_data, changed_keys
from openflan.training.distributed import join_distributed
from openflan.training.export import export
from openflan.training.ledger import estimates
from openflan.training.load_sharded import load_on_main
from openflan.training.loop import train
from openflan.training.model_checks import check_context, packing_for
from openflan.training.prepare import tokenizer_hash
from openflan.training.pretraining_data import PretrainingData, prepare_documents, texts_fingerprint
from openflan.training.room import check_fit
from openflan.training.run_record import provenance, recorded
from openflan.training.setup import TrainingSetup, Watch
from openflan.training.trainable import trainable_view


@files_closed()
def pretrain(
    recipe: PretrainRecipe,
    run: Run,
    *,
    strict: bool = False,
    allow_changes: bool = False,
    label: str = "pretrain",
    device: str | None = None,
) -> None:
    """Trains the recipe in its run folder and exports `model/`; continues where an earlier call stopped.

    `strict`: refuses a model that cannot be packed. `allow_changes`: continues with another recipe or other
    data than the run began with, and records it. `device`: see `models.device`.

    Raises InputError for bad data, a device that is not here, a model that does not fit, or a run folder that
    holds another recipe or in which another training is running.
    """
    setup = prepare_pretraining(
        recipe, run, strict=strict, allow_changes=allow_changes, label=label, device=device
    )
    with recorded(setup) as record:
        train(setup, record)
        export(setup)


def prepare_pretraining(
    recipe: PretrainRecipe,
    run: Run,
    *,
    strict: bool = False,
    allow_changes: bool = False,
    label: str = "pretrain",
    device: str | None = None,
) -> TrainingSetup:
    """Opens the documents and loads the model. Parameters and errors are those of `pretrain`. Nothing is
    written."""
    check_trackers(recipe.track)
    distributed = join_distributed(device)
    check_fit(recipe, distributed)
    changes = changed_keys(recipe, run, allow_changes)
    tokenizer = load_tokenizer(recipe.model)
    # Before the tokens of the objective are added.
    tokenizer_digest = tokenizer_hash(tokenizer)
    model = load_on_main(lambda: load_model(recipe.model, tokenizer, recipe.seed), distributed)
    data = prepare_documents(recipe, tokenizer, joint=not is_seq2seq(model))
    grow_embeddings(model, len(tokenizer), recipe.seed)
    origin = provenance({"documents": texts_fingerprint(data.texts)}, tokenizer_digest)
    changes += changed_data(origin, run, allow_changes)
    check_context(recipe, model)
    if recipe.training.loss_on == "full_sequence":
        raise InputError(
            "training.loss_on: full_sequence is for finetuning; `objective: causal-lm` learns every token"
        )
    packing = distributed.run_on_main(
        lambda: packing_for(model, recipe.model, strict, attending_on(distributed.device))
    )
    _describe(model, tokenizer, recipe)
    view = trainable_view(model, recipe, distributed)
    packed_stream = data.stream()
    return TrainingSetup(
        recipe,
        run,
        view,
        tokenizer,
        data.stream,
        packing=packing,
        distributed=distributed,
        watch=_watch(recipe, data),
        label=label,
        provenance=origin,
        changes=changes,
        describe=lambda: _describe(model, tokenizer, recipe),
        ledger=lambda: ledger(
            recipe,
            data,
            packed_stream,
            shape_of_model(model, view.frozen, adapter_outputs(recipe.model, model)),
        ),
    )


def survey_documents(recipe: PretrainRecipe, *, hardware: Hardware | None = None) -> dict[str, Any]:
    """The ledger of a recipe, measured on its first window, without its model's weights."""
    tokenizer = load_tokenizer(recipe.model)
    data = prepare_documents(recipe, tokenizer, joint=not seq2seq_by_config(recipe.model))
    model = empty_model(recipe.model)
    check_context(recipe, model)
    return ledger(recipe, data, data.stream(), shape_with_adapter(recipe.model, model), hardware)


def ledger(
    recipe: PretrainRecipe,
    data: PretrainingData,
    packed_stream: DocumentStream,
    shape: Shape,
    hardware: Hardware | None = None,
) -> dict[str, Any]:
    """What a recipe will train on and what it needs, as JSON values: counted on the first window of its
    documents."""
    window = packed_stream.window(0)
    counts, measured = window.counts(), _measured(window, packed_stream.limits)
    sequences = recipe.training.steps * recipe.training.batch_size
    drawn = sequences * data.window / len(window)
    pieces = {
        name.removeprefix("pieces: "): count
        for name, count in sorted(counts.items())
        if name.startswith("pieces: ")
    }
    return {
        "objective": recipe.pretraining.objective,
        "documents": data.training.count,
        "held_back": 0 if data.held_back is None else data.held_back.count,
        "documents_drawn": round(drawn),
        "epochs": drawn / data.training.count,
        "piece_length": max(data.setting.lengths.values()),
        "denoisers": {
            denoiser.name: {"share": denoiser.share, "piece_length": length}
            for denoiser, length in data.setting.lengths.items()
        },
        "added_tokens": list(data.added),
        "measured": {
            "documents": counts["documents"],
            "empty_documents": counts["empty documents"],
            "tokens": counts["tokens"],
            "pieces": len(window.encoded),
            "denoisers": {name: count / len(window.encoded) for name, count in pieces.items()},
            **{key: value for key, value in measured.values().items() if key not in ("examples", "counts")},
        },
        "estimates": estimates(recipe, shape, measured, hardware or Hardware()),
    }


def _describe(model: Any, tokenizer: Any, recipe: PretrainRecipe) -> None:
    """Writes into the configuration what other tools need. Checkpoints and the exported model carry it."""
    if is_seq2seq(model):
        # T5's relative positions have no limit, but other tools read this number as one.
        model.config.n_positions = recipe.packing.inputs
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = pad_id(model, tokenizer)


def _watch(recipe: PretrainRecipe, data: PretrainingData) -> Watch | None:
    validation = data.validation()
    if validation is None or recipe.validation is None:
        return None
    return Watch(recipe.validation.every, validation, len(validation.window(0)))


def _measured(window: DocumentWindow, limits: Limits) -> Measured:
    inputs, targets = (
        sum(len(ids) for ids in side)
        for side in zip(*((piece.input_ids, piece.target_ids) for piece in window.encoded), strict=True)
    )
    total = Tally(
        drawn=len(window.encoded), kept=len(window.encoded), input_tokens=inputs, target_tokens=targets
    )
    return Measured(limits, len(window), total, {})
