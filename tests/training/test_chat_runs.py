"""A run over conversations: what is trained is what the exported folder serves, and the ledger counts it."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from small_runs import LLAMA
from transformers import AutoTokenizer

from openflan.cli.packed_sequences import show_rows
from openflan.errors import InputError
from openflan.inference.huggingface import HuggingFaceEngine
from openflan.mixture.open_mixture import open_tasks
from openflan.models.load_model import load_tokenizer
from openflan.packing.encode import Encoded, Limits
from openflan.recipe.load_recipe import recipe_from
from openflan.recipe.schema import Recipe
from openflan.run_folder import Run
from openflan.training.finetune import finetune, survey
from openflan.training.ledger import notices
from openflan.training.prepare import parts_of, prepare

sys.path.append(str(Path(__file__).parents[1] / "packing"))

from chat_templates import END, ENDLESS, STABLE, THINKING, TOOLS, byte_level


def conversations(count: int = 12, **message: Any) -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "system", "content": "Be <|end|> short."},
                {"role": "user", "content": f"One and {number}?"},
                {"role": "assistant", "content": f"  {number + 1}", **message},
                {"role": "user", "content": "And two?"},
                {"role": "assistant", "content": f"{number + 3}", **message},
            ]
        }
        for number in range(count)
    ]


def chat_recipe(place: Path, template: str, rows: list[dict[str, Any]], **packing: Any) -> Recipe:
    byte_level(template).save_pretrained(place / "tokenizer")
    data = place / "chats.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {
        "name": "chats",
        "model": {"config": LLAMA | {"vocab_size": 300, "max_position_embeddings": 512}}
        | {"tokenizer": str(place / "tokenizer")},
        "mixture": {"submixtures": {"own": {"data": str(data)}}},
        "packing": {"inputs": 300, "targets": 60, "layout": "chat", **packing},
        "training": {"learning_rate": 0.02, "batch_size": 2, "steps": 1},
    }
    return recipe_from(values, "the test")


def examples_of(recipe: Recipe) -> list[tuple[dict[str, Any], Encoded]]:
    """The messages of each example, and what training gets of it."""
    tokenizer = load_tokenizer(recipe.model)
    stream, encoder = prepare(recipe, open_tasks(recipe.mixture), tokenizer, joint=True)
    rendered = [stream[position] for position in range(24)]
    encoded = encoder.encode(rendered)
    return [
        (json.loads(one.conversation), ids)
        for one, ids in zip(rendered, encoded, strict=True)
        if one.conversation is not None
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Run]:
    """A run over conversations with thoughts, under a template that leaves them out of history."""
    place = tmp_path_factory.mktemp("trained")
    recipe = chat_recipe(place, THINKING, conversations(reasoning_content="Hm."))
    run = Run(place / "run")
    finetune(recipe, run, label="")
    return recipe, run


def test_the_exported_folder_serves_what_was_trained(trained: tuple[Recipe, Run]) -> None:
    """Ids are those of the exported template, turn for turn. Where a content spells a control token, its
    letters stand in the place of that token, and the template's own tokens keep their ids."""
    recipe, run = trained
    served = AutoTokenizer.from_pretrained(run.model)
    end, letters = served.convert_tokens_to_ids(END), served("<|e", add_special_tokens=False)["input_ids"]
    assert end not in letters
    spelled = [served.convert_tokens_to_ids(letter) for letter in END]
    prompts = 0
    for conversation, example in examples_of(recipe):
        ids = [*example.input_ids.tolist(), *example.target_ids.tolist()]
        messages = [
            {key: value for key, value in message.items() if key != "weight"}
            for message in conversation["messages"]
        ]
        assert ids == _as_letters(_ids(served, messages), end, spelled)
        prompt = _as_letters(_ids(served, messages[:-1], add_generation_prompt=True), end, spelled)
        assert example.input_ids.tolist() == prompt
        prompts += 1
    assert prompts == 24


def _as_letters(ids: list[int], token: int, letters: list[int]) -> list[int]:
    """The ids with letters for the first occurrence of a token, which the system's content spells."""
    at = ids.index(token)
    return [*ids[:at], *letters, *ids[at + 1 :]]


def test_the_engine_sends_the_exported_prompt_and_stops_at_the_end_of_a_turn(
    trained: tuple[Recipe, Run],
) -> None:
    engine = HuggingFaceEngine.load(trained[1].model)
    prompt = [{"role": "user", "content": "One?"}]
    assert engine.ids("One?") == _ids(engine.tokenizer, prompt, add_generation_prompt=True)
    assert engine.eos == {engine.tokenizer.eos_token_id, engine.tokenizer.convert_tokens_to_ids(END)}


def test_an_engine_reads_added_words_as_training_did(trained: tuple[Recipe, Run], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained[1].model, tmp_path / "model"))
    thought = HuggingFaceEngine.load(folder).tokenizer.convert_tokens_to_ids("<think>")
    counts = [HuggingFaceEngine.load(folder).ids("a <think> b").count(thought)]
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"openflan_added_tokens": "text"}))
    counts.append(HuggingFaceEngine.load(folder).ids("a <think> b").count(thought))
    # One is the template's own.
    assert counts == [2, 1]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"openflan_added_tokens": "letters"}))
    with pytest.raises(InputError, match="`openflan_added_tokens` is 'letters'; expected one of ids, text"):
        HuggingFaceEngine.load(folder)


def _ids(tokenizer: Any, messages: list[dict[str, Any]], **options: Any) -> list[int]:
    return list(
        tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)["input_ids"]
    )


def test_show_prints_what_the_model_reads_and_learns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = chat_recipe(tmp_path, STABLE, conversations())
    tasks, tokenizer = open_tasks(recipe.mixture), load_tokenizer(recipe.model)
    stream, encoder = prepare(recipe, tasks, tokenizer, joint=True)
    show_rows(stream, encoder, 1, as_json=True)
    (sequence,) = json.loads(capsys.readouterr().out)
    first = sequence["examples"][0]
    assert first["as_sent"].startswith("<|turn|>system\nBe <|end|> short.<|end|>\n<|turn|>user\n")
    assert [part.endswith(f"{END}\n") for part in first["learned"]] == [True, True]
    assert "user" not in "".join(first["learned"])
    show_rows(stream, encoder, 1, as_json=False)
    assert f"  learned: {first['learned']}" in capsys.readouterr().out


def noticed(recipe: Recipe) -> list[str]:
    return notices(survey(recipe), Limits(300, 60, joint=True))


def test_the_ledger_counts_the_examples_of_conversations(tmp_path: Path) -> None:
    recipe = chat_recipe(tmp_path, THINKING, conversations())
    ledger = survey(recipe)
    assert ledger["conversations"]["tasks"] == {"own/chats": {"rows": 12, "examples": 24}}
    assert ledger["tasks"][0]["rows"] == 24
    lines = " ".join(notices(ledger, Limits(300, 60, joint=True)))
    assert "12 rows become 24 examples, one for each turn that is learned" in lines
    assert "so such turns do not teach the prompt that is served" in lines


@pytest.mark.slow
def test_nothing_is_said_of_a_template_that_writes_every_turn_alike(tmp_path: Path) -> None:
    assert noticed(chat_recipe(tmp_path, STABLE, conversations())) == []


@pytest.mark.slow
def test_a_template_that_ends_no_turn_is_said(tmp_path: Path) -> None:
    (line,) = noticed(chat_recipe(tmp_path, ENDLESS, conversations()))
    assert "writes nothing behind a conversation's last turn" in line


def test_a_row_that_the_template_refuses_is_named_by_file_and_line(tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {}}}
    rows = [*conversations(3), {**conversations(1)[0], "tools": [tool]}]
    with pytest.raises(InputError, match=r"chats\.jsonl:4: the chat template .* ignores `tools` \(look_up\)"):
        examples_of(chat_recipe(tmp_path, STABLE, rows))
    assert examples_of(chat_recipe(tmp_path, TOOLS, rows))


def test_turns_that_are_learned_decide_what_a_build_holds(tmp_path: Path) -> None:
    keys = []
    for packing in ({}, {"learn": "last"}, {"added_tokens": "text"}):
        recipe = chat_recipe(tmp_path, STABLE, conversations(), **packing)
        tokenizer, tasks = load_tokenizer(recipe.model), open_tasks(recipe.mixture)
        _, encoder = prepare(recipe, tasks, tokenizer, joint=True)
        keys.append(parts_of(recipe, tasks, encoder, tokenizer).tokens_key)
    assert len(set(keys)) == 3
