"""Steps of models whose gradients ranks could disagree about; as a program, one rank of those that `torchrun`
started, the first of which compares."""

import sys
import warnings
from typing import Any

import numpy as np
import torch
import transformers as hf

from openflan.models.experts import set_experts
from openflan.packing.encode import Encoded
from openflan.recipe.schema import Training
from openflan.training.distributed import (
    SINGLE_PROCESS,
    DistributedContext,
    join_distributed,
    leave_distributed,
)
from openflan.training.trainer import StepResult, Trainer

T5: dict[str, Any] = {
    "vocab_size": 40,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 2,
    "num_heads": 2,
    "decoder_start_token_id": 0,
}
SPARSE = {
    "num_decoder_layers": 2,
    "num_experts": 4,
    "num_sparse_encoder_layers": 1,
    "num_sparse_decoder_layers": 1,
    "router_jitter_noise": 0.0,
}
CAUSAL: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
ENDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1}
WEIGHTS = {"router_aux_loss": 0.5, "router_z_loss": 0.2}


def sparse() -> Any:
    torch.manual_seed(0)
    model = hf.SwitchTransformersForConditionalGeneration(
        hf.SwitchTransformersConfig(**T5, **SPARSE, dropout_rate=0.0)
    )
    set_experts(model, None, None)
    return model


def palm() -> Any:
    torch.manual_seed(0)
    return hf.CohereForCausalLM(hf.CohereConfig(**CAUSAL, **ENDS, num_key_value_heads=1, logit_scale=0.25))


CASES: dict[str, tuple[Any, Any, bool, dict[str, Any]]] = {
    "experts in packed rows": (sparse, "dense", False, WEIGHTS),
    "experts in padded rows": (sparse, "none", False, WEIGHTS | {"micro_batch_size": 2}),
    "prefixes": (palm, "flat", True, {}),
    "prefixes computed again": (palm, "flat", True, {"activation_checkpointing": "full"}),
}


def rows() -> list[list[Encoded]]:
    random = np.random.default_rng(0)
    lengths = [[(6, 3), (4, 2)], [(2, 1)], [(9, 9)], [(5, 2), (1, 1)], [(7, 7)]]
    return [
        [Encoded(*(random.integers(3, 40, size=size).astype(np.int32) for size in pair)) for pair in row]
        for row in lengths
    ]


def steps(name: str, distributed: DistributedContext) -> list[StepResult]:
    make, packing, prefix, training = CASES[name]
    trainer = Trainer(
        make(),
        Training(steps=3, batch_size=5, learning_rate=0.02, **training),
        0,
        0,
        packing,
        distributed,
        prefix=prefix,
    )
    return [trainer.step(step, trainer.prepare(rows())) for step in range(3)]


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    distributed = join_distributed()
    for name in CASES:
        taken_steps = steps(name, distributed)
        for step, (many, expected) in enumerate(
            zip(taken_steps, steps(name, SINGLE_PROCESS) if distributed.main else (), strict=distributed.main)
        ):
            if (
                abs(many.loss - expected.loss) > 1e-5
                or abs((many.router or 0) - (expected.router or 0)) > 1e-5
            ):
                sys.exit(f"{name}, step {step}: {many} on {distributed.size} ranks, {expected} alone")
        distributed.barrier()
    leave_distributed()


if __name__ == "__main__":
    main()
