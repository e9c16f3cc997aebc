"""`openflan mixture --export` and `--show`, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyarrow import parquet
from typer.testing import CliRunner, Result

from openflan.cli.main import app
from openflan.errors import InputError, OpenflanError

RECIPE = """\
name: mine
model: {{base: {base}}}
mixture:
  submixtures:
    own: {{data: {data}, cap: 20, styles: {{few_shot: 1.0}}}}
packing: {{inputs: 24, targets: 16}}
training: {{steps: 1}}
"""


def openflan(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def recipe(tmp_path: Path, rows: Path, t5: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE.format(base=t5, data=rows))
    return path


@pytest.fixture
def unreachable(tmp_path: Path, rows: Path) -> Path:
    """A recipe whose model is not there."""
    path = tmp_path / "unreachable.yaml"
    path.write_text(RECIPE.format(base="./nowhere", data=rows))
    return path


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_one_pass_is_written_unless_told_otherwise(recipe: Path, tmp_path: Path) -> None:
    for arguments, count in (([], 20), (["--epochs", 2.5], 50), (["--examples", 7], 7)):
        done = openflan("mixture", recipe, "--export", tmp_path / "out.jsonl", *arguments)
        assert done.exit_code == 0, done.output
        assert f"{count:,} examples of 1 tasks" in done.output
        assert len(lines(tmp_path / "out.jsonl")) == count


def test_the_old_name_of_epochs_is_taken_with_a_warning(recipe: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="--passes is now --epochs"):
        done = openflan("mixture", recipe, "--export", tmp_path / "out.jsonl", "--passes", 2)
    assert done.exit_code == 0, done.output
    assert len(lines(tmp_path / "out.jsonl")) == 40


def test_exemplars_are_pruned_as_in_training_unless_told_otherwise(recipe: Path, tmp_path: Path) -> None:
    """24 input tokens hold few of the exemplars that were drawn."""
    assert openflan("mixture", recipe, "--export", tmp_path / "pruned.jsonl").exit_code == 0
    assert openflan("mixture", recipe, "--export", tmp_path / "whole.jsonl", "--no-pruning").exit_code == 0
    pruned, unpruned = lines(tmp_path / "pruned.jsonl"), lines(tmp_path / "whole.jsonl")
    assert sum(bool(row["pruned"]) for row in pruned) > 10
    assert all(row["pruned"] == 0 for row in unpruned)
    for few, all_ in zip(pruned, unpruned, strict=True):
        assert (few["row"], few["targets"]) == (all_["row"], all_["targets"])
        assert few["exemplars"] == all_["exemplars"][: len(few["exemplars"])]


def test_no_tokenizer_is_needed_without_pruning(unreachable: Path, tmp_path: Path) -> None:
    done = openflan("mixture", unreachable, "--export", tmp_path / "out.parquet", "--no-pruning", "--json")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert (printed["examples"], printed["pruning"], printed["tasks"]) == (20, False, {"own/rows": 20})
    assert parquet.read_metadata(tmp_path / "out.parquet").num_rows == 20
    assert b"name: mine" in parquet.read_schema(tmp_path / "out.parquet").metadata[b"openflan.recipe"]
    with pytest.raises(OpenflanError, match="no such folder.*--no-pruning"):
        raise openflan("mixture", unreachable, "--export", tmp_path / "other.parquet").exception
    assert not (tmp_path / "other.parquet").exists()


def test_examples_are_shown_with_where_they_came_from(
    unreachable: Path, recipe: Path, tmp_path: Path
) -> None:
    done = openflan("mixture", unreachable, "--show", 2, "--no-pruning")
    assert done.exit_code == 0, done.output
    assert "position 1" in done.output
    assert "position 2" not in done.output
    assert done.output.count("task: own/rows") == 2
    assert "exemplars: [" in done.output
    shown = json.loads(openflan("mixture", recipe, "--show", 3, "--examples-only", "--json").stdout)
    assert openflan("mixture", recipe, "--export", tmp_path / "out.jsonl", "--examples", 3).exit_code == 0
    extra = {"input_tokens", "target_tokens", "cut"}
    assert [{key: value for key, value in one.items() if key not in extra} for one in shown] == lines(
        tmp_path / "out.jsonl"
    )
    assert all(one["input_tokens"] > 1 and one["cut"] == 0 for one in shown)


def test_shown_examples_say_what_is_cut_or_dropped(recipe: Path) -> None:
    short = json.loads(
        openflan("mixture", recipe, "packing.inputs=4", "--show", 2, "--examples-only", "--json").stdout
    )
    assert all(one["input_tokens"] == 4 and one["cut"] > 0 for one in short)
    none = json.loads(
        openflan("mixture", recipe, "packing.targets=1", "--show", 2, "--examples-only", "--json").stdout
    )
    assert {one["dropped"] for one in none} == {"targets-too-long"}


BAD = [
    (["--export", "out.txt"], "ends in .jsonl or .parquet"),
    (["--export", "out.jsonl", "--show", 1], "one at a time"),
    (["--export", "out.jsonl", "--examples", 1, "--epochs", 1], "give only one"),
    (["--epochs", 1], "--export"),
    (["--epochs", 1, "--passes", 1], "old name"),
    (["--export", "out.jsonl", "--epochs", 0], "--epochs 0: expected a number above 0"),
    (["--export", "out.jsonl", "--epochs", "nan"], "--epochs nan: expected a number above 0"),
    (["--no-pruning"], "--export and --show"),
    (["--form", "messages"], "name the file with --export"),
    (["--workers", 2], "name the file with --export"),
    (["--export", "out.jsonl", "--form", "mesages"], "did you mean `messages`"),
    (["--export", "out.jsonl", "--form", "alpaca"], "expected text or messages"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD)
def test_options_that_do_not_go_together_are_refused(
    arguments: list[object], says: str, recipe: Path
) -> None:
    done = openflan("mixture", recipe, *arguments)
    assert isinstance(done.exception, InputError)
    assert says in str(done.exception)
