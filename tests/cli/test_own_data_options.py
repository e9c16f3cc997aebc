"""`--format`, `--map` and the keys that they stand for, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import openflan

from openflan.recipe.load_recipe import load_recipe

RECIPE = """\
name: mine
model: {{base: "embedded:microflan-tiny"}}
mixture:
  submixtures:
    own: {{data: {data}{more}}}
packing: {{inputs: 64, targets: 16}}
training: {{steps: 1, batch_size: 2}}
"""
TRANSLATED = [{"pregunta": f"{n} + 1?", "respuesta": str(n + 1)} for n in range(12)]
BOTH = [{"inputs": "a", "targets": "b", "instruction": f"{n}?", "output": str(n)} for n in range(12)]


def rows(path: Path, records: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_lists_and_checks_name_the_format(tmp_path: Path) -> None:
    data = rows(tmp_path / "quiz.jsonl", [{"instruction": "Add.", "output": "2"}] * 3)
    listed = openflan("tasks", "list", "--data", data)
    assert "own/quiz" in listed.stdout
    assert "alpaca (instruction, output)" in listed.stdout
    (described,) = json.loads(openflan("tasks", "list", "--data", data, "--json").stdout)
    assert described["format"] == "alpaca (instruction, output)"
    assert "3 rows, format alpaca (instruction, output)" in openflan("tasks", "check", "--data", data).stdout
    assert "format: alpaca (instruction, output)" in openflan("tasks", "show", "quiz", "--data", data).stdout


@pytest.mark.parametrize("verb", [("tasks", "list"), ("tasks", "show", "quiz"), ("tasks", "check")])
def test_commands_about_tasks_take_a_format_and_a_map(tmp_path: Path, verb: tuple[str, ...]) -> None:
    both = rows(tmp_path / "quiz.jsonl", BOTH)
    refused = openflan(*verb, "--data", both)
    assert "fit two formats" in refused.stdout + refused.stderr
    assert "--format alpaca" in refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert openflan(*verb, "--data", both, "--format", "alpaca").returncode == 0
    translated = rows(tmp_path / "quiz.jsonl", TRANSLATED)
    assert openflan(*verb, "--data", translated).returncode != 0
    done = openflan(*verb, "--data", translated, "--map", "inputs=pregunta,targets=respuesta")
    assert done.returncode == 0
    assert "inputs-targets (inputs=pregunta, targets=respuesta)" in done.stdout


def test_options_about_rows_need_rows(tmp_path: Path) -> None:
    done = openflan("tasks", "check", "--format", "alpaca")
    assert (done.returncode, "give --data too" in done.stderr) == (2, True)
    done = openflan("finetune", "mine.yaml", "--map", "inputs=a")
    assert (done.returncode, "--format and --map are for finetuning without a recipe" in done.stderr) == (
        2,
        True,
    )
    embedded = openflan("tasks", "list", "--data", "embedded:microflan", "--format", "alpaca")
    assert embedded.returncode == 0 or "own rows" in embedded.stderr


def test_a_recipe_names_format_and_columns(tmp_path: Path) -> None:
    data = rows(tmp_path / "quiz.jsonl", TRANSLATED)
    recipe = tmp_path / "mine.yaml"
    for more in (
        ", columns: {inputs: pregunta, targets: respuesta}",
        ", columns: 'inputs=pregunta, targets=respuesta'",
    ):
        recipe.write_text(RECIPE.format(data=data, more=more))
        section = load_recipe(str(recipe), []).mixture.submixtures["own"]
        assert section.columns == {"inputs": "pregunta", "targets": "respuesta"}
    shown = openflan("mixture", recipe, "--show", "1", "--no-pruning")
    assert shown.returncode == 0, shown.stderr
    line = "own/quiz: 12 rows, format inputs-targets (inputs=pregunta, targets=respuesta)"
    assert line in shown.stderr
    recipe.write_text(RECIPE.format(data=data, more=", format: alpacca"))
    refused = openflan("mixture", recipe, "--show", "1", "--no-pruning")
    assert "mixture.submixtures.own: there is no format `alpacca`; did you mean `alpaca`?" in refused.stderr
    recipe.write_text(RECIPE.format(data=data, more=", columns: nonsense"))
    assert "expected FIELD=COLUMN pairs" in openflan("mixture", recipe).stderr


def test_mixture_takes_the_options_of_its_only_data(tmp_path: Path) -> None:
    data = rows(tmp_path / "quiz.jsonl", BOTH)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(RECIPE.format(data=data, more=""))
    assert "fit two formats" in openflan("mixture", recipe, "--show", "1", "--no-pruning").stderr
    done = openflan("mixture", recipe, "--show", "1", "--no-pruning", "--format", "alpaca")
    assert (done.returncode, "format alpaca (instruction, output)" in done.stderr) == (0, True)
    ledger = openflan("mixture", recipe, "--format", "alpaca")
    assert "own/quiz: 12 rows, format alpaca (instruction, output)" in ledger.stderr
    recipe.write_text(
        RECIPE.format(data=data, more="").replace("    own:", "    second: {data: .}\n    own:")
    )
    refused = openflan("mixture", recipe, "--format", "alpaca")
    assert "one submixture that has `data:`" in refused.stderr
