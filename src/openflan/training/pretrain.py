"""A recipe of continued pretraining becomes a run, by the loop, the checkpoints and the rules of finetuning;
only what is read is another.

The model that comes out is a plain Hugging Face folder with its tokenizer, new tokens included, from which
`openflan finetune` starts.
"""

from __future__ import annotations

from typing import Any

from openflan.errors import InputError
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
from openflan.objectives.document_windows import DocumentWindow
from openflan.packing.measure import Measured, Tally
from openflan.packing.plan import WindowPlan
from openflan.recipe.pretraining import PretrainRecipe
from openflan.run_folder import Run
from openflan.tasks.slices import files_closed
from openflan.training.changes import changed_data, changed_keys
from openflan.training.checkpoints import save_model
from openflan.training.distributed import join_distributed
from openflan.training.finetune import check_context, packing_for, provenance, recorded
from openflan.training.ledger import estimates
from openflan.training.load_sharded import load_on_main
from openflan.training.loop import Watch, train
from openflan.training.prepare import tokenizer_hash
from openflan.training.pretraining_data import Prepared, prepare_documents, texts_fingerprint


@files_closed()
def pretrain(
    recipe: PretrainRecipe,
    run: Run,
    *,
    strict: bool = False,
    allow_changes: bool = False,
    label: str = "pretrain",
) -> None:
    """Trains the recipe in its run folder and exports `model/`; goes on where an earlier call stopped, as
    `finetune` does, with the same options.

    Raises InputError for bad data, a model that does not fit, or a run folder that holds another recipe or is
    being trained.
    """
    distributed = join_distributed()
    changes = changed_keys(recipe, run, allow_changes)
    tokenizer = load_tokenizer(recipe.model)
    run_on_main = tokenizer_hash(tokenizer)
    model = load_on_main(lambda: load_model(recipe.model, tokenizer, recipe.seed), distributed)
    prepared = prepare_documents(recipe, tokenizer, joint=not is_seq2seq(model))
    grow_embeddings(model, len(tokenizer), recipe.seed)
    found = provenance({"documents": texts_fingerprint(prepared.texts)}, run_on_main)
    changes += changed_data(found, run, allow_changes)
    check_context(recipe, model)
    if recipe.training.loss_on == "full_sequence":
        raise InputError(
            "training.loss_on: full_sequence is for finetuning; `objective: causal-lm` learns every token"
        )
    packing = distributed.run_on_main(
        lambda: packing_for(model, recipe.model, strict, attending_on(distributed.device))
    )
    describe(model, tokenizer, recipe)
    first = prepared.plan()
    with recorded(
        recipe,
        run,
        tokenizer,
        found,
        changes,
        lambda: ledger(recipe, prepared, first, shape_of_model(model)),
        distributed,
    ) as begun:
        train(
            recipe,
            run,
            model,
            tokenizer,
            prepared.plan,
            packing=packing,
            distributed=distributed,
            watch=_watch(recipe, prepared),
            label=label,
            replanned=begun.replanned,
            check=begun.check,
        )
        describe(model, tokenizer, recipe)
        save_model(run.model, model, tokenizer, distributed)
        distributed.barrier()


def survey_documents(recipe: PretrainRecipe, *, hardware: Hardware | None = None) -> dict[str, Any]:
    """The ledger of a recipe, measured on its first window, without its model's weights."""
    tokenizer = load_tokenizer(recipe.model)
    prepared = prepare_documents(recipe, tokenizer, joint=not seq2seq_by_config(recipe.model))
    model = empty_model(recipe.model)
    check_context(recipe, model)
    return ledger(recipe, prepared, prepared.plan(), shape_of_model(model), hardware)


def ledger(
    recipe: PretrainRecipe,
    prepared: Prepared,
    plan: WindowPlan[DocumentWindow],
    shape: Shape,
    hardware: Hardware | None = None,
) -> dict[str, Any]:
    """What a recipe will train on and what it will take, as plain JSON values: counted on the first window of
    its documents."""
    window = plan.window(0)
    counts, measured = window.counts(), _measured(window, plan)
    rows = recipe.training.steps * recipe.training.batch_size
    drawn = rows * prepared.window / len(window)
    pieces = {
        name.removeprefix("pieces: "): count
        for name, count in sorted(counts.items())
        if name.startswith("pieces: ")
    }
    return {
        "objective": recipe.pretraining.objective,
        "documents": prepared.training.count,
        "held_back": 0 if prepared.held_back is None else prepared.held_back.count,
        "documents_drawn": round(drawn),
        "epochs": drawn / prepared.training.count,
        "piece_length": max(prepared.setting.lengths.values()),
        "denoisers": {
            denoiser.name: {"share": denoiser.share, "piece_length": length}
            for denoiser, length in prepared.setting.lengths.items()
        },
        "added_tokens": list(prepared.added),
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


def describe(model: Any, tokenizer: Any, recipe: PretrainRecipe) -> None:
    """Says in the configuration what other tools must know; checkpoints carry it as well as the exported
    model."""
    if is_seq2seq(model):
        # T5's relative positions have no limit, but other tools take this number for one.
        model.config.n_positions = recipe.packing.inputs
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = pad_id(model, tokenizer)


def _watch(recipe: PretrainRecipe, prepared: Prepared) -> Watch | None:
    plan = prepared.validation()
    return (
        None
        if plan is None or recipe.validation is None
        else Watch(recipe.validation.every, plan, len(plan.window(0)))
    )


def _measured(window: DocumentWindow, plan: WindowPlan[DocumentWindow]) -> Measured:
    inputs, targets = (
        sum(len(ids) for ids in side)
        for side in zip(*((one.input_ids, one.target_ids) for one in window.encoded), strict=True)
    )
    total = Tally(
        drawn=len(window.encoded), kept=len(window.encoded), input_tokens=inputs, target_tokens=targets
    )
    return Measured(plan.limits, len(window), total, {})
