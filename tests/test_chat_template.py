"""Chat templates of model folders: the same text as transformers writes, and an end in bounded time and
memory for those that would have none."""

from __future__ import annotations

import resource
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from openflan.chat_template import apply_chat_template
from openflan.errors import InputError

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "7 + 5 = ?"},
    {"role": "assistant", "content": "12"},
]

ORDINARY = {
    "ChatML": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ "
    "'<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "loop variables": (
        "{% for m in messages %}{{ loop.index }}/{{ loop.length }}{% if loop.last %}!{% endif %}{{ "
        "m.content | trim }}{% endfor %}"
    ),
    "namespace": (
        "{% set ns = namespace(text='') %}{% for m in messages %}{% set ns.text = ns.text ~ m.role[0] ~ "
        "loop.index0 %}{% endfor %}{{ ns.text }}"
    ),
    "macro": (
        "{% macro turn(m, mark) %}<{{ mark }}>{{ m.content | upper }}{% endmacro %}{% for m in messages "
        "%}{{ turn(m, m.role) }}{% endfor %}"
    ),
    "slices": "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}[{{ messages[0].content "
    "}}]{% "
    "else %}{% set rest = messages %}{% endif %}"
    "{% for m in rest if m.content %}{{ m.content.split(' ')[-1].strip('?') }}|{% else %}none{% endfor %}",
    "mappings": (
        "{% for key, value in messages[0].items() %}{{ key }}={{ value }};{% endfor %}{{ messages | "
        "tojson }}{{ messages | length * 2 + 1 }}"
    ),
    "undefined": (
        "{% for tool in nothing %}{{ tool }}{% endfor %}{% if tools is defined and tools %}t{% endif "
        "%}{{ '%s and %s' % ('a', 'b') }}{{ 2 ** 3 }}"
    ),
    "loop controls": (
        "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.content.replace('1', "
        "'one') }}{% break %}{% endfor %}"
    ),
    "a refusal": (
        "{% if messages[0].role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}{{ messages | "
        "map(attribute='role') | join(', ') }}"
    ),
}

ENDLESS = {
    "nested loops": (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% "
        "endfor %}{% endfor %}"
    ),
    "a recursive macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a macro that calls itself twice": (
        "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"
    ),
    "a text times a number": "{{ 'x' * 10000000000 }}",
    "doubling by ~": (
        "{% set ns = namespace(t='xxxxxxxx') %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% "
        "endfor %}{{ ns.t }}"
    ),
    "doubling by +": (
        "{% set ns = namespace(t='xxxxxxxx') %}{% for i in range(60) %}{% set ns.t = ns.t + ns.t %}{% "
        "endfor %}{{ ns.t }}"
    ),
    "lists in lists": (
        "{% set ns = namespace(t=[1]) %}{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] %}{% endfor "
        "%}{{ ns.t }}"
    ),
    "lists in lists, compared": "{% set ns = namespace(t=[1], u=[1]) %}{% for i in range(60) %}{% set ns.t "
    "= [ns.t, ns.t] %}{% "
    "set ns.u = [ns.u, ns.u] %}"
    "{% endfor %}{{ ns.t == ns.u }}",
    "lists in lists as JSON": (
        "{% set ns = namespace(t=[1]) %}{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] %}{% endfor "
        "%}{{ ns.t | tojson }}"
    ),
    "a wide center": "{{ 'x' | center(1000000000) }}",
    "a wide center by method": "{{ 'x'.center(1000000000) }}",
    "a wide format": "{{ '%01000000000d' % 1 }}",
    "a wide format by method": "{{ '{:>1000000000}'.format(1) }}",
    "a wide format by value": "{{ '%*d' % (1000000000, 1) }}",
    "a long replacement": "{{ ('x' * 100000).replace('x', 'y' * 100000) }}",
    "a long replacement by filter": "{{ ('x' * 100000) | replace('x', 'y' * 100000) }}",
    "a power": "{{ 9 ** 9 ** 9 }}",
    "a huge output": "{% for a in range(90000) %}{{ 'x' * 100000 }}{% endfor %}",
    "not Jinja": "{% for x in",
}


def tokenizer(template: str) -> Any:
    words = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="</s>")
    made.chat_template = template
    return made


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("prompt", [True, False])
def test_the_text_is_that_of_transformers(name: str, prompt: bool) -> None:
    made = tokenizer(ORDINARY[name])
    expected = made.apply_chat_template(TURNS, tokenize=False, add_generation_prompt=prompt)
    assert apply_chat_template(made, TURNS, tokenize=False, add_generation_prompt=prompt) == expected
    assert expected


@settings(max_examples=40, deadline=None)
@given(
    turns=st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "system"]), "content": st.text(max_size=30)}
        ),
        min_size=1,
        max_size=5,
    )
)
def test_the_text_is_that_of_transformers_whatever_the_turns(turns: list[dict[str, str]]) -> None:
    for name in ("ChatML", "namespace", "macro", "loop variables"):
        made = tokenizer(ORDINARY[name])
        assert apply_chat_template(made, turns, tokenize=False) == made.apply_chat_template(
            turns, tokenize=False
        )


@pytest.mark.parametrize("name", ENDLESS)
def test_a_template_without_an_end_is_refused_in_one_line(name: str) -> None:
    started, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        InputError, match="the chat template of .* cannot be used: .*; use `packing.layout: paper` or plain"
    ) as caught:
        apply_chat_template(tokenizer(ENDLESS[name]), TURNS, tokenize=False)
    assert time.process_time() - started < 6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 1 << 20  # KiB
    assert "\n" not in str(caught.value)


def test_the_assistants_part_is_still_marked() -> None:
    made = tokenizer(
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% "
        "endgeneration %}"
        "{% else %}{{ m.content }}{% endif %} {% endfor %}"
    )
    how = {"tokenize": True, "return_dict": True, "return_assistant_tokens_mask": True}
    expected = made.apply_chat_template(TURNS, **how)
    encoded = apply_chat_template(made, TURNS, **how)
    assert encoded["assistant_masks"] == expected["assistant_masks"]
    assert 1 in encoded["assistant_masks"]


def test_transformers_is_as_it_was_afterwards() -> None:
    from transformers.utils import chat_template_utils

    before = chat_template_utils._compile_jinja_template
    with pytest.raises(InputError):
        apply_chat_template(tokenizer(ENDLESS["a power"]), TURNS, tokenize=False)
    assert chat_template_utils._compile_jinja_template is before


def test_a_long_conversation_is_no_endless_template() -> None:
    turns = [{"role": "user", "content": "word " * 200}] * 1_000
    text = apply_chat_template(tokenizer(ORDINARY["ChatML"]), turns, tokenize=False)
    assert len(text) > 1_000_000
