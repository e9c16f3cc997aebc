"""A checkout of the Flan release, reduced to what its importer reads."""

from __future__ import annotations

from pathlib import Path

from openflan.templates.import_flan import Imported, import_flan
from openflan.templates.wording import Wording, load_wordings

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


def write_checkout(folder: Path, release: str, of_2021: str = "PATTERNS = {}", oldest: str = "") -> Path:
    (folder / "flan" / "v2").mkdir(parents=True, exist_ok=True)
    (folder / "flan/v2/templates.py").write_text(release, encoding="utf-8")
    (folder / "flan/v2/flan_templates_branched.py").write_text(of_2021, encoding="utf-8")
    if oldest:
        (folder / "flan/templates.py").write_text(oldest, encoding="utf-8")
    return folder


def import_checkout(checkout: Path) -> tuple[Imported, dict[str, Wording]]:
    """The report and all wordings by id, as they are read back from the files."""
    done = import_flan(checkout, checkout.parent / "out")
    return done, {
        wording.id: wording
        for name in done.files
        for wording_set in load_wordings(done.folder / f"{name}.yaml")
        for wording in wording_set.wordings
    }
