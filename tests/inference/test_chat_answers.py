"""Chat models are answered in their own form: template, turns, what ends an answer, and text as it grows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import EOS, PAD, llama, t5
from transformers import AutoModelForCausalLM, AutoTokenizer

from openflan.api.chat_session import ChatSession
from openflan.api.load_model import LoadedModel, load_model
from openflan.api.options import LoadOptions
from openflan.errors import InputError
from openflan.inference.batching import Generation
from openflan.inference.ending import Ending
from openflan.inference.huggingface import HuggingFaceEngine
from openflan.inference.protocol import Completion, Request, Turn
from openflan.inference.streaming import TextStream

TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + TEMPLATE
)
QUESTIONS = [
    f"{word} {number}?" for word in ("sky", "Is 7 odd", "a", "the sea </s> x") for number in range(5)
]


def chat_folder(folder: Path, template: str = TEMPLATE, **generation: Any) -> Path:
    llama(folder)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | generation), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_folder(tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="module")
def model(folder: Path) -> LoadedModel:
    return load_model(folder)


def by_transformers(folder: Path, messages: list[dict[str, str]], max_tokens: int) -> list[int]:
    """The ids that transformers generates greedily for a conversation in the folder's own template."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        made = theirs.generate(**ids, max_new_tokens=max_tokens, do_sample=False, pad_token_id=PAD)
    return [int(token) for token in made[0, ids["input_ids"].shape[1] :]]


def test_a_chat_model_answers_with_the_ids_of_transformers_under_the_same_template(
    folder: Path, model: LoadedModel
) -> None:
    plain_text = [question for question in QUESTIONS if "</s>" not in question]
    ours = [list(answer.ids) for answer in model.generate(plain_text, max_tokens=12)]
    assert ours == [by_transformers(folder, [{"role": "user", "content": text}], 12) for text in plain_text]
    without = [
        list(answer.ids)
        for answer in load_model(folder, LoadOptions(chat=False)).generate(plain_text, max_tokens=12)
    ]
    assert without != ours


def test_benchmarks_get_plain_prompts_and_the_same_model_answers_in_chat(model: LoadedModel) -> None:
    engine = model.engine
    assert isinstance(engine, HuggingFaceEngine)
    assert not engine.chat
    assert model.answers_in_chat
    assert model.has_unused_template
    assert engine.ids("sky?") == engine.encode("sky?")
    answering = model.answering
    assert isinstance(answering, HuggingFaceEngine)
    assert answering.ids("sky?") != engine.ids("sky?")
    assert answering.fingerprint != engine.fingerprint


@pytest.mark.parametrize(("layout", "in_chat"), [("paper", False), ("plain", False), ("chat", True)])
def test_a_finetuned_model_gets_the_layout_of_its_recipe_whatever_template_is_there(
    layout: str, in_chat: bool, tmp_path: Path
) -> None:
    made = chat_folder(tmp_path / "model", openflan_layout=layout)
    loaded = load_model(made)
    assert loaded.answers_in_chat == in_chat
    assert not loaded.has_unused_template
    assert load_model(made, LoadOptions(chat=not in_chat)).answers_in_chat != in_chat


def test_a_model_without_a_template_answers_plain_prompts_and_refuses_turns(tmp_path: Path) -> None:
    loaded = load_model(t5(tmp_path / "t5"))
    assert not loaded.answers_in_chat
    assert not loaded.has_unused_template
    with pytest.raises(InputError, match="a system message and earlier turns need a chat template"):
        loaded.generate("sky?", before=[Turn("system", "Be brief.")])
    with pytest.raises(InputError, match="no chat template: leave `--chat` out"):
        load_model(tmp_path / "t5", LoadOptions(chat=True))


def test_the_token_that_ends_a_turn_ends_an_answer_that_the_generation_settings_do_not_end(
    tmp_path: Path,
) -> None:
    """Folders exist whose generation settings name the end of a text only, and not that of a turn."""
    made = chat_folder(tmp_path / "model", eos_token_id=PAD)
    engine = load_model(made).answering
    assert isinstance(engine, HuggingFaceEngine)
    assert engine.eos == {PAD, EOS}
    plain = load_model(made).engine
    assert isinstance(plain, HuggingFaceEngine)
    assert plain.eos == {PAD}
    listed = chat_folder(tmp_path / "listed", eos_token_id=[PAD, 40])
    several = load_model(listed).answering
    assert isinstance(several, HuggingFaceEngine)
    assert several.eos == {PAD, EOS, 40}


@pytest.mark.parametrize("ending", ["\n", " .", ""])
def test_a_template_that_ends_answers_with_text_adds_no_token(ending: str, tmp_path: Path) -> None:
    text_only = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}"
        + ending
        + "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    )
    engine = load_model(chat_folder(tmp_path / "model", text_only)).answering
    assert isinstance(engine, HuggingFaceEngine)
    assert engine.eos == {EOS}


def test_turns_and_system_message_are_those_of_the_template(folder: Path, model: LoadedModel) -> None:
    before = [Turn("system", "Be brief."), Turn("user", "sky?"), Turn("assistant", "blue")]
    (ours,) = model.generate("and grass?", max_tokens=8, before=before)
    messages = [*(turn.message() for turn in before), {"role": "user", "content": "and grass?"}]
    assert list(ours.ids) == by_transformers(folder, messages, 8)
    assert ours.ids != model.generate("and grass?", max_tokens=8)[0].ids


def test_a_conversation_keeps_its_turns_and_leaves_the_oldest_out_where_they_do_not_fit(
    folder: Path, model: LoadedModel
) -> None:
    conversation, notices = ChatSession(model, max_tokens=6), list[str]()
    pieces: list[str] = []
    first = conversation.ask("sky?", pieces.append, notices.append)
    assert "".join(pieces) == first.text
    second = conversation.ask("sky?", pieces.append, notices.append)
    turns = [Turn("user", "sky?"), Turn("assistant", first.text)]
    assert conversation.turns == [*turns, Turn("user", "sky?"), Turn("assistant", second.text)]
    assert second == model.generate("sky?", max_tokens=6, before=turns)[0]
    assert not notices
    for _ in range(3):
        conversation.ask("sky?", pieces.append, notices.append)
    # 96 positions hold about two questions with answers.
    assert notices
    assert len(conversation.turns) < 10
    assert conversation.ask("x" * 200, pieces.append).finish == "too-long"


@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize("method", ["causal", "transformers"])
def test_streamed_text_is_the_generated_text_in_more_than_one_piece(
    method: Any, temperature: float, model: LoadedModel
) -> None:
    from dataclasses import replace

    engine = model.answering
    assert isinstance(engine, HuggingFaceEngine)
    engine = replace(engine, method=method)
    request = Request("Is the sky blue?", 20, temperature=temperature, seed=3)
    pieces: list[str] = []
    streamed = engine.stream(request, pieces.append)
    ((_, whole),) = engine.generate([request])
    assert (streamed, streamed.ids, "".join(pieces)) == (whole, whole.ids, whole.text)
    assert len(pieces) > 1


class Bytes:
    """A tokenizer of one token a byte, so that characters come in parts."""

    def decode(self, ids: list[int], **_: Any) -> str:
        return bytes(ids).decode("utf-8", "replace")


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=12), stop=st.lists(st.text(min_size=1, max_size=3), max_size=2))
def test_pieces_make_up_the_text_wherever_characters_and_stop_strings_are_cut(
    text: str, stop: list[str]
) -> None:
    ids = list(text.encode("utf-8", "replace"))
    ending = Ending(Bytes(), frozenset())
    request, pieces = Request("x", 99, stop=tuple(stop)), list[str]()
    stream, generation = TextStream(ending, pieces.append), Generation(request, 0, [0], 0)
    progress = ending.begin(request)
    for length in range(1, len(ids)):
        if ending.is_over(ids[:length], request, progress):
            ids = ids[:length]
            break
        generation.new = ids[:length]
        stream.watch(generation)
    completion = ending.completion(ids, request)
    stream.finish(completion)
    assert "".join(pieces) == completion.text


def test_a_thinking_block_is_streamed_as_the_model_writes_it() -> None:
    ending, pieces = Ending(Bytes(), frozenset()), list[str]()
    request = Request("x", 99, stop=("#",), thinking_tokens=99)
    stream, generation = TextStream(ending, pieces.append), Generation(request, 0, [0], 0)
    ids = list(b"<think>a # b</think>blue#")
    for length in range(1, len(ids)):
        generation.new = ids[:length]
        stream.watch(generation)
    completion = ending.completion(ids, request)
    stream.finish(completion)
    assert (completion.text, completion.thinking) == ("blue", "a # b")
    assert "".join(pieces) == "<think>a # b</think>blue"


def test_samples_differ_by_seed_and_by_what_was_said_before(model: LoadedModel) -> None:
    drawn = {
        (seed, said): model.generate("sky?", max_tokens=16, temperature=2.0, seed=seed, before=before)[0].ids
        for seed in (0, 1)
        for said, before in (("", []), ("brief", [Turn("system", "brief")]))
    }
    assert len(set(drawn.values())) == 4
    again = model.generate("sky?", max_tokens=16, temperature=2.0, seed=1)[0]
    assert again.ids == drawn[1, ""]


def test_a_completion_says_its_ids_and_equals_one_without() -> None:
    assert Completion("a", 1, "eos", ids=(5, 1)) == Completion("a", 1, "eos")


def test_a_conversation_excludes_turns_before_it(model: LoadedModel) -> None:
    both = Request("x", 4, before=(Turn("system", "brief"),), conversation="said")
    with pytest.raises(InputError, match="earlier turns and a conversation"):
        list(model.answering.generate([both]))
