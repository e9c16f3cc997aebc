"""The 40 most used architectures pack; the table in docs/models.md says so, and is what the script writes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import torch
import transformers as hf
from tiny_families import FLAT, tiny

from openflan.errors import InputError
from openflan.models import masked_attention
from openflan.models.packing_check import check_packing, chosen_packing

ROOT = Path(__file__).parents[2]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("family_table", ROOT / "scripts" / "family_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()
FAST = ("t5", "llama", "bart", "phi3", "bloom")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("kind", FAST)
def test_a_most_used_architecture_packs(kind: str) -> None:
    assert SCRIPT.tried(kind)["outcome"] in ("flat", "dense")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in SCRIPT.MOST_USED if kind not in FAST])
def test_every_other_most_used_architecture_packs(kind: str) -> None:
    assert SCRIPT.tried(kind)["outcome"] in ("flat", "dense")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lfm2", "qwen3_next", "granitemoehybrid", "falcon_h1", "bamba", "jamba"])
def test_a_hybrid_is_padded_with_the_reason(kind: str) -> None:
    found = SCRIPT.tried(kind)
    assert found["outcome"] == "padded"
    assert "carry state from one document into the next" in found["reason"]


def test_bert_is_refused_with_the_reason() -> None:
    found = SCRIPT.tried("bert")
    assert found["outcome"] == "refused"
    assert "is an encoder" in found["reason"]


def test_the_table_has_every_architecture_and_the_most_used_ones_pack() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    table = page.split(SCRIPT._BEGIN)[1].split(SCRIPT._END)[0]
    rows = re.findall(r"^\| (.+?) \| (.*) \|$", table, re.MULTILINE)
    outcome_by_kind = {
        kind.strip("*"): outcome for outcome, kinds in rows[2:] for kind in kinds.split(", ") if kind
    }
    assert len(SCRIPT.MOST_USED) == len(set(SCRIPT.MOST_USED)) == 40
    assert {outcome_by_kind[kind] for kind in SCRIPT.MOST_USED} <= {"flat", "dense"}
    assert outcome_by_kind.keys() == SCRIPT.architectures().keys()


def test_the_table_groups_by_result_and_general_reason(tmp_path: Path) -> None:
    reason = "{}: its layers of kind {} carry state from one document into the next"
    results = {
        "llama": {"outcome": "flat", "reason": ""},
        "apertus": {"outcome": "flat", "reason": ""},
        "lfm2": {"outcome": "padded", "reason": reason.format("lfm2", "conv")},
        "bamba": {"outcome": "padded", "reason": reason.format("bamba", "mamba")},
        "blt": {"outcome": "not tried", "reason": "a | b"},
    }
    page = tmp_path / "page.md"
    page.write_text(f"before\n{SCRIPT._BEGIN}\nreplaced text\n{SCRIPT._END}\nafter\n", encoding="utf-8")
    SCRIPT.write(results, page)
    written = page.read_text(encoding="utf-8")
    assert "| flat | apertus, **llama** |" in written
    assert "| padded: layers carry state from token to token | bamba, lfm2 |" in written
    assert "| not tried: a / b | blt |" in written
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")
    assert "replaced text" not in written


def test_sinks_that_are_left_out_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(FLAT["gpt-oss"])
    with torch.no_grad():
        for name, each in model.named_parameters():
            if "sinks" in name:
                each.fill_(1.0)
    assert chosen_packing(model, "buckets").packing == "flat"
    whole = masked_attention.masked_attention
    monkeypatch.setattr(
        "openflan.models.causal.masked_attention",
        lambda *states, **others: whole(*states, **(others | {"sinks_H": None})),
    )
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model, "flat", attending="documents")


def test_scores_scaled_by_the_place_in_the_sequence_are_scaled_by_position(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Llama 4 scales queries of long sequences, by the place in the whole of them."""
    model = tiny(FLAT["Llama 4"])
    assert chosen_packing(model).packing == "flat"
    monkeypatch.setattr("openflan.models.causal._scaled_by_position", lambda module, query, documents: query)
    with pytest.raises(InputError, match="cannot be packed exactly"):
        check_packing(model, "flat")


def test_a_base_with_nan_weights_is_said_to_have_them() -> None:
    model = hf.LlamaForCausalLM(hf.LlamaConfig(**_SMALL))
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[3, 2] = float("nan")
    with pytest.raises(InputError, match="hold NaN or infinite values .first in model.layers.0.mlp.up_proj"):
        chosen_packing(model)


_SMALL = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
