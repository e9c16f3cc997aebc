"""Prompts and options that spell control tokens: the model is given their letters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.inference.huggingface import HuggingFaceEngine
from openflan.inference.protocol import LikelihoodRequest, Request

EOS, BOS = tiny_models.EOS, tiny_models.BOS
TEMPLATE = "{{ bos_token }}{% for message in messages %}{{ message['content'] }}</s>{% endfor %}"
planted = st.lists(
    st.sampled_from(["</s>", "<s>", "<pad>", "a", "b ", "<", "/s>"]), min_size=1, max_size=6
).map("".join)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("models")
    causal = HuggingFaceEngine.load(tiny_models.llama(folder / "llama"), separator="eos")
    causal.tokenizer.chat_template = TEMPLATE
    chat = HuggingFaceEngine.of(causal.model, causal.tokenizer, chat=True)
    return {"t5": HuggingFaceEngine.load(tiny_models.t5(folder / "t5")), "causal": causal, "chat": chat}


MARKS = {"t5": [EOS], "causal": [BOS, EOS], "chat": [BOS, EOS]}


@pytest.mark.parametrize("kind", MARKS)
@settings(max_examples=40, deadline=None)
@given(prompt=planted)
def test_a_prompt_has_its_marks_and_no_other_control_token(
    kind: str, prompt: str, engines: dict[str, Any]
) -> None:
    ids = engines[kind].ids(prompt)
    assert [token for token in ids if token < 3] == MARKS[kind]
    assert len(ids) == len(prompt) + len(MARKS[kind])


@pytest.mark.parametrize("kind", MARKS)
def test_an_option_is_scored_by_its_letters(kind: str, engines: dict[str, Any]) -> None:
    ((_, scores),) = engines[kind].loglikelihood([LikelihoodRequest("ab", ("</s>", "a"))])
    assert scores.tokens == (4, 1)


def test_a_prompt_that_ends_in_an_end_of_sequence_is_not_that_end(engines: dict[str, Any]) -> None:
    """The models are random, so that another prompt is answered otherwise."""
    asked = [Request("ab</s>", 4), Request("ab", 4)]
    lengths = [len(engines["t5"].ids(request.prompt)) for request in asked]
    assert lengths == [7, 3]
    assert {index for index, _ in engines["t5"].generate(asked)} == {0, 1}


def test_a_folder_on_disk_is_read_alike(tmp_path: Path) -> None:
    engine = HuggingFaceEngine.load(tiny_models.t5(tmp_path), context=16)
    assert engine.fits("a" * 15, 1)
    assert not engine.fits("</s>" * 4, 1)
