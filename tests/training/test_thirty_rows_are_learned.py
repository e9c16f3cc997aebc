"""Thirty rows of each format are learned by heart, and with shuffled targets held-out rows are not.

One run has a task of each format, so that it takes a minute of one core. The base is the bundled tiny model.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openflan.api.finetune import finetune, recipe_from_rows
from openflan.api.load_model import load_model
from openflan.mixture.open_mixture import build_stream, open_tasks
from openflan.run_folder import Run
from openflan.templates.render import Rendered

pytestmark = pytest.mark.slow

COLOURS = ("red", "blue", "green", "black", "white", "yellow")
FORMATS = (
    "inputs-targets",
    "prompt-completion",
    "question-answer",
    "alpaca",
    "messages",
    "sharegpt",
    "preference",
    "rated",
    "chain-of-thought",
)
ROWS, HELD_OUT = 30, 30


def facts(form: str, count: int) -> Iterator[tuple[str, str]]:
    """Questions of a format and their answers, which nothing but the rows can tell."""
    offset = FORMATS.index(form)
    for number in range(count):
        colour = COLOURS[(number * 7 + number // 6 * 5 + offset) % len(COLOURS)]
        yield f"{form} {number}?", colour


def record(form: str, asked: str, answer: str) -> dict[str, Any]:
    user, assistant = {"role": "user", "content": asked}, {"role": "assistant", "content": answer}
    records: dict[str, dict[str, Any]] = {
        "inputs-targets": {"inputs": asked, "targets": answer},
        "prompt-completion": {"prompt": asked, "completion": answer},
        "question-answer": {"question": asked, "answer": answer, "source": "atlas"},
        "alpaca": {"instruction": asked, "input": "", "output": answer},
        "messages": {"messages": [user, assistant]},
        "sharegpt": {"conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": answer}]},
        "preference": {"prompt": asked, "chosen": answer, "rejected": "I do not know."},
        "rated": {"prompt": asked, "completion": answer, "label": True},
    }
    return records[form]


def write(folder: Path, count: int) -> Path:
    folder.mkdir()
    for form in FORMATS[:-1]:
        lines = [json.dumps(record(form, *fact)) for fact in facts(form, count)]
        (folder / f"{form}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    lines = ["\t".join((asked, answer, "It is so.")) for asked, answer in facts(FORMATS[-1], count)]
    (folder / f"{FORMATS[-1]}.tsv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def trained(folder: Path, run: Path, epochs: float, *overrides: str) -> Run:
    recipe = recipe_from_rows(
        folder,
        "embedded:microflan-tiny",
        epochs=epochs,
        overrides=["training.learning_rate=2e-3", "training.batch_size=8", *overrides],
    )
    return finetune(recipe, run)


def reproduced(run: Run, folder: Path, first: int, count: int) -> dict[str, float]:
    """The share of a task's rows, from `first` on, whose targets the run generates, by task."""
    recipe = recipe_from_rows(folder, "embedded:microflan-tiny")
    tasks, model = open_tasks(recipe.mixture), load_model(run.folder)
    shares = {}
    for name, task in tasks.items():
        stream = build_stream(recipe.mixture, {name: task}, 0)
        examples: dict[int, Rendered] = {}
        position = 0
        while len(examples) < len(task.rows):
            example = stream[position]
            examples.setdefault(example.row, example)
            position += 1
        asked = [examples[row] for row in range(first, first + count)]
        answers = model.generate([example.inputs for example in asked], max_tokens=24)
        shares[name.partition("/")[2]] = (
            sum(
                answer.text.strip() == example.targets.strip()
                for answer, example in zip(answers, asked, strict=True)
            )
            / count
        )
    return shares


def test_thirty_rows_of_each_format_are_learned(tmp_path: Path) -> None:
    folder = write(tmp_path / "rows", ROWS)
    shares = reproduced(trained(folder, tmp_path / "run", 50), folder, 0, ROWS)
    assert set(shares) == set(FORMATS)
    assert all(share >= 0.9 for share in shares.values()), shares


def test_with_shuffled_targets_held_out_rows_are_not_reproduced(tmp_path: Path) -> None:
    folder, every = write(tmp_path / "rows", ROWS), write(tmp_path / "every", ROWS + HELD_OUT)
    run = trained(folder, tmp_path / "run", 15, "mixture.submixtures.own.targets=shuffled")
    shares = reproduced(run, every, ROWS, HELD_OUT)
    assert sum(shares.values()) / len(shares) < 0.4, shares
