"""Thinking blocks of reasoning models: found in every spelling, limited by themselves, kept beside the
answer."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import llama, save_tokenizer, t5
from transformers import AutoTokenizer

from openflan.inference import HttpEngine, HuggingFaceEngine, Request
from openflan.inference.batching import Budget, Prompt, decode, prompts_of
from openflan.inference.ending import Ending
from openflan.inference.protocol import Completion
from openflan.inference.thinking import MARKS, Split, opens_thinking, split_thinking

EOS = 1


@pytest.mark.parametrize(
    ("text", "thinking"),
    [
        ("<think>\nadd them\n</think>\n\nB", "add them"),
        ("add them\n</think>\n\nB", "add them"),
        ("\n<thinking>add them</thinking>B", "add them"),
        ("[THINK]add them[/THINK]B", "add them"),
        ("<|begin_of_thought|>add them<|end_of_thought|> B", "add them"),
        ("<seed:think>add them</seed:think>B", "add them"),
        ("<think>a</think>B<think>b</think>", "a\n\nb"),
        ("<think>a <think> again</think>B", "a <think> again"),
        ("<think></think>B", ""),
        (
            "<|channel|>analysis<|message|>add them<|end|><|start|>assistant<|channel|>final<|message|>B"
            "<|return|>",
            "add them",
        ),
        ("analysisWe add themassistantfinalB", "We add them"),
    ],
)
def test_every_spelling_is_cut(text: str, thinking: str) -> None:
    split = split_thinking(text)
    assert (split.answer.strip(), split.closed) == ("B", True)
    assert split.thinking is not None
    assert split.thinking.removeprefix("We ") == thinking.removeprefix("We ")


@pytest.mark.parametrize(
    "text",
    [
        "<think> so B",
        "[THINK]B",
        "B <think> or C",
        "<|channel|>analysis<|message|>it is B",
        "analysisWe say B",
        "<think>a</think>B<think>",
    ],
)
def test_an_unclosed_block_leaves_no_answer(text: str) -> None:
    split = split_thinking(text)
    assert (split.answer, split.closed) == ("", False)
    assert split.thinking is not None


def test_a_block_that_the_prompt_opened_needs_no_mark() -> None:
    assert split_thinking("it is B", opened=True) == Split("", "it is B", closed=False)
    assert split_thinking("a</think>B", opened=True) == Split("B", "a")
    assert split_thinking("<think>a</think>B", opened=True) == Split("B", "a")
    assert opens_thinking("<｜Assistant｜><think>\n")
    assert opens_thinking("<|start|>assistant<|channel|>analysis<|message|>")
    assert not opens_thinking("<|im_start|>assistant\n<think>\n\n</think>\n\n")


@given(st.text())
def test_text_without_marks_is_returned_to_the_character(text: str) -> None:
    if "analysis" not in text and not any(mark in text for mark in MARKS):
        assert split_thinking(text) == Split(text)


@pytest.mark.parametrize("text", ["analysis of the poem", "I think <b>so</b>", "an [option] (B)", "</thing>"])
def test_words_like_marks_are_none(text: str) -> None:
    assert split_thinking(text) == Split(text)


class Scripted:
    """A decoder that writes a given text after each prompt."""

    def __init__(self, ids: Sequence[int], vocabulary: int) -> None:
        self.ids, self.vocabulary = [*ids, EOS], vocabulary
        self.written: list[int] = []

    def admit(self, prompts: Sequence[Prompt]) -> None: ...

    def add(self, prompt: Prompt) -> int:
        self.written.append(0)
        return 0

    def step(self, ids: list[int]) -> torch.Tensor:
        logits = torch.zeros(len(ids), self.vocabulary)
        for index, count in enumerate(self.written):
            logits[index, self.ids[min(count, len(self.ids) - 1)]] = 1.0
            self.written[index] += 1
        return logits

    def drop(self, index: int) -> None:
        self.written[index] = self.written[-1]
        self.written.pop()

    def release(self, prompt: Prompt) -> None: ...


def written(tokenizer: Any, text: str, request: Request, *, opened: bool = False) -> Completion:
    """The completion of a model that writes `text`, one token a character."""
    prompts = prompts_of([(0, (5, 6), request)])
    for generation in prompts[0].generations:
        generation.opened = opened
    decoder = Scripted(tokenizer.encode(text), len(tokenizer))
    [(_, completion)] = decode(decoder, prompts, Ending(tokenizer, frozenset({EOS})), Budget(1000, 8, 1))
    return completion


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder, pad=True)
    return AutoTokenizer.from_pretrained(folder)


THINK = "<think>Q: a b c</think>"


def test_the_limits_of_answer_and_thinking_are_counted_apart(tokenizer: Any) -> None:
    request = Request("p", 5, ("Q:",), thinking_tokens=40)
    completion = written(tokenizer, f"{THINK}123456789", request)
    assert completion == Completion("12345", len(THINK) + 5, "length", 0, "Q: a b c", True, len(THINK))


def test_stop_strings_end_the_answer_only(tokenizer: Any) -> None:
    completion = written(tokenizer, f"{THINK}12 Q: 3", Request("p", 9, ("Q:",), thinking_tokens=40))
    assert (completion.text, completion.finish) == ("12 ", "stop")
    without = written(tokenizer, "12 Q: 3", Request("p", 9, ("Q:",), thinking_tokens=40))
    assert (without.text, without.finish, without.thinking) == ("12 ", "stop", None)


def test_thinking_that_reaches_its_limit_is_unanswered(tokenizer: Any) -> None:
    completion = written(tokenizer, f"{THINK}B", Request("p", 5, thinking_tokens=12))
    assert completion == Completion("", 12, "length", 0, "Q: a", False, 12)


def test_a_block_that_the_prompt_opened_has_the_limit_of_thinking(tokenizer: Any) -> None:
    request = Request("p", 3, thinking_tokens=30)
    completion = written(tokenizer, "abcdefgh</think>12345", request, opened=True)
    assert (completion.text, completion.thinking, completion.thinking_tokens) == ("123", "abcdefgh", 16)
    assert written(tokenizer, "abcdefgh", request, opened=True).thinking_closed is False


def test_without_a_limit_of_thinking_blocks_are_text(tokenizer: Any) -> None:
    completion = written(tokenizer, f"{THINK}B", Request("p", 10))
    assert completion == Completion(THINK[:10], 10, "length")


@given(st.text(st.sampled_from("ab <1Q:"), max_size=20), st.integers(1, 12))
def test_text_without_a_block_is_generated_as_ever(tokenizer: Any, text: str, max_tokens: int) -> None:
    request = Request("p", max_tokens, ("Q:",))
    assert written(tokenizer, text, request) == written(tokenizer, text, replace(request, thinking_tokens=40))


def test_marks_that_are_special_tokens_are_read(tmp_path: Path) -> None:
    save_tokenizer(tmp_path, pad=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]"]})
    completion = written(tokenizer, "[THINK]abc[/THINK]12345", Request("p", 4, thinking_tokens=9))
    assert completion == Completion("1234", 9, "length", 0, "abc", True, 5)


@pytest.mark.parametrize("method", ["own", "transformers"])
@pytest.mark.parametrize("make", [llama, t5])
def test_models_without_thinking_write_the_same(make: Any, method: str, tmp_path: Path) -> None:
    engine = HuggingFaceEngine.load(make(tmp_path))
    if method == "transformers":
        engine = replace(engine, method="transformers")
    requests = [Request("one two", 9, ("a",)), Request("three", 7, (), 2, 0.7, 5, 1), Request("x", 7)]
    thinking = [replace(request, thinking_tokens=11) for request in requests]

    def completions(asked: Sequence[Request]) -> list[tuple[int, Completion]]:
        return sorted(engine.generate(asked), key=lambda pair: (pair[0], pair[1].sample))

    assert completions(thinking) == completions(requests)


def served(
    monkeypatch: pytest.MonkeyPatch, answer: Any, *, chat: bool = True
) -> tuple[HttpEngine, list[Any]]:
    """An engine of a server that answers `answer(body)`, and the bodies that were sent."""
    bodies: list[Any] = []

    def post(self: HttpEngine, path: str, body: Any) -> Any:
        bodies.append(body)
        return answer(body)

    monkeypatch.setattr(HttpEngine, "_post", post)
    return HttpEngine("http://127.0.0.1:1/v1", "r1", chat=chat), bodies


def message(finish: str = "stop", tokens: int = 9, **fields: Any) -> dict[str, Any]:
    usage = {"completion_tokens": tokens, "completion_tokens_details": {"reasoning_tokens": 7}}
    return {"choices": [{"message": {"content": "", **fields}, "finish_reason": finish}], "usage": usage}


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": "add them", "content": "B"},
        {"reasoning": "add them", "content": "B"},
        {"content": "<think>add them</think>B"},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "add them"}]},
                {"type": "text", "text": "B"},
            ]
        },
    ],
)
def test_a_servers_thinking_is_read_in_every_form(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    engine, _ = served(monkeypatch, lambda body: message(**fields))
    [(_, completion)] = engine.generate([Request("p", 10, thinking_tokens=40)])
    assert completion == Completion("B", 9, "eos", 0, "add them", True, 7)


def test_a_server_gets_both_limits_once_its_model_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(body: Any) -> Any:
        if body["max_tokens"] < 20:
            return message("length", 10, reasoning_content="add", content=None)
        return message("stop", 19, reasoning_content="add them", content="B Q: x")

    engine, bodies = served(monkeypatch, answer)
    for _ in range(2):
        [(_, completion)] = engine.generate([Request("p", 10, ("Q:",), thinking_tokens=40)])
        assert (completion.text, completion.thinking, completion.finish) == ("B ", "add them", "stop")
    assert [body["max_tokens"] for body in bodies] == [10, 50, 50]
    assert ["stop" in body for body in bodies] == [True, False, False]


def test_a_server_whose_model_does_not_think_is_asked_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, bodies = served(monkeypatch, lambda body: message("length", 10, content="so B is"))
    asked = Request("p", 10, ("Q:",))
    assert list(engine.generate([replace(asked, thinking_tokens=40)])) == list(engine.generate([asked]))
    assert bodies[0] == bodies[1]


def test_a_servers_thinking_without_an_end_is_unclosed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = served(monkeypatch, lambda body: message("length", 50, reasoning="add", content=None))
    [(_, completion)] = engine.generate([Request("p", 10, thinking_tokens=40)])
    assert (completion.text, completion.thinking_closed, completion.finish) == ("", False, "length")
