"""Whatever stands in a benchmark's file or in generations, the answer is values or one line with the file and
the row."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.evaluation.custom_benchmark import custom_benchmark
from openflan.evaluation.generations import read_generations
from openflan.evaluation.task_benchmark import task_benchmark
from openflan.tasks.task import Task

OWN = 'name: own\ndata: own.jsonl\nprompt: "Q: {question}\\nA:"\ntarget: answer\n'
HOSTILE = [
    "[" * 100_000,
    '{"task": ' + "7" * 5_000 + "}",
    '{"task": "\\ud800"}',
    '{"answer": NaN, "question": "?"}',
    '{"answer": {}, "question": "?"}',
    "7",
    "{",
]
GENERATION = {"task": "t", "index": 0, "generation": "x", "target": "y"}


@pytest.mark.parametrize("line", HOSTILE)
def test_a_hostile_line_is_named_by_file_and_row(line: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN)
    path = tmp_path / "own.jsonl"
    path.write_text('{"question": "?", "answer": 3.0}\n' + line + "\n")
    with pytest.raises(InputError, match=r"own\.jsonl:2") as raised:
        custom_benchmark(tmp_path / "own.yaml")
    assert "\n" not in str(raised.value)
    path.write_text(json.dumps(GENERATION) + "\n" + line + "\n")
    with pytest.raises(InputError, match=r"own\.jsonl:2"):
        list(read_generations(path))


@given(
    st.sampled_from([*GENERATION, "mode", "benchmark", "prompt_version", "sample", "exemplars", "cluster"]),
    st.sampled_from([None, [], {}, [[1]], float("nan"), 1e400, "", 10**4000]),
)
def test_a_generation_of_any_types_is_read_or_named(key: str, value: object) -> None:
    try:
        (_, read_generation), *_ = read_generations([json.dumps({**GENERATION, key: value})])
    except InputError as error:
        assert str(error).startswith("line 1")  # noqa: PT017
    else:
        assert isinstance(read_generation.target, str | tuple)
        assert (
            hash((read_generation.mode, read_generation.benchmark, read_generation.prompt_version))
            is not None
        )


def test_whole_floats_are_shown_as_whole_numbers(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN)
    (tmp_path / "own.jsonl").write_text(
        '{"question": 2.0, "answer": 3.0}\n{"question": 0.1, "answer": 0.1}\n'
    )
    first, second = custom_benchmark(tmp_path / "own.yaml").examples("own")
    assert (first.prompt, first.target, second.target) == ("Q: 2\nA:", "3", "0.1")


@pytest.mark.parametrize("rows", [1, 2, 3, 8])
def test_no_exemplar_asks_what_the_question_asks(rows: int) -> None:
    fields = [
        {"inputs": "the same" if index % 2 else f"question {index}", "targets": f"answer {index}"}
        for index in range(rows)
    ]
    task = Task("own/t", fields, frozenset({"inputs", "targets"}), "own", "mine")
    for example in task_benchmark({"own/t": task}, shots=5).examples("own/t"):
        asked = fields[example.index]["inputs"]
        assert example.prompt.count(asked) == 1
        assert example.exemplars <= min(5, rows - 1)
        assert rows < 3 or example.exemplars >= 1
