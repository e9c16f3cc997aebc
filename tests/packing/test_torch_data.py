"""Packed rows in a torch DataLoader: fixed shapes, the plan's own rows, with workers and without."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import pytest
import torch
from numbered_words import JOINT, LAYOUT, LIMITS, PARTS, ROOM, Words, encoder
from torch.utils.data import DataLoader

from openflan.packing.build_ahead import build
from openflan.packing.encode import Limits
from openflan.packing.example_windows import ExampleStream, packed_examples
from openflan.packing.store import Store
from openflan.packing.torch_data import PackedDataset, collate

PAD, START, ROWS = 9_999, 9_998, 30


def _open(limits: Limits = LIMITS, folder: Path | None = None) -> ExampleStream:
    return packed_examples(
        Words(ROOM),
        encoder(limits),
        window=LAYOUT.window,
        built=Store(folder, PARTS, LAYOUT) if folder else None,
    )


def _dataset(limits: Limits = LIMITS, folder: Path | None = None) -> PackedDataset:
    return PackedDataset(
        partial(_open, limits, folder), ROWS, pad_id=PAD, start_id=None if limits.joint else START
    )


def _expected(limits: Limits) -> list[dict[str, list[int]]]:
    """The oracle, token by token in plain Python."""
    rows = []
    for row in _open(limits).sequences(0, ROWS):
        item: dict[str, list[int]] = {}

        def put(name: str, values: list[int], item: dict[str, list[int]] = item) -> None:
            item.setdefault(name, []).extend(values)

        for segment, example in enumerate(row, 1):
            inputs, targets = example.input_ids.tolist(), example.target_ids.tolist()
            if limits.joint:
                put("input_ids", inputs + targets)
                put("labels", [-100] * len(inputs) + targets)
                put("segment_ids", [segment] * len(inputs + targets))
                put("position_ids", list(range(len(inputs + targets))))
                continue
            put("input_ids", inputs)
            put("input_segment_ids", [segment] * len(inputs))
            put("input_positions", list(range(len(inputs))))
            put("decoder_input_ids", [START, *targets[:-1]])
            put("labels", targets)
            put("target_segment_ids", [segment] * len(targets))
            put("target_positions", list(range(len(targets))))
        fill = {"input_ids": PAD, "decoder_input_ids": PAD, "labels": -100}
        for name, values in item.items():
            length = limits.sequence if limits.joint or name.startswith("input") else limits.targets
            values += [fill.get(name, 0)] * (length - len(values))
        rows.append(item)
    return rows


@pytest.mark.parametrize("limits", [LIMITS, JOINT], ids=["seq2seq", "causal"])
def test_items_are_the_plans_rows_in_full_width(limits: Limits) -> None:
    dataset = _dataset(limits)
    assert len(dataset) == ROWS
    assert [
        {name: tensor.tolist() for name, tensor in dataset[index].items()} for index in range(ROWS)
    ] == _expected(limits)
    assert all(tensor.dtype == torch.int64 for tensor in dataset[0].values())


def test_a_loader_stacks_rows_in_order() -> None:
    batches = list(DataLoader(_dataset(), batch_size=8, collate_fn=collate))
    assert [len(batch["input_ids"]) for batch in batches] == [8, 8, 8, 6]
    assert {tuple(batch["labels"].shape[1:]) for batch in batches} == {(LIMITS.targets,)}
    assert torch.cat([batch["labels"] for batch in batches]).tolist() == [
        item["labels"] for item in _expected(LIMITS)
    ]


@pytest.mark.parametrize("index", [-1, ROWS, ROWS + 5])
def test_rows_outside_are_no_rows(index: int) -> None:
    with pytest.raises(IndexError, match=f"of {ROWS}"):
        _dataset()[index]


def test_an_encoder_decoder_needs_its_start_token() -> None:
    with pytest.raises(ValueError, match="start_id"):
        PackedDataset(_open, 3, pad_id=0)[0]


def test_it_can_be_sent_to_a_process_after_it_was_read() -> None:
    dataset = _dataset()
    first = dataset[0]["input_ids"]
    sent = pickle.loads(pickle.dumps(dataset))  # noqa: S301
    assert torch.equal(sent[0]["input_ids"], first)


@pytest.mark.slow
@pytest.mark.parametrize("built", [False, True])
def test_worker_processes_read_the_same(built: bool, tmp_path: Path) -> None:
    if built:
        build(tmp_path, Words(ROOM), encoder(), PARTS, 4, layout=LAYOUT)
    dataset = _dataset(folder=tmp_path if built else None)
    loader = DataLoader(
        dataset, batch_size=4, collate_fn=collate, num_workers=2, multiprocessing_context="spawn"
    )  # type: ignore[arg-type, var-annotated]
    assert torch.cat([batch["input_ids"] for batch in loader]).tolist() == [
        item["input_ids"] for item in _expected(LIMITS)
    ]
