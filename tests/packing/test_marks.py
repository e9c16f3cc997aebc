"""Layouts: what stands around inputs and targets, and that other tools send the same through the chat
template."""

from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from openflan.errors import InputError
from openflan.packing.encode import Encoder, Limits
from openflan.packing.special_tokens import (
    Layout,
    SpecialTokens,
    around_a_turn,
    chat_template_of,
    special_tokens_of,
)
from openflan.templates.render import Rendered
from openflan.templates.style import Style

CHAT = (
    "{% for message in messages %}<turn> {{ message['role'] }} {{ message['content'] }} </turn> {% endfor %}"
    "{% if add_generation_prompt %}<turn> assistant {% endif %}"
)
DATED = (
    "{% for message in messages %}{{ message['content'] | length }} {{ message['content'] }} "
    "</turn>{% endfor %}{% if add_generation_prompt %}{% endif %}"
)
ENDLESS = "{% for message in messages %}{{ message['content'] }} {% endfor %}"
WORDS = [
    *"abcdefgh",
    "user",
    "assistant",
    "<turn>",
    "</turn>",
    "Which",
    "sea",
    "is",
    "warmer?",
    "The",
    "southern",
    "one.",
    "7",
    "+",
    "5",
    "12",
    "20",
    "17",
]


def tokenizer(*, template: str | None = None, bos: bool = False) -> Any:
    vocabulary = {"<pad>": 0, "</s>": 1, "<s>": 2, "<unk>": 3} | {
        word: 4 + index for index, word in enumerate(WORDS)
    }
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if bos:
        made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 2)])
    names = {
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "bos_token": "<s>",
        "name_or_path": "some/tokenizer",
    }
    made_tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, **names)
    made_tokenizer.chat_template = template
    return made_tokenizer


def ids(*words: str) -> tuple[int, ...]:
    return tuple(4 + WORDS.index(word) for word in words)


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize(("layout", "between"), [("paper", (1,)), ("plain", ())])
def test_paper_and_plain_differ_between_inputs_and_targets(
    layout: Layout, between: tuple[int, ...], bos: bool
) -> None:
    assert special_tokens_of(tokenizer(bos=bos), layout) == SpecialTokens((2,) if bos else (), between, (1,))


def test_what_stands_around_a_single_turn_comes_from_the_template() -> None:
    around = SpecialTokens(ids("<turn>", "user"), ids("</turn>", "<turn>", "assistant"), ids("</turn>"))
    assert around_a_turn(tokenizer(template=CHAT), range(100)) == around
    # Words beside a text could join it, control tokens cannot.
    assert around_a_turn(tokenizer(template=CHAT)) is None


def test_chat_without_a_template_is_refused() -> None:
    with pytest.raises(InputError, match="has none; use paper or plain"):
        Encoder(tokenizer(), Limits(40, 10, joint=True), layout="chat")


@pytest.mark.parametrize(
    ("template", "learned"), [(DATED, ["3", "g", "h", "</turn>"]), (ENDLESS, ["g", "h"])]
)
def test_templates_that_write_other_tokens_around_other_texts_are_followed(
    template: str, learned: list[str]
) -> None:
    words = tokenizer(template=template)
    example = Rendered("a b c", "g h", answer="", task="own/quiz", row=0, style=Style(), wording="any")
    (found,) = Encoder(words, Limits(40, 10, joint=True), layout="chat").encode([example])
    turn = [{"role": "user", "content": "a b c"}, {"role": "assistant", "content": "g h"}]
    assert [*found.input_ids.tolist(), *found.target_ids.tolist()] == list(
        words.apply_chat_template(turn, tokenize=True)["input_ids"]
    )
    assert found.target_ids.tolist() == words(" ".join(learned), add_special_tokens=False)["input_ids"]


def encoded(layout: Layout, inputs: int = 40) -> Any:
    example = Rendered("a b c d e f", "g h", answer="", task="own/quiz", row=0, style=Style(), wording="any")
    (encoded,) = Encoder(
        tokenizer(template=CHAT, bos=layout != "chat"), Limits(inputs, 10, joint=True), layout=layout
    ).encode([example])
    return encoded


def test_a_chat_example_is_what_the_template_writes() -> None:
    example = encoded("chat")
    turn = [{"role": "user", "content": "a b c d e f"}, {"role": "assistant", "content": "g h"}]
    assert [*example.input_ids.tolist(), *example.target_ids.tolist()] == list(
        tokenizer(template=CHAT).apply_chat_template(turn, tokenize=True)["input_ids"]
    )
    assert example.target_ids.tolist() == list(ids("g", "h", "</turn>"))


@pytest.mark.parametrize("layout", ["paper", "plain"])
def test_the_exported_template_reproduces_the_layout(layout: Layout) -> None:
    """What another tool would send for the prompt, and for the whole turn, is what the model was finetuned
    with."""
    example, words = encoded(layout), tokenizer(bos=True)
    words.chat_template = chat_template_of(words, layout)
    turn = [{"role": "user", "content": "a b c d e f"}, {"role": "assistant", "content": "g h"}]
    environment = ImmutableSandboxedEnvironment()
    for messages, expected in (
        (turn[:1], [*example.input_ids]),
        (turn, [*example.input_ids, *example.target_ids]),
    ):
        text = environment.from_string(words.chat_template).render(
            messages=messages, bos_token="<s> ", eos_token=" </s> "
        )
        # The words of these tokenizers stand apart.
        assert words(text.replace("fg", "f g"), add_special_tokens=False)["input_ids"] == [
            int(item) for item in expected
        ]


def test_marks_are_never_cut() -> None:
    example = encoded("chat", inputs=2)
    # 12 tokens in all, 3 for the targets: 9 for the inputs' side, 5 of them marks.
    assert example.input_ids.tolist() == [
        *ids("<turn>", "user"),
        *ids("a", "b", "c", "d"),
        *ids("</turn>", "<turn>", "assistant"),
    ]
    assert example.truncated == 2


def test_an_example_without_room_for_its_marks_is_dropped() -> None:
    example = Rendered(
        "a", "g h a b c d e f", answer="", task="own/quiz", row=0, style=Style(), wording="any"
    )
    (encoded,) = Encoder(tokenizer(template=CHAT), Limits(2, 10, joint=True), layout="chat").encode([example])
    assert encoded.dropped == "inputs-too-long"
