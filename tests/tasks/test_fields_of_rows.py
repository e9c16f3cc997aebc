"""The fields of a file are those of all its rows: their order decides nothing, and a row without a field is
only not shown with it."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import Pattern, Wording, WordingSet, load_wordings, wordings_for

CASES = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared")) / "cases/first_row"
Rows = Sequence[Mapping[str, Any]]

COT = Style(rationale=True)
FEW_COT = Style(few_shot=True, rationale=True)


def wording(name: str, inputs: str, targets: str, rationale: bool = False) -> Wording:
    return Wording(name, Pattern.parse(inputs), Pattern.parse(targets), rationale=rationale)


SETS = [
    WordingSet(
        ("mine/*",),
        frozenset({"question", "answer", "rationale", "options"}),
        (
            wording("plain", "{question}", "{answer}"),
            Wording(
                "listed",
                Pattern.parse("{question}\n{options}"),
                Pattern.parse("{answer}"),
                requires=frozenset({"options"}),
            ),
            Wording(
                "aloud",
                Pattern.parse("{question} Why?"),
                Pattern.parse("{rationale} So {answer}."),
                rationale=True,
                requires=frozenset({"rationale"}),
            ),
        ),
    )
]


def write(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=3)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
    return path


def only(data: Path) -> Task:
    (task,) = open_submixture("mine", data).values()
    return task


def wordings_of(task: Task, style: Style, sets: Sequence[WordingSet] = SETS) -> dict[str, str]:
    """The wording of each row, by its question."""
    renderer = Renderer(task, wordings_for(task.name, task.fields, sets))
    return {
        str(task.rows[index]["question"]): renderer.render(index, style, 0, index).wording
        for index in range(len(task.rows))
    }


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not at hand (OPENFLAN_SHARED)")
@pytest.mark.parametrize("name", ["first", "last"])
def test_nineteen_of_twenty_rows_show_their_rationale_wherever_the_other_stands(name: str) -> None:
    (task,) = open_submixture("own", CASES / f"{name}.jsonl").values()
    shown = wordings_of(task, COT, load_wordings(CASES / "wordings.yaml"))
    assert {question for question, worded in shown.items() if worded == "plain"} == {"Is 0 even?"}
    assert sorted(shown.values()) == ["aloud"] * 19 + ["plain"]
    assert task.fields == {"question", "answer", "rationale"}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".arrow"])
def test_options_and_rationales_are_used_in_any_order_of_the_rows(tmp_path: Path, suffix: str) -> None:
    rows = [{"question": f"{number}?", "answer": "yes"} for number in range(4)]
    rows += [
        {"question": f"listed {number}?", "answer": "no", "options": ["yes", "no"]} for number in range(4)
    ]  # type: ignore[dict-item]
    rows += [{"question": f"aloud {number}?", "answer": "no", "rationale": "so"} for number in range(4)]
    seen = []
    for seed in range(4):
        random.Random(seed).shuffle(rows)
        task = only(write(tmp_path / f"quiz{suffix}", rows))
        seen.append((task.fields, wordings_of(task, COT), wordings_of(task, Style())))
    assert all(one == seen[0] for one in seen)
    fields, aloud, direct = seen[0]
    assert fields == {"question", "answer", "options", "rationale"}
    assert {question.split()[0] for question, worded in aloud.items() if worded == "aloud"} == {"aloud"}
    assert {question.split()[0] for question, worded in direct.items() if worded == "listed"} == {"listed"}


def test_exemplars_have_what_their_wording_shows(tmp_path: Path) -> None:
    rows = [
        {
            "question": f"{item_index}?",
            "answer": "a",
            **({"rationale": f"because {item_index}"} if item_index % 3 == 0 else {}),
        }
        for item_index in range(60)
    ]
    task = only(write(tmp_path / "quiz.jsonl", rows))
    renderer = Renderer(task, wordings_for(task.name, task.fields, SETS))
    for index in range(0, 60, 3):
        example = renderer.render(index, FEW_COT, 0, index)
        assert example.wording == "aloud"
        assert len(example.exemplars) in (2, 3, 5)
        assert index not in example.exemplars
        assert all(number % 3 == 0 for number in example.exemplars)
    plain = renderer.render(1, FEW_COT, 0, 1)
    assert plain.wording == "plain"
    assert not all(
        item_index % 3 == 0
        for position in range(20)
        for item_index in renderer.render(1, FEW_COT, 0, position).exemplars
    )


def test_the_only_row_with_a_rationale_is_shown_without_exemplars(tmp_path: Path) -> None:
    rows: Rows = [{"question": f"{number}?", "answer": "a"} for number in range(20)]
    task = only(
        write(tmp_path / "quiz.jsonl", [*rows, {"question": "x?", "answer": "b", "rationale": "why"}])
    )
    example = Renderer(task, wordings_for(task.name, task.fields, SETS)).render(20, FEW_COT, 0, 0)
    assert (example.wording, example.exemplars, example.inputs) == ("aloud", (), "x? Why?")


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".arrow"])
def test_a_row_that_no_wording_can_show_is_named_before_training(tmp_path: Path, suffix: str) -> None:
    rows = [{"question": "a?", "answer": "b"}, {"answer": "c"}]
    path = write(tmp_path / f"quiz{suffix}", rows)
    task = only(path)
    with pytest.raises(InputError) as caught:
        Renderer(task, wordings_for(task.name, task.fields, SETS))
    assert str(caught.value).startswith(
        f"{path}:2: lacks `question`" if suffix == ".jsonl" else f"{path}, row 1: lacks `question`"
    )


def test_shards_need_not_have_the_same_columns_in_the_same_order(tmp_path: Path) -> None:
    for order in (("a", "b"), ("b", "a")):
        folder = tmp_path / "".join(order) / "quiz"
        write(folder / f"{order[0]}.parquet", [{"question": "one?", "answer": "1"}])
        write(folder / f"{order[1]}.parquet", [{"rationale": "so", "answer": "2", "question": "two?"}])
        task = only(folder)
        assert {str(task.rows[index]["question"]): task.rows[index]["answer"] for index in range(2)} == {
            "one?": "1",
            "two?": "2",
        }
        assert wordings_of(task, COT) == {"one?": "plain", "two?": "aloud"}


def typed(values: list[Any], dtype: Any) -> Any:
    return pa.array(values, dtype)


TEXTS = [["yes", "no"], ["no", "maybe"]]
OPTIONS = {
    "fixed size": lambda: typed(TEXTS, pa.list_(pa.string(), 2)),
    "large": lambda: typed(TEXTS, pa.large_list(pa.large_string())),
    "plain": lambda: typed(TEXTS, pa.list_(pa.string())),
    "view": lambda: typed(TEXTS, pa.list_view(pa.string())),
    "labelled": lambda: pa.array([{"label": ["A", "B"], "text": texts} for texts in TEXTS]),
    "lettered": lambda: pa.array([{"A": first, "B": second} for first, second in TEXTS]),
}


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_options_of_any_list_type_are_read(tmp_path: Path, kind: str, suffix: str) -> None:
    if (kind, suffix) == ("view", ".parquet"):
        pytest.skip("Parquet has no list views")
    table = pa.table({"question": ["a?", "b?"], "answer": ["no", "no"], "options": OPTIONS[kind]()})
    path = tmp_path / f"quiz{suffix}"
    if suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    task = only(path)
    assert [list(task.rows[index]["options"]) for index in range(2)] == TEXTS
    assert "listed" in wordings_of(task, Style()).values()


@pytest.mark.parametrize("options", [{"label": ["A"]}, {"A": 1}, [{"text": "yes"}], "yes, no", {"text": []}])
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_options_that_are_no_texts_are_refused_and_not_dropped(
    tmp_path: Path, options: Any, suffix: str
) -> None:
    path = write(tmp_path / f"quiz{suffix}", [{"question": "a?", "answer": "yes", "options": options}])
    with pytest.raises(InputError, match="`options` must be a list of texts"):
        only(path)


@pytest.mark.parametrize("moved", [0, 1, 5])
def test_what_a_file_is_does_not_depend_on_its_first_row(tmp_path: Path, moved: int) -> None:
    """A row of a public collection without its name is left out and counted, a conversation without messages
    is refused, wherever they stand."""
    instructions = [
        {"task_name": "t1", "definition": "d", "inputs": str(index), "targets": "x"} for index in range(5)
    ]
    instructions.insert(moved, {"inputs": "stranger", "targets": "x"})
    (task,) = open_submixture("mine", write(tmp_path / "rows.jsonl", instructions)).values()
    assert (len(task.rows), sum(task.left_out.values())) == (5, 1)
    chats: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
        for _ in range(5)
    ]
    chats.insert(moved, {"note": "stranger"})
    with pytest.raises(InputError, match=rf"chats.jsonl:{moved + 1}: `messages` must be a list"):
        open_submixture("mine", write(tmp_path / "chats.jsonl", chats))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"question": st.text("abc", min_size=1), "answer": st.sampled_from(["yes", "no"])},
            optional={
                "rationale": st.just("so"),
                "options": st.just(["yes", "no"]),
                "weight": st.integers(0, 9),
                "score": st.sampled_from([0.5, 2.0]),
            },
        ),
        min_size=1,
        max_size=12,
    ),
    seed=st.integers(0, 99),
    suffix=st.sampled_from([".jsonl", ".parquet", ".arrow"]),
)
def test_any_order_of_any_rows_gives_the_same_task(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], seed: int, suffix: str
) -> None:
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    folder = tmp_path_factory.getbasetemp()
    task, other = (
        only(write(folder / f"x{suffix}", rows)),
        only(write(folder / f"y{suffix}", [rows[number] for number in order])),
    )
    assert task.fields == other.fields == frozenset(name for row in rows for name in row)
    assert (
        {name for name, _ in task.lacking}
        == {name for name, _ in other.lacking}
        == {name for name in task.fields if any(name not in row for row in rows)}
    )
    assert [other.rows[index] for index in range(len(rows))] == [task.rows[number] for number in order]
