"""Measuring: every arm computes the same, rates follow from seconds, and what is not measured says why."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from openflan.errors import OpenflanError
from openflan.speed import arms, measure
from openflan.speed.measure import Machine, Plan, Row
from openflan.speed.shapes import SHAPES, flops_of, model_of, packed_documents
from openflan.speed.table import table_of

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def script() -> Any:
    spec = importlib.util.spec_from_file_location("gpu", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Steps that are counted, not computed, and one process of one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_script_measures_every_arm_of_both_families_on_a_cpu(
    quick: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--tiny", "--peak", "0.5"])
    script().main()
    out = capsys.readouterr().out
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines() if line[:1] == "|"
    ][2:]
    by_arm = {(line[0], line[1]): line for line in lines}
    for shape, packed in (("tiny-t5", "dense masks"), ("tiny-llama", "packed sdpa")):
        for arm in ("flat", "grouped by length", packed, "flat, float32 weights", "LoRA, flat", "generate"):
            line = by_arm[shape, arm]
            # On a CPU without bf16 an arm may be another one; LoRA needs an extra.
            assert line[8] or float(line[3].replace(",", "")) > 0, line
        assert by_arm[shape, "flat"][5].endswith("%")
        assert float(by_arm[shape, "flat"][7]) > 0
    assert "peak: 0.5 TFLOP/s" in out
    assert f"torch {torch.__version__}" in out


def test_an_arm_that_computes_something_else_is_found(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without positions that restart, transformers' packed rows are one document each."""

    def leaking(self: Any, staged: Any) -> Any:
        tensors = dict(staged.tensors)
        length = tensors["positions_RL"].shape[1]
        tensors["positions_RL"] = torch.arange(length).expand_as(tensors["positions_RL"])
        return honest(self, replace(staged, tensors=tensors))

    honest = arms.PackedSdpa._causal
    # Larger weights, so that what a document sees of the others changes its loss.
    shape = replace(SHAPES["tiny-llama"], sizes=SHAPES["tiny-llama"].sizes | {"initializer_range": 0.2})
    monkeypatch.setattr(measure, "SHAPES", {"tiny-llama": shape})
    plan = Plan(("tiny-llama",), ("flat", "packed sdpa"), rounds=0, steps=1, generation=False)
    measure.measure(plan, "cpu")
    monkeypatch.setattr(arms.PackedSdpa, "_causal", leaking)
    with pytest.raises(OpenflanError, match="the arms differ in their loss by more than"):
        measure.measure(plan, "cpu")


@pytest.mark.parametrize("family", ["tiny-t5", "tiny-llama"])
def test_the_arithmetic_is_about_six_operations_a_weight_and_token(family: str) -> None:
    shape = SHAPES[family]
    documents = [one for row in packed_documents(shape) for one in row]
    with torch.device("meta"):
        model = model_of(shape)
        work = flops_of(shape, model, documents)
    tokens = sum(len(one.input_ids) + len(one.target_ids) for one in documents)
    weights = sum(parameter.numel() for parameter in model.parameters())
    embedded = model.get_input_embeddings().weight.numel()
    assert 0.2 * 6 * tokens * (weights - embedded) < work < 1.6 * 6 * tokens * weights


@pytest.mark.parametrize("name", SHAPES)
def test_documents_fill_the_rows_of_a_shape(name: str) -> None:
    shape = SHAPES[name]
    rows = packed_documents(shape)
    assert len(rows) == shape.rows
    for row in rows:
        inputs, targets = (
            sum(len(ids) for ids in side)
            for side in zip(*((one.input_ids, one.target_ids) for one in row), strict=True)
        )
        if shape.family == "t5":
            assert inputs <= shape.inputs
            assert targets <= shape.targets
        else:
            assert inputs + targets <= shape.inputs + shape.targets


@pytest.mark.parametrize(
    ("name", "billions"), [("t5-xl", 2.85), ("llama-8b", 8.03), ("llama-1b", 1.24), ("llama-135m", 0.135)]
)
def test_shapes_have_the_sizes_of_the_models_they_stand_for(name: str, billions: float) -> None:
    with torch.device("meta"):
        model = model_of(SHAPES[name])
    assert sum(one.numel() for one in model.parameters()) / 1e9 == pytest.approx(billions, rel=0.01)


def test_what_cannot_be_measured_says_why_and_the_rest_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arms, "find_spec", lambda name: None)
    llama, t5 = SHAPES["tiny-llama"], SHAPES["tiny-t5"]
    assert arms.missing(arms.ARMS["packed sdpa"], llama) is None
    assert "no packed form" in str(arms.missing(arms.ARMS["packed sdpa"], t5))
    assert "pip install 'openflan[lora]'" in str(arms.missing(arms.ARMS["LoRA, flat"], llama))
    plan = Plan(
        ("tiny-t5",),
        ("packed sdpa", "LoRA, flat", "flat, float32 weights", "flat"),
        rounds=1,
        steps=1,
        generation=False,
    )
    _, rows = measure.measure(plan, "cpu")
    assert [bool(row.note) for row in rows] == [True, True, False, True]
    assert rows[3].note == "here the same as `flat, float32 weights`"
    assert rows[2].tokens_per_second is not None


def test_after_the_last_minute_no_turn_begins() -> None:
    _, rows = measure.measure(Plan(("tiny-t5",), ("flat",), minutes=0.0), "cpu")
    assert [(row.note, row.tokens_per_second) for row in rows] == [("no time left", None)] * 2


def test_rates_follow_from_seconds() -> None:
    row = measure._with_rates(Row("s", "flat", "bf16"), [2.0, 4.0, 3.0], tokens=600, work=1e12, peak=2e12)
    assert (row.tokens_per_second, row.step_seconds) == (200.0, 3.0)
    assert row.mfu == pytest.approx(1 / 6)
    assert measure._with_rates(row, [], 600, 1e12, None) == row
    assert measure._with_rates(Row("s", "a", "bf16"), [2.0], 600, 1e12, None).mfu is None


def test_the_table_can_be_pasted_and_names_device_peak_and_versions() -> None:
    machine = Machine("NVIDIA X", 80 * 10**9, 989e12, None, {"torch": "2.0", "openflan": "1"})
    rows = [
        Row("t5-xl", "flat", "bf16", 12345.6, 1.234, 0.4321, 31 * 10**9, 29 * 10**9, 5.0),
        Row("t5-xl", "LoRA, flat", "bf16", note="a | b"),
    ]
    assert table_of(machine, rows).splitlines() == [
        "device: NVIDIA X, 80 GB; peak: 989 TFLOP/s (dense bfloat16)",
        "versions: torch 2.0, openflan 1",
        "",
        "| shape | arm | weights | tokens/s | step, s | MFU | peak GB | estimate GB | note |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| t5-xl | flat | bf16 | 12,346 | 1.23 | 43.2% | 31 | 29 |  |",
        "| t5-xl | LoRA, flat | bf16 | - | - | - | - | - | a / b |",
    ]


def test_a_known_gpu_has_its_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        total_memory = 80 * 10**9

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties())
    machine = measure.machine_of(torch.device("cuda"))
    assert (machine.device, machine.peak, machine.memory) == ("NVIDIA H100 80GB HBM3", 989e12, 80 * 10**9)
    assert measure.machine_of(torch.device("cuda"), 500).peak == 500e12
    assert measure.machine_of(torch.device("cpu")).peak is None


def test_rows_as_json_are_values(quick: None) -> None:
    from openflan.speed.table import as_json

    machine, rows = measure.measure(Plan(("tiny-t5",), ("flat",), minutes=0.0), "cpu")
    values = json.loads(json.dumps(as_json(machine, rows)))
    assert values["rows"][0]["arm"] == "flat"
    assert values["machine"]["versions"]["torch"] == torch.__version__
