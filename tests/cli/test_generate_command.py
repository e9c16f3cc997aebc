"""`openflan generate` as people use it on chat models: the model's own form, a conversation, streaming,
sampling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import openflan

from openflan.api.load_model import load_model
from openflan.inference.protocol import Turn

TEMPLATE = (
    "{% for m in messages %}<turn> {{ m.role }} {{ m.content }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<turn> assistant {% endif %}"
)
REFUSES_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE
)


@pytest.fixture(scope="module")
def chat(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_template(llama, tmp_path_factory.mktemp("chat") / "model", TEMPLATE)


def with_template(base: Path, folder: Path, template: str) -> Path:
    folder.mkdir(parents=True)
    for path in base.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder


def ids(*arguments: object) -> list[list[int]]:
    done = openflan("generate", *arguments, "--max-tokens", 8, "--json")
    assert done.returncode == 0, done.stderr
    return [answer["ids"] for answer in json.loads(done.stdout)]


def test_a_chat_model_is_prompted_in_its_template_unless_told_otherwise(chat: Path, llama: Path) -> None:
    question = "what is the sky ?"
    by_default, chosen, plain = (ids(chat, question, *flag) for flag in ([], ["--chat"], ["--no-chat"]))
    assert by_default == chosen
    assert by_default != plain
    assert plain == ids(llama, question)


def test_a_model_without_a_template_keeps_plain_prompts_and_says_so_if_asked(llama: Path) -> None:
    for option in (["--chat"], ["--system", "be brief"], ["--chat", "--system", "be brief"]):
        done = openflan("generate", llama, "what is the sky ?", *option)
        assert done.returncode == 2
        assert "chat template" in done.stderr
        assert f"leave `{'--system' if '--system' in option else '--chat'}` out" in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("template", "option", "message"),
    [
        (REFUSES_SYSTEM, ["--system", "be brief"], "does not take a system message: leave `--system` out"),
        ("{{ messages[0].nothing.there }}", [], "cannot be used"),
        ("{% for m in messages %}", [], "cannot be used"),
    ],
)
def test_a_template_that_fails_is_refused_before_weights_are_loaded(
    template: str,
    option: list[str],
    message: str,
    llama: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def loaded(*_: Any) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr("openflan.models.load_model.load_pretrained", loaded)
    done = openflan("generate", with_template(llama, tmp_path / "model", template), "what", *option)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert message in done.stderr


def test_without_the_system_message_the_same_template_is_fine(llama: Path, tmp_path: Path) -> None:
    assert ids(with_template(llama, tmp_path / "model", REFUSES_SYSTEM), "what is the sky ?")


def test_prompts_from_the_terminal_are_one_conversation_with_a_chat_model(chat: Path, llama: Path) -> None:
    lines = "what is the sky ?\nwhat is grass ?\n\nnever read\n"
    done = openflan("generate", chat, "--max-tokens", 6, "--system", "say blue", stdin=lines)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    model, system = load_model(chat), Turn("system", "say blue")
    (answer,) = model.generate("what is the sky ?", max_tokens=6, before=[system])
    turns = [system, Turn("user", "what is the sky ?"), Turn("assistant", answer.text)]
    (after,) = model.generate("what is grass ?", max_tokens=6, before=turns)
    assert (first, second) == (answer.text, after.text)
    alone = openflan("generate", llama, "--max-tokens", 6, stdin=lines)
    assert alone.stdout.splitlines() == [
        openflan("generate", llama, text, "--max-tokens", 6).stdout.rstrip("\n")
        for text in lines.split("\n")[:2]
    ]


def test_text_is_printed_while_it_is_generated(chat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[str] = []
    monkeypatch.setattr("openflan.cli.generate._show", pieces.append)
    done = openflan("generate", chat, "what is the sky ?", "--max-tokens", 8)
    assert (done.returncode, done.stdout) == (0, "\n")
    (expected,) = load_model(chat).generate("what is the sky ?", max_tokens=8)
    assert "".join(pieces) == expected.text
    assert len(pieces) > 1


def test_a_temperature_draws_by_seed_and_none_is_greedy(chat: Path) -> None:
    drawn = [ids(chat, "what", "--temperature", 3, "--seed", seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert ids(chat, "what") == ids(chat, "what", "--seed", 5)
    refused = openflan("generate", chat, "what", "--temperature", -1)
    assert refused.returncode == 2


@pytest.mark.filterwarnings("default:.*left aside")
def test_an_evaluation_of_a_chat_model_says_once_that_its_template_is_left_aside(
    chat: Path, llama: Path, tmp_path: Path
) -> None:
    what = [
        "--benchmark",
        "microflan",
        "--limit",
        1,
        "--subset",
        "microflan/person_sport-qa",
        "--max-tokens",
        2,
    ]
    done = openflan("evaluate", chat, *what, "--run", tmp_path / "a")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("chat template, which is left aside: published protocols are plain") == 1
    for arguments in (
        [chat, *what, "--chat", "--run", tmp_path / "b"],
        [llama, *what, "--run", tmp_path / "c"],
    ):
        silent = openflan("evaluate", *arguments)
        assert (silent.returncode, "left aside" in silent.stderr) == (0, False), silent.stderr


@pytest.mark.parametrize("command", ["generate", "evaluate", "finetune", "pretrain", "run"])
def test_a_device_that_is_absent_is_refused_in_one_line(
    command: str, llama: Path, rows: Path, tmp_path: Path
) -> None:
    arguments: dict[str, list[object]] = {
        "generate": [llama, "what"],
        "evaluate": [llama, "--benchmark", "microflan", "--run", tmp_path / "run"],
        "finetune": ["--data", rows, "--base", llama, "--run", tmp_path / "run"],
        "pretrain": ["lm-adapt-t5"],
        "run": [_chain(tmp_path, rows, llama), "--run", tmp_path / "run"],
    }
    unknown = openflan(command, *arguments[command], "--device", "gpu0")
    assert (unknown.returncode, len(unknown.stderr.splitlines())) == (2, 1), unknown.stderr
    assert "device is 'gpu0'; expected cpu, cuda, cuda:N" in unknown.stderr
    if command == "pretrain":
        return
    absent = openflan(command, *arguments[command], "--device", "cuda:97")
    assert absent.returncode == 2
    assert "there is no device cuda:97 here" in absent.stderr.splitlines()[-1]
    assert not (tmp_path / "run" / "model").exists()


def _chain(folder: Path, rows: Path, base: Path) -> Path:
    recipe = folder / "one.yaml"
    recipe.write_text(
        f"name: one\nmodel: {{base: {base}}}\nmixture: {{submixtures: {{own: {{data: {rows}}}}}}}\n"
        "packing: {inputs: 48, targets: 16, layout: plain}\n"
        "training: {steps: 1, batch_size: 2}\ncheckpoints: {every: 1}\n"
    )
    chain = folder / "chain.yaml"
    chain.write_text(f"- finetune: {recipe}\n")
    return chain


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_device_that_is_named_is_used(how: str, llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    if how == "variable":
        monkeypatch.setenv("OPENFLAN_DEVICE", "cpu")
    assert ids(llama, "what", *(["--device", "cpu"] if how == "option" else []))
