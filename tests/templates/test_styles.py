"""Frames of few-shot examples: the instruction with each exemplar, once on top, or nowhere; exemplars inside
a wording; inverted examples.

What a record says is checked by making the text again from it, without the renderer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.tasks.task import Row, Task
from openflan.templates.formats import Formats
from openflan.templates.render import Rendered, Renderer, TokenBudget
from openflan.templates.style import ALL_STYLES, Style
from openflan.templates.wording import WordingSet, load_wordings, packaged_wordings, wordings_for

EACH, NONE, TOP = (Style(few_shot=True, instruction=where) for where in ("each", "none", "top"))
ONE_FORMAT = Formats(
    labels=(("Q: ", "A: "),),
    between=("\n",),
    separators=("\n##\n",),
    headers=("Options:",),
    markers=(("({}) ", "upper"),),
    endings=("",),
)

WORDINGS = """\
tasks: ["test/*"]
fields: [question, answer, rationale, hint, definition, positive_input, positive_output]
wordings:
  - {id: after, inputs: "{question} Add.", targets: "{answer}"}
  - {id: before, on_top: true, labels: true, inputs: "Add.\\n\\n{question}", targets: "{answer}"}
  - {id: bare, shots: few, labels: true, inputs: "{question}", targets: "{answer}"}
  - {id: chain, rationale: true, inputs: "{question} Why?", targets: "{rationale} So {answer}."}
  - {id: turned, inverted: true, inputs: "Sum {answer}, as {rationale} Asked?", targets: "{question}"}
  - {id: turned-top, inverted: true, on_top: true, inputs: "Write the sum.\\n\\n{answer}",
     targets: "{question} {rationale}"}
"""

DEFINED = """\
tasks: ["test/*"]
fields: [question, answer, definition, positive_input, positive_output]
wordings:
  - {id: zero, shots: zero, inputs: "{definition}\\n{question}", targets: "{answer}"}
  - {id: few, shots: few, on_top: true, labels: true, inputs: "Do this: {definition}\\n\\n{question}",
     targets: "{answer}"}
  - id: inside
    shots: inside
    requires: [positive_input]
    inputs: "{definition} {positive_input} -> {positive_output}; {question} ->"
    targets: "{answer}"
"""


def sets(text: str, folder: Path) -> list[WordingSet]:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return load_wordings(path)


def task(rows: Sequence[Row]) -> Task:
    return Task("test/sums", rows, frozenset(rows[0]), "sums", "testing")


SUMS = task(
    [{"question": f"{row}+1?", "answer": f"={row + 1}", "rationale": f"since{row}."} for row in range(9)]
)
DEFINED_ROWS = [
    {
        "definition": f"Add one ({row}).",
        "question": f"{row}",
        "answer": f"={row + 1}",
        "positive_input": "50",
        "positive_output": "=51",
    }
    for row in range(9)
]


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    return Renderer(
        SUMS,
        wordings_for("test/sums", SUMS.fields, sets(WORDINGS, tmp_path_factory.mktemp("sums"))),
        ONE_FORMAT,
    )


@pytest.fixture(scope="module")
def defined(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    rows = task(DEFINED_ROWS)
    return Renderer(
        rows,
        wordings_for("test/sums", rows.fields, sets(DEFINED, tmp_path_factory.mktemp("defined"))),
        ONE_FORMAT,
    )


# Golden texts


def test_golden_instruction_once_on_top(sums: Renderer) -> None:
    example = sums.render(0, TOP, 0, 0, shots=2)
    first, second = example.exemplars
    assert (
        example.inputs
        == f"Add.\n\nQ: {first}+1?\nA: ={first + 1}\n##\nQ: {second}+1?\nA: ={second + 1}\n##\nQ: 0+1?\nA:"
    )
    assert (example.targets, example.wording, example.style.name) == (
        "=1",
        "before",
        "few-shot-instruction-on-top",
    )


def test_golden_exemplars_only(sums: Renderer) -> None:
    example = sums.render(3, NONE, 0, 0, shots=1)
    (first,) = example.exemplars
    assert example.inputs == f"Q: {first}+1?\nA: ={first + 1}\n##\nQ: 3+1?\nA:"
    assert (example.targets, example.wording, example.style.name) == ("=4", "bare", "few-shot-exemplars-only")


def test_golden_instruction_with_each(sums: Renderer) -> None:
    texts = {
        example.wording: example
        for position in range(40)
        for example in [sums.render(3, EACH, 0, position, shots=1)]
    }
    assert set(texts) == {"after", "before"}, "a wording without instruction is for exemplars only"
    first = texts["before"].exemplars[0]
    assert texts["before"].inputs == f"Add.\n\nQ: {first}+1?\nA: ={first + 1}\n##\nAdd.\n\nQ: 3+1?\nA:", (
        "labels are put on the item"
    )
    assert texts["before"].style.name == "few-shot"


def test_golden_exemplar_inside_the_wording(defined: Renderer) -> None:
    texts = {
        example.wording: example
        for position in range(60)
        for example in [defined.render(3, TOP, 0, position)]
    }
    assert set(texts) == {"few", "inside"}
    inside = texts["inside"]
    assert (inside.inputs, inside.targets) == ("Add one (3). 50 -> =51; 3 ->", "=4")
    assert (inside.style.name, inside.exemplars, inside.pruned, inside.frame) == (
        "few-shot-instruction-on-top",
        (),
        0,
        None,
    )
    assert texts["few"].inputs.startswith("Do this: Add one (3).\n\nQ: "), (
        "the item's own instruction is the one on top"
    )
    assert texts["few"].inputs.count("Do this") == 1


def test_golden_inverted(sums: Renderer) -> None:
    zero = {
        example.wording: example
        for position in range(40)
        for example in [sums.render(3, Style(rationale=True, inverted=True), 0, position)]
    }
    assert {name: (example.inputs, example.targets) for name, example in zero.items()} == {
        "turned": ("Sum =4, as since3. Asked?", "3+1?"),
        "turned-top": ("Write the sum.\n\n=4", "3+1? since3."),
    }
    assert {(example.style.name, example.answer == example.targets) for example in zero.values()} == {
        ("zero-shot-cot-inverted", True)
    }
    few = sums.render(3, Style(True, True, inverted=True, instruction="top"), 0, 0, shots=1)
    (first,) = few.exemplars
    assert few.inputs == f"Write the sum.\n\n={first + 1}\n{first}+1? since{first}.\n##\n=4\n"
    assert few.style.name == "few-shot-cot-inverted-instruction-on-top"


# Which wording is taken


def test_a_run_without_chains_of_thought_meets_none_in_inverted_examples(sums: Renderer) -> None:
    for position in range(60):
        for few_shot in (False, True):
            example = sums.render(position % 9, Style(few_shot, rationale=False, inverted=True), 0, position)
            assert "since" not in example.inputs + example.targets
            assert (example.style.inverted, example.style.rationale) == (False, False)


def test_a_form_that_no_wording_has_gives_way_to_the_nearest(sums: Renderer, defined: Renderer) -> None:
    for position in range(30):
        assert sums.render(0, Style(True, True, instruction="top"), 0, position).style.name == "few-shot-cot"
        assert (
            sums.render(0, Style(True, True, inverted=True, instruction="none"), 0, position).style.name
            == "few-shot-cot-inverted"
        )
        assert defined.render(0, NONE, 0, position).style.name == "few-shot"
        assert defined.render(0, replace(EACH, inverted=True), 0, position).style.name == "few-shot"


def test_a_number_of_exemplars_that_is_asked_for_is_kept(defined: Renderer) -> None:
    """A wording with its own exemplar would show one."""
    for position in range(60):
        assert len(defined.render(0, TOP, 0, position, shots=4).exemplars) == 4


def test_wordings_that_require_what_rows_lack_are_skipped(tmp_path: Path) -> None:
    fields = frozenset({"question", "answer", "definition"})
    wordings = wordings_for("test/sums", fields, sets(DEFINED, tmp_path))
    assert [one.id for one in wordings.wordings] == ["zero", "few"]
    with pytest.raises(
        InputError,
        match=r"mine\.yaml:7: wording `inside` names `\{positive_output\}`, which the rows of test/sums lack",
    ):
        wordings_for("test/sums", fields | {"positive_input"}, sets(DEFINED, tmp_path))
    alone = "\n".join(
        line
        for line in DEFINED.replace(",\n     targets", ", targets").splitlines()
        if "id: zero" not in line and "id: few" not in line
    )
    with pytest.raises(InputError, match="all wordings for test/sums hold an exemplar"):
        wordings_for("test/sums", frozenset(DEFINED_ROWS[0]), sets(alone, tmp_path))


def test_direct_and_inverted_wordings_may_come_from_different_sets(tmp_path: Path) -> None:
    """A user's file replaces what it brings, and leaves the packaged rest."""
    cot = frozenset({"question", "answer", "rationale"})
    direct = (
        'tasks: ["cot/*"]\nfields: [question, answer]\nwordings:\n  - {id: mine, inputs: "{question}", '
        'targets: "{answer}"}\n'
    )
    wordings = wordings_for("cot/gsm8k", cot, [*sets(direct, tmp_path), *packaged_wordings()])
    assert [one.id for one in wordings.wordings if not one.inverted] == ["mine"]
    assert len([one for one in wordings.wordings if one.inverted]) == 10
    turned = (
        direct.replace("{id: mine,", "{id: mine, inverted: true,")
        .replace('"{question}"', '"X"')
        .replace('"{answer}"', '"{question}"')
        .replace('"X"', '"{answer}"')
    )
    wordings = wordings_for("cot/gsm8k", cot, [*sets(turned, tmp_path), *packaged_wordings()])
    assert [one.id for one in wordings.wordings if one.inverted] == ["mine"]
    assert len([one for one in wordings.wordings if not one.inverted]) == 19


def test_rows_that_are_already_worded_need_no_packaged_wordings(tmp_path: Path) -> None:
    worded = frozenset({"inputs", "targets"})
    for name in ("niv2/task001_x", "cot/gsm8k", "own/x"):
        assert [one.id for one in wordings_for(name, worded, packaged_wordings()).wordings] == ["ready-made"]
    mine = 'tasks: ["own/*"]\nfields: [input]\nwordings:\n  - {id: typo, inputs: "{input}", targets: "x"}\n'
    with pytest.raises(InputError, match=r"wording `typo` names `\{input\}`, which the rows of own/x lack"):
        wordings_for("own/x", worded, [*sets(mine, tmp_path), *packaged_wordings()])


# Pruning


def test_what_does_not_fit_becomes_zero_shot_whatever_its_frame(sums: Renderer, defined: Renderer) -> None:
    for style in (TOP, NONE, EACH):
        for position in range(20):
            example = sums.render(0, style, 0, position, token_budget=TokenBudget(3, len))
            assert example.pruned in (2, 3, 5)
            assert replace(example, pruned=0) == sums.render(0, Style(), 0, position)
    seen = Counter(
        defined.render(0, TOP, 0, position, token_budget=TokenBudget(3, len)).pruned for position in range(60)
    )
    assert set(seen) == {1, 2, 3, 5}, "1: the exemplar inside a wording"


def test_the_instruction_on_top_counts(sums: Renderer) -> None:
    unpruned = sums.render(0, TOP, 0, 0, shots=3)
    assert sums.render(0, TOP, 0, 0, shots=3, token_budget=TokenBudget(len(unpruned.inputs), len)) == unpruned
    assert (
        sums.render(0, TOP, 0, 0, shots=3, token_budget=TokenBudget(len(unpruned.inputs) - 1, len)).pruned
        == 1
    )


def test_an_example_is_never_the_exemplar_inside_its_own_wording(tmp_path: Path) -> None:
    rows = task([dict(row, positive_input="4", positive_output="=5") for row in DEFINED_ROWS])
    renderer = Renderer(rows, wordings_for("test/sums", rows.fields, sets(DEFINED, tmp_path)), ONE_FORMAT)
    wordings = Counter(renderer.render(4, TOP, 0, position).wording for position in range(60))
    assert set(wordings) == {"few", "zero"}
    assert "inside" in {renderer.render(3, TOP, 0, position).wording for position in range(60)}


# The record


def remade(record: dict[str, Any], task: Task, wording_set: WordingSet) -> str:
    """The inputs of a few-shot example, from its record, its wording and the rows alone."""
    style = Style.parse(record["style"])
    wording = next(
        element
        for element in wording_set.wordings
        if element.id == record["wording"] and element.inverted == style.inverted
    )
    if not record["exemplars"]:
        return fill(wording.inputs.text, task.rows[record["row"]])
    instruction, item = (
        wording.inputs.text.split("\n\n", 1) if wording.instruction else ("", wording.inputs.text)
    )
    top = instruction + "\n\n" if style.instruction == "top" else ""
    each = instruction + "\n\n" if instruction and not top else ""
    before, after = record["labels"]
    parts = [
        fill(each, task.rows[row])
        + before
        + fill(item, task.rows[row])
        + record["between"]
        + after
        + fill(wording.targets.text, task.rows[row])
        for row in record["exemplars"]
    ]
    last = task.rows[record["row"]]
    final = fill(each, last) + before + fill(item, last) + record["between"] + after
    return fill(top, last) + record["separator"].join([*parts, final.rstrip(" ")])


def fill(text: str, row: Row) -> str:
    """Enough of a template language for rows without braces."""
    for name, value in row.items():
        text = text.replace("{" + name + "}", str(value))
    return text


@settings(deadline=None, max_examples=300)
@given(
    style=st.sampled_from(ALL_STYLES),
    name=st.sampled_from(["cot/gsm8k", "cot/sensemaking", "niv2/task001_x"]),
    position=st.integers(0, 10**6),
)
def test_an_example_can_be_made_again_from_its_record(style: Style, name: str, position: int) -> None:
    fields = (
        frozenset(DEFINED_ROWS[0]) | {"positive_explanation"}
        if name.startswith("niv2")
        else frozenset({"question", "answer", "rationale"})
    )
    rows = Task(
        name,
        [{field: f"{field} of {row}" for field in sorted(fields)} for row in range(9)],
        fields,
        "marks",
        "testing",
    )
    wordings = wordings_for(name, fields, packaged_wordings())
    renderer = Renderer(rows, wordings)
    example = renderer.render(position % 9, style, 1, position)
    record = json.loads(json.dumps(example.provenance()))
    assert remade(record, rows, wordings) == example.inputs
    assert example == Renderer(rows, wordings).render(position % 9, style, 1, position), (
        "rendering is a function of its arguments"
    )
    assert example == renderer.render(position % 9, style, 1, position)
    if not style.few_shot:
        assert not example.exemplars


# The packaged natural-instructions wordings


NIV2 = frozenset(
    {
        "definition",
        "question",
        "answer",
        "references",
        "positive_input",
        "positive_output",
        "positive_explanation",
    }
)


def niv2(fields: frozenset[str]) -> Renderer:
    rows = [
        {name: f"{name} {row}" for name in sorted(fields - {"references"})}
        | {"references": [f"answer {row}"]}
        for row in range(20)
    ]
    return Renderer(
        Task("niv2/task001_x", rows, fields, "x", "y"),
        wordings_for("niv2/task001_x", fields, packaged_wordings()),
    )


def examples(renderer: Renderer, style: Style, count: int = 400) -> list[Rendered]:
    return [renderer.render(position % 20, style, 0, position) for position in range(count)]


def test_natural_instructions_zero_shot_has_ten_wordings() -> None:
    counts = Counter(example.wording for example in examples(niv2(NIV2), Style()))
    assert len(counts) == 10


def test_natural_instructions_few_shot_is_half_drawn_exemplars_and_half_the_explained_one() -> None:
    rendered = examples(niv2(NIV2), TOP)
    inside = [example for example in rendered if not example.exemplars]
    assert abs(len(inside) - 200) < 60
    assert (
        len({example.wording for example in inside})
        == len({example.wording for example in rendered if example.exemplars})
        == 10
    )
    assert {example.style.name for example in rendered} == {"few-shot-instruction-on-top"}
    for example in rendered:
        definitions = example.inputs.count("definition ")
        assert definitions == example.inputs.count(f"definition {example.row}") == 1, "once, above"
        assert (f"positive_explanation {example.row}" in example.inputs) == (not example.exemplars)
        assert example.targets == f"answer {example.row}"


def test_natural_instructions_without_examples_of_their_authors_do_without() -> None:
    bare = niv2(frozenset({"definition", "question", "answer", "references"}))
    assert all(example.exemplars and "positive" not in example.inputs for example in examples(bare, TOP))
    only = examples(bare, NONE)
    assert {example.style.name for example in only} == {"few-shot-exemplars-only"}
    assert not any("definition" in example.inputs for example in only)
