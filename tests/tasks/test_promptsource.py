"""Promptsource templates and raw rows: names, rendering and random choices.

All templates here are the project's own.
"""

from __future__ import annotations

from pathlib import Path

import jinja2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promptsource_files import QUESTION, one, only, opened, pairs, put, rendered, template

from openflan.errors import InputError
from openflan.tasks.catalogue import catalogue
from openflan.tasks.p3.names import template_task
from openflan.tasks.sources import find_submixture

# Names


@pytest.mark.parametrize(
    ("dataset", "name", "task"),
    [
        ("quarel", "do_not_use", "quarel_do_not_use"),
        ("sciq", "Direct Question (Closed Book)", "sciq_Direct_Question_Closed_Book_"),
        ("cos_e/v1.11", "i_think", "cos_e_v1.11_i_think"),
        ("web_questions", "whats_the_answer", "web_questions_whats_the_answer"),
        ("web_questions", "potential-correct-answer", "web_questions_potential_correct_answer"),
        ("wiki_qa", "Is This True?", "wiki_qa_Is_This_True_"),
        (
            "race/high",
            "Select the best answer (no instructions)",
            "race_high_Select_the_best_answer_no_instructions_",
        ),
        ("kilt_tasks/hotpotqa", "final_exam", "kilt_tasks_hotpotqa_final_exam"),
        ("duorc/SelfRC", "title_generation", "duorc_SelfRC_title_generation"),
    ],
)
def test_templates_have_the_names_of_the_catalogue(dataset: str, name: str, task: str) -> None:
    assert template_task(dataset.split("/"), name) == task
    assert f"t0_sf/{task}" in catalogue()


def test_a_template_is_a_task_and_only_those_of_the_collection_are_taken(tmp_path: Path) -> None:
    records = [{"question": "Hot?", "answer": "yes"}]
    put(tmp_path, "quarel", [template("do_not_use", QUESTION), template("of my own", QUESTION)], records)
    put(tmp_path, "cos_e/v1.11", [template("i_think", QUESTION)], records)
    with pytest.warns(UserWarning, match=r"1 of 3 tasks left out \(quarel_of_my_own\)"):
        tasks = opened(tmp_path, "t0_sf")
    assert set(tasks) == {"t0_sf/quarel_do_not_use", "t0_sf/cos_e_v1.11_i_think"}
    assert tasks["t0_sf/quarel_do_not_use"].dataset == "quarel"
    assert set(opened(tmp_path, "mine")) == {
        "mine/quarel_do_not_use",
        "mine/quarel_of_my_own",
        "mine/cos_e_v1.11_i_think",
    }


def test_a_checkout_may_be_named_itself(tmp_path: Path) -> None:
    put(tmp_path, "quiz", [template("t", QUESTION)], [{"question": "Hot?", "answer": "yes"}])
    (tmp_path / "promptsource").mkdir()
    (tmp_path / "templates").rename(tmp_path / "promptsource" / "templates")
    assert set(opened(tmp_path)) == {"mine/quiz_t"}


def test_datasets_without_rows_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "quiz", [template("t", QUESTION)], [{"question": "Hot?", "answer": "yes"}])
    put(tmp_path, "other", [template("t", QUESTION)], [{}])
    (tmp_path / "data" / "other" / "train.jsonl").unlink()
    assert set(opened(tmp_path)) == {"mine/quiz_t"}


def test_templates_without_any_rows_say_where_to_put_them(tmp_path: Path) -> None:
    put(tmp_path, "cos_e/v1.11", [template("t", QUESTION)], [{}])
    (tmp_path / "data" / "cos_e" / "v1.11" / "train.jsonl").unlink()
    with pytest.raises(
        InputError,
        match=r"templates of 1 datasets and rows of none; put them into folders such as .*data/cos_e/v1\.11",
    ):
        opened(tmp_path)


def test_two_templates_of_one_name_are_refused(tmp_path: Path) -> None:
    put(
        tmp_path,
        "quiz",
        [template("the one", QUESTION), template("the-one", QUESTION)],
        [{"question": "Hot?", "answer": "yes"}],
    )
    with pytest.raises(
        InputError, match=r"template `the-one`: would be named `quiz_the_one`, as .*template `the one`"
    ):
        opened(tmp_path)


# Rendering


def test_inputs_and_targets_are_what_stands_around_the_separator(tmp_path: Path) -> None:
    task = one(
        tmp_path,
        "\n Look: {{ question }}\n\n|||\n  {{ answer }}\n",
        [{"question": f"Hot {n}?", "answer": n} for n in range(3)],
    )
    assert pairs(task) == [(f"Look: Hot {n}?", str(n)) for n in range(3)]
    assert task.fields == {"inputs", "targets", "question", "answer"}


def test_nested_values_are_reached_from_json_and_from_tables(tmp_path: Path) -> None:
    jinja = (
        "{% for label in choices.label %}{{ label }}: {{ choices['text'][loop.index0] }}{% if not "
        "loop.last %}; {% endif %}{% endfor %}"
        "\n{{ question.split(' ')[1:] | join(' ') }} {{ options.0 }} ||| {{ {'A': 1, 'B': 2}[key] }}"
    )
    record = {
        "question": "Q: which one?",
        "choices": {"label": ["A", "B"], "text": ["ice", "fog"]},
        "options": ["p", "q"],
        "key": "B",
        "empty": None,
    }
    expected = [("A: ice; B: fog\nwhich one? p", "2")] * 3
    task = one(tmp_path / "lines", jinja, [record] * 3)
    assert pairs(task) == expected
    put(tmp_path / "table", "quiz", [template("t", jinja)], [{}])
    (tmp_path / "table" / "data" / "quiz" / "train.jsonl").unlink()
    pq.write_table(
        pa.Table.from_pylist([record] * 3),
        tmp_path / "table" / "data" / "quiz" / "train-00000-of-00001.parquet",
        row_group_size=2,
    )
    assert pairs(only(tmp_path / "table")) == expected


def test_an_empty_cell_is_a_value(tmp_path: Path) -> None:
    put(
        tmp_path,
        "quiz",
        [template("t", "{{ question }} ||| {% if hint is none %}no hint{% else %}{{ hint }}{% endif %}")],
        [{}],
    )
    (tmp_path / "data" / "quiz" / "train.jsonl").unlink()
    pq.write_table(
        pa.Table.from_pylist([{"question": "a", "hint": "b"}, {"question": "c", "hint": None}]),
        tmp_path / "data" / "quiz" / "train.parquet",
    )
    assert pairs(only(tmp_path)) == [("a", "b"), ("c", "no hint")]


def test_answer_choices_are_rendered_first_and_can_be_named(tmp_path: Path) -> None:
    records = [{"question": "Which?", "a": " ice ", "b": "fog", "label": label} for label in (0, 1)]
    jinja = "{{ question }} {{ answer_choices | join(' or ') }}? ||| {{ answer_choices[label] }}"
    task = one(tmp_path, jinja, records, answer_choices="{{ a }} ||| {{ b }}", choices_in_prompt=True)
    assert pairs(task) == [("Which? ice or fog?", "ice"), ("Which? ice or fog?", "fog")]
    assert "options" not in task.fields


def test_choices_that_the_inputs_do_not_show_are_options(tmp_path: Path) -> None:
    record = {"question": "Which?", "a": "ice", "b": "fog"}
    task = one(
        tmp_path,
        "{{ question }} ||| {{ answer_choices[1] }}",
        [record],
        answer_choices="{{ a }} ||| {{ b }}",
        choices_in_prompt=False,
    )
    assert (task.rows[0]["options"], task.rows[0]["answer"]) == (["ice", "fog"], "fog")


def test_the_collection_tells_for_its_own_tasks_whether_choices_are_options(tmp_path: Path) -> None:
    choices = "ice ||| fog"
    put(
        tmp_path,
        "sciq",
        [
            template("Direct Question", "Q ||| ice", choices, True),
            template("Multiple Choice", "Q ||| ice", choices, False),
        ],
        [{"x": 1}],
    )
    tasks = opened(tmp_path, "t0_sf")
    assert {name: "options" in task.fields for name, task in tasks.items()} == {
        "t0_sf/sciq_Direct_Question": True,
        "t0_sf/sciq_Multiple_Choice": False,
    }


def test_choices_as_a_list_are_read_as_early_files_have_them(tmp_path: Path) -> None:
    task = one(
        tmp_path,
        "Q ||| {{ answer_choices[label] }}",
        [{"label": 1}],
        answer_choices=["ice", "fog"],
        choices_in_prompt=False,
    )
    assert task.rows[0]["options"] == ["ice", "fog"]


TEXTS = st.text(st.sampled_from("|a \n{}%"), min_size=1, max_size=12)


@given(question=TEXTS, answer=TEXTS, choice=TEXTS)
@settings(max_examples=40, deadline=None)
def test_separators_and_jinja_in_the_data_are_data(
    tmp_path_factory: pytest.TempPathFactory, question: str, answer: str, choice: str
) -> None:
    record = {"question": question, "answer": [{"text": f"x{answer}x"}], "choice": f"y{choice}y"}
    jinja = "Q{{ question }}Q {{ answer_choices[1] }} ||| {{ answer[0].text }}"
    task = one(
        tmp_path_factory.mktemp("data"),
        jinja,
        [record],
        answer_choices="z ||| {{ choice }}",
        choices_in_prompt=True,
    )
    assert pairs(task) == [(f"Q{question}Q y{choice}y", f"x{answer}x")]


def test_rendering_agrees_with_plain_jinja_where_both_may_run(tmp_path: Path) -> None:
    """An independent oracle: Jinja without any of our changes."""
    texts = [
        (
            "{% set words = q.split() %}{% for w in words %}{{ loop.index }}{{ w | upper ~ '!' ~ "
            "loop.revindex }}{% endfor %} ||| {{ n * 2 + 1 }} {{ 'ab' * 3 }}"
        ),
        (
            "{{ q | replace('i', 'o') }} {{ q.replace('o', '') }} {{ [1, 2, n] | sum }} ||| {{ opts | "
            "map('capitalize') | join(', ') }}"
        ),
        (
            "{% for a, b in zip(opts, range(5)) if b != 1 %}{{ a }}{{ b }}{% else %}none{% endfor %} ||| {{ "
            "opts | map(attribute=0) | list }}"
        ),
        (
            "{% set ns = namespace(k=0) %}{% for x in opts %}{% set ns.k = ns.k + x | length %}{% endfor "
            "%}{{ ns.k }} ||| {{ 7.456 | round(1) }} {{ none }}"
        ),
        (
            "{{ q[0] | lower }}{{ q[1:] | trim('.') }} {{ {'a': opts}['a'][1] }} ||| {{ 'yes' if n > 2 "
            "and q "
            "is defined else 'no' }} {{ n // 2 }} {{ 2 ** n }}"
        ),
    ]
    record = {"q": "Which is it.", "n": 5, "opts": ["pie", "tea", "jam"]}
    plain = jinja2.Environment()  # noqa: S701
    plain.globals["zip"] = zip
    put(tmp_path, "quiz", [template(f"t{number}", text) for number, text in enumerate(texts)], [record])
    for number, text in enumerate(texts):
        expected = tuple(part.strip() for part in plain.from_string(text).render(**record).split("|||"))
        assert pairs(opened(tmp_path)[f"mine/quiz_t{number}"]) == [expected]


# Filters of promptsource, and random choices


def test_most_frequent_gives_all_that_tie() -> None:
    assert rendered("{{ x | most_frequent }}", x=["b", "a", "c", "a", "b"]) == "['b', 'a']"
    assert rendered("{{ x | most_frequent | choice }}", x=["b", "a", "a"]) == "a"


def test_highlight_marks_nothing() -> None:
    assert rendered("{{ x | highlight }}", x="as it is") == "as it is"


def test_choices_depend_on_seed_task_and_row_only(tmp_path: Path) -> None:
    records = [{"question": "Which?", "answers": list("abcdefgh")} for _ in range(40)]
    jinja = "{{ question }} ||| {{ answers | choice }}{{ range(0, 9) | choice }}{{ answers | random }}"
    put(tmp_path, "quiz", [template("t", jinja), template("u", jinja)], records)
    task, other = opened(tmp_path).values()
    forwards = pairs(task)
    assert len(set(forwards)) > 30
    assert forwards != pairs(other)
    again = opened(tmp_path)["mine/quiz_t"]
    assert [again.rows[index]["targets"] for index in reversed(range(40))] == [
        targets for _, targets in reversed(forwards)
    ]
    (tmp_path / "openflan.yaml").write_text("seed: 1\n", encoding="utf-8")
    assert pairs(opened(tmp_path)["mine/quiz_t"]) != forwards


def test_a_row_that_is_left_out_changes_no_choice_of_the_others(tmp_path: Path) -> None:
    records = [{"answers": list("abcdefgh"), "use": True} for _ in range(20)]
    jinja = "{% if use %}Q ||| {{ answers | choice }}{% endif %}"
    before = pairs(one(tmp_path / "a", jinja, records))
    after = pairs(
        one(tmp_path / "b", jinja, [record | {"use": number != 5} for number, record in enumerate(records)])
    )
    assert after == before[:5] + before[6:]


def test_names_of_the_collection_are_found_without_opening_rows(tmp_path: Path) -> None:
    put(tmp_path, "quarel", [template("do_not_use", QUESTION)], [{"broken": True}])
    assert set(find_submixture("t0_sf", tmp_path)) == {"t0_sf/quarel_do_not_use"}
