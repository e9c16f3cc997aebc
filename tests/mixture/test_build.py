"""A recipe's mixture section becomes tasks and a stream; held-out tasks never do."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from openflan.errors import InputError
from openflan.microflan.world import microflan_tasks
from openflan.mixture.open_mixture import build_stream, open_tasks
from openflan.mixture.task_shares import by_submixture, formats, shares_table
from openflan.recipe.schema import Mixture
from openflan.tasks.task import Row, Task

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
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(f'{{"inputs": "{number}", "targets": "x"}}\n' for number in range(rows))
        )
    mixture = Mixture.model_validate(
        {"submixtures": {"own": {"data": str(tmp_path), "cap": 90, "styles": {"few_shot": 0}}}}
    )
    tasks = open_tasks(mixture)
    stream = build_stream(mixture, tasks, seed=0)
    few, many = shares_table(mixture, tasks, stream, examples=4_000)
    assert [(row["task"], row["rows"], row["cap"], row["weight"]) for row in (few, many)] == [
        ("own/few", 30, 90, 30),
        ("own/many", 500, 90, 90),
    ]
    assert (few["share"], many["share"]) == (0.25, 0.75)
    assert few["epochs"] == pytest.approx(1_000 / 30)
    assert (few["hidden_by_cap"], many["hidden_by_cap"]) == (0, 410)
    own = {
        "submixture": "own",
        "tasks": 2,
        "rows": 530,
        "weight": 120,
        "hidden_by_cap": 410,
        "share": 1.0,
        "epochs": pytest.approx(4_000 / 530),
    }
    assert by_submixture([few, many], 4_000) == [own]
    drawn = Counter(stream[position].task for position in range(2_000))
    assert abs(drawn["own/few"] - 500) < 100
    assert formats(stream[position] for position in range(50)) == {"zero-shot": 50}


COT: list[Row] = [{"question": f"q{row}?", "answer": f"a{row}", "rationale": f"r{row}."} for row in range(50)]
NIV2: list[Row] = [
    {"definition": "d.", "question": f"q{row}?", "answer": f"a{row}", "references": [f"a{row}"]}
    for row in range(50)
]


def _formats(rows: Sequence[Row], name: str, examples: int = 4_000, **styles: float) -> Counter[str]:
    task = Task(name, rows, frozenset(rows[0]), "x", "y")
    mixture = Mixture.model_validate({"submixtures": {task.submixture: {"styles": styles}}})
    stream = build_stream(mixture, {name: task}, seed=1)
    return Counter(stream[position].style.name for position in range(examples))


def _share(counts: Counter[str], part: str, among: str = "") -> float:
    return sum(count for name, count in counts.items() if part in name and among in name) / sum(
        count for name, count in counts.items() if among in name
    )


def test_formats_come_at_the_rates_of_the_public_release() -> None:
    """Within five standard deviations; a task without inverted wordings has none."""
    cot = _formats(COT, "cot/gsm8k")
    for part, among, recipe_mixture in (
        ("few-shot", "", 0.5),
        ("-inverted", "zero-shot", 0.3 / 1.3),
        ("-inverted", "few-shot", 0.3 / 1.3),
        ("-cot", "", 1.0),
        ("on-top", "", 0.0),
    ):
        assert (
            abs(_share(cot, part, among) - recipe_mixture)
            < 5 * (recipe_mixture * (1 - recipe_mixture) / 2_000) ** 0.5 + 1e-9
        ), part
    direct = Counter({name: count for name, count in cot.items() if "inverted" not in name})
    assert abs(_share(direct, "exemplars-only", "few-shot") - 0.34) < 5 * (0.34 * 0.66 / 1_500) ** 0.5
    niv2 = _formats(NIV2, "niv2/task001_x")
    assert set(niv2) == {"zero-shot", "few-shot-instruction-on-top"}


def test_a_recipe_sets_the_rates() -> None:
    assert set(_formats(COT, "cot/gsm8k", 300, inverted=0.0, exemplars_only=0.0)) == {
        "zero-shot-cot",
        "few-shot-cot",
    }
    assert set(_formats(COT, "cot/gsm8k", 300, inverted=1.0, instruction_on_top=1.0)) == {
        "zero-shot-cot-inverted",
        "few-shot-cot-inverted-instruction-on-top",
    }
    assert set(_formats(COT, "cot/gsm8k", 300, rationale=0.0, exemplars_only=1.0)) == {
        "zero-shot",
        "few-shot-exemplars-only",
    }
    assert set(_formats(NIV2, "niv2/task001_x", 300, instruction_on_top=0.0, exemplars_only=0.0)) == {
        "zero-shot",
        "few-shot",
    }
