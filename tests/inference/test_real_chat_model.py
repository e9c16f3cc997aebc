"""A real chat model beside transformers' own `generate`. `OPENFLAN_CHAT_MODEL=FOLDER pytest -m slow` runs it,
over any causal model with a chat template."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from openflan.api.load_model import load_model
from openflan.api.options import LoadOptions

FOLDER = os.environ.get("OPENFLAN_CHAT_MODEL")
PROMPTS = [
    "What is the capital of France?",
    "Name three colours of the rainbow.",
    "How many legs do two dogs and one hen have?",
    "Translate into German: good morning.",
    "Write a line about the sea.",
    "Is 17 a prime number? Answer yes or no.",
    "Which is heavier, a kilogram of iron or a kilogram of wool?",
    "List two animals that lay eggs.",
    "What comes after Tuesday?",
    "Spell the word 'bread' backwards.",
    "Give a word that means the opposite of 'cold'.",
    "Explain in one sentence why the sky is blue.",
    "If a train leaves at 9 and arrives at 11, how long does it travel?",
    "Complete the sentence: The early bird",
    "Sort these numbers: 9, 2, 5.",
    "Who wrote Hamlet?",
    "Make a question whose answer is 'seven'.",
    "What is 12 times 3?",
    "Is a tomato a fruit? Explain, then answer.",
    "Say hello in three languages.",
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOLDER is None, reason="set OPENFLAN_CHAT_MODEL to the folder of a chat model"),
]


def test_twenty_answers_have_the_ids_of_transformers_and_others_without_the_template() -> None:
    folder, tokens = Path(str(FOLDER)), 16
    tokenizer = AutoTokenizer.from_pretrained(folder)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    expected = []
    for prompt in PROMPTS:
        messages = [{"role": "user", "content": prompt}]
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            made = theirs.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        expected.append([int(token) for token in made[0, inputs["input_ids"].shape[1] :]])
    ours = [list(answer.ids) for answer in load_model(folder).generate(PROMPTS, max_tokens=tokens)]
    plain_model = load_model(folder, LoadOptions(chat=False))
    plain = [list(answer.ids) for answer in plain_model.generate(PROMPTS, max_tokens=tokens)]
    assert len(PROMPTS) == 20
    assert ours == expected
    assert all(one != other for one, other in zip(ours, plain, strict=True))
