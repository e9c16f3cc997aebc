"""Shuffled targets keep every answer and take away what it belongs to."""

from collections import Counter

from openflan.microflan.world import microflan_tasks
from openflan.mixture.open_mixture import open_tasks
from openflan.recipe.schema import Mixture
from openflan.tasks.shuffled import ShuffledAnswers


def test_answers_move_and_none_is_lost() -> None:
    rows = [{"question": f"q{n}", "answer": f"a{n // 2}", "rationale": f"because {n}"} for n in range(60)]
    shuffled = ShuffledAnswers(rows, "own/x")
    shuffled_rows = [shuffled[index] for index in range(len(shuffled))]
    assert [row["question"] for row in shuffled_rows] == [row["question"] for row in rows], "questions stay"
    pairs = Counter((row["answer"], row["rationale"]) for row in shuffled_rows)
    assert pairs == Counter((row["answer"], row["rationale"]) for row in rows), (
        "the same answers as often, each with its rationale"
    )
    assert (
        sum(new["rationale"] == old["rationale"] for new, old in zip(shuffled_rows, rows, strict=True)) <= 5
    ), "one of them stays on average"


def test_an_answer_stays_one_of_its_options() -> None:
    task = microflan_tasks()["microflan/person_colour-mc"]
    shuffled = ShuffledAnswers(task.rows, task.name)
    for index in range(100):
        assert shuffled[index]["answer"] in shuffled[index]["options"]
        assert shuffled[index]["question"] == task.rows[index]["question"]


def test_other_tasks_have_another_order() -> None:
    rows = [{"question": "q", "answer": str(n)} for n in range(50)]
    orders = [
        [ShuffledAnswers(rows, name)[index]["answer"] for index in range(50)]
        for name in ("own/x", "own/y", "own/x")
    ]
    assert orders[0] == orders[2] != orders[1]


def test_a_recipe_shuffles_one_submixture_alone() -> None:
    tasks = {
        "microflan": {"tasks": ["microflan/person_colour-qa"]},
        "microflan_text": {"tasks": ["microflan_text/attributes"]},
    }
    plain = open_tasks(Mixture.model_validate({"submixtures": tasks}))
    tasks["microflan"]["targets"] = "shuffled"  # type: ignore[assignment]
    shuffled = open_tasks(Mixture.model_validate({"submixtures": tasks}))

    def rows(found: dict, name: str) -> list:  # type: ignore[type-arg]
        return [found[name].rows[index] for index in range(len(found[name].rows))]

    name = "microflan/person_colour-qa"
    assert rows(plain, name) != rows(shuffled, name)
    assert Counter(row["answer"] for row in rows(plain, name)) == Counter(
        row["answer"] for row in rows(shuffled, name)
    )
    assert rows(plain, "microflan_text/attributes")[:50] == rows(shuffled, "microflan_text/attributes")[:50]
