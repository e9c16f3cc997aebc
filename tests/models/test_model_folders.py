"""Model folders from anybody: no code of theirs runs, and what is wrong with one is said in one line with the
file and the remedy."""

from __future__ import annotations

import ast
import json
import pickle
import random
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile_folders
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import openflan
from openflan import reachable
from openflan.errors import InputError, SetupError
from openflan.models import sizes
from openflan.models.load_model import load_model, load_pretrained, tokenizer_of
from openflan.models.quiet import quiet_libraries
from openflan.recipe.schema import Model

SOURCES = Path(openflan.__file__).parent
WEIGHTS = hostile_folders.FILES[-1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    quiet_libraries()
    return hostile_folders.make_folder(tmp_path_factory.mktemp("models") / "whole")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "given")
    return tmp_path / "given"


def _edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps((json.loads(path.read_text()) if path.is_file() else {}) | values))


def _refused(folder: Path, message: str, kind: type[Exception] = InputError) -> None:
    with pytest.raises(kind, match=message) as caught:
        [read(str(folder)) for read in (load_pretrained, tokenizer_of)]
    text = str(caught.value)
    assert "\n" not in text
    assert text.isprintable()
    assert str(folder) in text


def test_the_folder_itself_is_read(whole: Path) -> None:
    assert load_pretrained(str(whole)).config.model_type == "llama"
    assert tokenizer_of(str(whole))("a b")["input_ids"] == [4, 5]


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_a_folder_neither_runs_nor_is_asked_about(
    file: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = folder.parent / "ran"
    (folder / "own.py").write_text(
        f"from pathlib import Path\nPath({str(ran)!r}).write_text('x')\n"
        "from transformers import LlamaConfig, PreTrainedTokenizerFast\n"
        "class Config(LlamaConfig):\n    model_type = 'never_heard_of'\nclass "
        "Words(PreTrainedTokenizerFast):\n    pass\n"
    )
    _edit(folder / "config.json", model_type="never_heard_of")
    own = {
        "config.json": {"AutoConfig": "own.Config"},
        "tokenizer_config.json": {"AutoTokenizer": ["own.Words", "own.Words"]},
    }
    _edit(folder / file, auto_map=own[file], tokenizer_class="Words")
    asked: list[str] = []

    def yes(prompt: str = "") -> str:
        asked.append(prompt)
        return "y"

    monkeypatch.setattr("builtins.input", yes)
    with pytest.raises(InputError) as caught:
        load_pretrained(str(folder))
    with pytest.raises(InputError):
        tokenizer_of(str(folder))
    assert not asked
    assert not ran.exists()
    assert str(folder) in str(caught.value)
    if file == "config.json":
        assert "never run; use a model of an architecture that transformers has" in str(caught.value)


def test_a_known_architecture_that_brings_code_is_read_without_it(folder: Path) -> None:
    (folder / "own.py").write_text("raise SystemExit('ran')")
    _edit(folder / "config.json", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"})
    assert type(load_pretrained(str(folder))).__module__.startswith("transformers.models.llama")


def _loading_calls(source: str) -> list[str]:
    """Calls that have transformers load something or build a model of a configuration."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    names = {"from_pretrained", "from_config", "for_model"}
    return [call.attr for call in calls if isinstance(call, ast.Attribute) and call.attr in names]


def test_transformers_loads_in_one_place_only() -> None:
    calling = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if _loading_calls(path.read_text(encoding="utf-8"))
    }
    assert calling == {"models/read_model.py"}
    reading = (SOURCES / "models/read_model.py").read_text(encoding="utf-8")
    calls = [
        node
        for node in ast.walk(ast.parse(reading))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("from_pretrained", "from_config"))
    ]
    assert len(calls) == 4
    for call in calls:
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert keywords.get("trust_remote_code") == "False" or keywords.get(None) in (
            "_NO_CODE",
            "settings",
        ), ast.unparse(call)
    assert _loading_calls("import transformers as t\nt.AutoModel.from_pretrained('x')") == ["from_pretrained"]


class _Bomb:
    def __reduce__(self) -> Any:
        return (sys.exit, ("a pickle was opened",))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_pickles_are_never_opened(name: str, folder: Path) -> None:
    (folder / name).write_bytes(pickle.dumps(_Bomb()))
    load_pretrained(str(folder))
    index = folder / "model.safetensors.index.json"
    _edit(index, weight_map=dict.fromkeys(json.loads(index.read_text())["weight_map"], name))
    _refused(folder, "expected safetensors files of the same folder")


def _shard_elsewhere(folder: Path) -> None:
    shutil.copy(folder / WEIGHTS, folder.parent / WEIGHTS)
    index = folder / "model.safetensors.index.json"
    _edit(index, weight_map=dict.fromkeys(json.loads(index.read_text())["weight_map"], f"../{WEIGHTS}"))


def _spoil(folder: Path, value: float) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["model.layers.1.mlp.up_proj.weight"][3, 2] = value
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


HARMS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a billion layers": (
        lambda folder: _edit(folder / "config.json", num_hidden_layers=10**9),
        "`num_hidden_layers` is 1,000,000,000",
    ),
    "more layers than tensors": (
        lambda folder: _edit(folder / "config.json", num_hidden_layers=500),
        "`num_hidden_layers` is 500; its weights have 21 tensors",
    ),
    "a huge vocabulary": (
        lambda folder: _edit(folder / "config.json", vocab_size=10**11),
        "describes a model of .* parameters, but its weights hold",
    ),
    "a large width": (
        lambda folder: _edit(folder / "config.json", hidden_size=2**20),
        "describes a model of .* parameters, but its weights hold",
    ),
    "a huge head": (
        lambda folder: _edit(folder / "config.json", head_dim=2**38),
        "config.json|configuration",
    ),
    "a width that is text": (
        lambda folder: _edit(folder / "config.json", hidden_size="abc"),
        "cannot read its configuration.*hidden_size",
    ),
    "a list of a configuration": (
        lambda folder: (folder / "config.json").write_text("[]"),
        "config.json holds a list, expected a JSON object",
    ),
    "deep JSON": (
        lambda folder: (folder / "generation_config.json").write_text('{"a":' * 100_000),
        "generation_config.json is nested too deeply",
    ),
    "cut JSON": (
        lambda folder: (folder / "config.json").write_text('{"model_type": "lla'),
        "config.json is not JSON",
    ),
    "a lone surrogate": (
        lambda folder: _edit(folder / "tokenizer_config.json", chat_template="\ud800"),
        "holds a lone surrogate",
    ),
    "a kind that is a number": (
        lambda folder: _edit(folder / "config.json", model_type=3),
        "`model_type` is a int, expected text",
    ),
    "NUL in a name": (
        lambda folder: _edit(folder / "model.safetensors.index.json", weight_map={"a": "m\x00.safetensors"}),
        "expected safetensors files of the same folder",
    ),
    "weights elsewhere": (_shard_elsewhere, "expected safetensors files of the same folder"),
    "a shard that is not there": (
        lambda folder: _edit(folder / "model.safetensors.index.json", weight_map={"a": "b.safetensors"}),
        "names b.safetensors, which is not there",
    ),
    "an index of another kind": (
        lambda folder: _edit(folder / "model.safetensors.index.json", weight_map=[1]),
        "`weight_map` is missing or does not map",
    ),
    "cut weights": (
        lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:200]),
        "no safetensors file, or a damaged one",
    ),
    "NaN": (
        lambda folder: _spoil(folder, float("nan")),
        "its weights hold NaN or infinite values .first in model.layers.1.mlp.up_proj.weight",
    ),
    "infinity": (lambda folder: _spoil(folder, float("-inf")), "its weights hold NaN or infinite values"),
    "a kernel from elsewhere": (
        lambda folder: _edit(folder / "config.json", attn_implementation="somebody/kernel"),
        "`attn_implementation` is .*expected eager or sdpa",
    ),
    "BERT": (
        lambda folder: _edit(folder / "config.json", model_type="bert"),
        "a model of type bert is an encoder, which reads text and writes none",
    ),
    "a broken vocabulary": (
        lambda folder: (folder / "tokenizer.json").write_text('{"model": 3}'),
        "cannot read its tokenizer",
    ),
    "a template that is a number": (
        lambda folder: _edit(folder / "tokenizer_config.json", chat_template=5),
        "`chat_template` is a int, expected text",
    ),
}


@pytest.mark.parametrize("what", HARMS)
def test_a_harmed_folder_is_refused_in_one_line(what: str, folder: Path) -> None:
    harm, message = HARMS[what]
    harm(folder)
    started = time.process_time()
    _refused(folder, message)
    assert time.process_time() - started < 5


def test_large_finite_weights_are_read(folder: Path) -> None:
    """Negative control: the sum of a tensor overflows, its values do not."""
    weights = load_file(folder / WEIGHTS)
    weights["model.layers.1.mlp.up_proj.weight"][:2] = 3e38
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    load_pretrained(str(folder))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_mutated_folders_end_in_one_line(
    seed: int, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("mutated") / "harmed"
    shutil.copytree(whole, folder)
    try:
        hostile_folders.mutate(folder, random.Random(seed))
        hostile_folders.load(folder)
    finally:
        shutil.rmtree(folder)


def test_mutations_do_harm(whole: Path, tmp_path: Path) -> None:
    """Negative control of the property: of 30 mutated folders some are still read and some are refused."""
    outcomes = set()
    for seed in range(30):
        folder = tmp_path / f"harmed-{seed}"
        shutil.copytree(whole, folder)
        hostile_folders.mutate(folder, random.Random(seed))
        outcomes.add(hostile_folders.load(folder))
        shutil.rmtree(folder)
    assert {"read", "InputError"} <= outcomes


class _Words:
    name_or_path = "words"

    def __len__(self) -> int:
        return 10


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_hidden_layers": 10**9}, "`num_hidden_layers` is 1,000,000,000, expected at most 10,000"),
        ({"num_attention_heads": 10**12}, "which no model has"),
    ],
)
def test_absurd_sizes_of_a_recipe_are_refused_before_building(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"model.config: .*{message}"):
        load_model(
            Model(
                config={"model_type": "llama", "vocab_size": 10, "hidden_size": 8} | config, tokenizer="words"
            ),
            _Words(),
            0,
        )


def test_a_model_larger_than_the_memory_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "machine_memory", lambda: 10_000)
    config = {
        "model_type": "llama",
        "vocab_size": 10,
        "hidden_size": 16,
        "intermediate_size": 400,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    with pytest.raises(SetupError, match="GiB in float32, and this machine has"):
        load_model(Model(config=config, tokenizer="words"), _Words(), 0)


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("load", [load_pretrained, tokenizer_of])
@pytest.mark.parametrize("proxied", [False, True])
def test_without_a_network_a_hub_id_is_refused_at_once(
    load: Any, proxied: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    closed = f"http://127.0.0.1:{_closed_port()}"
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "no_proxy",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.invalid" if proxied else closed)
    if proxied:
        monkeypatch.setenv("https_proxy", closed)
    started = time.monotonic()
    with pytest.raises(
        SetupError,
        match=(
            "google/flan-t5-small: no such folder, and it could not be fetched from the hub .no connection "
            "to 127.0.0.1"
        ),
    ) as caught:
        load("google/flan-t5-small")
    assert time.monotonic() - started < 10
    assert "\n" not in str(caught.value)


def test_a_hub_that_never_answers_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = threading.Event()

    def silent(*_: object, **__: object) -> socket.socket:
        given_up.wait(30)
        raise OSError("closed")

    monkeypatch.setattr(socket, "create_connection", silent)
    monkeypatch.setattr(reachable, "CONNECT_SECONDS", 0.2)
    assert reachable.why_unreachable("https://hub.invalid") == "hub.invalid does not answer"
    assert not given_up.is_set()
    given_up.set()


@pytest.mark.parametrize("name", ["no/such/folder", "../x", "a\x00b", "a\nb", "\ud800"])
def test_names_that_no_repository_has_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="no such folder") as caught:
        tokenizer_of(name)
    assert str(caught.value).isprintable()


def test_weights_load_as_before(folder: Path) -> None:
    model = load_pretrained(str(folder))
    stored = load_file(folder / WEIGHTS)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in stored.items())
