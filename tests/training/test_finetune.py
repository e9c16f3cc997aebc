"""The whole command: a recipe becomes a run folder, which refuses to be mixed with another."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import losses, recipe, write_data
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from openflan.errors import InputError
from openflan.mixture.fingerprints import fingerprint
from openflan.mixture.open_mixture import open_tasks
from openflan.run_folder import Run, remove_run, training_alone
from openflan.training.finetune import finetune
from openflan.training.loop import train
from openflan.training.setup import TrainingSetup


@pytest.fixture(scope="module")
def finished(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("finished") / "run")
    finetune(recipe(place, dropout=0.1, steps=3), run)
    return run


def test_a_run_folder_is_whole(finished: Run) -> None:
    there = {path.name for path in finished.folder.iterdir()}
    assert there == {
        ".locks",
        "recipe.yaml",
        "provenance.json",
        "ledger.json",
        "metrics.jsonl",
        "tokenizer",
        "checkpoints",
        "model",
    }
    ledger = json.loads(finished.ledger.read_text())
    assert {task["task"]: task["share"] for task in ledger["tasks"]} == {
        "own/constant": pytest.approx(20 / 84),
        "own/copies": pytest.approx(64 / 84),
    }
    measured = ledger["measured"]
    assert measured["examples"] == 256 == sum(measured["formats"].values())
    assert measured["fill"] == pytest.approx(
        (measured["input_tokens"] + measured["target_tokens"]) / (measured["rows"] * 52)
    )
    assert 0.7 < max(measured["fill_inputs"], measured["fill_targets"]) <= 1
    assert len(losses(finished)) == 3


def _logits(model: Any) -> torch.Tensor:
    ids = torch.tensor([[4, 6, 7, 1]])
    with torch.no_grad():
        return model.eval()(
            input_ids=ids, **({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {})
        ).logits


@pytest.mark.parametrize("kind", ["t5", "gated", "llama"])
def test_the_exported_model_is_plain_transformers(
    kind: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What plain transformers loads computes what the trained model in memory computes; tokenizer and end of
    sequence are with it."""
    run, kept = Run(tmp_path / "run"), list[Any]()

    def keeping(setup: TrainingSetup, *others: Any) -> None:
        train(setup, *others)
        kept.append(setup.model)

    monkeypatch.setattr("openflan.training.finetune.train", keeping)
    finetune(recipe(place, kind, dropout=0.1, steps=2), run)
    family = AutoModelForCausalLM if kind == "llama" else AutoModelForSeq2SeqLM
    expected = _logits(kept[0].to("cpu"))
    for folder in (run.model, run.checkpoints / "step-2"):
        loaded = family.from_pretrained(folder)
        assert torch.equal(_logits(loaded), expected)
        assert loaded.generation_config.eos_token_id == 1
        assert AutoTokenizer.from_pretrained(folder)("copy a")["input_ids"] == [4, 6]
        layout = json.loads((folder / "generation_config.json").read_text()).get("openflan_layout")
        assert layout == ("paper" if kind == "llama" else None)
    assert not list(run.model.glob("*.bin"))


def test_another_recipe_in_the_folder_is_refused(place: Path, finished: Run) -> None:
    with pytest.raises(
        InputError, match=r"holds a run of another recipe \(training.learning_rate: 0.02 -> 0.03\)"
    ):
        finetune(recipe(place, dropout=0.1, steps=3, learning_rate=0.03), finished)


def _seen(run: Run) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}


@pytest.fixture
def elsewhere(place: Path, tmp_path: Path, finished: Run) -> tuple[Path, Run]:
    """Tokenizer, data and run of their own, to be changed."""
    for name in ("words", "data"):
        shutil.copytree(place / name, tmp_path / name)
    run = Run(tmp_path / "run")
    shutil.copytree(finished.folder, run.folder)
    run.recipe.write_text(run.recipe.read_text().replace(str(place), str(tmp_path)))
    finetune(recipe(tmp_path, dropout=0.1, steps=3), run)
    return tmp_path, run


def _change_word(place: Path) -> None:
    path = place / "words" / "tokenizer.json"
    path.write_text(path.read_text().replace('"swap"', '"exchange"'))


CHANGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a row": (lambda place: write_data(place / "data", answer="b"), "the rows or wordings of own/constant"),
    "a file less": (
        lambda place: (place / "data" / "constant.jsonl").unlink(),
        "the rows or wordings of own/constant",
    ),
    "a file more": (
        lambda place: shutil.copy(place / "data" / "copies.jsonl", place / "data" / "new.jsonl"),
        "the rows or wordings of own/new",
    ),
    "the tokenizer": (_change_word, "the tokenizer"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_changed_data_is_refused_and_the_run_left_as_it_was(what: str, elsewhere: tuple[Path, Run]) -> None:
    folder, run = elsewhere
    change, message = CHANGES[what]
    before = _seen(run)
    change(folder)
    with pytest.raises(InputError, match=f"changed since the run began: {message}; restore"):
        finetune(recipe(folder, dropout=0.1, steps=3), run)
    assert _seen(run) == before


def test_how_often_a_run_is_saved_may_change(elsewhere: tuple[Path, Run]) -> None:
    folder, run = elsewhere
    finetune(recipe(folder, dropout=0.1, steps=3, every=1, keep=1), run)
    assert "every: 1" in run.recipe.read_text()


def test_other_versions_only_warn(elsewhere: tuple[Path, Run]) -> None:
    folder, run = elsewhere
    record = json.loads(run.provenance.read_text())
    run.provenance.write_text(json.dumps(record | {"torch": "1.0"}))
    with pytest.warns(UserWarning, match=r"other versions \(torch 1.0 -> "):
        finetune(recipe(folder, dropout=0.1, steps=3), run)


def test_the_wordings_belong_to_the_data(place: Path, tmp_path: Path) -> None:
    task = open_tasks(recipe(place).mixture)["own/copies"]
    wordings = tmp_path / "own.yaml"
    wordings.write_text("tasks: [own/*]\n")
    first = fingerprint(task, wordings)
    wordings.write_text("tasks: ['own/*']\n")
    assert len({fingerprint(task), first, fingerprint(task, wordings)}) == 3


def test_a_causal_row_longer_than_the_model_knows_is_refused(place: Path, tmp_path: Path) -> None:
    run_recipe = recipe(place, "llama", steps=1)
    long = run_recipe.model_copy(update={"packing": run_recipe.packing.model_copy(update={"inputs": 120})})
    with pytest.raises(
        InputError, match=r"packing.inputs \+ packing.targets is 132, but the model has 128 positions"
    ):
        finetune(long, Run(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_being_trained_is_left_alone(place: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run_recipe = recipe(place, steps=1)
    with (
        training_alone(run),
        pytest.raises(
            InputError,
            match="run: another training is at work there; wait for it, or name another folder with --run",
        ),
    ):
        finetune(run_recipe, run)
    assert [path.name for path in run.folder.iterdir()] == [".locks"]
    finetune(run_recipe, run)
    with training_alone(run), pytest.raises(InputError, match="another training is at work"):
        remove_run(run)
    assert run.model.is_dir()
    remove_run(run)
    assert not run.recipe.exists()
