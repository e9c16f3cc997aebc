"""A recipe's mixture section becomes tasks and a stream; held-out tasks never do."""

from collections import Counter
from pathlib import Path

import pytest

from openflan.errors import InputError
from openflan.mixture.build import build_stream, open_tasks
from openflan.mixture.ledger import by_submixture, formats, shares_table
from openflan.recipe.schema import Mixture
from openflan.tasks.microflan import microflan_tasks

HELD_OUT = [name for name, task in microflan_tasks().items() if task.held_out]
TRAINED = [name for name, task in microflan_tasks().items() if not task.held_out]


def _mixture(*patterns: str) -> Mixture:
    return Mixture.model_validate({"submixtures": {"microflan": {"tasks": list(patterns) or ["*"]}}})


def test_patterns_pass_over_tasks_that_are_held_out() -> None:
    assert HELD_OUT
    assert set(open_tasks(_mixture())) == set(TRAINED)


@pytest.mark.parametrize("name", [HELD_OUT[0], HELD_OUT[0].partition("/")[2]])
def test_a_held_out_task_that_is_named_is_refused(name: str) -> None:
    """Also beside others that may be trained on: to leave it out in silence would not be what was asked."""
    with pytest.raises(InputError, match=f"{HELD_OUT[0]} held out for evaluation"):
        open_tasks(_mixture(TRAINED[0], name))


def test_a_task_without_wordings_is_refused_before_any_training(tmp_path: Path) -> None:
    (tmp_path / "quiz.jsonl").write_text('{"riddle": "x", "answer": "y"}\n')
    mixture = Mixture.model_validate({"submixtures": {"own": {"data": str(tmp_path)}}})
    with pytest.raises(InputError, match="own/quiz: no wordings for rows with the fields answer, riddle"):
        build_stream(mixture, open_tasks(mixture), seed=0)


def test_the_ledger_is_what_the_stream_gives(tmp_path: Path) -> None:
    for name, rows in (("few", 30), ("many", 500)):
        (tmp_path / f"{name}.jsonl").write_text("".join(f'{{"inputs": "{number}", "targets": "x"}}\n' for number in range(rows)))
    mixture = Mixture.model_validate({"submixtures": {"own": {"data": str(tmp_path), "cap": 90, "styles": {"few_shot": 0}}}})
    tasks = open_tasks(mixture)
    stream = build_stream(mixture, tasks, seed=0)
    few, many = shares_table(mixture, tasks, stream, examples=4_000)
    assert [(row["task"], row["rows"], row["cap"], row["weight"]) for row in (few, many)] == [("own/few", 30, 90, 30), ("own/many", 500, 90, 90)]
    assert (few["share"], many["share"]) == (0.25, 0.75)
    assert few["passes"] == pytest.approx(1_000 / 30)
    assert by_submixture([few, many]) == [{"submixture": "own", "tasks": 2, "rows": 530, "share": 1.0}]
    drawn = Counter(stream[position].task for position in range(2_000))
    assert abs(drawn["own/few"] - 500) < 100
    assert formats(stream[position] for position in range(50)) == {"zero-shot": 50}
