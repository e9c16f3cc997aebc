"""A process's place among others, as far as one process can see it; `test_ranks` has several."""

from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_runs import recipe, same

from openflan.errors import SetupError
from openflan.models.load_model import load_model, load_tokenizer
from openflan.training.distributed import SINGLE_PROCESS, DistributedContext, gathered, join_distributed
from openflan.training.trainer import Trainer, _share_modules


@given(rows=st.integers(0, 200), size=st.integers(1, 17))
def test_ranks_share_a_batch_without_gap_or_overlap(rows: int, size: int) -> None:
    worlds = [DistributedContext(rank, size, torch.device("cpu")) for rank in range(size)]
    shares = [distributed.share(rows) for distributed in worlds]
    assert [row for first, end in shares for row in range(first, end)] == list(range(rows))
    counts = [end - first for first, end in shares]
    assert max(counts) == worlds[0].most(rows)
    assert max(counts) - min(counts) <= 1


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    distributed = join_distributed()
    assert (distributed.rank, distributed.size, distributed.mesh, distributed.main) == (0, 1, None, True)
    assert distributed.all_reduce_sum([1.5, 2]) == [1.5, 2.0]
    distributed.barrier()


def test_ranks_that_do_not_meet_are_an_error_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        SetupError, match="the 2 processes of this run do not find each other: .*; start them with torchrun"
    ):
        join_distributed()


@pytest.mark.parametrize("kind", ["t5", "gated"])
def test_modules_that_share_weights_become_one_before_sharding(kind: str, place: Path) -> None:
    """T5 has three embedding modules over one matrix, of which our forward calls one: left alone, sharding
    would split them."""
    run_recipe = recipe(place, kind)
    model, before = (load_model(run_recipe.model, load_tokenizer(run_recipe.model), 1) for _ in range(2))
    assert model.encoder.embed_tokens is not model.shared
    trainer = Trainer(model, run_recipe.training, 1, 0)
    _share_modules(trainer.root, model)
    assert model.encoder.embed_tokens is model.decoder.embed_tokens is model.shared
    assert {id(parameter) for parameter in model.parameters()} == {
        id(parameter) for parameter in trainer.root.parameters()
    }
    assert same(model, before)
    assert model.state_dict().keys() == before.state_dict().keys()


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_a_lent_model_is_plain_transformers_without_dropout(kind: str, place: Path) -> None:
    run_recipe = recipe(place, kind, dropout=0.5)
    model = load_model(run_recipe.model, load_tokenizer(run_recipe.model), 1)
    trainer = Trainer(model, run_recipe.training, 1, 0)
    model.train()
    with suppress(ZeroDivisionError), trainer.plain_model():
        assert not any(module.training for module in (*model.modules(), *trainer.root.modules()))
        assert model.config._attn_implementation == "sdpa"
        raise ZeroDivisionError
    assert all(module.training for module in (*model.modules(), *trainer.root.modules()))
    assert (model.config._attn_implementation == "sdpa") == (kind == "t5")


def test_gathering_what_is_not_sharded_changes_nothing() -> None:
    module = torch.nn.Linear(2, 2)
    before = module.weight
    with gathered(module):
        assert module.weight is before
    assert SINGLE_PROCESS.main
