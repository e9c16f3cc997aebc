"""The paper's averages, reproduced from its printed cells."""

import pytest

from openflan.benchmark_data.bbh import BBH_TASKS, bbh_part
from openflan.errors import InputError
from openflan.evaluation.averages import (
    COMPONENTS,
    SUITE_AVERAGES,
    averages_of_scores,
    normalized_component,
    relative_error_reduction,
    suite_averages,
)
from openflan.evaluation.paper import CITED, paper_model, paper_models, paper_table
from openflan.evaluation.score_record import EvaluationScore, ScoreKey

FLAN_T5 = [f"flan-t5-{size}" for size in ("small", "base", "large", "xl", "xxl")]


def _components(name: str) -> dict[str, float | dict[str, float]]:
    """Cells by task for BBH, printed means elsewhere."""
    figures = paper_model(name).components
    return {
        component: dict(figures[component].tasks)
        if component.startswith("bbh")
        else figures[component].averages["average"]
        for component in COMPONENTS
    }


@pytest.mark.parametrize(("name", "printed"), list(zip(FLAN_T5, (-3.1, 6.5, 13.8, 19.1, 23.7), strict=True)))
def test_the_printed_normalized_averages(name: str, printed: float) -> None:
    assert suite_averages(_components(name))["normalized average"] == pytest.approx(printed, abs=0.06)
    assert paper_model(name).normalized == printed


def test_chance_must_be_removed_file_by_file() -> None:
    """The negative control: chance removed from BBH's mean misses what is printed."""
    components = _components("flan-t5-small")
    mean_chance = sum(task.chance for task in BBH_TASKS.values()) / 27
    normalized = {name: normalized_component(name, score) for name, score in components.items()}
    wrong = {
        name: 100
        * (paper_model("flan-t5-small").components[name].averages["average"] - mean_chance)
        / (100 - mean_chance)
        for name in components
    }
    mixed = [wrong[name] if name.startswith("bbh") else normalized[name] for name in COMPONENTS]
    assert abs(sum(mixed) / 6 - (-3.1)) > 0.3


def test_figure_5_averages_are_plain_means_of_three() -> None:
    components = {
        "mmlu-direct": 40.0,
        "mmlu-cot": 25.0,
        "tydiqa-direct": 30.0,
        "mgsm-cot": 9.0,
        "bbh-direct": dict.fromkeys(BBH_TASKS, 50.0),
    }
    averages = suite_averages(components)
    assert averages["non-CoT average"] == pytest.approx(
        (20.0 + 30.0 + normalized_component("bbh-direct", components["bbh-direct"])) / 3
    )
    assert (averages["CoT average"], averages["normalized average"]) == (None, None)
    from_tasks = suite_averages(
        {**components, "bbh-cot": {task: one.chance for task, one in BBH_TASKS.items()}}
    )
    assert from_tasks["CoT average"] == pytest.approx((0.0 + 0.0 + 9.0) / 3)
    assert list(from_tasks) == list(SUITE_AVERAGES)


def test_relative_error_reduction_as_printed() -> None:
    """Appendix A.3: from no task to 1,836 tasks 16.6 % at 8B and 18.4 % at 540B, over normalized averages of
    Table 3."""
    rows = {(row["size"], row["tasks"]): row["cells"][0] for row in paper_table("table3")["rows"]}
    assert relative_error_reduction(rows["8B", 0], rows["8B", 1836]) == pytest.approx(16.6, abs=0.05)
    assert relative_error_reduction(rows["540B", 0], rows["540B", 1836]) == pytest.approx(18.4, abs=0.1)
    with pytest.raises(InputError, match="no error left"):
        relative_error_reduction(100.0, 100.0)


def test_english_stands_apart() -> None:
    languages = ["bn", "de", "es", "fr", "ja", "ru", "sw", "te", "th", "zh"]
    assert normalized_component("mgsm-cot", {**dict.fromkeys(languages, 10.0), "en": 90.0}) == pytest.approx(
        10.0
    )


@pytest.mark.parametrize(
    ("component", "score", "message"),
    [
        ("bbh-cott", {}, "did you mean `bbh-cot`"),
        ("bbh-cot", 30.0, "its 27 files have different chances"),
        ("bbh-cot", {"snark": 1.0}, "bbh has no task `snark`; did you mean `snarks`"),
        ("bbh-cot", {"snarks": 1.0}, "has 1 of its 27 tasks"),
        ("mmlu-cot", {"anatomy": 1.0}, "has 1 of its 57 tasks"),
    ],
)
def test_what_the_averages_cannot_take(component: str, score: float | dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        normalized_component(component, score)


def test_scores_of_a_part_of_the_questions_make_no_suite_average() -> None:
    keys = {name: ScoreKey("final", *name.split("-")) for name in COMPONENTS}
    scores = [
        EvaluationScore(key, {}, normalized=12.0, partial=name == "bbh-cot") for name, key in keys.items()
    ]
    assert averages_of_scores(scores) == {
        "normalized average": None,
        "CoT average": None,
        "non-CoT average": pytest.approx(12.0),
    }
    assert averages_of_scores(scores, partial=True)["normalized average"] == pytest.approx(12.0)


def test_the_packaged_tables_agree_with_each_other() -> None:
    for name in FLAN_T5:
        components = paper_model(name).components
        for mode in ("direct", "cot"):
            figures = components[f"bbh-{mode}"]
            assert set(figures.tasks) == set(BBH_TASKS)
            assert sum(figures.tasks.values()) / 27 == pytest.approx(figures.averages["average"], abs=0.06)
    for table in ("table20", "table21"):
        for row in paper_table(table)["rows"]:
            assert len(row["cells"]) == len(paper_table(table)["tasks"])
            assert sum(row["cells"]) / len(row["cells"]) == pytest.approx(row["average"], abs=0.06)
            assert (
                row["average"]
                == paper_model(row["name"]).components[paper_table(table)["component"]].averages["average"]
            )


def test_table_3_ends_where_table_5_begins() -> None:
    """The 8B and 62B rows with all tasks are the same models; at 540B the two tables are of different
    mixtures."""
    for size, same in (("8b", True), ("62b", True), ("540b", False)):
        first, second = (
            {
                component: figures.averages["average"]
                for component, figures in paper_model(name).components.items()
                if component in COMPONENTS
            }
            for name in (f"flan-palm-{size}-niv2", f"flan-palm-{size}")
        )
        assert (first == second) is same


def test_the_halves_of_bbh_are_those_of_table_4() -> None:
    """Of 540B models the halves are printed; of Flan-T5 they follow from the cells. Both must be means of 12
    and 15 files."""
    averages = paper_model("palm-540b").components["bbh-direct"].averages
    assert (12 * averages["nlp"] + 15 * averages["algorithmic"]) / 27 == pytest.approx(
        averages["average"], abs=0.1
    )
    assert (len(bbh_part("nlp")), len(bbh_part("algorithmic"))) == (12, 15)


def test_names_of_models() -> None:
    assert {
        "flan-t5-base",
        "palm-540b",
        "flan-palm-62b-t0-sf",
        "flan-palm-540b-sc",
        "code-davinci-002",
    } <= set(paper_models())
    assert paper_model("flan-palm-540b").components["mmlu-direct"].averages == {"average": 73.5, "test": 72.2}
    assert paper_model("flan-t5-xl").components["bbh-direct"].computed == {
        "tracking_shuffled_objects_five_objects"
    }
    for name in paper_models():
        assert all(
            source.startswith(CITED)
            for figures in paper_model(name).components.values()
            for source in figures.sources
        )
        assert all(figures.sources for figures in paper_model(name).components.values())
    with pytest.raises(InputError, match="did you mean `flan-t5-base`"):
        paper_model("flan-t5-bas")
    with pytest.raises(InputError, match="there is no table `table8`"):
        paper_table("table8")
