"""What a run folder says, as tables: read, compared, summed up."""

from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_run import LEDGER, full_run, generation, metrics, score, write_run

from openflan.errors import InputError
from openflan.evaluation.generations import Generation
from openflan.reports import tables
from openflan.reports.gather import gather
from openflan.reports.samples import judge, sample_generations, spread


def _rows(table: tables.Table | None) -> dict[Any, dict[str, Any]]:
    assert table is not None
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def test_a_run_without_results_has_no_tables_and_says_what_it_lacks(tmp_path: Path) -> None:
    gathered = gather(write_run(tmp_path / "run"))
    assert tables.all_tables(gathered) == []
    assert len(tables.absent(gathered)) == len(tables.ABSENT)
    assert tables.absent(gather(full_run(tmp_path / "full"))) == []


def test_before_and_after(tmp_path: Path) -> None:
    (table,) = tables.before_after(gather(full_run(tmp_path / "run")))
    rows = _rows(table)
    assert [row[0] for row in table.rows[:2]] == ["average", "normalized average"]
    assert table.averages == 2
    assert (rows["average"]["base %"], rows["average"]["final %"], rows["average"]["difference"]) == (
        45.0,
        48.0,
        3.0,
    )
    assert rows["snarks"] == {
        "task": "snarks", "n": 50, "chance %": 25.0, "base %": 50.0, "final %": 60.0,
        "difference": 10.0, "95% from": 54.0, "95% to": 66.0
    }  # fmt: skip
    assert rows["navigate"]["difference"] == -4.0


def test_averages_stand_beside_the_keys_or_under_averages(tmp_path: Path) -> None:
    beside = score("final", {"snarks": 60.0}, nlp=60.0, algorithmic=None)
    under = {
        **score("final", {"snarks": 60.0}),
        "averages": {"average": 60.0, "nlp": 60.0, "algorithmic": None},
    }
    stored_scores = [
        gather(write_run(tmp_path / name, scores=[item])).scores[0]
        for name, item in (("beside", beside), ("under", under))
    ]
    assert stored_scores[0] == stored_scores[1]
    assert stored_scores[0].averages == {"average": 60.0, "nlp": 60.0, "algorithmic": None}


@pytest.mark.parametrize("changes", [{"n": 40}, {"prompt_version": "bbh-cot-3-shot-2"}])
def test_no_difference_between_models_that_were_asked_differently(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    scores = [score("base", {"snarks": 50.0}, **changes), score("final", {"snarks": 60.0})]
    gathered = gather(write_run(tmp_path / "run", scores=scores))
    (table,) = tables.before_after(gathered)
    assert [row["difference"] for row in _rows(table).values()] == [None, None, None]
    assert "ifference" in table.note
    assert tables.headlines(gathered)[0].difference is None


def test_tasks_answered_alike_have_a_difference_though_the_average_has_none(tmp_path: Path) -> None:
    scores = [score("base", {"snarks": 50.0}), score("final", {"snarks": 60.0, "navigate": 30.0})]
    rows = _rows(tables.before_after(gather(write_run(tmp_path / "run", scores=scores)))[0])
    assert (rows["snarks"]["difference"], rows["navigate"]["difference"], rows["average"]["difference"]) == (
        10.0,
        None,
        None,
    )
    assert rows["navigate"]["base %"] is None


def test_random_weights_have_a_column_only_if_they_were_evaluated(tmp_path: Path) -> None:
    scores = [score("random-init", {"snarks": 20.0}), score("final", {"snarks": 60.0})]
    (table,) = tables.before_after(gather(write_run(tmp_path / "run", scores=scores)))
    assert _rows(table)["snarks"]["random-init %"] == 20.0
    assert "The base model was not evaluated." in table.note
    assert "random-init %" not in tables.before_after(gather(full_run(tmp_path / "full")))[0].columns


def test_checkpoints_stand_in_the_order_of_training(tmp_path: Path) -> None:
    scores = [score(model, {"snarks": 1.0}) for model in ("final", "step-1000", "step-200", "base")]
    table = tables.by_checkpoint(gather(write_run(tmp_path / "run", scores=scores)))
    assert list(_rows(table)) == ["base", "step-200", "step-1000", "final"]
    assert tables.by_checkpoint(gather(full_run(tmp_path / "full"))) is None


def test_a_later_score_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    (only,) = gather(
        write_run(tmp_path / "run", scores=[score("final", {"snarks": 1.0}), score("final", {"snarks": 2.0})])
    ).scores
    assert only.averages["average"] == 2.0


def test_training(tmp_path: Path) -> None:
    rows = _rows(tables.training(gather(write_run(tmp_path / "run", metrics=metrics(40)))))
    values = {name: row["value"] for name, row in rows.items()}
    assert values["steps"] == 40
    assert values["tokens"] == 4_000
    assert values["tokens per second"] == pytest.approx(200)
    assert values["packing efficiency, %"] == pytest.approx(90)
    assert values["time spent waiting for data, %"] == pytest.approx(10)
    first, last = (value for name, value in values.items() if name.startswith("loss"))
    assert first == pytest.approx(fmean(4 - step / 20 for step in (1, 2, 3, 4)))
    assert last == pytest.approx(fmean(4 - step / 20 for step in (37, 38, 39, 40)))


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 1_234])
def test_loss_at_evenly_spaced_steps(tmp_path: Path, steps: int) -> None:
    table = tables.loss(gather(write_run(tmp_path / "run", metrics=metrics(steps))))
    assert table is not None
    shown = [row[0] for row in table.rows]
    assert shown[0] == 1
    assert shown[-1] == steps
    assert len(shown) == min(steps, 10)
    gaps = [later - earlier for earlier, later in pairwise(shown)]
    assert not gaps or max(gaps) - min(gaps) <= 1


@given(values=st.lists(st.floats(0, 20), max_size=60), over=st.integers(1, 70))
def test_a_running_mean_is_the_mean_of_what_came_before(values: list[float], over: int) -> None:
    means = tables.running_mean(values, over)
    assert means == pytest.approx(
        [fmean(values[max(0, place + 1 - over) : place + 1]) for place in range(len(values))], abs=1e-9
    )


def test_counts_name_what_was_cut_in_training_and_evaluation(tmp_path: Path) -> None:
    gathered = gather(full_run(tmp_path / "run"))
    table = tables.counts(gathered)
    assert table is not None
    assert ("training, as measured", "dropped: targets too long", 3, 200) in table.rows
    assert ("training, as measured", "truncated", 0, 200) in table.rows
    assert ("bbh cot, final", "generations truncated at the token limit", 4, 100) in table.rows
    assert _rows(tables.formats(gathered))["few-shot"]["share %"] == 75.0
    assert _rows(tables.tasks(gathered))["own/b"]["cap"] == 15


@pytest.mark.parametrize(
    ("part", "text", "words"),
    [
        ("scores", "{", ["not valid JSON"]),
        ("scores", '{"other": 1}', ["valid list"]),
        (
            "scores",
            (
                '{"scores": [{"model": "base", "benchmark": "bbh", "mode": "cot", "tasks": {"snarks": {"n": '
                "5}}}]}"
            ),
            ["0.tasks.snarks.accuracy"],
        ),
        ("ledger", '{"examples": 3}', ["`submixtures`", "required"]),
        ("metrics", '{"step": 1}\n', ["`0.loss`", "required"]),
        ("metrics", '{"step": \n{"step": 2}\n', ["not valid JSON"]),
        ("provenance", "[]", ["valid dictionary"]),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, part: str, text: str, words: list[str]) -> None:
    run = write_run(tmp_path / "run")
    path: Path = getattr(run, part)
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        gather(run)
    assert str(path) in str(caught.value)
    assert all(word in str(caught.value) for word in words)


def test_the_line_a_kill_tore_is_passed_over(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", metrics=metrics(3), ledger=LEDGER)
    with run.metrics.open("a") as file:
        file.write('{"step": 4, "lo')
    assert [step.step for step in gather(run).metrics] == [1, 2, 3]


@given(sizes=st.lists(st.integers(1, 15), max_size=14), count=st.integers(1, 12))
def test_samples_are_spread_over_tasks_and_items(sizes: list[int], count: int) -> None:
    generations = [
        Generation(f"task {task_index:02}", index, "", "")
        for task_index, size in enumerate(sizes)
        for index in range(size)
    ]
    chosen = spread(generations[::-1], count)
    assert chosen == spread(generations, count)
    assert (
        len(chosen)
        == len({(one.task, one.index) for one in chosen})
        == min(count, sum(sizes) if len(sizes) <= count else count)
    )
    count_by_task = {
        task_index: sum(one.task == f"task {task_index:02}" for one in chosen)
        for task_index in range(len(sizes))
    }
    assert sum(number > 0 for number in count_by_task.values()) == min(count, len(sizes))
    # Nobody has two more than a task that still has items to give.
    assert all(
        count_by_task[more] - count_by_task[less] <= 1
        for more in count_by_task
        for less in count_by_task
        if 0 < count_by_task[less] < sizes[less]
    )


def test_samples_come_from_the_most_trained_model(tmp_path: Path) -> None:
    generations = [generation("snarks", 0, "x", "(A)")]
    run = write_run(
        tmp_path / "run",
        generations={
            f"{model}-bbh-cot": generations
            for model in ("base", "random-init", "step-1", "step-9", "step-10")
        },
    )
    assert {sample.model for sample in sample_generations(run.generations, 10)} == {"step-10"}
    (run.generations / "step-10-bbh-cot.jsonl").rename(run.generations / "final-bbh-cot.jsonl")
    assert {sample.model for sample in sample_generations(run.generations, 10)} == {"final"}


@pytest.mark.parametrize(
    ("benchmark", "mode", "task", "text", "target", "finish", "right"),
    [
        ("bbh", "cot", "snarks", "So the answer is (A).", "(A)", "eos", True),
        ("bbh", "cot", "snarks", "(A)", "(A)", "eos", False),
        ("bbh", "direct", "snarks", "(A)", "(A)", "eos", True),
        ("bbh", "direct", "snarks", "(A)", "(A)", "too-long", False),
        ("bbh", "direct", "no such task", "(A)", "(A)", "eos", None),
        ("mgsm", "cot", "en", "The answer is 1,200.", "1200", "eos", True),
        ("mgsm", "direct", "en", "1200", "1200", "eos", True),
        ("microflan", "direct", "microflan/any", "Red.", ("blue", "red"), "eos", True),
        ("microflan", "cot", "microflan/any", "First. So the answer is red.", "red", "eos", True),
        ("somebody's", "direct", "x", "red", "red", "eos", None),
        (None, None, "x", "red", "red", "eos", None),
    ],
)
def test_right_or_wrong_by_the_rule_of_the_benchmark(
    benchmark: str | None,
    mode: str | None,
    task: str,
    text: str,
    target: str | tuple[str, ...],
    finish: str,
    right: bool | None,
) -> None:
    assert judge(Generation(task, 0, text, target, finish=finish, benchmark=benchmark, mode=mode)) is right
