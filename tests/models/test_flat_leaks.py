"""Flat forwards: an example that sees another one is found."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import transformers as hf
from flat_models import ATTENDING, PAD, SOME, model_of

from openflan.errors import InputError
from openflan.models import causal, staged, t5
from openflan.models.attention import attend
from openflan.models.causal import Documents
from openflan.models.packed import prepare_batch, token_losses
from openflan.models.packing_check import check_packing, packing_of
from openflan.models.staged import Attending


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _shifted(batch: Any, field: str) -> Any:
    offsets = getattr(batch, field).copy()
    offsets[1] += 1
    return dataclasses.replace(batch, **{field: offsets})


@torch.no_grad()
@pytest.mark.parametrize("attending", ATTENDING)
@pytest.mark.parametrize(
    ("name", "field"), [("tied T5", "input_offsets"), ("umT5", "target_offsets"), ("Llama", "offsets")]
)
def test_wrong_offsets_change_the_losses(name: str, field: str, attending: Attending) -> None:
    """Negative control: the offsets are what keeps documents apart."""
    batch = prepare_batch(model_of(name), SOME, PAD)
    right, _ = token_losses(model_of(name), batch, attending=attending)
    wrong, _ = token_losses(model_of(name), _shifted(batch, field), attending=attending)
    assert (right - wrong).abs().max() > 1e-2


@pytest.mark.parametrize("name", ["tied T5", "untied gated T5", "Llama"])
def test_a_planted_leak_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(name)
    check_packing(model, "flat")

    def merged(*inputs: Any, **settings: Any) -> Any:
        *states, bias, queries, keys, _, dropout, seed = inputs
        return attend(*states, bias, queries[[0, -1]], keys[[0, -1]], 0, dropout, seed)

    def together(*inputs: Any, documents: Documents, **settings: Any) -> Any:
        return causal.attend_documents(*inputs, documents=Documents((0, documents.offsets[-1])), **settings)

    monkeypatch.setattr(t5, "attend", merged)
    monkeypatch.setattr(
        t5.Stack,
        "distance_bias",
        lambda self, table, longest, rule=t5.Stack.distance_bias: rule(self, table, 64),
    )
    monkeypatch.setattr(causal, "register", lambda: hf.AttentionInterface.register(causal.NAME, together))
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model, "flat")
    assert packing_of(model) == "dense"
    monkeypatch.undo()
    causal.register()


@pytest.mark.parametrize("name", ["tied T5", "untied gated T5", "Llama"])
def test_a_leak_between_documents_of_a_bucket_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a batch taken for one document when buckets are made, as a wrong border would."""
    model = model_of(name)
    check_packing(model, "flat", attending="buckets")
    rule = staged.bucketed
    monkeypatch.setattr(
        staged,
        "bucketed",
        lambda queries, keys: rule(queries[[0, -1]], queries[[0, -1]] if queries is keys else keys[[0, -1]]),
    )
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model, "flat", attending="buckets")
    assert packing_of(model, "buckets") == "dense"
    assert packing_of(model, "documents") == "flat"


@pytest.mark.parametrize("name", ["tied T5", "untied gated T5"])
def test_padding_of_a_bucket_that_is_seen_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A causal document never sees what stands behind it, an encoder would."""
    rule = staged.tensors_of
    monkeypatch.setattr(
        staged,
        "tensors_of",
        lambda *given: (made := rule(*given))._replace(key_padding=torch.zeros_like(made.key_padding)),
    )
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model_of(name), "flat", attending="buckets")


def test_a_family_whose_arithmetic_is_not_ours_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when transformers changes T5, or a checkpoint asks for what our forward does not know."""
    monkeypatch.setattr(t5, "_scales_outputs", lambda model: False)
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model_of("tied T5"), "flat")
