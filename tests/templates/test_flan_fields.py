"""The collection's own names for fields become ours, so that imported wordings fit the rows of every Muffin
data set.

The templates here are ours; only the names of fields are those of the public release.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from flan_release import write_checkout
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.tasks.muffin.families import DATASETS
from openflan.templates.choice import choose_wordings, imported_folder
from openflan.templates.flan_fields import MERGED, OF_KEY, fields_of, merged
from openflan.templates.import_flan import Imported, import_flan
from openflan.templates.pattern import Pattern
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
    (
        "quac",
        "quac",
        ("{background} / {context}\n{question}", "{answer}"),
        "{background} / {section}\n{question}",
        "{answer}",
    ),
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
    fields = frozenset({*DATASETS[name].fields, *DATASETS[name].further} - {"description"})
    sets = load_wordings(done.folder / f"{file}.yaml")
    fitting = [replace(one, wordings=tuple(w for w in one.wordings if w.fields <= fields)) for one in sets]
    wordings = wordings_for(f"muffin/{name}", fields, fitting).wordings
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
    for key in OF_KEY.keys() | MERGED.keys():
        dataset = DATASETS[shared.get(key, key)]
        named = [
            name
            for ours in fields_of(key).values()
            for name in (Pattern.parse(ours).fields if "{" in ours else [ours])
        ]
        assert set(named) <= {*dataset.fields, *dataset.further}, key
        assert key not in MERGED or MERGED[key].whole in dataset.fields, key


def test_two_fields_are_one_only_where_nothing_is_said_between_them() -> None:
    assert merged("ag_news_subset", "{title}: {text}") == "{text}"
    assert merged("bool_q", "{title}\n\n{text} {question}") == "{passage} {question}"
    assert merged("ag_news_subset", "{title} is the headline of {text}") is None
    assert merged("xsum", "{title} {text}") is None


# What the release's templates name, by key (read off flan/v2/templates.py; zero-shot and few-shot).
NAMED = {
    "aeslc": "body subject",
    "arc": "question options_ answer",
    "cb": "premise hypothesis options_ answer",
    "cnn_dailymail": "text highlights",
    "cola": "sentence options_ answer",
    "common_gen": "concepts concepts_newline target",
    "copa": "premise question options_ answer",
    "coqa": "text numbered_questions numbered_answers",
    "cosmos_qa": "context question options_ answer",
    "dart": "tripleset tripleset_newline target",
    "definite_pronoun_resolution": "sentence pronoun options_ answer",
    "drop": "context question answer",
    "e2e_nlg": "meaning_representation target",
    "fix_punct": "no_punct answer",
    "gigaword": "text summary",
    "glue_mrpc": "sentence1 sentence2 options_ answer",
    "glue_qqp": "question1 question2 options_ answer",
    "hellaswag": "context options_ answer",
    "imdb_reviews": "text options_ answer",
    "lambada": "sentence answer",
    "math_dataset": "question answer",
    "mnli": "premise hypothesis options_ answer",
    "multi_news": "text summary",
    "multirc": "paragraph question response options_ answer",
    "natural_questions": "question answer",
    "newsroom": "title text summary",
    "openbookqa": "fact question options_ answer",
    "opinion_abstracts_idebate": "argument_sentences debate_name claim",
    "opinion_abstracts_rotten_tomatoes": "numbered_reviews first_review movie critic_consensus",
    "para_crawl": "lang1 lang2 sent1 sent2",
    "paws_wiki": "sentence1 sentence2 options_ answer",
    "piqa": "goal options_ answer",
    "predict_next_turn_dialog": "dialog_ answer",
    "program_synthesis_dmcc_python": "question answer",
    "program_synthesis_dr_repair_error_comments": "question answer",
    "program_synthesis_dr_repair_line_numbers": "question answer",
    "program_synthesis_dr_repair_no_errors": "question answer",
    "program_synthesis_dr_repair_plain_code": "question answer",
    "qnli": "sentence question options_ answer",
    "quac": "title background context question answer",
    "record": "passage query options_str answer",
    "rte": "premise hypothesis options_ answer",
    "samsum": "dialogue summary",
    "sentiment140": "text options_ answer",
    "snli": "premise hypothesis options_ answer",
    "squad_v1": "title context question answer",
    "squad_v2": "title context question answer",
    "sst2": "sentence options_ answer",
    "story_cloze": "context options_ answer",
    "stsb": "sentence1 sentence2 options_ answer",
    "trec": "text options_ answer",
    "trivia_qa": "question answer",
    "true_case": "lower answer",
    "unified_qa_science_inst": "question options_ answer",
    "web_nlg_en": "input_string target",
    "wic": "sentence1 sentence2 word options_ answer",
    "wiki_lingua_english_en": "source target",
    "winogrande": "context options_ answer",
    "wmt14_enfr": "lang1 lang2 sent1 sent2",
    "wmt16_translate": "lang1 lang2 sent1 sent2",
    "wnli": "sentence1 sentence2 options_ answer",
    "word_segment": "no_space answer",
    "wsc": "context text1 text2 options_ answer",
    "xsum": "text summary",
    "yelp_polarity_reviews": "text options_ answer",
    "ag_news_subset": "title text options_ answer",
    "anli": "context hypothesis options_ answer",
    "bool_q": "title text question options_ answer",
}
SHARED = {
    "anli": "anli_r3",
    "arc": "arc_easy",
    "mnli": "mnli_matched",
    "para_crawl": "para_crawl_enes",
    "predict_next_turn_dialog": "qrecc",
    "wmt16_translate": "wmt16_translate_roen",
}


def test_each_field_that_the_release_names_is_in_our_rows() -> None:
    missing = {}
    for key, names in NAMED.items():
        dataset = DATASETS[SHARED.get(key, key)]
        ours = {"options_": "options", "options_str": "options", **fields_of(key)}
        named = [ours.get(name, name) for name in names.split()]
        fields = [field for one in named for field in (Pattern.parse(one).fields if "{" in one else [one])]
        if absent := set(fields) - {*dataset.fields, *dataset.further}:
            missing[key] = absent
    assert missing == {}
    assert set(OF_KEY) - set(NAMED) == {"para_crawl_enes", "qrecc", "task_master", "wiki_dialog"}, "aliases"


ORIGINAL_OF = {
    "ag_news_subset": [("{title}\n\n{text} / {options_}", "{answer}"), ("{text} named", "{title}")],
    "bool_q": [("{title}\n{text} {question}? {options_}", "{answer}"), ("{text} {question}", "{answer}")],
    "copa": [("{premise} What is the {question}? {options_}", "{answer}")],
    "common_gen": [("Use {concepts}", "{target}"), ("Words of {target}", "{concepts_newline}")],
    "lambada": [("Go on: {sentence}", "{answer}")],
    "newsroom": [("{title}\n{text}\nSum up", "{summary}"), ("Name {text}", "{title}")],
    "opinion_abstracts_rotten_tomatoes": [
        ("{first_review} Of?", "{movie}"),
        ("{movie}", "{critic_consensus}"),
    ],
    "program_synthesis_dmcc_python": [("Solve {question}", "{answer}")],
    "program_synthesis_dmcc_python_input_inversion": [("{answer} solves?", "{question}")],
    "program_synthesis_dr_repair_line_numbers": [("Mend {question}", "{answer}")],
    "program_synthesis_dr_repair_line_numbers_input_inversion": [("Break {answer}", "{question}")],
    "quac": [("Of: {background}\nIn: {context}\n{question}", "{answer}"), ("{context} Who?", "{title}")],
}

ROWS = {
    "ag_news_subset": {
        "text": "Rain\nIt rained.",
        "title": "Rain",
        "description": "It rained.",
        "options": ["World", "Sports"],
        "answer": "World",
    },
    "bool_q": {
        "passage": "Ice floats.",
        "question": "is ice light",
        "options": ["no", "yes"],
        "answer": "yes",
    },
    "copa": {
        "premise": "It rained.",
        "question": "What was the cause?",
        "asked_for": "cause",
        "options": ["clouds", "sun"],
        "answer": "clouds",
    },
    "common_gen": {"concepts": "dog, run", "concept_lines": "dog\nrun", "answer": "A dog runs."},
    "lambada": {"passage": "He ate the", "answer": "soup"},
    "newsroom": {"document": "It rained.", "title": "Rain", "answer": "Rain fell."},
    "opinion_abstracts_rotten_tomatoes": {
        "movie": "Rain",
        "reviews": "1. Wet.",
        "first_review": "Wet.",
        "answer": "All wet.",
    },
    "program_synthesis_dmcc_python": {"problem": "Add.", "answer": "a + b"},
    "program_synthesis_dr_repair_line_numbers": {
        "program": "1: int x",
        "error": "line 1: expected ;",
        "answer": "int x;",
    },
    "quac": {
        "title": "Bell",
        "background": "A singer.",
        "section": "Born in Rome.",
        "passage": "A singer.\n\nBorn in Rome.",
        "question": "Where?",
        "answer": "Rome",
    },
}

SHOWN_OF = {
    "ag_news_subset": {
        "Rain\n\nIt rained. / Options:\n- World\n- Sports": "World",
        "It rained. named": "Rain",
    },
    "bool_q": {"Ice floats. is ice light? Options:\n- no\n- yes": "yes", "Ice floats. is ice light": "yes"},
    "copa": {"It rained. What is the cause? Options:\n- clouds\n- sun": "clouds"},
    "common_gen": {"Use dog, run": "A dog runs.", "Words of A dog runs.": "dog\nrun"},
    "lambada": {"Go on: He ate the": "soup"},
    "newsroom": {"Rain\nIt rained.\nSum up": "Rain fell.", "Name It rained.": "Rain"},
    "opinion_abstracts_rotten_tomatoes": {"Wet. Of?": "Rain", "Rain": "All wet."},
    "program_synthesis_dmcc_python": {"Solve Add.": "a + b", "a + b solves?": "Add."},
    "program_synthesis_dr_repair_line_numbers": {
        "Mend 1: int x\nline 1: expected ;": "int x;",
        "Break int x;": "1: int x\nline 1: expected ;",
    },
    "quac": {"Of: A singer.\nIn: Born in Rome.\nWhere?": "Rome", "Born in Rome. Who?": "Bell"},
}


@pytest.mark.parametrize("name", SHOWN_OF)
def test_sets_that_found_no_fields_are_shown_whole(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path))
    checkout = write_checkout(tmp_path / "FLAN", f"PATTERNS = {ORIGINAL_OF!r}\n")
    import_flan(checkout, imported_folder())
    row = ROWS[name]
    chosen = choose_wordings("original", f"muffin/{name}", frozenset(row))
    values = {field: value for field, value in row.items() if isinstance(value, str)}
    if "options" in row:
        values["options"] = "Options:\n" + "\n".join(f"- {option}" for option in row["options"])
    shown = {one.inputs.fill(values): one.targets.fill(values) for one in chosen.wordings}
    assert {text: target for text, target in shown.items() if text in SHOWN_OF[name]} == SHOWN_OF[name]
    assert len({one.id.removesuffix("-hidden") for one in chosen.wordings}) == len(SHOWN_OF[name])


def test_rows_that_hold_title_and_text_as_one_have_the_joined_form_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path))
    checkout = write_checkout(tmp_path / "FLAN", f"PATTERNS = {ORIGINAL_OF!r}\n")
    import_flan(checkout, imported_folder())
    chosen = choose_wordings("original", "muffin/ag_news_subset", frozenset({"text", "options", "answer"}))
    assert {(one.inputs.text, one.targets.text) for one in chosen.wordings} == {
        ("{text} / {options}", "{answer}"),
        ("{text} /", "{answer}"),
    }
    untitled = choose_wordings("original", "muffin/newsroom", frozenset({"document", "answer"}))
    assert [one.inputs.text for one in untitled.wordings] == ["{document}\nSum up"]


@settings(max_examples=40, deadline=None)
@given(
    between=st.sampled_from(["\n", "\n\n", " ", ": ", " - "]),
    before=st.text("abc ?\n", max_size=8),
    after=st.text("abc ?\n", max_size=8),
)
def test_whatever_stands_around_the_two_fields_stays(between: str, before: str, after: str) -> None:
    for key, pair in MERGED.items():
        text = f"{before}{{{pair.first}}}{between}{{{pair.second}}}{after}"
        assert merged(key, text) == f"{before}{{{pair.whole}}}{after}"
