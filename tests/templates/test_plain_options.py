"""`plain_options: true`: lists that never wear drawn markers, as ReCoRD's in the public release."""

from __future__ import annotations

from pathlib import Path

import pytest

from openflan.errors import InputError
from openflan.tasks.task import Task
from openflan.templates.dump import dump_wordings
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import load_wordings, packaged_wordings, wordings_for

TEXT = """\
tasks: ["mine/*"]
fields: [question, options, answer]
wordings:
  - {id: plain, plain_options: true, inputs: "{question}\\n{options}", targets: "{answer}"}
  - {id: drawn, inputs: "{question}?\\n{options}", targets: "{answer}"}
"""
QUIZ = Task(
    "mine/quiz",
    [{"question": "Q", "options": ["ice", "fog"], "answer": "fog"}] * 4,
    frozenset({"question", "options", "answer"}),
    "quiz",
    "testing",
)


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plain_list_is_a_dash_list_whose_answer_is_its_text(tmp_path: Path) -> None:
    renderer = Renderer(QUIZ, wordings_for("mine/quiz", QUIZ.fields, load_wordings(written(tmp_path, TEXT))))
    example = [renderer.render(0, Style(), 0, position) for position in range(80)]
    plain = {(one.inputs, one.targets) for one in example if one.wording == "plain"}
    assert plain == {("Q\nOptions:\n- ice\n- fog", "fog")}
    assert len({one.targets for one in example if one.wording == "drawn"}) > 5, "other lists are drawn"


def test_the_mark_is_kept_in_a_file_and_must_be_true_or_false(tmp_path: Path) -> None:
    (wording_set,) = load_wordings(written(tmp_path, TEXT))
    (again,) = load_wordings(written(tmp_path, dump_wordings(wording_set)))
    assert [one.plain_options for one in again.wordings] == [True, False]
    with pytest.raises(InputError, match="`plain_options: yes please` must be true or false"):
        load_wordings(written(tmp_path, TEXT.replace("plain_options: true", "plain_options: yes please")))


def test_record_never_asks_for_a_marker() -> None:
    fields = frozenset({"passage", "query", "options", "answer"})
    rows = [
        {
            "passage": "P",
            "query": "...",
            "options": [f"{name} sang." for name in "ABCDEFG"[: 2 + row]],
            "answer": "B sang.",
        }
        for row in range(5)
    ]
    renderer = Renderer(
        Task("muffin/record", rows, fields, "record", "testing"),
        wordings_for("muffin/record", fields, packaged_wordings()),
    )
    for position in range(100):
        example = renderer.render(position % 5, Style(), 0, position)
        assert example.targets == "B sang."
        assert "\n- B sang." in f"\n{example.inputs}"
