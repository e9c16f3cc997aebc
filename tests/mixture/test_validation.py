"""Rows held back for validation: never trained on, in whatever place of an example."""

from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.mixture.stream import Entry, Stream
from openflan.mixture.validation import MOST, hold_back
from openflan.tasks.task import Task
from openflan.templates.render import Renderer
from openflan.templates.style import StyleShares
from openflan.templates.wording import READY_MADE


def tasks(sizes: list[int]) -> dict[str, Task]:
    """Tasks of so many rows, each of which says what it is."""
    made = {}
    for index, size in enumerate(sizes):
        name = f"own/task{index}"
        rows = [{"inputs": f"[{index}-{row}]", "targets": f"<{index}-{row}>"} for row in range(size)]
        made[name] = Task(name, rows, frozenset({"inputs", "targets"}), dataset=name, category="test")
    return made


def stream(tasks_by_name: dict[str, Task], seed: int) -> Stream:
    return Stream(
        {
            name: Entry(task, Renderer(task, READY_MADE), 1 / len(tasks_by_name), StyleShares(few_shot=0.5))
            for name, task in tasks_by_name.items()
        },
        seed,
    )


def targets(tasks_by_name: dict[str, Task]) -> set[str]:
    return {
        str(task.rows[row]["targets"]) for task in tasks_by_name.values() for row in range(len(task.rows))
    }


SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=4).filter(lambda sizes: max(sizes) >= 10)


@given(sizes=SIZES, rows=st.integers(1, 8), seed=st.integers(0, 5))
@settings(max_examples=8, deadline=None)
def test_a_held_back_row_is_in_no_training_example(sizes: list[int], rows: int, seed: int) -> None:
    all_tasks = tasks(sizes)
    training, validation = hold_back(all_tasks, rows)
    held = targets(validation)
    assert targets(training) | held == targets(all_tasks)
    assert targets(training).isdisjoint(held)
    assert {name: len(task.rows) for name, task in validation.items()} == {
        f"own/task{index}": min(rows, int(size * MOST)) for index, size in enumerate(sizes) if size >= 10
    }
    shown = stream(training, seed)
    # As an item or an exemplar: both are in the text.
    texts = [f"{shown[position].inputs}\n{shown[position].targets}" for position in range(60)]
    assert not any(row in text for row in held for text in texts)
    # Negative control: so the texts do name their rows, exemplars included.
    assert all(any(row in text for row in targets(training)) for text in texts)


def test_validation_examples_are_made_of_held_back_rows_only() -> None:
    training, validation = hold_back(tasks([60, 80, 5]), 6)
    shown = stream(validation, 0)
    texts = [f"{shown[position].inputs}\n{shown[position].targets}" for position in range(60)]
    assert not any(row in text for row in targets(training) for text in texts)
    assert all(any(row in text for row in targets(validation)) for text in texts)


def test_the_same_rows_are_held_back_every_time() -> None:
    first, again = (hold_back(tasks([50, 40]), 3)[1] for _ in range(2))
    assert targets(first) == targets(again)
    assert len(targets(first)) == 6
