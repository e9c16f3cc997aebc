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
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.templates.dump import dump_wordings
from openflan.templates.flan_files import STORES, read_template_file
from openflan.templates.formats import Frame
from openflan.templates.import_flan import HEAD, Imported, import_flan
from openflan.templates.pattern import Pattern
from openflan.templates.wording import Wording, WordingSet, load_wordings

RELEASE = r'''
"""Templates."""
import copy
import dataclasses

from flan.v2 import flan_templates_branched as flan_templates

PATTERNS = {
    "rte": [
        ("Note: {premise}\n\nMay one say"
         " \"{hypothesis}\"?\n\n{options_}", "{answer}"),
        ("Make up a note and a claim.", "N: {premise}\n\nC: {hypothesis}"),
    ],
    "anli": [("{context} So: {hypothesis}? {options_}", "{answer}")],
    "aeslc": [
        ("Letter: {body}\nName it:", "{subject}"),
        ("{body}\nThis letter is about", "{subject}"),
        ("Write the letter called {subject}.", "{body}"),
    ],
    "cot_gsm8k": [
        ("{question} Sums first:", "{chain_of_thought}\nHence {answer}."),
    ],
    "stream_aqua": [("{question} Mutter:", "{chain_of_thought} So {answer}")],
    # Shared by all.
    "cot_stream_general_input_inversion": [
        ("Sums: {chain_of_thought} Hence {answer}. What was asked?", "{question}"),
        ("{question} Why {answer}?", "{chain_of_thought}"),
    ],
    "predict_next_turn_dialog": [("{dialog_} Then?", "{answer}")],
    "t0_question_answer": [("Q {question}\nA", "{answer}")],
    "t0_multiple_choice_separated_options": [("Q {question} | {options_}\nA", "{answer}")],
    "bigbench:sums": [("{inputs} is", "{targets}")],
    "natinst_v2": [("{Definition}\n\nNow {input}", "{output}")],
}

PATTERNS["wiki_dialog"] = PATTERNS["predict_next_turn_dialog"]
PATTERNS["cot_input_inversion_gsm8k"] = PATTERNS[
    "cot_stream_general_input_inversion"]
PATTERNS["t0_multiple_choice"] = PATTERNS["t0_question_answer"]

PATTERNS_NO_OPTIONS = copy.deepcopy(PATTERNS)
PATTERNS_NO_OPTIONS.update(flan_templates.PATTERNS)
for t_name, templates in PATTERNS_NO_OPTIONS.items():
  raise RuntimeError("run")


@dataclasses.dataclass
class FewShotPattern:
  inputs: str
  targets: str


FEWSHOT_PATTERNS = {
    "rte": [
        FewShotPattern(
            inputs="{premise} / {hypothesis} ({options_})",
            targets="{answer}",
            inputs_prefix="Case: ",
            targets_prefix="Verdict: ",
            x_y_delimiter="\n~~\n",
            example_separator="\n\n\n"),
        FewShotPattern(inputs="{premise}; {hypothesis}", targets="{answer}", in_template_mix=False),
    ],
    "natinst_v2": [
        FewShotPattern(
            input_pattern="DO: {{Definition}}\n--\n{{inputs}}{final_suffix}",
            inputs="{input}",
            targets="{output}",
            inputs_prefix="In: ",
            targets_prefix="Out: ",
            x_y_delimiter="\n",
            example_separator="\n\n"),
    ],
}
FEWSHOT_PATTERNS_NO_OPTIONS = copy.deepcopy(FEWSHOT_PATTERNS)

INLINE_FS_PATTERNS = {
    "natinst_v2": [("{Definition}\n{ex_input} gives {ex_output}: {ex_explanation}\n\n{input} gives",
                    "{output}")],
}
OPT_START_STRING_CANDIDATES = ["", "OPTIONS:"]
OPT_ITEM_NAME_CANDIDATES = [["\n - " for _ in range(26)]]
'''

OF_2021 = r"""
PATTERNS = {
    "rte": [
        ("{premise} => {hypothesis}?\n\n{options_}", "{answer}"),
        ("Make up a note and a claim.", "N: {premise}\n\nC: {hypothesis}"),
    ],
    "aeslc": [("{body} -- title", "{subject}")],
}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return _checkout(tmp_path / "FLAN", RELEASE, OF_2021)


def _checkout(folder: Path, release: str, of_2021: str = "PATTERNS = {}", oldest: str = "") -> Path:
    (folder / "flan" / "v2").mkdir(parents=True, exist_ok=True)
    (folder / "flan/v2/templates.py").write_text(release, encoding="utf-8")
    (folder / "flan/v2/flan_templates_branched.py").write_text(of_2021, encoding="utf-8")
    if oldest:
        (folder / "flan/templates.py").write_text(oldest, encoding="utf-8")
    return folder


def _imported(checkout: Path) -> tuple[Imported, dict[str, Wording]]:
    """The report and all wordings by id, as they are read back from the files."""
    done = import_flan(checkout, checkout.parent / "out")
    return done, {
        one.id: one
        for name in done.files
        for found in load_wordings(done.folder / f"{name}.yaml")
        for one in found.wordings
    }


def _release(tmp_path: Path, patterns: str) -> tuple[Imported, dict[str, Wording]]:
    return _imported(_checkout(tmp_path / "FLAN", f"PATTERNS = {{{patterns}}}\n"))


def test_every_literal_template_becomes_a_wording(checkout: Path) -> None:
    done, wordings = _imported(checkout)
    found = {
        name: (one.inputs.text, one.targets.text, one.shots, one.rationale, one.inverted)
        for name, one in wordings.items()
    }
    assert found == {
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
        # Without its options this one would read `Q {question}\nA`, which stands already.
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
    assert sum(done.kinds.values()) == len(found)
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
    assert wordings["flan-t0-multiple-choice-separated-options-zero-0"].requires == {"options"}


def test_keys_become_the_tasks_that_the_release_gives_them_to(checkout: Path) -> None:
    done, _ = _imported(checkout)
    assert dict(done.files) == {
        "muffin/rte": ("muffin/rte",),
        "muffin/anli": ("muffin/anli_r1", "muffin/anli_r2", "muffin/anli_r3"),
        "muffin/aeslc": ("muffin/aeslc",),
        "cot/gsm8k": ("cot/gsm8k",),
        "cot/aqua": ("cot/aqua",),
        "muffin/wiki_dialog": ("muffin/wiki_dialog",),
        "t0_sf/all": ("t0_sf/*",),
        "niv2/all": ("niv2/*",),
    }


def test_what_is_computed_or_unused_is_reported_with_its_line(checkout: Path) -> None:
    done, _ = _imported(checkout)
    lines = RELEASE.split("\n")
    reported = {
        (lines[int(one.place.rpartition(":")[2]) - 1].strip(), one.entry, one.reason) for one in done.skipped
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
    checkout = _checkout(tmp_path / "FLAN", source.replace("EVIL", evil))
    _, wordings = _imported(checkout)
    assert not mark.exists()
    assert list(wordings) == ["flan-x-zero-0"]
    subprocess.run([sys.executable, checkout / "flan/v2/templates.py"], capture_output=True, check=False)
    assert mark.exists(), "the trap itself must work"


REFUSED = [
    ("('{question}', make('{answer}'))", "`targets`: `make('{answer}')` is not a literal, and is not run"),
    ("('{question} ' + x, '{answer}')", "`inputs`: `'{question} ' + x` is not a literal, and is not run"),
    ("make()", "`make()` is not a literal, and is not run"),
    ("('{question}', 7)", "`targets` is int, expected a text"),
    ("('{question}', '')", "no `targets`"),
    ("('{question}', '{answer}', 'z')", "3 parts; expected inputs and targets"),
    (
        "{'inputs': '{question}', 'targets': '{answer}', 'shout': 'x'}",
        "`shout` is not a known part of a template",
    ),
    (
        "FewShotPattern('{question}', '{answer}')",
        "`FewShotPattern('{question}', '{answer}')` is not a literal, and is not run",
    ),
    ("Other(inputs='{question}', targets='{answer}')", "is not a literal, and is not run"),
    ("('{question} } {', '{answer}')", "Single '}' encountered in format string"),
    (
        "('{question!r}', '{answer}')",
        "`{question}` is not a plain {field}; double the braces if they are meant literally",
    ),
    (
        "('{} {question}', '{answer}')",
        "`{}` is not a plain {field}; double the braces if they are meant literally",
    ),
    ("('{question}', 'fixed')", "its targets name no field"),
    ("('{question} {answer}', '{answer}')", "its targets only repeat what its inputs hold"),
    ("('{question}', '{answer} of {options_}')", "its targets list the options"),
    (
        "{'inputs': '{question}', 'targets': '{answer}', 'final_suffix': 'x'}",
        "text after the last exemplar has no place in a wording",
    ),
]


@pytest.mark.parametrize(("element", "reason"), REFUSED, ids=[element for element, _ in REFUSED])
def test_a_template_that_cannot_be_taken_over_is_reported_and_its_neighbours_stay(
    element: str, reason: str, tmp_path: Path
) -> None:
    done, wordings = _release(
        tmp_path,
        f"'x': [('1 {{question}}', '{{answer}}'),\n  {element},\n  ('3 {{question}}', '{{answer}}')]",
    )
    assert [one.inputs.text for one in wordings.values()] == ["1 {question}", "3 {question}"]
    assert list(wordings) == ["flan-x-zero-0", "flan-x-zero-2"], "numbers stay those of the file"
    (skipped,) = done.skipped
    assert skipped.place == f"{tmp_path / 'FLAN/flan/v2/templates.py'}:2"
    assert skipped.entry == "PATTERNS['x'][1]"
    assert reason in skipped.reason


def test_few_shot_templates_may_be_mappings_or_pairs_and_say_prefix_both_ways(tmp_path: Path) -> None:
    few = """FEWSHOT_PATTERNS = {'x': [
        {'inputs': '{question}', 'targets': '{answer}', 'input_prefix': 'I ', 'target_prefix': 'T ',
         'x_y_delimiter': '|', 'template_type': 'fs'},
        ('? {question}', '{answer}'),
    ]}"""
    _, wordings = _imported(_checkout(tmp_path / "FLAN", few))
    assert wordings["flan-x-few-0"].frame == Frame(("I ", "T "), "|", "\n\n\n")
    assert wordings["flan-x-few-1"].frame == Frame(("", ""), "\n\n", "\n\n\n")


WRAPPERS = [
    ("{{Definition}}\n\n{{inputs}}{final_suffix}", "{definition}\n\n{question}", ""),
    ("\n{{{{x}}}} {{Definition}}:\n{{inputs}}", "{{x}} {definition}:\n\n{question}", ""),
    ("{{inputs}}{final_suffix}", "{question}", ""),
    ("{{Definition}}\n\nMore.\n{{inputs}}", None, "has several paragraphs above the exemplars"),
    ("{{inputs}} Now you.", None, "does not end in the exemplars"),
    ("{{Definition}}", None, "does not end in the exemplars"),
    ("{Definition}\n{{inputs}}", None, "does not end in the exemplars"),
]


@pytest.mark.parametrize(("wrapper", "inputs", "reason"), WRAPPERS)
def test_what_stands_above_exemplars_becomes_the_first_paragraph(
    wrapper: str, inputs: str | None, reason: str, tmp_path: Path
) -> None:
    wrapped = f"FewShotPattern(input_pattern={wrapper!r}, inputs='{{input}}', targets='{{output}}')"
    few = f"FEWSHOT_PATTERNS = {{'natinst_v2': [{wrapped}, ('{{input}}?', '{{output}}')]}}"
    done, wordings = _imported(_checkout(tmp_path / "FLAN", few))
    made = wordings.get("flan-natinst-v2-few-0")
    assert (made and made.inputs.text) == inputs
    assert [one.reason for one in done.skipped] == ([f"its `input_pattern` {reason}"] if reason else [])
    assert (made is not None and made.instruction is not None) == ("\n\n" in (inputs or ""))


def test_of_a_key_that_stands_twice_the_last_counts_and_the_other_is_reported(tmp_path: Path) -> None:
    done, wordings = _release(
        tmp_path, "'x': [('1 {question}', '{answer}')],\n'x': [('2 {question}', '{answer}')],\n"
    )
    assert [one.inputs.text for one in wordings.values()] == ["2 {question}"]
    (skipped,) = done.skipped
    assert (skipped.entry, skipped.reason) == (
        "PATTERNS['x']",
        "stands again in line 2, which counts (as in Python)",
    )
    assert skipped.place.endswith(":1")


def test_a_key_set_again_afterwards_is_replaced_even_by_what_cannot_be_read(tmp_path: Path) -> None:
    source = (
        "PATTERNS = {'x': [('1 {question}', '{answer}')], 'y': [('2 {question}', "
        "'{answer}')]}\nPATTERNS['x'] = [('3 {question}', '{answer}')]\n"
    )
    _, wordings = _imported(_checkout(tmp_path / "FLAN", source))
    assert {one.inputs.text for one in wordings.values()} == {"2 {question}", "3 {question}"}
    done, wordings = _imported(
        _checkout(tmp_path / "FLAN", source + "PATTERNS['x'] = make()\nPATTERNS['z'] = PATTERNS['nowhere']\n")
    )
    assert [one.inputs.text for one in wordings.values()] == ["2 {question}"]
    assert [one.reason for one in done.skipped] == [
        "`make()` is not a literal, and is not run",
        "names PATTERNS['nowhere'], which holds no templates",
    ]


def test_literal_braces_stay_literal(tmp_path: Path) -> None:
    _, wordings = _release(tmp_path, "'x': [('{{code}} {question} }}', '{{ {answer}')]")
    (one,) = wordings.values()
    assert one.inputs.fill({"question": "{q}"}) == "{code} {q} }"
    assert one.targets.fill({"answer": "a"}) == "{ a"


def test_the_oldest_file_adds_only_keys_that_its_corrected_form_lacks(tmp_path: Path) -> None:
    oldest = (
        "PATTERNS = {'rte': [('old {premise} {hypothesis}', '{answer}')], 'gone': [('old {question} "
        "{options_}', '{answer}')]}\n"
    )
    _, wordings = _imported(_checkout(tmp_path / "FLAN", RELEASE, OF_2021, oldest))
    assert {name: one.inputs.text for name, one in wordings.items() if "old" in one.inputs.text} == {
        "flan2021-gone-zero-0-hidden": "old {question}"
    }


OPTIONS_GONE = [
    ("{question}\n\n{options_}", "{question}"),
    ("{question} | {options_}", "{question}"),
    ("{question} ({options_})", "{question}"),
    ("{options_}\n\n{question}\nA:", "{question}\nA:"),
    ("{question}\n\n{options_str}\n\n", "{question}\n\n"),
    ("{question} {options_}\nA:", "{question}\nA:"),
    ("{options_}", None),
    ("{question} {{options}} {options_}", "{question} {{options}}"),
    ("{question} {{{options_}}}", None),
]


@pytest.mark.parametrize(("shown", "hidden"), OPTIONS_GONE)
def test_the_form_without_options_loses_the_placeholder_and_what_led_to_it(
    shown: str, hidden: str | None, tmp_path: Path
) -> None:
    _, wordings = _release(tmp_path, f"'x': [({shown!r}, '{{answer}}')]")
    made = wordings.get("flan-x-zero-0-hidden")
    assert (made and made.inputs.text) == hidden


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
        _imported(_checkout(tmp_path / "FLAN", "PATTERNS = {'x': [('a', 'b')]}"))


def test_files_say_where_they_are_from_and_whose_they_are(checkout: Path) -> None:
    done, _ = _imported(checkout)
    head = (done.folder / "cot/gsm8k.yaml").read_text().split("\n")[:3]
    assert head[0] == HEAD
    assert "flan/v2/templates.py (sha256 " in head[1]
    assert "that repository's and stay under its licence" in head[2]


def test_a_second_import_replaces_the_first_and_leaves_foreign_files_alone(checkout: Path) -> None:
    first, _ = _imported(checkout)
    (checkout / "flan/v2/templates.py").write_text("PATTERNS = {'new': [('{question}', '{answer}')]}")
    (checkout / "flan/v2/flan_templates_branched.py").write_text("PATTERNS = {}")
    second, _ = _imported(checkout)
    assert [str(path.relative_to(second.folder)) for path in second.folder.rglob("*.*")] == [
        "muffin/new.yaml"
    ]
    assert first.folder == second.folder
    mine = second.folder / "mine.yaml"
    mine.write_text("tasks: [x/y]\n")
    with pytest.raises(InputError, match=r"mine.yaml: not an imported file"):
        import_flan(checkout, second.folder)
    assert mine.read_text() == "tasks: [x/y]\n"


# Wordings as YAML

texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    [
        " x",
        "x ",
        "\nx",
        "x\n",
        "a\n\n b\n",
        "# no",
        "- a",
        "yes",
        "1.5",
        "'",
        '"',
        ":",
        "a: b",
        "a\tb",
        "a\u2028b",
        "a\x85b",
        "\ufeff",
        "\\n",
        "| x\n y",
        "\x00",
    ]
)


@given(
    before=texts, after=texts, closing=texts, labels=st.tuples(texts, texts), between=texts, separator=texts
)
def test_wordings_read_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    before: str,
    after: str,
    closing: str,
    labels: tuple[str, str],
    between: str,
    separator: str,
) -> None:
    def pattern(start: str, name: str, end: str) -> Pattern:
        return Pattern.parse(
            start.replace("{", "{{").replace("}", "}}")
            + "{"
            + name
            + "}"
            + end.replace("{", "{{").replace("}", "}}")
        )

    wording = Wording(
        "one",
        pattern(before, "question", after),
        pattern("", "answer", closing),
        shots="few",
        frame=Frame(labels, between, separator),
    )
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_text(
        dump_wordings(WordingSet(("a/*",), frozenset({"question", "answer"}), (wording,))),
        encoding="utf-8",
        newline="",
    )
    ((found,),) = ([one.wordings for one in load_wordings(path)],)
    assert (found[0].inputs, found[0].targets, found[0].frame) == (
        wording.inputs,
        wording.targets,
        wording.frame,
    )


def test_reading_alone_needs_no_checkout_around_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.py"
    path.write_text("PATTERNS: dict = {'x': (['{question}', '{answer}'],)}\nOTHER = undefined()\n")
    found = read_template_file(path)
    assert [one.texts for one in found.stores["PATTERNS"]["x"]] == [
        {"inputs": "{question}", "targets": "{answer}"}
    ]
    assert found.skipped == []
