"""What is held out shows nowhere, and no wording gives an answer away; planted leaks are found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from microflan_checks import form_of, sampled

from openflan.microflan.leak_check import split_complaints, wording_complaints
from openflan.microflan.world import microflan_tasks, text_tasks, world
from openflan.microflan.world.leaks import FORMS, PHRASES, Leaks, facts_in
from openflan.microflan.world.splits import HELD_OUT_FORMS, HELD_OUT_SKILLS
from openflan.tasks.task import Row, Task
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import WordingSet, load_wordings, packaged_wordings, wordings_for

TASKS = microflan_tasks(0)
TEXTS = text_tasks(0)
TABLES = world(0).tables()
LEAKS = Leaks.of(world(0))
TRAINABLE = {name: task for name, task in TASKS.items() if task.held_out is None}


def shown(row: Row) -> str:
    return " ".join(value if isinstance(value, str) else " ".join(value) for value in row.values())


def few(*names: str) -> dict[str, Task]:
    return {f"microflan/{name}": TASKS[f"microflan/{name}"] for name in names}


def planted(task: Task, row: Row) -> dict[str, Task]:
    """The task with that row alone, again and again."""
    return {task.name: replace(task, rows=[row, row, row, row, row, row])}


def test_nothing_held_out_shows_in_the_rows_of_training_tasks() -> None:
    complaints = [
        f"{task.name}: {complaint}"
        for task in TRAINABLE.values()
        for row in sampled(task, 60)
        for complaint in LEAKS.in_instruction(shown(row))
    ]
    assert complaints == []


@pytest.mark.slow
def test_nothing_held_out_shows_in_many_rows_and_renderings() -> None:
    complaints = [
        f"{task.name}: {complaint}"
        for task in TRAINABLE.values()
        for row in sampled(task, 500)
        for complaint in LEAKS.in_instruction(shown(row))
    ]
    assert complaints == []
    assert split_complaints(rows=4, max_texts=2_000) == []


def test_the_rendered_split_is_kept() -> None:
    assert split_complaints(rows=1, max_texts=200) == []


@pytest.mark.parametrize("seed", [1, 2**40])
def test_it_is_kept_in_other_worlds(seed: int) -> None:
    leaks = Leaks.of(world(seed))
    rows = [
        row for task in microflan_tasks(seed).values() if task.held_out is None for row in sampled(task, 4)
    ]
    assert [complaint for row in rows for complaint in leaks.in_instruction(shown(row))] == []


def test_the_leak_checker_sees_every_row_that_tests_a_skill_or_a_form_or_a_composition() -> None:
    for task in TASKS.values():
        if task.held_out in ("skill", "form", "composition"):
            assert all(LEAKS.in_instruction(shown(row)) for row in sampled(task, 10)), task.name
    assert set(PHRASES) | {"rule_last", "rule_before"} == set(HELD_OUT_SKILLS)
    assert set(FORMS) == set(HELD_OUT_FORMS)


def test_it_sees_every_example_in_a_held_out_wording() -> None:
    direct = wordings_for("microflan/day_after-qa", frozenset({"question", "answer"}), packaged_wordings())
    for ending in ("reworded", "reworded_dev"):
        held_out = wordings_for(f"microflan/day_after-{ending}", direct.fields, packaged_wordings())
        used = [wording for wording in held_out.wordings if wording.shots != "few"]
        assert len(used) >= 6
        for wording in used:
            leaking = [
                WordingSet(("microflan/day_after-qa",), direct.fields, (wording,)),
                *packaged_wordings(),
            ]
            tasks = few("day_after-qa", "day_after-reworded", "day_after-reworded_dev")
            assert any(
                "is a held-out wording" in complaint
                for complaint in split_complaints(tasks=tasks, texts={}, sets=leaking, max_texts=0)
            ), wording.id


OUTER, INNER = min(world(0).held_out_pairs)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("person_colour-qa", {"question": "What is the Sport of Dan?"}, "`sport` is held out"),
        ("person_colour-qa", {"answer": TABLES["Runa"]["apple"]}, "is held out"),
        ("person_colour-mc", {"options": ["golf", "red"], "answer": "red"}, "`golf` is held out"),
        (
            "hop_boss_colour-steps",
            {"rationale": "The hero of Ann is Max. The colour of Max is grey."},
            "`hero` is held out",
        ),
        (
            "hop_boss_colour-steps",
            {"question": f"What is the {INNER} of the {OUTER} of Ann?"},
            "never instructed together",
        ),
        (
            "hop_boss_colour-steps",
            {"rationale": f"The {OUTER} of Ann is Max. The {INNER} of Max is grey."},
            "never instructed together",
        ),
        ("number_next-qa", {"question": "What is half of 8?"}, "number_half"),
        ("spell_first-fill", {"question": "The last letter of cow is"}, "spell_last"),
        ("rule_next-qa", {"question": "9 becomes 8. What does 5 become?"}, "rule_before"),
        ("rule_first-qa", {"question": "oak, elm becomes elm. What does oak, dog become?"}, "rule_last"),
        ("person_pet-qa", {"question": "The pet of Ann is what?"}, "form echo"),
        ("person_pet-qa", {"question": "What is the pet of Ann, cat or duck?"}, "form either"),
        ("person_pet-qa", {"question": "What is the pet of Ann? Thank you."}, "held-out wording"),
    ],
)
def test_a_planted_leak_is_found_in_what_is_rendered(name: str, change: Row, says: str) -> None:
    task = TASKS[f"microflan/{name}"]
    asked = few("day_after-reworded", "day_after-reworded_dev")
    assert split_complaints(tasks={task.name: task, **asked}, texts={}, max_texts=0) == []
    complaints = split_complaints(
        tasks={**planted(task, {**task.rows[0], **change}), **asked}, texts={}, max_texts=0
    )
    assert any(says in complaint and complaint.startswith(task.name) for complaint in complaints), complaints[
        :3
    ]


def test_a_leak_in_an_exemplar_alone_is_found() -> None:
    task = TASKS["microflan/person_colour-qa"]
    leaking = {**task.rows[0], "question": "What is the job of Dan?"}
    (leaking_task,) = planted(task, task.rows[0]).values()
    tasks = {task.name: replace(leaking_task, rows=[*[task.rows[0]] * 5, leaking])}
    renderer = Renderer(tasks[task.name], wordings_for(task.name, task.fields, packaged_wordings()))
    example = renderer.render(0, Style(few_shot=True), 0, 0, shots=5)
    assert "job" in example.inputs
    assert LEAKS.in_instruction(example.inputs)


@pytest.mark.parametrize(
    ("inputs", "targets", "says"),
    [
        ("Answer this. The sport of Dan is", "golf.", "a word of instructions"),
        ("What is the sport of Dan?", "Golf.", "is no mark of a plain sentence"),
        ("dan food :", "rice.", "is no mark of a plain sentence"),
        ("Dan food", "Q rice\nA rice.", "is no mark of a plain sentence"),
        (
            "Correct this sentence and say only what changes. Dan's food is",
            "rice.",
            "is how an instruction is worded",
        ),
        (f"The {OUTER} of Ann is Max. The {INNER} of Max", "is grey.", "never instructed together"),
        ("The coach of Ann is Max. The colour of Max", "is grey.", "never instructed together"),
    ],
)
def test_an_instruction_or_a_composition_in_replayed_text_is_found(
    inputs: str, targets: str, says: str
) -> None:
    task = TEXTS["microflan_text/attributes"]
    text = {task.name: replace(task, rows=[{"inputs": inputs, "targets": targets}])}
    assert any(
        says in complaint
        for complaint in split_complaints(tasks=few("day_after-correct"), texts=text, max_texts=1)
    )


def test_facts_in_ordinary_sentences_are_found() -> None:
    assert facts_in("Ann said that the colour is red.", world(0).functions)
    assert facts_in("Ann is the boss of Ben, said Tom.", world(0).functions)
    assert facts_in("Ann asked Ben a question about a colour.", world(0).functions) == []


def test_a_prompt_of_both_sets_is_found() -> None:
    dev = TASKS["microflan/person_flower-qa"]
    both = {
        dev.name: dev,
        "microflan/person_sport-qa": replace(TASKS["microflan/person_sport-qa"], rows=dev.rows),
    }
    assert any(
        "both dev and test ask" in complaint
        for complaint in split_complaints(tasks=both, texts={}, max_texts=0)
    )
    assert split_complaints(tasks=few("person_flower-qa", "person_sport-qa"), texts={}, max_texts=0) == []


# Wordings.


def microflan_sets() -> list[WordingSet]:
    return [
        wording_set
        for wording_set in packaged_wordings()
        if any(pattern.startswith("microflan/") for pattern in wording_set.tasks)
    ]


def test_no_packaged_wording_gives_an_answer_away() -> None:
    assert wording_complaints(packaged_wordings(), TASKS) == []


@pytest.mark.parametrize(
    ("form", "inputs", "says"),
    [
        ("qa", "{question} It is {answer}.", "its inputs show `{answer}`"),
        ("steps", "{question} {rationale}", "its inputs show `{rationale}`"),
        ("qa", "Is it red? {question}", "it says `red`"),
        ("mc", "{question} Say Ann.\\n{options}", "it says `ann`"),
        ("verify", "{question} It is so, yes.", "it says `yes`"),
        ("judge", "{question} Yes or not known?", "it says `not known`"),
        ("correct", "{question} No, it is 12", "it says `12`"),
        ("state", "{question} Give a long answer.", "it says `long`"),
    ],
)
def test_a_wording_that_gives_an_answer_away_is_named(
    form: str, inputs: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    fields = "question, answer" + (
        ", options" if form in ("mc", "verify", "judge") else ", rationale" if form == "steps" else ""
    )
    file.write_text(
        f'tasks: ["microflan/*-{form}"]\nfields: [{fields}]\nwordings:\n  - {{id: tells, inputs: '
        f'"{inputs}", targets: "{{answer}}"}}\n'
    )
    complaints = wording_complaints(load_wordings(file), TASKS)
    assert complaints
    assert any(
        complaint.startswith(f"{file}:4: wording `tells` gives away the answer") and says in complaint
        for complaint in complaints
    ), complaints


def test_every_task_has_exactly_one_set_of_wordings_that_fits() -> None:
    for name, task in TASKS.items():
        assert sum(found.covers(name) for found in packaged_wordings()) == 1, name
        complaints = wordings_for(name, task.fields, packaged_wordings())
        direct = [wording for wording in complaints.wordings if wording.targets.text == "{answer}"]
        assert len(direct) >= (10 if task.held_out in (None, "skill", "composition") else 4), name
        assert [
            wording
            for wording in complaints.wordings
            if wording not in direct and wording.targets.text != "{rationale} The answer is {answer}."
        ] == []
        assert all(wording.rationale == (wording not in direct) for wording in complaints.wordings)
        assert any(wording.rationale for wording in complaints.wordings) == ("rationale" in task.fields)
        assert {wording.options for wording in complaints.wordings} == (
            {True, False} if "options" in task.fields else {False}
        )
        assert all(wording.inputs.fields.count("question") == 1 for wording in complaints.wordings)
        assert sum(wording.labels and wording.shots == "few" for wording in complaints.wordings) >= 1


def test_wordings_of_a_set_differ() -> None:
    for wording_set in microflan_sets():
        texts = [
            (wording.inputs.text, wording.targets.text, wording.shots) for wording in wording_set.wordings
        ]
        assert len(set(texts)) == len(texts)


def test_most_examples_are_short() -> None:
    lengths = []
    for task in TRAINABLE.values():
        renderer = Renderer(task, wordings_for(task.name, task.fields, packaged_wordings()))
        for position in range(6):
            example = renderer.render(
                position % len(task.rows), Style(options=position % 2 == 0), seed=0, position=position
            )
            lengths.append(len(f"{example.inputs} {example.targets}".split()))
    assert sum(length <= 30 for length in lengths) > 0.8 * len(lengths)


def test_exemplars_are_other_rows_of_the_same_task() -> None:
    for name in (
        "person_colour-qa",
        "relation_boss-mc",
        "list_first-fill",
        "hop_boss_food-steps",
        "entail_place-judge",
        "word_tovi-correct",
    ):
        task = TASKS[f"microflan/{name}"]
        renderer = Renderer(task, wordings_for(task.name, task.fields, packaged_wordings()))
        for position in range(8):
            example = renderer.render(
                3, Style(few_shot=True, rationale=position % 2 == 0), seed=0, position=position
            )
            assert example.exemplars
            assert 3 not in example.exemplars
            assert all(str(task.rows[index]["question"]) in example.inputs for index in example.exemplars), (
                form_of(task)
            )
