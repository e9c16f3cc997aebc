"""A user's own rows as a benchmark: what is asked of a model, in plain text and in a chat template."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "inference"))
from tiny_models import llama

from openflan.errors import InputError
from openflan.evaluation import generate_to
from openflan.evaluation.own_rows import LONG_TARGETS, RowRendering, own_rows_benchmark, own_tasks
from openflan.inference import Completion, HuggingFaceEngine, Request
from openflan.packing.message_form import SERVED, asked
from openflan.tasks.conversation import Conversation

TEMPLATE = (
    "{% if tools %}TOOLS {{ tools[0].function.name }};{% endif %}"
    "{% for m in messages %}[{{ m.role }}] {{ m.content }};{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
TURNS = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "one ?"},
    {"role": "assistant", "content": "two"},
    {"role": "user", "content": "and three ?"},
    {"role": "assistant", "content": "four"},
]


@dataclass
class Listening:
    """Answers nothing, and keeps what it was sent."""

    fingerprint: str = "a" * 16
    sent: list[Request] = field(default_factory=list)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        self.sent += requests
        yield from ((index, Completion("", 1, "eos")) for index in range(len(requests)))


def _asked(folder: Path, records: Sequence[dict[str, Any]]) -> list[Request]:
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(record) + "\n" for record in records))
    tasks, split = own_tasks(data, RowRendering())
    engine = Listening()
    benchmark = own_rows_benchmark(tasks, "direct", data, rendering=RowRendering(), split=split)
    generate_to(folder / "generations.jsonl", benchmark, engine)
    return engine.sent


def test_a_conversation_is_asked_in_the_chat_template_up_to_its_last_turn(tmp_path: Path) -> None:
    (request,) = _asked(tmp_path, [{"messages": TURNS}])
    assert request.prompt == "Be short.\n\nUser: one ?\n\nAssistant: two\n\nUser: and three ?\n\nAssistant:"
    loaded = HuggingFaceEngine.load(llama(tmp_path / "llama"))
    plain = loaded.ids(request.prompt, conversation=request.conversation)
    loaded.tokenizer.chat_template = TEMPLATE
    chat = HuggingFaceEngine.of(loaded.model, loaded.tokenizer, chat=True)
    expected = loaded.tokenizer.apply_chat_template(
        TURNS[:-1], add_generation_prompt=True, tokenize=True, return_dict=False
    )
    assert chat.ids(request.prompt, conversation=request.conversation) == expected
    assert plain == loaded.ids(request.prompt)  # without a template the conversation changes nothing
    assert chat.ids(request.prompt) != expected
    # The prompt does not fit the context, the conversation does.
    short = Conversation.of_pair("a", "b").text
    (one,) = dict(chat.generate([Request("a b " * 500, 1, conversation=short)])).values()
    (other,) = dict(chat.generate([Request("a b " * 500, 1)])).values()
    assert (one.finish in ("eos", "length"), other.finish) == (True, "too-long")


def test_a_server_gets_the_messages_and_tools() -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    messages, more = asked(Conversation(tuple(TURNS), (tool,)).text, SERVED)
    assert messages == TURNS[:-1]
    assert more == {"tools": [tool]}


def test_another_conversation_with_the_same_readable_text_is_another_request(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "one ?"}, {"role": "assistant", "content": "two"}]
    (request,) = _asked(tmp_path, [{"messages": said}])
    assert (request.prompt, request.conversation) == ("one ?", None)
    system = [{"role": "system", "content": "A"}, {"role": "user", "content": "B"}, said[1]]
    (tmp_path / "other").mkdir()
    (request,) = _asked(tmp_path / "other", [{"messages": system}])
    assert request.prompt == "A\n\nB"
    assert request.conversation is not None


@settings(max_examples=20, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip),
        min_size=1,
        max_size=4,
        unique=True,
    )
)
def test_the_prompt_is_the_users_own_text(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = [{"prompt": text, "completion": "yes"} for text in texts]
    sent = _asked(tmp_path_factory.mktemp("rows"), rows)
    assert [request.prompt for request in sent] == texts


def test_the_measure_and_the_length_follow_the_targets_and_not_the_limit(tmp_path: Path) -> None:
    def measured(targets: Sequence[str], limit: int | None = None) -> tuple[str, int]:
        data = tmp_path / "rows.jsonl"
        rows = [{"inputs": f"{number} ?", "targets": target} for number, target in enumerate(targets)]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        tasks, _ = own_tasks(data, RowRendering())
        benchmark = own_rows_benchmark(tasks, "direct", data, rendering=RowRendering(), limit=limit)
        return benchmark.tasks["own/rows"].metric, benchmark.max_tokens

    assert measured(["Oslo", "Lima"]) == ("accuracy", 64)
    long = ["one", "a sentence of quite a few words " * 3]
    assert measured(long) == measured(long, limit=1) == ("rouge_l", LONG_TARGETS)


def test_own_rows_take_another_metric_and_all_wordings(tmp_path: Path) -> None:
    data = tmp_path / "quiz.jsonl"
    data.write_text('{"question": "one ?", "answer": "1"}\n{"question": "two ?", "answer": "2"}\n')
    tasks, _ = own_tasks(data, RowRendering())
    numeric = own_rows_benchmark(tasks, "direct", data, rendering=RowRendering(), metric="numeric")
    assert numeric.rules["own/quiz"]["metric"] == "numeric"
    every = own_rows_benchmark(tasks, "direct", data, rendering=RowRendering(), all_wordings=True)
    assert every.name == "own-quiz-all-wordings"
    assert len(every.tasks) > 1
    assert {task for task, _ in every.wordings.values()} == {"own/quiz"}


def test_exemplars_of_conversations_are_refused(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(json.dumps({"messages": TURNS}) + "\n")
    tasks, _ = own_tasks(data, RowRendering())
    with pytest.raises(InputError, match="leave `--shots` out"):
        own_rows_benchmark(tasks, "direct", data, rendering=RowRendering(), shots=2)
