"""Targets of which only some are learned, through batches, losses, builds and training's other readers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from chat_templates import STABLE, THINKING, byte_level
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from openflan.models.packed import LossOptions, Packing, temporary_layout
from openflan.packing.batch import IGNORED, causal_batch
from openflan.packing.build_ahead import build
from openflan.packing.chat_examples import in_examples
from openflan.packing.encode import Encoded, Encoder, Limits
from openflan.packing.example_windows import packed_examples
from openflan.packing.flat import flat_causal_batch
from openflan.packing.measure import measure
from openflan.packing.store import Layout, Parts, Store
from openflan.tasks.chat import chat_row
from openflan.tasks.task import Task
from openflan.templates.render import Rendered
from openflan.templates.style import Style


def example(inputs: list[int], targets: list[int], learned: list[bool] | None = None) -> Encoded:
    return Encoded(
        np.array(inputs, dtype=np.int32),
        np.array(targets, dtype=np.int32),
        learned=None if learned is None else np.array(learned),
    )


TURNS = example([5, 6], [7, 8, 9, 10], [True, False, False, True])
PLAIN = example([11], [12, 13])


def test_a_padded_batch_has_labels_where_turns_are_learned() -> None:
    batch, no = causal_batch([[TURNS, PLAIN]], pad_id=0), IGNORED
    assert batch.input_ids_RL.tolist() == [[5, 6, 7, 8, 9, 10, 11, 12, 13, *[0] * 7]]
    assert batch.labels_RL.tolist() == [[no, 7, no, no, 10, no, 12, 13, no, *[no] * 7]]
    assert batch.target_tokens == 4


def test_a_flat_batch_predicts_where_turns_are_learned() -> None:
    batch = flat_causal_batch([[TURNS], [PLAIN]])
    assert batch.target_ids_T.tolist() == [7, 10, 12, 13]
    assert batch.predicting_T.tolist() == [1, 4, 6, 7]
    assert batch.target_offsets.tolist() == [0, 2, 4]
    assert batch.input_lengths_N.tolist() == [2, 1]
    assert flat_causal_batch([[TURNS]], everything=True).target_ids_T.tolist() == [6, 7, 8, 9, 10]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.lists(st.booleans(), min_size=1, max_size=6)), min_size=1, max_size=5
    )
)
def test_flat_and_padded_batches_learn_the_same_tokens(shapes: list[tuple[int, list[bool]]]) -> None:
    examples = [
        example(list(range(1, 1 + inputs)), list(range(20, 20 + len(learned))), [True, *learned[1:]])
        for inputs, learned in shapes
    ]
    flat, padded = flat_causal_batch([examples]), causal_batch([examples], pad_id=0)
    assert flat.target_ids_T.tolist() == padded.labels_RL[padded.labels_RL != IGNORED].tolist()
    assert flat.predicting_T.tolist() == np.flatnonzero(padded.labels_RL[0] != IGNORED).tolist()
    assert flat.target_tokens == padded.target_tokens == sum(one.num_learned for one in examples)


@pytest.mark.parametrize("packing", ["flat", "dense", "none"])
@pytest.mark.parametrize("prefix", [False, True])
def test_losses_are_those_of_transformers_at_learned_tokens(packing: Packing, prefix: bool) -> None:
    if prefix and packing != "flat":
        pytest.skip("inputs see one another in the flat layout only")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=32, max_position_embeddings=64, **sizes)).eval()
    with temporary_layout(model, packing, LossOptions(prefix=prefix)) as layout, torch.no_grad():
        losses, documents = layout.losses(layout.batch([[TURNS, PLAIN]]))
        every, _ = layout.losses(layout.batch([[replace(TURNS, learned=None), PLAIN]]))
        found, all_of_them = losses[documents > 0], every[every != 0].flatten()
    assert found.shape == (4,)
    # The same losses as with every target learned, at the learned ones.
    assert torch.allclose(found, all_of_them[[0, 3, 4, 5]], atol=1e-6)
    if not prefix:
        ids = torch.tensor([[5, 6, 7, 8, 9, 10]])
        labels = torch.tensor([[IGNORED, IGNORED, 7, IGNORED, IGNORED, 10]])
        with torch.no_grad():
            expected = model(input_ids=ids, labels=labels).loss
        assert torch.allclose(found[:2].mean(), expected, atol=1e-5)


class Conversations:
    """A stream of conversations of different lengths."""

    token_budget = None

    def __init__(self, encoder: Encoder) -> None:
        rows = [chat_row(record(number)) for number in range(7)]
        task = Task("own/chats", rows, frozenset({"inputs", "targets", "conversation"}), "chats", "own data")
        assert encoder.tokenize.chat is not None
        self.task = in_examples({task.name: task}, encoder.tokenize.chat)[task.name]

    def __getitem__(self, position: int) -> Rendered:
        number = position % len(self.task.rows)
        row: Any = self.task.rows[number]
        conversation = row.get("conversation")
        return Rendered(
            row["inputs"],
            row["targets"],
            answer="",
            task=self.task.name,
            row=number,
            style=Style(),
            wording="any",
            conversation=conversation,
        )

    unpruned = __getitem__


def record(number: int) -> dict[str, Any]:
    turns = [
        message
        for turn in range(1 + number % 3)
        for message in (
            {"role": "user", "content": f"{number} and {turn}?"},
            {"role": "assistant", "content": f" {turn}" * (1 + number)},
        )
    ]
    return {"messages": turns}


def as_lists(sequences: list[list[Encoded]]) -> list[Any]:
    return [
        [
            (
                one.input_ids.tolist(),
                one.target_ids.tolist(),
                None if one.learned is None else one.learned.tolist(),
            )
            for one in sequence
        ]
        for sequence in sequences
    ]


@pytest.mark.parametrize("template", [STABLE, THINKING])
def test_a_build_holds_what_is_learned(template: str, tmp_path: Path) -> None:
    encoder = Encoder(byte_level(template), Limits(200, 100, joint=True), layout="chat")
    stream, parts, layout = Conversations(encoder), Parts({"seed": 0}, {"targets": 20}), Layout(20, 3)
    build(tmp_path, stream, encoder, parts, 4, layout=layout)
    live = packed_examples(stream, encoder, window=20)
    built = packed_examples(stream, encoder, window=20, built=Store(tmp_path, parts, layout))
    count = sum(live.index(None) or [len(live.window(number)) for number in range(4)])
    assert as_lists(built.sequences(0, count)) == as_lists(live.sequences(0, count))
    assert (tmp_path / "blocks/000000/learned.npy").is_file()
    # A changed mask is damage like any other.
    path = tmp_path / "blocks/000000/learned.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(Exception, match="learned.npy: missing, incomplete or changed"):
        Store(tmp_path, parts, layout).window(0)


def test_a_build_of_texts_has_the_files_that_it_always_had(tmp_path: Path) -> None:
    encoder = Encoder(byte_level(STABLE), Limits(200, 100, joint=True), layout="plain")
    chat = Encoder(byte_level(STABLE), Limits(200, 100, joint=True), layout="chat")
    build(tmp_path, Conversations(chat), encoder, Parts({}, {}), 1, layout=Layout(20, 3))
    names = {path.name for path in (tmp_path / "blocks/000000").iterdir()}
    assert names == {"ids.npy", "offsets.npy", "pruned.npy", "members.npy", "starts.npy", "block.json"}
    assert set(json.loads((tmp_path / "blocks/000000/block.json").read_text())["files"]) == {
        name.removesuffix(".npy") for name in names - {"block.json"}
    }


def test_the_ledger_counts_learned_tokens_as_targets() -> None:
    rendered = Rendered("a", "b", answer="", task="own/a", row=0, style=Style(), wording="any")
    measured = measure([rendered], [TURNS], [[0]], Limits(10, 10, joint=True))
    assert (measured.total.input_tokens, measured.total.target_tokens) == (4, 2)
