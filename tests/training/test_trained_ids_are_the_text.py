"""The ids that training reads, decoded back, are the rendered text: public tasks, real tokenizers."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from openflan.mixture.open_mixture import open_mixture
from openflan.models.load_model import load_tokenizer
from openflan.packing.encode import Encoder
from openflan.packing.example_windows import ExampleStream, packed_examples
from openflan.packing.torch_data import IGNORED, PackedDataset
from openflan.recipe.load_recipe import recipe_from
from openflan.recipe.schema import Recipe
from openflan.templates.render import Rendered
from openflan.training.prepare import prepare

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))
COUNT = int(os.environ.get("OPENFLAN_DECODED", "30"))
"""Examples that are decoded; `OPENFLAN_DECODED=200` for a longer run."""
WINDOW = 64 if COUNT <= 64 else 4_096

needs_data = pytest.mark.skipif(
    not (SHARED / "data/niv2").is_dir(), reason="no public tasks: set OPENFLAN_SHARED"
)


def _recipe(data: Path, inputs: int = 256) -> Recipe:
    values: dict[str, Any] = {
        "name": "decoded",
        "model": {"base": "embedded:microflan-base"},
        "mixture": {"submixtures": {"niv2": {"data": str(data)}}},
        "packing": {"inputs": inputs, "targets": inputs // 4},
        "training": {"steps": 1, "batch_size": 1},
    }
    return recipe_from(values, "the test's recipe", [])


def _opened(recipe: Recipe, tokenizer: Any, joint: bool) -> tuple[ExampleStream, Encoder]:
    stream, encoder = prepare(recipe, open_mixture(recipe.mixture).tasks, tokenizer, joint=joint)
    return packed_examples(stream, encoder, window=WINDOW), encoder


def _segments(item: dict[str, Any], joint: bool) -> Iterator[tuple[list[int], list[int]]]:
    """Input and target ids of each example of a packed sequence."""
    inputs = item["input_ids"].tolist()
    labels = item["labels"].tolist()
    input_segments = item["segment_ids" if joint else "input_segment_ids"].tolist()
    target_segments = item["segment_ids" if joint else "target_segment_ids"].tolist()
    for segment in range(1, max(input_segments) + 1):
        places = [place for place, its in enumerate(input_segments) if its == segment]
        yield (
            [inputs[place] for place in places if not joint or labels[place] == IGNORED],
            [
                label
                for label, its in zip(labels, target_segments, strict=True)
                if its == segment and label != IGNORED
            ],
        )


def _plain(text: str) -> str:
    """A text as T5's normalization leaves it: compatibility forms, and one blank for any whitespace."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def outcome(ids: list[int], text: str, tokenizer: Any, truncated: bool) -> str:
    """`equal`, `normalized` (equal but for the tokenizer's normalization), `unk`, or `other`."""
    back = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    if back.startswith(" ") and not text.startswith(" "):
        # The mark of a word's beginning.
        back = back[1:]
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids:
        return "unk"
    if truncated:
        # A character of several tokens may be cut.
        back = back.rstrip("\ufffd")
        text = text[: len(back)] if text.startswith(back) else text
        if _plain(text).startswith(_plain(back)):
            text = back
    if back == text:
        return "equal"
    return "normalized" if _plain(back) == _plain(text) else "other"


def decoded(
    data: Path, tokenizer: Any, joint: bool, count: int, inputs: int = 256
) -> tuple[Counter[str], list[str]]:
    """What `count` examples of the first packed sequences come to, and the texts that are neither equal nor
    explained."""
    recipe = _recipe(data, inputs)
    plan, encoder = _opened(recipe, tokenizer, joint)
    window, marks = plan.window(0), encoder.special_tokens
    dataset = PackedDataset(lambda: plan, len(window), pad_id=0, start_id=0)
    counts, unexplained = Counter[str](), list[str]()
    for index in range(len(window)):
        members = window.packed.sequence(index).tolist()
        segments = list(_segments(dataset[index], joint))
        assert len(segments) == len(members)
        for (input_ids, target_ids), member in zip(segments, members, strict=True):
            example: Rendered = window.examples[member]
            begin, end = len(marks.before), len(input_ids) - len(marks.between)
            assert (input_ids[:begin], input_ids[end:]) == (list(marks.before), list(marks.between))
            assert target_ids[len(target_ids) - len(marks.after) :] == list(marks.after)
            for ids, text, cut in (
                (input_ids[begin:end], example.inputs, window.encoded[member].truncated > 0),
                (target_ids[: len(target_ids) - len(marks.after)], example.targets, False),
            ):
                counts[name := outcome(ids, text, tokenizer, cut)] += 1
                if name == "other":
                    unexplained.append(text)
            counts["examples"] += 1
            counts["truncated"] += window.encoded[member].truncated > 0
            if counts["examples"] == count:
                return counts, unexplained
    return counts, unexplained


def _tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if name == "bytes":
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        backend = Tokenizer(models.BPE({letter: place for place, letter in enumerate(alphabet)}, []))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", pad_token="<pad>")
    if name.startswith("embedded:"):
        return load_tokenizer(_recipe(Path("data")).model)
    if not (SHARED / "tokenizers" / name).is_dir():
        pytest.skip(f"no tokenizer {name}: set OPENFLAN_SHARED")
    return AutoTokenizer.from_pretrained(SHARED / "tokenizers" / name)


@needs_data
@pytest.mark.parametrize(
    ("name", "joint", "inputs"),
    [("flan-t5", False, 256), ("embedded:microflan-base", False, 256), ("bytes", True, 1_024)],
)
def test_what_training_reads_is_the_rendered_text(name: str, joint: bool, inputs: int) -> None:
    counts, unexplained = decoded(SHARED / "data/niv2", _tokenizer(name), joint, COUNT, inputs)
    assert counts["examples"] == COUNT
    assert counts["other"] == 0, unexplained[:3]
    assert counts["equal"] + counts["normalized"] + counts["unk"] == 2 * COUNT
    if name == "bytes":
        assert counts["equal"] == 2 * COUNT
    assert counts["equal"] > COUNT / 2


def test_a_changed_letter_is_noticed() -> None:
    """Negative control."""
    tokenizer = _tokenizer("embedded:microflan-base")
    ids = tokenizer("the cat is red", add_special_tokens=False)["input_ids"]
    assert outcome(ids, "the cat is red", tokenizer, False) == "equal"
    assert outcome(ids, "the cat is bed", tokenizer, False) == "other"
    assert all(outcome(ids[:end], "the cat is red", tokenizer, True) == "equal" for end in range(1, len(ids)))
