"""Rates by tokens: each submixture holds its rate of the tokens, whatever the length of its examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openflan.api.mixture import open_mixture
from openflan.errors import InputError
from openflan.mixture.offline import offline_ledger
from openflan.mixture.open_mixture import build_stream, open_tasks
from openflan.models.load_model import load_tokenizer
from openflan.packing.tokens import tokens_of
from openflan.recipe.load_recipe import load_recipe
from openflan.recipe.schema import Recipe
from openflan.training import token_shares
from openflan.training.finetune import survey
from openflan.training.prepare import prepare
from openflan.training.token_shares import LEAST, MOST, SAMPLE, mean_tokens

DRAWN = 1_000


@pytest.fixture(autouse=True)
def smaller_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_shares, "MOST", 128)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two submixtures, one with examples ten times as long as the other's."""
    folder = tmp_path_factory.mktemp("rows")
    for name, words in (("short", 2), ("long", 40)):
        (folder / name).mkdir()
        for task in ("a", "b"):
            rows = [
                {
                    "question": f"{number} " + "word " * (words + number % 7 * (task == "b")),
                    "answer": "yes no",
                }
                for number in range(90)
            ]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / name / f"{task}.jsonl").write_text(text)
    return folder


def recipe(folder: Path, **mixture: Any) -> Recipe:
    sections = {
        name: {"data": str(folder / name), "styles": {"few_shot": 0.5}, "wordings": str(folder / "w.yaml")}
        for name in ("short", "long")
    }
    (folder / "w.yaml").write_text(
        "tasks: ['*']\nfields: [question, answer]\nwordings:\n"
        "  - {id: plain, inputs: '{question}', targets: '{answer}'}\n"
    )
    values = {
        "name": "x",
        "model": {"base": "embedded:microflan-tiny"},
        "mixture": {"submixtures": sections, "rates": {"short": 1, "long": 3}, **mixture},
        "packing": {"inputs": 512, "targets": 64},
        "training": {"steps": 5, "batch_size": 4},
    }
    (folder / "x.yaml").write_text(json.dumps(values))
    return load_recipe(folder / "x.yaml")


def tokens_by_submixture(wanted: Recipe) -> dict[str, float]:
    tasks, tokenizer = open_tasks(wanted.mixture), load_tokenizer(wanted.model)
    stream, encoder = prepare(wanted, tasks, tokenizer, joint=False)
    examples = [stream[position] for position in range(DRAWN)]
    lengths = encoder.fit(tokens_of(examples, encoder.tokenize)).lengths_N2.sum(axis=1)
    sums: dict[str, float] = {}
    for example, tokens in zip(examples, lengths, strict=True):
        name = example.task.partition("/")[0]
        sums[name] = sums.get(name, 0.0) + float(tokens)
    return {name: tokens / sum(sums.values()) for name, tokens in sums.items()}


def test_the_rates_are_reached_in_tokens(folder: Path) -> None:
    assert tokens_by_submixture(recipe(folder, unit="tokens")) == pytest.approx(
        {"short": 0.25, "long": 0.75}, abs=0.04
    )
    by_examples = tokens_by_submixture(recipe(folder))
    assert by_examples["long"] > 0.9, "the control: by examples the long ones take most of the tokens"


def test_the_estimate_is_the_same_each_time_and_near_the_mean_of_all(folder: Path) -> None:
    wanted = recipe(folder, unit="tokens")
    tasks, tokenizer = open_tasks(wanted.mixture), load_tokenizer(wanted.model)
    stream, encoder = prepare(wanted, tasks, tokenizer, joint=False)
    estimated = [entry.mean_tokens for entry in stream.entries]
    assert estimated == mean_tokens(stream, encoder) == mean_tokens(stream, encoder)
    for entry, mean in zip(stream.entries, estimated, strict=True):
        assert mean is not None
        every = [
            entry.renderer.render(
                row, stream.style(entry, 1_000 + row), 0, row, token_budget=stream.token_budget
            )
            for row in range(90)
        ]
        lengths = encoder.fit(tokens_of(every, encoder.tokenize)).lengths_N2.sum(axis=1)
        assert mean == pytest.approx(float(lengths.mean()), rel=0.2), entry.task.name
    assert 0 < LEAST < MOST < SAMPLE


def test_the_ledger_says_both_shares(folder: Path) -> None:
    ledger = survey(recipe(folder, unit="tokens"))
    assert ledger["unit"] == "tokens"
    by_name = {row["submixture"]: row for row in ledger["submixtures"]}
    assert by_name["short"]["token_share"] == pytest.approx(0.25)
    assert by_name["short"]["share"] > 0.45, "short examples are drawn more often than their rate"
    for row in ledger["tasks"]:
        assert row["mean_tokens"] > 0
        assert row["share"] == pytest.approx(
            row["token_share"]
            / row["mean_tokens"]
            / sum(one["token_share"] / one["mean_tokens"] for one in ledger["tasks"])
        )
    assert "token_share" not in survey(recipe(folder))["tasks"][0]


def test_without_a_tokenizer_or_data_it_is_refused_with_the_remedy(folder: Path) -> None:
    wanted = recipe(folder, unit="tokens")
    with pytest.raises(InputError, match="unit: tokens` needs the recipe's tokenizer.*unit=examples"):
        build_stream(wanted.mixture, open_tasks(wanted.mixture), seed=0)
    opened = open_mixture(wanted)
    with pytest.raises(InputError, match="needs the recipe's tokenizer"):
        opened.examples()
    assert sum(opened.shares.values()) == pytest.approx(1)
    with pytest.raises(InputError, match="needs the data of every submixture"):
        offline_ledger(wanted.mixture, {})
