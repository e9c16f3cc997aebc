"""What ranks do with checkpoints that they write together, of models whose matrices no number of ranks
divides; called by `ranks_work`."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from small_runs import CONFIGS, recipe
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from openflan.errors import InputError, OpenflanError, SetupError
from openflan.models.load_model import load_model, load_tokenizer, save_pretrained
from openflan.models.vocabulary import grow_embeddings
from openflan.recipe.schema import Recipe
from openflan.training import checkpoints, export
from openflan.training import sharded_files as files
from openflan.training.checkpoints import Position, snapshot
from openflan.training.distributed import SINGLE_PROCESS, DistributedContext
from openflan.training.load_sharded import load_on_main
from openflan.training.optimizers import restore_statistics, statistics
from openflan.training.shards import full_tensor, slice_like
from openflan.training.trainable import TrainableView
from openflan.training.trainer import Trainer

WIDE = {"vocab_size": 131, "d_model": 133, "d_ff": 25}
NEOX = {
    "model_type": "gpt_neox",
    "vocab_size": 57,
    "hidden_size": 18,
    "intermediate_size": 25,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
}
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "t5": (CONFIGS["t5"] | WIDE, {"momentum": 0.9}),
    "gated": (CONFIGS["gated"] | WIDE, {}),
    "llama": (
        CONFIGS["llama"] | {"vocab_size": 57, "intermediate_size": 25, "tie_word_embeddings": True},
        {"optimizer": "adamw"},
    ),
    "renamed": (NEOX | {"bos_token_id": 2, "eos_token_id": 1}, {}),
    "joined": (
        CONFIGS["llama"] | {"model_type": "mixtral", "num_local_experts": 3, "intermediate_size": 25},
        {},
    ),
}
"""A configuration and settings of training. transformers renames weights of the fourth when it writes them,
and splits those of the fifth."""


def of_kind(place: Path, kind: str, base: Path | None = None) -> Recipe:
    config, training = KINDS[kind]
    run_recipe = recipe(place, **training)
    source = {"config": config} if base is None else {"base": str(base), "config": None}
    return run_recipe.model_copy(update={"model": run_recipe.model.model_copy(update=source)})


def engine_of(wanted: Recipe, model: Any, distributed: DistributedContext) -> Trainer:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* trains without the load-balancing loss of its experts")
        return Trainer(model, wanted.training, 0, 0, "none", distributed)


def trained_once(wanted: Recipe, model: Any, distributed: DistributedContext) -> Trainer:
    """An engine that has taken two steps along gradients that are known."""
    trainer = engine_of(wanted, model, distributed)
    for step in range(2):
        for index, (_, parameter) in enumerate(model.named_parameters()):
            random = torch.Generator().manual_seed(100 * step + index)
            parameter.grad = slice_like(torch.randn(tuple(parameter.shape), generator=random), parameter)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()
    return trainer


def weights_of(model: Any) -> dict[str, Tensor]:
    return {name: full_tensor(value.detach()).clone() for name, value in model.named_parameters()}


def statistics_of(trainer: Trainer) -> dict[str, Tensor]:
    return {name: full_tensor(value).clone() for name, value in statistics(trainer.optimizer).items()}


def equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], expected[name]) for name in expected
    )


def restored(
    place: Path, kind: str, path: Path, distributed: DistributedContext
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights and statistics of a checkpoint that a fresh model, of other random weights, goes on from."""
    run_recipe = of_kind(place, kind).model_copy(update={"seed": 99})
    tokenizer = load_tokenizer(run_recipe.model)
    model = load_on_main(lambda: load_model(run_recipe.model, tokenizer, run_recipe.seed), distributed)
    trainer = engine_of(run_recipe, model, distributed)
    checkpoints.restore_weights(path, TrainableView(model))
    restore_statistics(trainer.optimizer, checkpoints.statistics_of(path))
    return weights_of(model), statistics_of(trainer)


def shared(place: Path, folder: Path, kinds: Sequence[str], distributed: DistributedContext) -> None:
    """Everything below, on this world; `folder` may hold checkpoints of one process, KIND/alone/step-2."""
    for kind in kinds:
        starts(place, kind, folder / kind, distributed)
        writes(place, kind, folder / kind / str(distributed.size), distributed)
        for name in ("alone", "2"):
            if (folder / kind / name / "step-2").is_dir():
                restored_trainer = restored(place, kind, folder / kind / name / "step-2", distributed)
                expected = (
                    load_file(folder / kind / name / "weights.safetensors"),
                    load_file(folder / kind / name / "statistics.safetensors"),
                )
                assert all(map(equal, restored_trainer, expected)), (
                    f"{kind}: {name} is not what {distributed.size} ranks restore"
                )
    fails(place, folder / f"fails-{distributed.size}", distributed)


def starts(place: Path, kind: str, folder: Path, distributed: DistributedContext) -> None:
    """A model that only the main rank loads has, sharded, the weights that a process alone starts from:
    random ones, a folder's, grown ones."""
    for run_recipe, rows in (
        (of_kind(place, kind), 0),
        (of_kind(place, kind, folder / "base"), 0),
        (of_kind(place, kind), 140),
    ):
        tokenizer = load_tokenizer(run_recipe.model)
        model, alone = (
            load_on_main(partial(load_model, run_recipe.model, tokenizer, 3), distributed),
            load_model(run_recipe.model, tokenizer, 3),
        )
        assert {parameter.is_meta for parameter in model.parameters()} == {not distributed.main}
        assert not any(buffer.is_meta for buffer in model.buffers())
        for each in (model, alone) if rows else ():
            grow_embeddings(each, rows, 5)
        buffers = {name: value.clone() for name, value in alone.named_buffers()}
        engine_of(run_recipe, model, distributed)
        assert equal(weights_of(model), dict(alone.named_parameters()))
        assert equal(dict(model.named_buffers()), buffers)
        assert (model.config.to_dict(), model.generation_config.to_dict()) == (
            alone.config.to_dict(),
            alone.generation_config.to_dict(),
        )


def writes(place: Path, kind: str, folder: Path, distributed: DistributedContext) -> None:
    """The union of the ranks' files is the state they hold, and a Hugging Face folder; so is what they
    export."""
    run_recipe = of_kind(place, kind)
    tokenizer = load_tokenizer(run_recipe.model)
    model = load_on_main(lambda: load_model(run_recipe.model, tokenizer, 3), distributed)
    trainer = trained_once(run_recipe, model, distributed)
    taken = snapshot(TrainableView(model), trainer.optimizer, distributed)
    checkpoints.save(folder, model, tokenizer, taken, Position(2), 3, distributed)
    weights, kept = weights_of(model), statistics_of(trainer)
    usual_size = export.EXPORTED_FILE  # other tests of this process export files of the usual size
    export.EXPORTED_FILE = sum(map(files.size_of, weights.values())) // 5  # type: ignore[attr-defined]
    try:
        export.export_model(folder / "model", TrainableView(model), tokenizer, distributed)
    finally:
        export.EXPORTED_FILE = usual_size  # type: ignore[attr-defined]
    if not distributed.main:
        return
    step = folder / "step-2"
    union: dict[str, Tensor] = {}
    for path in sorted(step.glob("*.safetensors")):
        part = load_file(path)
        assert union.keys().isdisjoint(part)
        union |= part
    stored = {
        "embed_out.weight" if kind == "renamed" and name == "lm_head.weight" else name: value
        for name, value in weights.items()
    }
    if distributed.size > 1:
        assert equal(union, stored | kept)
        assert {file.rank for file in taken.files} == set(range(distributed.size))
        assert len(list(step.glob("model-*.safetensors"))) == distributed.size
    exported = list((folder / "model").glob("model-*.safetensors"))
    assert len(exported) > 3 if distributed.size > 1 and kind != "joined" else not exported
    auto = AutoModelForSeq2SeqLM if model.config.is_encoder_decoder else AutoModelForCausalLM
    for path in (step, folder / "model"):
        read, report = auto.from_pretrained(path, dtype=torch.float32, output_loading_info=True)
        assert not report["missing_keys"]
        assert not report["unexpected_keys"]
        assert equal(dict(read.named_parameters()), weights)
        save_pretrained(read, folder / "again")
        for name in ("config.json", "generation_config.json"):
            assert json.loads((path / name).read_text()) == json.loads((folder / "again" / name).read_text())
    for name, tensors in (("weights", weights), ("statistics", kept)):
        save_file(tensors, folder / f"{name}.safetensors")


def fails(place: Path, folder: Path, distributed: DistributedContext) -> None:
    """What fails on one rank ends all of them with the same message, and leaves the checkpoint before."""
    run_recipe = of_kind(place, "t5")
    tokenizer = load_tokenizer(run_recipe.model)
    with pytest.raises(InputError, match="no such folder|not a Hugging Face model folder"):
        load_on_main(
            lambda: load_model(of_kind(place, "t5", folder / "nothing").model, tokenizer, 3), distributed
        )
    with pytest.raises(
        ZeroDivisionError if distributed.main else OpenflanError, match="division by zero|modulo by zero"
    ):
        distributed.run_on_main(lambda: 1 // 0)
    model = load_on_main(lambda: load_model(run_recipe.model, tokenizer, 3), distributed)
    trainer = trained_once(run_recipe, model, distributed)
    for step in (2, 4):
        checkpoints.save(
            folder,
            model,
            tokenizer,
            snapshot(TrainableView(model), trainer.optimizer, distributed),
            Position(step),
            3,
            distributed,
        )

    def full(*values: Any) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    write = files.save_file
    if distributed.rank == distributed.size - 1:
        files.save_file = full
    with pytest.raises(
        SetupError,
        match="step-6: could not be written: .*No space left on device.*; what was there before is intact",
    ):
        checkpoints.save(
            folder,
            model,
            tokenizer,
            snapshot(TrainableView(model), trainer.optimizer, distributed),
            Position(6),
            3,
            distributed,
        )
    files.save_file = write
    if distributed.main:
        assert sorted(path.name for path in folder.iterdir()) == ["step-2", "step-4"]
        path = max((folder / "step-4").glob("model-*.safetensors"))
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(bytes(content))
    distributed.barrier()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert checkpoints.newest(folder, distributed) == folder / "step-2"
    assert [
        f"-of-0000{distributed.size}.safetensors differs from its hash" in str(item.message) for item in heard
    ] == [True] * distributed.main


def alone(place: Path, folder: Path, kinds: Sequence[str]) -> None:
    """Bases to load, and checkpoints of one process, for the ranks to go on from."""
    for kind in kinds:
        run_recipe = of_kind(place, kind)
        tokenizer = load_tokenizer(run_recipe.model)
        base = load_model(run_recipe.model, tokenizer, 7)
        save_pretrained(base, folder / kind / "base")
        tokenizer.save_pretrained(folder / kind / "base")
        writes(place, kind, folder / kind / "alone", SINGLE_PROCESS)
