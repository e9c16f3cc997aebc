"""The tables of the paper as columns and rows, and what they are held against."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.evaluation import paper
from openflan.evaluation.compare import against_paper
from openflan.evaluation.paper import TABLES, PaperFigures, paper_model, paper_models, paper_table
from openflan.evaluation.printed_tables import LAST, contents_of, packaged_numbers, printed_table
from openflan.evaluation.score_record import EvaluationScore, Interval, ScoreKey
from openflan.evaluation.statistics import QuestionScore, task_score
from openflan.recipe.load_recipe import load_recipe


@pytest.mark.parametrize("number", packaged_numbers())
def test_every_row_has_a_cell_for_every_column(number: int) -> None:
    table = printed_table(number)
    assert table.rows
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert table.source.endswith(f"Table {number}")
    assert json.loads(json.dumps(table.to_json()))["number"] == number


def test_the_missing_cells_of_mmlu_by_task_are_said_to_be_missing() -> None:
    for number in range(11, 17):
        with pytest.raises(InputError, match=rf"Table {number} is not packaged: it is MMLU by task.*Table 5"):
            printed_table(number)
        assert contents_of(number) == "not packaged: MMLU by task"
    assert {2, 6, 7, 10} <= set(packaged_numbers())


@given(st.integers().filter(lambda number: not 1 <= number <= LAST))
def test_a_number_that_the_paper_does_not_have(number: int) -> None:
    with pytest.raises(InputError, match="the paper has Tables 1 to 26"):
        printed_table(number)


def test_the_misprint_of_table_2_is_stated_and_the_other_shares_fit() -> None:
    """Each printed share is finetuning over pretraining, but for the one row whose cell is misprinted."""
    table = printed_table(2)
    off = [
        (row[0], row[1])
        for row in table.rows
        if abs(100 * float(str(row[5])) / float(str(row[4])) - float(str(row[6]))) > 0.1
    ]
    assert off == [("540B", "Flan-U-PaLM")]
    assert any("2.5e24" in text for text in table.misprints)


def test_no_row_is_written_in_two_files() -> None:
    """A row of cells that two tables print is in one file, and the other file names it."""
    folder = Path(paper.__file__).parent / "paper_tables"
    seen: dict[tuple[object, ...], str] = {}
    for name in TABLES:
        for row in json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["rows"]:
            cells = tuple(row.get("cells", ())) if isinstance(row, dict) else tuple(row)
            if len(cells) > 1:
                assert seen.setdefault(cells, name) == name, (name, cells)
    assert paper_table("table3")["rows"][0]["cells"] == paper_table("table5")["rows"][10]["cells"]
    assert [row["cells"] for row in paper_table("table1")["rows"][4:7]] == [[69.3], [72.2], [75.2]]


def test_recipes_have_the_hyperparameters_of_table_22() -> None:
    for row in printed_table(22).rows[:5]:
        training = load_recipe(str(row[0]).lower()).training
        assert (training.batch_size, training.learning_rate, training.steps) == (row[1], row[3], row[4])


def test_people_and_other_baselines_are_known() -> None:
    assert paper_model("human-expert").components["mmlu-direct"].averages == {"test": 89.8}
    assert paper_model("human-average").components["mmlu-cot"].averages == {"test": 34.5}
    assert set(paper_model("gpt-3").components) == {"mmlu-direct"}
    best = paper_model("prior-best").components
    assert best["bbh-cot"].averages == {"nlp": 73.5, "algorithmic": 73.9}
    assert best["tydiqa-direct"].averages == {"average": 81.9}
    assert best["mgsm-cot"].averages == {"average": 55.0}
    assert {"random", "human-expert", "chinchilla", "text-davinci-003"} <= set(paper_models())


def _score(right: int, n: int, chance: float, split: str = "") -> EvaluationScore:
    task = task_score([QuestionScore(True, index < right) for index in range(n)], chance)
    interval = {"average": Interval(task.ci95 or (0, 0), n)}
    key = ScoreKey("final", "mmlu", "direct", split)
    return EvaluationScore(key, {"average": task.accuracy}, {"anatomy": task}, intervals=interval)


def test_a_random_model_does_not_agree_with_the_paper_unmarked() -> None:
    """On one question no verdict is given; on many, agreement at chance is said to be that."""
    figures = PaperFigures({"average": 26.7})
    one = against_paper(_score(0, 1, 25.0), figures)["averages"]["average"]
    assert one["verdict"] == "interval too wide to say (n = 1)"
    many = against_paper(_score(390, 1531, 25.0), figures)["averages"]["average"]
    assert many["verdict"] == "agrees with the paper, and with chance"
    able = against_paper(_score(700, 1531, 25.0), PaperFigures({"average": 45.1}))["averages"]["average"]
    assert able["verdict"] == "agrees with the paper"
