"""The template files of a FLAN checkout: read without being run, turned into wordings, written where a recipe
finds them.

The checkout is project-made: the public layout, texts of our own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flan_release import OF_2021, RELEASE, import_checkout, write_checkout

from openflan.errors import InputError
from openflan.templates.flan_files import STORES, read_template_file
from openflan.templates.formats import Frame
from openflan.templates.import_flan import HEAD, import_flan


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return write_checkout(tmp_path / "FLAN", RELEASE, OF_2021)


def test_every_literal_template_becomes_a_wording(checkout: Path) -> None:
    done, wordings = import_checkout(checkout)
    wordings_by_id = {
        name: (wording.inputs.text, wording.targets.text, wording.shots, wording.rationale, wording.inverted)
        for name, wording in wordings.items()
    }
    assert wordings_by_id == {
        "flan-rte-zero-0": (
            'Note: {premise}\n\nMay one say "{hypothesis}"?\n\n{options}',
            "{answer}",
            "zero",
            False,
            False,
        ),
        "flan-rte-zero-1": (
            "Make up a note and a claim.",
            "N: {premise}\n\nC: {hypothesis}",
            "zero",
            False,
            True,
        ),
        "flan2021-rte-zero-0-hidden": ("{premise} => {hypothesis}?", "{answer}", "zero", False, False),
        "flan-rte-few-0": ("{premise} / {hypothesis} ({options})", "{answer}", "few", False, False),
        "flan-rte-few-0-hidden": ("{premise} / {hypothesis}", "{answer}", "few", False, False),
        "flan-rte-few-1": ("{premise}; {hypothesis}", "{answer}", "few", False, False),
        "flan-anli-zero-0": ("{premise} So: {hypothesis}? {options}", "{answer}", "zero", False, False),
        "flan-anli-zero-0-hidden": ("{premise} So: {hypothesis}?", "{answer}", "zero", False, False),
        "flan-aeslc-zero-0": ("Letter: {document}\nName it:", "{answer}", "zero", False, False),
        "flan-aeslc-zero-1": ("{document}\nThis letter is about", "{answer}", "zero", False, False),
        "flan-aeslc-zero-2": ("Write the letter called {answer}.", "{document}", "zero", False, True),
        "flan2021-aeslc-zero-0": ("{document} -- title", "{answer}", "zero", False, False),
        "flan-cot-gsm8k-zero-0": (
            "{question} Sums first:",
            "{rationale}\nHence {answer}.",
            "zero",
            True,
            False,
        ),
        "flan-cot-input-inversion-gsm8k-zero-0": (
            "Sums: {rationale} Hence {answer}. What was asked?",
            "{question}",
            "zero",
            True,
            True,
        ),
        "flan-cot-input-inversion-gsm8k-zero-1": (
            "{question} Why {answer}?",
            "{rationale}",
            "zero",
            True,
            True,
        ),
        "flan-stream-aqua-zero-0": ("{question} Mutter:", "{rationale} So {answer}", "zero", True, False),
        "flan-wiki-dialog-zero-0": ("{context} Then?", "{answer}", "zero", False, False),
        "flan-t0-question-answer-zero-0": ("Q {question}\nA", "{answer}", "zero", False, False),
        "flan-t0-multiple-choice-separated-options-zero-0": (
            "Q {question} | {options}\nA",
            "{answer}",
            "zero",
            False,
            False,
        ),
        "flan-t0-multiple-choice-separated-options-zero-0-hidden": (
            "Q {question}\nA",
            "{answer}",
            "zero",
            False,
            False,
        ),
        "flan-t0-multiple-choice-zero-0": ("Q {question}\nA", "{answer}", "zero", False, False),
        "flan-natinst-v2-zero-0": ("{definition}\n\nNow {question}", "{answer}", "zero", False, False),
        "flan-natinst-v2-few-0": ("DO: {definition}\n--\n\n{question}", "{answer}", "few", False, False),
        "flan-natinst-v2-inside-0": (
            "{definition}\n{positive_input} gives {positive_output}: "
            "{positive_explanation}\n\n{question} gives",
            "{answer}",
            "inside",
            False,
            False,
        ),
    }
    assert sum(done.kinds.values()) == len(wordings_by_id)
    assert wordings["flan-rte-few-0"].frame == Frame(("Case: ", "Verdict: "), "\n~~\n", "\n\n\n")
    assert wordings["flan-rte-few-1"].frame == Frame(("", ""), "\n\n", "\n\n\n"), "the layout's own defaults"
    top = wordings["flan-natinst-v2-few-0"]
    assert top.instruction is not None
    assert top.item is not None
    assert (top.instruction.text, top.item.text, top.frame) == (
        "DO: {definition}\n--",
        "{question}",
        Frame(("In: ", "Out: "), "\n", "\n\n"),
    )
    assert wordings["flan-natinst-v2-inside-0"].requires == {
        "positive_input",
        "positive_output",
        "positive_explanation",
    }


def test_keys_become_the_tasks_that_the_release_gives_them_to(checkout: Path) -> None:
    done, _ = import_checkout(checkout)
    of_t0 = {name.removeprefix("t0_sf/"): tasks for name, tasks in done.files.items() if "t0_" in name}
    assert {name: len(tasks) for name, tasks in of_t0.items()} == {
        "t0_question_answer": 104,
        "t0_multiple_choice": 70,
        "t0_multiple_choice_separated_options": 19,
    }
    assert len({task for tasks in of_t0.values() for task in tasks}) == 193, "each of T0-SF's tasks once"
    assert "t0_sf/race_high_Taking_a_test" in of_t0["t0_multiple_choice"]
    assert "t0_sf/duorc_SelfRC_answer_question" in of_t0["t0_question_answer"]
    assert "t0_sf/sciq_Direct_Question" in of_t0["t0_multiple_choice_separated_options"]
    assert {name: tasks for name, tasks in done.files.items() if "t0_" not in name} == {
        "muffin/rte": ("muffin/rte",),
        "muffin/anli": ("muffin/anli_r1", "muffin/anli_r2", "muffin/anli_r3"),
        "muffin/aeslc": ("muffin/aeslc",),
        "cot/gsm8k": ("cot/gsm8k",),
        "cot/aqua": ("cot/aqua",),
        "muffin/wiki_dialog": ("muffin/wiki_dialog",),
        "niv2/all": ("niv2/*",),
    }


def test_what_is_computed_or_unused_is_reported_with_its_line(checkout: Path) -> None:
    done, _ = import_checkout(checkout)
    lines = RELEASE.split("\n")
    reported = {
        (lines[int(item.place.rpartition(":")[2]) - 1].strip(), item.entry, item.reason)
        for item in done.skipped
    }
    assert {entry for _, entry, _ in reported} == {
        "PATTERNS_NO_OPTIONS",
        "FEWSHOT_PATTERNS_NO_OPTIONS",
        "PATTERNS['cot_stream_general_input_inversion']",
        "PATTERNS['predict_next_turn_dialog']",
        "PATTERNS['bigbench:sums']",
    }
    assert (
        "PATTERNS_NO_OPTIONS.update(flan_templates.PATTERNS)",
        "PATTERNS_NO_OPTIONS",
        "changed by code, which is not run",
    ) in reported
    assert (
        "for t_name, templates in PATTERNS_NO_OPTIONS.items():",
        "PATTERNS_NO_OPTIONS",
        "changed by code, which is not run",
    ) in reported


HARM = [
    "PATTERNS = {'x': [('{question}', '{answer}')], 'rte': EVIL}",
    "PATTERNS = {'x': [('{question}', '{answer}'), ('{question}', EVIL)]}",
    "PATTERNS = {'x': [('{question}', '{answer}'), (f'{{question}} {EVIL}', '{answer}')]}",
    "PATTERNS = {'x': [('{question}', '{answer}')], EVIL: []}",
    "PATTERNS = {'x': [('{question}', '{answer}')], **{'rte': [EVIL]}}",
    "PATTERNS = {'x': [('{question}', '{answer}')]}\nPATTERNS['rte'] = [(EVIL, 'y') for _ in 'z']",
    "PATTERNS = {'x': [('{question}', '{answer}')]}\nPATTERNS[EVIL] = 0",
    "PATTERNS = {'x': [('{question}', '{answer}')]}\nEVIL",
    "PATTERNS = {'x': [('{question}', '{answer}')]}\nclass FewShotPattern:\n  z = EVIL",
    (
        "PATTERNS = {'x': [('{question}', '{answer}')]}\nFewShotPattern = dict\nFEWSHOT_PATTERNS = {'x': "
        "[FewShotPattern(inputs='{question}', targets=EVIL)]}"
    ),
    (
        "PATTERNS = {'x': [('{question}', '{answer}')]}\nFewShotPattern = dict\nFEWSHOT_PATTERNS = {'x': "
        "[FewShotPattern(**{'inputs': EVIL})]}"
    ),
]


@pytest.mark.parametrize("source", HARM)
def test_nothing_in_a_file_is_ever_run(source: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    evil = f"""__import__("os").system("touch {mark}")"""
    checkout = write_checkout(tmp_path / "FLAN", source.replace("EVIL", evil))
    _, wordings = import_checkout(checkout)
    assert not mark.exists()
    assert list(wordings) == ["flan-x-zero-0"]
    subprocess.run([sys.executable, checkout / "flan/v2/templates.py"], capture_output=True, check=False)
    assert mark.exists(), "the trap itself must work"


WRONG: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: path.unlink(), r"FLAN/flan/v2/templates.py: no such file; name the root of a checkout"),
    (
        lambda path: path.write_text("PATTERNS = {"),
        r"templates.py:1: not valid Python \('{' was never closed\); check the file out again",
    ),
    (lambda path: path.write_bytes(b"PATTERNS = {}\0"), r"templates.py.*: not (readable as|valid) Python"),
    (lambda path: path.write_bytes(b"\xff"), r"templates.py: not UTF-8 \(byte 0\)"),
    (
        lambda path: path.write_text("TEMPLATES = {}"),
        rf"templates.py: no dictionary of templates; expected one of {', '.join(STORES)}",
    ),
    (
        lambda path: path.write_text("PATTERNS = " + "[" * 20_000 + "]" * 20_000),
        r"templates.py.*: not (readable as|valid) Python",
    ),
]


@pytest.mark.parametrize(("spoil", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_file_that_is_missing_or_damaged_is_named(
    spoil: Callable[[Path], object], message: str, checkout: Path
) -> None:
    spoil(checkout / "flan/v2/templates.py")
    with pytest.raises(InputError, match=message):
        import_flan(checkout, checkout / "out")
    assert not (checkout / "out").exists()


def test_the_second_file_is_needed_too(checkout: Path) -> None:
    (checkout / "flan/v2/flan_templates_branched.py").unlink()
    with pytest.raises(InputError, match="flan_templates_branched.py: no such file"):
        import_flan(checkout, checkout / "out")


def test_a_checkout_without_any_usable_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no template could be taken over; its targets name no field"):
        import_checkout(write_checkout(tmp_path / "FLAN", "PATTERNS = {'x': [('a', 'b')]}"))


def test_files_say_where_they_are_from_and_whose_they_are(checkout: Path) -> None:
    done, _ = import_checkout(checkout)
    head = (done.folder / "cot/gsm8k.yaml").read_text().split("\n")[:3]
    assert head[0] == HEAD
    assert "flan/v2/templates.py (sha256 " in head[1]
    assert "that repository's and stay under its licence" in head[2]


def test_a_second_import_replaces_the_first_and_leaves_foreign_files_alone(checkout: Path) -> None:
    first, _ = import_checkout(checkout)
    (checkout / "flan/v2/templates.py").write_text("PATTERNS = {'new': [('{question}', '{answer}')]}")
    (checkout / "flan/v2/flan_templates_branched.py").write_text("PATTERNS = {}")
    second, _ = import_checkout(checkout)
    assert [str(path.relative_to(second.folder)) for path in second.folder.rglob("*.*")] == [
        "muffin/new.yaml"
    ]
    assert first.folder == second.folder
    mine = second.folder / "mine.yaml"
    mine.write_text("tasks: [x/y]\n")
    with pytest.raises(InputError, match=r"mine.yaml: not an imported file"):
        import_flan(checkout, second.folder)
    assert mine.read_text() == "tasks: [x/y]\n"


def test_reading_alone_needs_no_checkout_around_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.py"
    path.write_text("PATTERNS: dict = {'x': (['{question}', '{answer}'],)}\nOTHER = undefined()\n")
    template_file = read_template_file(path)
    assert [one.texts for one in template_file.stores["PATTERNS"]["x"]] == [
        {"inputs": "{question}", "targets": "{answer}"}
    ]
    assert template_file.skipped == []
