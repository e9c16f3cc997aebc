"""`openflan push` against a stand-in of the hub: what arrives there, and what never leaves the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from commands import openflan
from hub_repositories import TOKEN, Hub, Repository
from made_runs import SECRET_ROW, MakeRun
from safetensors.numpy import load, save_file

from openflan.api.push import push
from openflan.errors import InputError, SetupError
from openflan.recipe.load_recipe import load_recipe

# The hub's library gives its transport files in a way that is to go.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MODEL_FILES = {
    "README.md",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "recipe.yaml",
    "scores.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


def test_model_tokenizer_card_recipe_and_scores_arrive(hub: Hub, make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    done = openflan("push", run.folder, "ann/mine", "--message", "First model")
    assert done.returncode == 0, done.stderr
    files = hub.files("ann/mine")
    assert set(files) == MODEL_FILES
    assert f"pushed: {hub.address}/ann/mine/commit/" in done.stdout
    assert hub.repositories["ann/mine"].messages == ["First model"]
    assert load(files["model.safetensors"])["weight"].shape == (50_000,)
    assert files["model.safetensors"] == (run.model / "model.safetensors").read_bytes()
    # Vocabularies stay as they are, also with tokens that look like paths.
    assert files["tokenizer.json"] == (run.model / "tokenizer.json").read_bytes()
    assert files["tokenizer_config.json"] == (run.model / "tokenizer_config.json").read_bytes()
    assert hub.tokens == {f"Bearer {TOKEN}"}


def test_no_path_of_the_machine_and_no_row_goes_up(hub: Hub, make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    done = openflan("push", run.folder, "ann/mine")
    together = b"".join(hub.files("ann/mine").values())
    for text in (str(tmp_path), SECRET_ROW, TOKEN):
        assert text.encode() not in together, text
    assert str(tmp_path).encode() in run.recipe.read_bytes() + run.scores.read_bytes()
    assert json.loads(hub.files("ann/mine")["config.json"])["_name_or_path"] == "./t5-base"
    (score,) = json.loads(hub.files("ann/mine")["scores.json"])["scores"]
    assert (score["model"], score["options"]) == ("./run/model", {"benchmark": "./capitals.yaml"})
    for note in (
        f"recipe.yaml: `model.base` says ./t5-base in place of {tmp_path}/home/t5-base; --base OWNER/NAME",
        f"recipe.yaml: `mixture.submixtures.own.data` says ./own.jsonl in place of {tmp_path}/home/data",
        "config.json: `_name_or_path` says ./t5-base",
        "left out of model/: notes.md",
    ):
        assert note in done.stderr, note
    # What is pushed is still a recipe.
    (tmp_path / "pushed.yaml").write_bytes(hub.files("ann/mine")["recipe.yaml"])
    assert load_recipe(tmp_path / "pushed.yaml").training.steps == 100


def test_a_dry_run_lists_the_files_and_asks_the_hub_for_nothing(hub: Hub, make_run: MakeRun) -> None:
    run = make_run()
    done = openflan("push", run.folder, "ann/mine", "--dry-run", "--json")
    value = json.loads(done.stdout)
    assert {file["name"] for file in value["files"]} == MODEL_FILES
    sizes = {file["name"]: file["bytes"] for file in value["files"]}
    assert sizes["model.safetensors"] == (run.model / "model.safetensors").stat().st_size
    assert (value["commit"], value["url"]) == (None, None)
    shown = openflan("push", run.folder, "ann/mine", "--dry-run").stdout
    assert all(name in shown for name in MODEL_FILES)
    assert f"{sizes['model.safetensors']:,}" in shown
    assert "nothing was sent" in shown
    assert hub.asked == []


def test_a_later_push_replaces_the_files_and_removes_those_of_another_kind(
    hub: Hub, make_run: MakeRun
) -> None:
    run = make_run()
    hub.repositories["ann/mine"] = Repository()
    own = {"LICENSE": b"mine", "model.safetensors": b"old", "other.safetensors": b"kept"}
    old = {"model-00001-of-00002.safetensors": b"1", "model.safetensors.index.json": b"{}"}
    hub.files("ann/mine").update(own | old | {"adapter_config.json": b"{}"})
    pushed = push(run, "ann/mine")
    assert set(pushed.removed) == {*old, "adapter_config.json"}
    assert set(hub.files("ann/mine")) == MODEL_FILES | {"LICENSE", "other.safetensors"}
    assert hub.files("ann/mine")["model.safetensors"] != b"old"
    assert len(hub.repositories["ann/mine"].messages) == 1, "one commit"
    assert push(run, "ann/mine").removed == ()


def test_a_branch_is_made_and_main_stays(hub: Hub, make_run: MakeRun) -> None:
    done = openflan("push", make_run().folder, "ann/mine", "--revision", "v2", "--private")
    assert done.returncode == 0, done.stderr
    assert hub.files("ann/mine") == {}
    assert set(hub.files("ann/mine", "v2")) == MODEL_FILES
    assert hub.repositories["ann/mine"].private


def test_private_is_not_promised_for_a_public_repository(hub: Hub, make_run: MakeRun) -> None:
    run = make_run()
    hub.repositories["ann/mine"] = Repository(private=False)
    done = openflan("push", run.folder, "ann/mine", "--private")
    assert (done.returncode, hub.files("ann/mine")) == (2, {})
    assert "is public" in done.stderr
    hub.repositories["ann/mine"].private = True
    assert openflan("push", run.folder, "ann/mine", "--private").returncode == 0


def test_an_adapter_goes_alone_and_names_its_base(hub: Hub, make_run: MakeRun) -> None:
    run = make_run(adapter=True)
    assert openflan("push", run.folder, "ann/mine", "--adapter", "--base", "org/t5").returncode == 0
    files = hub.files("ann/mine")
    assert "model.safetensors" not in files
    assert "adapter_model.safetensors" in files
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "org/t5"
    assert json.loads(files["base.json"]) == {"base": "org/t5", "weights_sha256": "0"}
    assert yaml.safe_load(files["recipe.yaml"])["model"]["base"] == "org/t5"
    metadata = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert (metadata["library_name"], metadata["base_model"]) == ("peft", "org/t5")
    assert "AutoPeftModelForSeq2SeqLM" in files["README.md"].decode()


@pytest.mark.parametrize("causal", [True, False])
def test_the_card_says_how_to_ask_and_what_was_measured(causal: bool, hub: Hub, make_run: MakeRun) -> None:
    push(make_run(causal=causal, base="org/base"), "ann/mine")
    card = hub.files("ann/mine")["README.md"].decode()
    metadata = yaml.safe_load(card.split("---")[1])
    assert (metadata["base_model"], metadata["base_model_relation"]) == ("org/base", "finetune")
    assert ("apply_chat_template" in card) == causal
    assert ("end-of-sequence token; the answer follows" in card) == causal
    assert "| ./run/model | bbh direct | 28.2 | 25.0 to 31.5 | 250 |" in card
    code = card.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")


@pytest.mark.parametrize("adds_eos", [True, False])
def test_the_card_adds_the_end_of_sequence_token_where_the_tokenizer_does_not(
    adds_eos: bool, hub: Hub, make_run: MakeRun
) -> None:
    push(make_run(adds_eos=adds_eos), "ann/mine")
    card = hub.files("ann/mine")["README.md"].decode()
    assert ("+ tokenizer.eos_token" in card) == (not adds_eos)
    assert ("which the tokenizer adds" in card) == adds_eos


def test_ones_own_card_is_taken(hub: Hub, make_run: MakeRun) -> None:
    run = make_run()
    (run.folder / "README.md").write_text("# Mine\n", encoding="utf-8")
    done = openflan("push", run.folder, "ann/mine")
    assert hub.files("ann/mine")["README.md"] == b"# Mine\n"
    assert "no card" not in done.stderr


@pytest.mark.parametrize("where", ["README.md", "model/chat_template.jinja", "model/config.json"])
def test_a_path_inside_a_text_stops_the_push(
    where: str, hub: Hub, make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    run = make_run()
    (run.folder / where).write_text(
        json.dumps({"note": f"trained from {tmp_path}/home/t5"}), encoding="utf-8"
    )
    done = openflan("push", run.folder, "ann/mine")
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert f"{Path(where).name}: line 1 names a path of this machine ({str(tmp_path)[:40]}" in done.stderr
    assert hub.asked == []


def test_a_path_in_the_header_of_weights_stops_the_push(hub: Hub, make_run: MakeRun) -> None:
    run = make_run()
    weights = load((run.model / "model.safetensors").read_bytes())
    save_file(weights, run.model / "model.safetensors", {"source": "/home/ann/first"})
    with pytest.raises(InputError, match="`source` of its header is /home/ann/first"):
        push(run, "ann/mine")
    assert hub.asked == []


def test_what_is_missing_is_named_in_one_line(hub: Hub, make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    unfinished = make_run("unfinished")
    unfinished.model.rename(tmp_path / "aside")
    no_weights = make_run("no-weights")
    (no_weights.model / "model.safetensors").unlink()
    for arguments, text in (
        ((unfinished.folder, "ann/mine"), "has no model to push (no model/)"),
        ((no_weights.folder, "ann/mine"), "has no *.safetensors"),
        ((run.folder, "ann/mine", "--adapter"), "has no adapter (no adapter/)"),
        ((run.model, "ann/mine"), "not a run folder"),
        ((run.folder, "mine"), "write OWNER/NAME"),
        ((run.folder, "ann/mi ne"), "write OWNER/NAME"),
        ((run.folder, "../mine"), "write OWNER/NAME"),
        ((run.folder, "ann/mine", "--base", "t5"), "write OWNER/NAME"),
    ):
        done = openflan("push", *arguments)
        assert done.returncode == 2, arguments
        assert text in done.stderr
        assert done.stderr.strip().count("\n") == 0
    assert hub.asked == []


def test_without_a_token_nothing_is_sent(
    hub: Hub, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "absent"))
    with pytest.raises(SetupError, match="hf auth login"):
        push(make_run(), "ann/mine")
    assert hub.asked == []
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SetupError, match="HF_HUB_OFFLINE"):
        push(make_run("second"), "ann/mine")


@pytest.mark.parametrize(
    ("end", "status"), [("/repos/create", 403), ("/preupload/main", 401), ("/commit/main", 413)]
)
def test_a_hub_that_refuses_is_one_line(end: str, status: int, hub: Hub, make_run: MakeRun) -> None:
    hub.faults[end] = status
    done = openflan("push", make_run().folder, "ann/mine", "--json")
    assert done.returncode == 1
    assert "ann/mine: could not be pushed" in done.stderr
    assert str(status) in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert TOKEN not in done.stderr
    assert not any(hub.files(name) for name in hub.repositories)


def test_a_hub_that_is_not_there_is_one_line(
    hub: Hub, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SetupError, match=r"no connection to 127\.0\.0\.1"):
        push(make_run(), "ann/mine")


def test_the_command_itself_takes_the_endpoint_and_the_token_of_the_environment(
    hub: Hub, make_run: MakeRun, tmp_path: Path
) -> None:
    environment = {"HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        [sys.executable, "-m", "openflan", "push", str(make_run().folder), "ann/mine"],
        env=os.environ | environment | {"HF_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(hub.files("ann/mine")) == MODEL_FILES
