"""The collection's own names for fields become ours, so that imported wordings fit the rows of every Muffin
data set.

The templates here are ours; only the names of fields are those of the public release.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from openflan.tasks.muffin.families import DATASETS
from openflan.templates.flan_fields import OF_KEY, fields_of, joined
from openflan.templates.import_flan import Imported, import_flan
from openflan.templates.wording import load_wordings, wordings_for

SHOWN = [
    (
        "anli",
        "anli_r2",
        ("{context} / {hypothesis} / {options_}", "{answer}"),
        "{premise} / {hypothesis} / {options}",
        "{answer}",
    ),
    (
        "wnli",
        "wnli",
        ("{sentence1} / {sentence2} / {options_}", "{answer}"),
        "{premise} / {hypothesis} / {options}",
        "{answer}",
    ),
    (
        "wsc",
        "wsc",
        ("{context} Is {text2} {text1}? {options_}", "{answer}"),
        "{text} Is {pronoun} {noun}? {options}",
        "{answer}",
    ),
    (
        "ag_news_subset",
        "ag_news_subset",
        ("{title}\n\n{text}\n{options_}", "{answer}"),
        "{text}\n{options}",
        "{answer}",
    ),
    (
        "bool_q",
        "bool_q",
        ("{text} {question} {options_}", "{answer}"),
        "{passage} {question} {options}",
        "{answer}",
    ),
    (
        "squad_v2",
        "squad_v2",
        ("{title}: {context} {question}", "{answer}"),
        "{title}: {passage} {question}",
        "{answer}",
    ),
    ("quac", "quac", ("{background} {context}\n{question}", "{answer}"), "{passage}\n{question}", "{answer}"),
    (
        "multirc",
        "multirc",
        ("{paragraph} {question} {response} {options_}", "{answer}"),
        "{passage} {question} {candidate} {options}",
        "{answer}",
    ),
    (
        "coqa",
        "coqa",
        ("{text} {numbered_questions}", "{numbered_answers}"),
        "{passage} {questions}",
        "{answer}",
    ),
    (
        "record",
        "record",
        ("{passage} {query} {options_str}", "{answer}"),
        "{passage} {query} {options}",
        "{answer}",
    ),
    (
        "hellaswag",
        "hellaswag",
        ("{activity_label}: {context} {options_}", "{answer}"),
        "{activity}: {context} {options}",
        "{answer}",
    ),
    ("cnn_dailymail", "cnn_dailymail", ("Sum up {text}", "{highlights}"), "Sum up {document}", "{answer}"),
    ("samsum", "samsum", ("Sum up {dialogue}", "{summary}"), "Sum up {document}", "{answer}"),
    ("common_gen", "common_gen", ("Say {concepts}", "{target}"), "Say {concepts}", "{answer}"),
    ("dart", "dart", ("Say {tripleset}", "{target}"), "Say {data}", "{answer}"),
    (
        "para_crawl",
        "para_crawl_enes",
        ("{sent1} in {lang2}", "{sent2}"),
        "{source} in {target_language}",
        "{answer}",
    ),
    (
        "wmt16_translate",
        "wmt16_translate_deen",
        ("{sent2} in {lang1}", "{sent1}"),
        "{source} in {target_language}",
        "{answer}",
    ),
    ("true_case", "true_case", ("Mend {lower}", "{answer}"), "Mend {source}", "{answer}"),
    ("wiki_dialog", "wiki_dialog", ("{dialog_} Next?", "{answer}"), "{context} Next?", "{answer}"),
    (
        "opinion_abstracts_idebate",
        "opinion_abstracts_idebate",
        ("{debate_name}: {argument_sentences}", "{claim}"),
        "{debate}: {arguments}",
        "{answer}",
    ),
]


def imported(folder: Path, patterns: str) -> Imported:
    """What an import makes of a checkout with these templates."""
    checkout = folder / "FLAN"
    (checkout / "flan/v2").mkdir(parents=True)
    (checkout / "flan/v2/templates.py").write_text(f"PATTERNS = {{{patterns}}}\n", encoding="utf-8")
    (checkout / "flan/v2/flan_templates_branched.py").write_text("PATTERNS = {}\n", encoding="utf-8")
    return import_flan(checkout, folder / "out")


@pytest.mark.parametrize(
    ("key", "name", "template", "inputs", "targets"), SHOWN, ids=[one[0] for one in SHOWN]
)
def test_an_imported_template_fits_our_rows(
    key: str, name: str, template: tuple[str, str], inputs: str, targets: str, tmp_path: Path
) -> None:
    done = imported(tmp_path, f"{key!r}: [{template!r}]")
    (file,) = done.files
    wordings = wordings_for(
        f"muffin/{name}", frozenset(DATASETS[name].fields), load_wordings(done.folder / f"{file}.yaml")
    ).wordings
    assert (wordings[0].inputs.text, wordings[0].targets.text, wordings[0].inverted) == (
        inputs,
        targets,
        False,
    )
    assert wordings[0].plain_options == (key == "record")


def test_the_other_direction_of_a_translation_is_inverted(tmp_path: Path) -> None:
    done = imported(
        tmp_path, "'wmt16_translate': [('{sent2} in {lang1}', '{sent1}'), ('{sent1} in {lang2}', '{sent2}')]"
    )
    (wordings,) = load_wordings(done.folder / f"{next(iter(done.files))}.yaml")
    assert [(one.inputs.text, one.targets.text, one.inverted) for one in wordings.wordings] == [
        ("{source} in {target_language}", "{answer}", False),
        ("{answer} in {source_language}", "{source}", True),
    ]


def test_every_renamed_field_is_one_of_our_rows() -> None:
    shared = {
        "anli": "anli_r1",
        "para_crawl": "para_crawl_enes",
        "wmt16_translate": "wmt16_translate_csen",
        "predict_next_turn_dialog": "qrecc",
    }
    for key in OF_KEY:
        assert set(fields_of(key).values()) <= set(DATASETS[shared.get(key, key)].fields), key


def test_fields_are_joined_only_where_nothing_is_said_between_them() -> None:
    assert joined("ag_news_subset", "{title}: {text}") == "{text}"
    assert (
        joined("ag_news_subset", "{title} is the headline of {text}") == "{title} is the headline of {text}"
    )
    assert joined("newsroom", "{title} {text}") == "{title} {text}"
