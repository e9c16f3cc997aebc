"""Importing the templates of the Flan release: which templates are taken over, and how they change."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from flan_release import OF_2021, RELEASE, import_checkout, write_checkout
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.templates.formats import Frame
from openflan.templates.import_flan import Imported
from openflan.templates.wording import InvertedShare, Wording, load_wordings


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return write_checkout(tmp_path / "FLAN", RELEASE, OF_2021)


def import_release(tmp_path: Path, patterns: str) -> tuple[Imported, dict[str, Wording]]:
    return import_checkout(write_checkout(tmp_path / "FLAN", f"PATTERNS = {{{patterns}}}\n"))


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
    done, wordings = import_release(
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
    _, wordings = import_checkout(write_checkout(tmp_path / "FLAN", few))
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
    done, wordings = import_checkout(write_checkout(tmp_path / "FLAN", few))
    made = wordings.get("flan-natinst-v2-few-0")
    assert (made and made.inputs.text) == inputs
    assert [one.reason for one in done.skipped] == ([f"its `input_pattern` {reason}"] if reason else [])
    assert (made is not None and made.instruction is not None) == ("\n\n" in (inputs or ""))


def test_of_a_key_that_stands_twice_the_last_counts_and_the_other_is_reported(tmp_path: Path) -> None:
    done, wordings = import_release(
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
    _, wordings = import_checkout(write_checkout(tmp_path / "FLAN", source))
    assert {one.inputs.text for one in wordings.values()} == {"2 {question}", "3 {question}"}
    done, wordings = import_checkout(
        write_checkout(
            tmp_path / "FLAN", source + "PATTERNS['x'] = make()\nPATTERNS['z'] = PATTERNS['nowhere']\n"
        )
    )
    assert [one.inputs.text for one in wordings.values()] == ["2 {question}"]
    assert [one.reason for one in done.skipped] == [
        "`make()` is not a literal, and is not run",
        "names PATTERNS['nowhere'], which holds no templates",
    ]


def test_literal_braces_stay_literal(tmp_path: Path) -> None:
    _, wordings = import_release(tmp_path, "'x': [('{{code}} {question} }}', '{{ {answer}')]")
    (wording,) = wordings.values()
    assert wording.inputs.fill({"question": "{q}"}) == "{code} {q} }"
    assert wording.targets.fill({"answer": "a"}) == "{ a"


def test_the_oldest_file_adds_only_keys_that_its_corrected_form_lacks(tmp_path: Path) -> None:
    oldest = (
        "PATTERNS = {'rte': [('old {premise} {hypothesis}', '{answer}')], 'gone': [('old {question} "
        "{options_}', '{answer}')]}\n"
    )
    _, wordings = import_checkout(write_checkout(tmp_path / "FLAN", RELEASE, OF_2021, oldest))
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
    _, wordings = import_release(tmp_path, f"'x': [({shown!r}, '{{answer}}')]")
    made = wordings.get("flan-x-zero-0-hidden")
    assert (made and made.inputs.text) == hidden


def few_shot(tmp_path: Path, key: str, *templates: tuple[str, str, str]) -> dict[str, Wording]:
    """The few-shot wordings of templates: inputs, targets, separator."""
    listed = ", ".join(
        f"FewShotPattern(inputs={inputs!r}, targets={targets!r}, example_separator={separator!r})"
        for inputs, targets, separator in templates
    )
    return import_checkout(write_checkout(tmp_path / "FLAN", f"FEWSHOT_PATTERNS = {{{key!r}: [{listed}]}}"))[
        1
    ]


def test_few_shot_targets_end_without_the_line_break_that_their_exemplars_keep(tmp_path: Path) -> None:
    made = few_shot(
        tmp_path,
        "cot_input_inversion_gsm8k",
        ("{answer}", "{question} By {chain_of_thought}\n", "\n\n"),
        ("{answer}?", "{question}", "\n---\n"),
        ("{answer}!", "{question} \n\n", ""),
    )
    assert [(one.targets.text, one.frame.separator) for one in made.values() if one.frame] == [
        ("{question} By {rationale}", "\n\n\n"),
        ("{question}", "\n---\n"),
        ("{question}", " \n\n"),
    ]


def test_targets_of_a_rationale_alone_are_no_inversion(tmp_path: Path) -> None:
    made = few_shot(
        tmp_path,
        "cot_strategyqa",
        ("{question}", "{chain_of_thought} So {answer}.", "\n"),
        ("{question}", "It goes: {chain_of_thought}.", "\n"),
        ("{question} {answer}", "Because {chain_of_thought}", "\n"),
        ("{chain_of_thought}", "{question} {answer}", "\n"),
    )
    assert [(one.inverted, one.rationale) for one in made.values()] == [
        (False, True),
        (False, True),
        (True, True),
        (True, True),
    ]


def share_of(tmp_path: Path, source: str, name: str) -> InvertedShare | None:
    done, _ = import_checkout(write_checkout(tmp_path / "FLAN", source))
    (found,) = load_wordings(done.folder / f"{name}.yaml")
    return found.inverted_share


def test_the_share_of_inversions_is_that_of_the_templates(tmp_path: Path) -> None:
    direct, inverted = "('{sent2} in {lang1}', '{sent1}')", "('{sent1} in {lang2}', '{sent2}')"
    shown = "FewShotPattern(inputs={!r}, targets={!r})"
    patterns = f"PATTERNS = {{'wmt16_translate': [{', '.join([direct] * 3 + [inverted] * 7)}]}}\n"
    few = [shown.format("{sent2}", "{sent1}")] * 4 + [shown.format("{sent1}", "{sent2}")]
    source = f"{patterns}FEWSHOT_PATTERNS = {{'wmt16_translate': [{', '.join(few)}]}}\n"
    assert share_of(tmp_path, source, "muffin/wmt16_translate") == InvertedShare(0.7, 0.2)


def test_inversions_that_are_tasks_of_their_own_are_not_counted(tmp_path: Path) -> None:
    source = """PATTERNS = {
        'cot_gsm8k': [('{question}', '{chain_of_thought} {answer}')],
        'cot_input_inversion_gsm8k': [('{answer}', '{question}'), ('{answer}?', '{question}')],
        'cot_qasc': [('{question}', '{chain_of_thought} {answer}')],
    }"""
    assert share_of(tmp_path, source, "cot/gsm8k") is None
    assert share_of(tmp_path, source, "cot/qasc") == InvertedShare(0.0, 0.0)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_forms_without_options_or_for_other_rows_change_no_share(data: st.DataObject) -> None:
    direct, inverted = data.draw(st.integers(1, 9)), data.draw(st.integers(0, 9))
    pairs = [f"('{{title}} {{text}} {n} {{options_}}', '{{answer}}')" for n in range(direct)]
    pairs += [f"('{n} {{answer}} {{options_}}', '{{text}}')" for n in range(inverted)]
    with TemporaryDirectory() as folder:
        source = f"PATTERNS = {{'ag_news_subset': [{', '.join(pairs)}]}}"
        share = share_of(Path(folder), source, "muffin/ag_news_subset")
    assert share == InvertedShare(inverted / len(pairs), inverted / len(pairs))
