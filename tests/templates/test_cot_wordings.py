"""The wordings of the nine chain-of-thought datasets, and what a wordings file may not contain.

The checks on wordings return complaints, so that each of them can be shown to fail on a wording made wrong on
purpose.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.templates.wording import (
    Pattern,
    Wording,
    WordingSet,
    load_wordings,
    packaged_wordings,
    wordings_for,
)

DATASETS = ("aqua", "creak", "ecqa", "esnli", "gsm8k", "qasc", "qed", "sensemaking", "strategyqa")
FIELDS = frozenset({"question", "answer", "rationale"})
CLOSING = re.compile(r"answer is|answer:", re.IGNORECASE)
SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))

noise = st.text(st.characters(codec="utf-8", exclude_characters="⟦⟧"), max_size=30) | st.sampled_from(
    ["{answer}", "{", "}}", "{0}", "%s", "\\1", "Q:", "A:"]
)

rationales = st.text(max_size=60) | st.sampled_from(["The answer is 7.", "Answer: no", "so the ANSWER IS"])
answers = st.text(min_size=1, max_size=20).filter(
    lambda text: text == text.strip().removesuffix(".") and not CLOSING.search(text)
)


def wordings_of(dataset: str) -> WordingSet:
    """The direct ones."""
    wordings = wordings_for(f"cot/{dataset}", FIELDS, packaged_wordings())
    return replace(wordings, wordings=tuple(one for one in wordings.wordings if not one.inverted))


def answer_first(wording: Wording) -> bool:
    return wording.rationale and wording.targets.fields.index("answer") < wording.targets.fields.index(
        "rationale"
    )


def closing_answer(targets: str) -> str:
    """What an evaluator reads: the text after the last closing phrase, without one final period."""
    return CLOSING.split(targets)[-1].strip().removesuffix(".")


def field_complaints(wording: Wording, around: tuple[str, str]) -> list[str]:
    """Where a field stands that should not, or does not stand that should; `around` is put on both sides of
    each field's mark."""
    values = {name: f"{around[0]}⟦{name}⟧{around[1]}" for name in FIELDS}
    expected_counts = {
        "inputs": Counter(question=1),
        "targets": Counter(answer=1, rationale=int(wording.rationale)),
    }
    complaints = []
    for side, pattern in (("inputs", wording.inputs), ("targets", wording.targets)):
        text = pattern.fill(values)
        for name, value in values.items():
            if text.count(f"⟦{name}⟧") != expected_counts[side][name]:
                complaints.append(f"{wording.id}: {name} in {side} {text.count(f'⟦{name}⟧')} times")
            elif expected_counts[side][name] and value not in text:
                complaints.append(f"{wording.id}: {name} altered in {side}")
    return complaints


def text_complaints(wording: Wording) -> list[str]:
    """What is wrong with the two patterns as texts."""
    complaints = []
    for text in (wording.inputs.text, wording.targets.text):
        if "\\n" in text:
            complaints.append(f"{wording.id}: an escaped newline is left in {text!r}")
        if text != text.strip() or any(line != line.rstrip() for line in text.split("\n")):
            complaints.append(f"{wording.id}: outer blanks in {text!r}")
    return complaints


def wording(
    inputs: str = "{question}",
    targets: str = "{rationale} The answer is {answer}.",
    *,
    rationale: bool = True,
) -> Wording:
    return Wording("made-up", Pattern.parse(inputs), Pattern.parse(targets), rationale=rationale)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_dataset_has_enough_wordings_of_every_kind(dataset: str) -> None:
    kinds = Counter((one.rationale, one.labels) for one in wordings_of(dataset).wordings)
    assert kinds[True, False] >= 10
    assert kinds[False, False] >= 6
    assert kinds[True, True] >= 2
    assert kinds[False, True] >= 1


@pytest.mark.parametrize("dataset", DATASETS)
def test_no_wording_is_repeated(dataset: str) -> None:
    wordings = wordings_of(dataset).wordings
    assert [one.id for one in wordings if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one.id)] == []
    assert [name for name, count in Counter(one.id for one in wordings).items() if count > 1] == []
    assert [
        text
        for text, count in Counter((one.inputs.text, one.targets.text) for one in wordings).items()
        if count > 1
    ] == []


@pytest.mark.parametrize("dataset", DATASETS)
def test_patterns_hold_no_escaped_newline_and_no_outer_blank(dataset: str) -> None:
    assert [complaint for one in wordings_of(dataset).wordings for complaint in text_complaints(one)] == []


@settings(deadline=None)  # the first example loads the files
@given(around=st.tuples(noise, noise))
def test_each_field_stands_where_it_belongs_whatever_it_holds(around: tuple[str, str]) -> None:
    assert [
        complaint
        for dataset in DATASETS
        for wording in wordings_of(dataset).wordings
        for complaint in field_complaints(wording, around)
    ] == []


@pytest.mark.parametrize("dataset", DATASETS)
def test_direct_targets_are_the_answer_alone(dataset: str) -> None:
    assert {one.targets.text for one in wordings_of(dataset).wordings if not one.rationale} == {"{answer}"}


@pytest.mark.parametrize("dataset", DATASETS)
def test_bare_wordings_are_few_shot_and_bring_no_label_of_their_own(dataset: str) -> None:
    for wording in wordings_of(dataset).wordings:
        if wording.labels:
            assert wording.shots == "few"
            assert wording.inputs.text.startswith("{question}")
            assert ":" not in wording.inputs.text
            assert len(wording.inputs.text) <= len("{question}") + 40


@pytest.mark.parametrize("dataset", DATASETS)
def test_only_ids_that_say_so_put_the_answer_first(dataset: str) -> None:
    wordings = [one for one in wordings_of(dataset).wordings if one.rationale]
    assert {one.id for one in wordings if answer_first(one)} == {
        wording.id for wording in wordings if wording.id.startswith("answer-first-")
    }
    assert sum(answer_first(one) for one in wordings) <= 2
    for wording in wordings:
        if answer_first(wording):
            assert wording.targets.text.startswith("{answer}")
            assert not CLOSING.search(wording.targets.text), (
                "a closing phrase would make the explanation look like the answer"
            )


@settings(deadline=None)  # the first example loads the files
@given(rationale=rationales, answer=answers)
def test_the_answer_is_what_follows_the_last_closing_phrase(rationale: str, answer: str) -> None:
    for dataset in DATASETS:
        for wording in wordings_of(dataset).wordings:
            if wording.rationale and not answer_first(wording):
                targets = wording.targets.fill({"rationale": rationale, "answer": answer})
                assert closing_answer(targets) == answer, wording.id


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_answer_of_real_rows_is_what_follows_the_last_closing_phrase(dataset: str) -> None:
    path = SHARED / "data" / "cot" / f"{dataset}_train.tsv"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    rows = [
        line.replace("\\n", "\n").split("\t")
        for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    ]
    wordings = [one for one in wordings_of(dataset).wordings if one.rationale and not answer_first(one)]
    for question, answer, rationale in rows[:: max(1, len(rows) // 300)]:
        for wording in wordings:
            targets = wording.targets.fill({"question": question, "answer": answer, "rationale": rationale})
            assert closing_answer(targets) == answer, wording.id


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (wording("{question} {answer}"), "answer in inputs 1 times"),
        (wording("{question} {rationale}"), "rationale in inputs 1 times"),
        (wording("Think."), "question in inputs 0 times"),
        (wording("{question} {question}"), "question in inputs 2 times"),
        (wording(targets="{rationale}"), "answer in targets 0 times"),
        (wording(targets="{answer}"), "rationale in targets 0 times"),
        (wording(rationale=False), "rationale in targets 1 times"),
        (wording(targets="{question} {rationale} The answer is {answer}"), "question in targets 1 times"),
    ],
)
def test_the_field_check_notices(bad: Wording, complaint: str) -> None:
    assert field_complaints(bad, ("", "")) == [f"made-up: {complaint}"]


@pytest.mark.parametrize(
    "inputs", ["{question}\\nThink.", "{question} ", "{question}\n", "{question} \nThink.", " {question}"]
)
def test_the_text_check_notices(inputs: str) -> None:
    assert len(text_complaints(wording(inputs))) == 1


@pytest.mark.parametrize(
    "targets",
    [
        "{rationale} The answer is {answer}!",
        "{rationale} It is {answer}.",
        "The answer is {answer}. {rationale}",
    ],
)
def test_the_closing_check_notices(targets: str) -> None:
    assert (
        closing_answer(wording(targets=targets).targets.fill({"answer": "72", "rationale": "48 + 24 = 72."}))
        != "72"
    )


GOOD = """\
tasks: [cot/quiz]
fields: [question, answer]
wordings:
  - id: plain
    inputs: "{question}"
    targets: "{answer}"
  - id: polite
    inputs: "Please: {question}"
    targets: "{answer}"
"""


def load_text(text: str | bytes, folder: Path) -> list[WordingSet]:
    path = folder / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_wordings(path)


def test_a_small_file_loads(tmp_path: Path) -> None:
    (wording_set,) = load_text(GOOD, tmp_path)
    assert wording_set.tasks == ("cot/quiz",)
    assert [
        (wording.id, wording.inputs.text, wording.shots, wording.rationale, wording.labels)
        for wording in wording_set.wordings
    ] == [
        ("plain", "{question}", "any", False, False),
        ("polite", "Please: {question}", "any", False, False),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "Please: {question}",
            "Please: {questoin}",
            (
                "mine.yaml:7: wording `polite` names `{questoin}`; did you mean `question`? The fields are "
                "answer, question"
            ),
        ),
        (
            "Please: {question}",
            "Please: {premise}",
            "mine.yaml:7: wording `polite` names `{premise}`. The fields are answer, question",
        ),
        ("Please: {question}", "Please: {question", "mine.yaml:7: wording `polite`: "),
        ("Please: {question}", "Please: {}", "mine.yaml:7: wording `polite`: `{}` is not a plain {field}"),
        (
            "id: polite\n    inputs",
            "id: polite\n    input",
            "mine.yaml:7: `input` is not a key of a wording; did you mean `inputs`?",
        ),
        (
            "fields: ",
            "feilds: ",
            "mine.yaml:1: `feilds` is not a key of a wordings file; did you mean `fields`?",
        ),
        ("id: polite", "id: plain", "mine.yaml:7: wording `plain` stands twice"),
        ("id: polite", "id: polite\n    id: kind", "mine.yaml:8: `wordings.id` stands twice; keep one"),
        ("tasks: [cot/quiz]", "tasks: [cot/quiz]\ntasks: []", "mine.yaml:2: `tasks` stands twice; keep one"),
        (
            "id: polite",
            "id: polite\n    shots: one",
            "mine.yaml:7: `shots: one` is none of any, zero, few, inside",
        ),
        (
            "id: polite",
            "id: polite\n    inverted: 1",
            "mine.yaml:7: `inverted: 1` must be true or false, without quotes",
        ),
        (
            'Please: {question}"',
            'Please: {question} {answer}"\n    inverted: true',
            "mine.yaml:7: wording `polite` is inverted, but its inputs show `{answer}`",
        ),
        (
            "id: polite",
            "id: polite\n    on_top: true",
            "mine.yaml:7: wording `polite` is `on_top`, so its inputs must be an instruction, a blank line",
        ),
        (
            '"Please: {question}"',
            '"Please\\n\\nthink"\n    on_top: true',
            "mine.yaml:7: wording `polite` is `on_top`, so its inputs must be",
        ),
        (
            '"Please: {question}"',
            '"Do it.\\n\\n{question}"\n    on_top: true\n    shots: zero',
            "mine.yaml:7: wording `polite` is `on_top`, so its inputs",
        ),
        (
            "id: polite",
            "id: polite\n    requires: answer",
            "mine.yaml:7: `requires:` must be a list of names",
        ),
        (
            "id: polite",
            "id: polite\n    requires: [anwser]",
            "mine.yaml:7: wording `polite` names `{anwser}`; did you mean `answer`?",
        ),
        (
            "id: polite",
            "id: polite\n    rationale: 'no'",
            "mine.yaml:7: `rationale: no` must be true or false, without quotes",
        ),
        (
            "id: polite",
            "id: polite\n    labels: !mine x",
            "mine.yaml:8: not valid YAML: could not determine a constructor for the tag '!mine'",
        ),
        ("id: polite", "id: polite\n    ? [a]\n    : b", "mine.yaml:8: not valid YAML: "),
        (
            "id: polite",
            "id: polite\n    labels: 2020-13-45",
            "mine.yaml:8: not valid YAML: `2020-13-45` is no timestamp (month must be in 1..12)",
        ),
        ("id: polite", "id: ''", "mine.yaml:7: a wording needs `id`"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(InputError) as caught:
        load_text(GOOD.replace(old, new), tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}{os.sep}{message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; expected `tasks:`, `fields:` and `wordings:`"),
        (b"# only a comment\n", "empty; expected `tasks:`, `fields:` and `wordings:`"),
        (b"tasks: [caf\xe9/x]\n", "mine.yaml:1: not UTF-8 (byte 11: 0xe9)"),
        (b"tasks: [cot/x\n", "not valid YAML"),
        (b"- a\n- b\n", "expected a mapping"),
        (b"tasks: [cot/x]\nfields: [a]\nwordings: []\n", "`wordings:` must list at least one wording"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        load_text(content, tmp_path)
    assert "mine.yaml" in str(caught.value)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such wordings file"):
        load_wordings(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        load_wordings(tmp_path)
