"""Raw rows and templates: names, rendering, random choices, what is left out, and what a template is refused
for.

All templates here are the project's own.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.jinja.budget import WORK, Refused, Short
from openflan.randomness import Draws
from openflan.tasks.catalogue import catalogue
from openflan.tasks.p3.names import template_task
from openflan.tasks.p3.prompts import read_prompts
from openflan.tasks.p3.sandbox import Missing, compiled
from openflan.tasks.sources import find_submixture, open_submixture
from openflan.tasks.task import Task

Record = dict[str, Any]
QUESTION = "Look at this: {{ question }} ||| {{ answer }}"


def template(
    name: str,
    jinja: str,
    answer_choices: str | list[str] | None = None,
    choices_in_prompt: bool | None = None,
) -> str:
    """An entry of a templates file, in the true layout."""
    shown = json.dumps(choices_in_prompt)
    metadata = (
        f"choices_in_prompt: {shown}\n      languages:\n      - en\n      metrics:\n      - Accuracy\n   "
        "   original_task: true"
    )
    return (
        f"  id-of-{name}: !Template\n    answer_choices: {json.dumps(answer_choices)}\n    id: "
        f"id-of-{name}\n    jinja: {json.dumps(jinja)}\n"
        f"    metadata: !TemplateMetadata\n      {metadata}\n    name: {json.dumps(name)}\n    "
        "reference: ''\n"
    )


def put(data: Path, dataset: str, templates: list[str], records: list[Record]) -> Path:
    """Templates and rows of a dataset (or dataset/subset); gives the file of templates."""
    file = data / "templates" / dataset / "templates.yaml"
    rows = data / "data" / dataset / "train.jsonl"
    for path in (file, rows):
        path.parent.mkdir(parents=True, exist_ok=True)
    name, _, subset = dataset.partition("/")
    file.write_text(
        f"dataset: {name}\n{f'subset: {subset}' if subset else ''}\ntemplates:\n{''.join(templates)}",
        encoding="utf-8",
    )
    rows.write_text(
        "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8"
    )
    return file


def opened(data: Path, submixture: str = "mine") -> dict[str, Task]:
    return open_submixture(submixture, data)


def only(data: Path) -> Task:
    (task,) = opened(data).values()
    return task


def pairs(task: Task) -> list[tuple[Any, Any]]:
    return [(task.rows[index]["inputs"], task.rows[index]["targets"]) for index in range(len(task.rows))]


def one(data: Path, jinja: str, records: list[Record], **more: Any) -> Task:
    put(data, "quiz", [template("t", jinja, **more)], records)
    return only(data)


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


# What is left out


def test_rows_for_which_nothing_is_printed_are_left_out_and_counted(tmp_path: Path) -> None:
    records = [{"q": "a", "a": ["x"]}, {"q": "b", "a": []}, {"q": "c", "a": ["y"]}, {"q": "d", "a": []}]
    task = one(tmp_path, "{% if a %}{{ q }} ||| {{ a[0] }}{% endif %}", records)
    assert (pairs(task), task.left_out) == ([("a", "x"), ("c", "y")], {"nothing printed": 2})


def test_every_reason_is_counted_by_itself(tmp_path: Path) -> None:
    records = [
        {"q": "fine", "a": ["ice"], "tail": ""},
        {"q": "fine", "a": [], "tail": ""},
        {"q": "fine", "a": [" "], "tail": ""},
        {"q": "fine", "a": ["hail"], "tail": ""},
        {"q": "fine", "a": ["ice"], "tail": "2"},
    ]
    task = one(
        tmp_path,
        "{{ q }} ||| {{ a[0] }}{% if tail %} ||| {% endif %}",
        records,
        answer_choices="ice ||| fog",
        choices_in_prompt=False,
    )
    assert task.left_out == {
        "an item beyond the end of a list": 1,
        "empty inputs or targets": 1,
        "targets that are not among their choices": 1,
        "2 separators printed instead of one": 1,
    }


def test_a_template_that_suits_no_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=(
            r"template `t`: gives no example for any of the 2 rows.*targets that are not among their "
            r"choices: 2"
        ),
    ):
        one(tmp_path, "Q ||| hail", [{"x": 1}] * 2, answer_choices="ice ||| fog", choices_in_prompt=False)


# Clipping and cleaning


def test_values_are_whole_unless_clipping_is_asked_for(tmp_path: Path) -> None:
    passage = "word " * 1_000
    assert pairs(one(tmp_path, "{{ p }} ||| {{ a }}", [{"p": passage, "a": "x"}]))[0][0] == passage.strip()


def test_clipping_cuts_every_printed_value_at_a_blank(tmp_path: Path) -> None:
    (tmp_path / "openflan.yaml").write_text("clip: 2048\n", encoding="utf-8")
    passage = "word " * 1_000
    task = one(
        tmp_path,
        "{{ p }}{{ p }} Long text that no value prints stays: " + "y" * 3_000 + " ||| {{ p }}",
        [{"p": passage}],
    )
    inputs, targets = pairs(task)[0]
    assert targets == "word " * 408 + "word..."
    assert inputs == f"{targets}{targets} Long text that no value prints stays: {'y' * 3_000}"


def test_newlines_stay_unless_the_collections_cleaning_is_asked_for(tmp_path: Path) -> None:
    jinja, record = "a\n{{ q }} ||| {{ q }}", {"q": "b\nc"}
    assert pairs(one(tmp_path / "none", jinja, [record])) == [("a\nb\nc", "b\nc")]
    (tmp_path / "flan").mkdir()
    (tmp_path / "flan" / "openflan.yaml").write_text("clean: flan\n", encoding="utf-8")
    assert pairs(one(tmp_path / "flan", jinja, [record])) == [("a b c", "bc")]


# What is wrong with rows


def test_a_name_that_the_rows_lack_is_named_with_file_template_and_row(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=(
            r"train\.jsonl:1: .*quiz/templates\.yaml, template `t` names `question`, which is not there "
            r".*`questions`"
        ),
    ):
        one(tmp_path, QUESTION, [{"questions": "Hot?", "answer": "yes"}])


def test_a_nested_name_that_the_rows_lack_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"template `t` names `label`, which is not there .*the row has `choices`"
    ):
        one(tmp_path, "Q ||| {{ choices.label }}", [{"choices": {"text": ["a"]}}])


def test_a_missing_name_inside_a_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="template `t` names `answer`"):
        one(
            tmp_path,
            "Q ||| {{ output | map(attribute='answer') | list | choice }}",
            [{"output": [{"id": 1}]}],
        )


def test_rows_that_lack_a_column_which_others_have_are_left_out(tmp_path: Path) -> None:
    records = [{"question": "Hot?", "answer": "yes"}] * 3 + [{"query": "Hot?", "answer": "yes"}]
    task = one(tmp_path, QUESTION, records)
    assert (len(task.rows), task.left_out) == (3, {"lacks `question`": 1})


def test_columns_that_change_between_shards_are_named(tmp_path: Path) -> None:
    put(tmp_path, "quiz", [template("t", QUESTION)], [{}])
    folder = tmp_path / "data" / "quiz"
    (folder / "train.jsonl").unlink()
    pq.write_table(pa.Table.from_pylist([{"question": "a", "answer": "b"}]), folder / "train-0.parquet")
    pq.write_table(pa.Table.from_pylist([{"query": "a", "answer": "b"}]), folder / "train-1.parquet")
    with pytest.raises(InputError, match=r"train-1\.parquet: lacks the columns question"):
        opened(tmp_path)


def test_a_value_of_another_kind_is_left_out_and_named_where_no_row_is_left(tmp_path: Path) -> None:
    task = one(tmp_path / "a", "Q ||| {{ 'no. ' + n }}", [{"n": "1"}, {"n": 2}])
    assert (pairs(task), task.left_out) == ([("Q", "no. 1")], {"fails: TypeError": 1})
    with pytest.raises(
        InputError, match=r"train\.jsonl:1: .*template `t` fails: TypeError: can only concatenate"
    ):
        one(tmp_path / "b", "Q ||| {{ 'no. ' + n }}", [{"n": 2}])


def test_a_field_that_takes_the_templates_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.jsonl:1: has a field `answer_choices`"):
        one(tmp_path, "Q ||| {{ answer }}", [{"answer": "a", "answer_choices": ["a"]}])


def test_mixed_encodings_of_rows_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "quiz", [template("t", QUESTION)], [{"question": "Hot?", "answer": "yes"}])
    with (tmp_path / "data" / "quiz" / "train.jsonl").open("ab") as file:
        file.write('{"question": "café?", "answer": "no"}\n'.encode("latin-1"))
    task = only(tmp_path)
    assert (len(task.rows), task.left_out) == (1, {"not UTF-8": 1})


def test_half_a_character_is_named_with_its_row(tmp_path: Path) -> None:
    put(tmp_path, "quiz", [template("t", QUESTION)], [{}])
    (tmp_path / "data" / "quiz" / "train.jsonl").write_text(
        '{"question": "\\ud83d", "answer": "x"}\n', encoding="utf-8"
    )
    with pytest.raises(
        InputError,
        match=r"not readable: 1\); the first: .*train\.jsonl:1: holds half of a surrogate pair",
    ):
        opened(tmp_path)


# What is wrong with files of templates


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("templates: [1]", "expected `templates:`, a mapping"),
        ("dataset: quiz", "expected `templates:`, a mapping"),
        ("templates: {a: !Template {name: t}}", "template a: `jinja` must be a text"),
        ("templates: {a: !Template {name: '', jinja: 'x ||| y'}}", "template a: `name` must be a text"),
        ("templates: {a: !Template {name: t, jinja: 'no separator'}}", "template `t`: its text has no |||"),
        (
            "templates: {a: !Template {name: t, jinja: 'x ||| y', answer_choices: {b: c}}}",
            "template `t`: `answer_choices` must be a text",
        ),
        ("templates: {a: !Template {name: t, jinja: 'x", "not valid YAML"),
        ("templates: {a: !!python/object/apply:os.system ['exit 1']}", "could not determine a constructor"),
        ("templates: !Another {a: b}", "could not determine a constructor"),
    ],
)
def test_broken_files_of_templates_are_named(tmp_path: Path, text: str, told: str) -> None:
    file = put(tmp_path, "quiz", [], [{"x": 1}])
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(str(file))) as caught:
        opened(tmp_path)
    assert told in str(caught.value)


def test_a_file_of_templates_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    file = put(tmp_path, "quiz", [], [{"x": 1}])
    file.write_bytes("templates: {a: !Template {name: café, jinja: 'x ||| y'}}".encode("latin-1"))
    with pytest.raises(InputError, match=r"templates\.yaml:\d+: not UTF-8 \(byte \d+: 0xe9\)"):
        opened(tmp_path)


def test_tags_become_plain_mappings(tmp_path: Path) -> None:
    file = put(tmp_path, "quiz", [template("t", QUESTION, "ice ||| fog", False)], [{}])
    (prompt,) = read_prompts(file)
    assert (prompt.name, prompt.jinja, prompt.answer_choices, prompt.choices_in_prompt) == (
        "t",
        QUESTION,
        "ice ||| fog",
        False,
    )
    with pytest.raises(yaml.YAMLError):  # the stock loader keeps refusing the tags
        yaml.safe_load(file.read_text(encoding="utf-8"))


def test_a_broken_template_hides_no_other(tmp_path: Path) -> None:
    put(
        tmp_path,
        "quiz",
        [template("bad", "{% if %} ||| x"), template("good", QUESTION)],
        [{"question": "Hot?", "answer": "yes"}],
    )
    assert set(open_submixture("mine", tmp_path, ["mine/quiz_good"])) == {"mine/quiz_good"}
    with pytest.raises(
        InputError, match=r"templates\.yaml, template `bad`: its text fails: not valid Jinja: .*\(line 1\)"
    ):
        open_submixture("mine", tmp_path, ["mine/quiz_bad"])


# The sandbox


def rendered(text: str, **values: Any) -> str:
    return compiled(text).render(values, Draws(0))


ESCAPES = [
    ("{{ ''.__class__.__mro__ }}", "reads `__mro__`"),
    ("{{ cycler.__init__.__globals__ }}", "reads `__globals__`"),
    ("{{ x['__class__'] }}", "reads `__class__`"),
    ("{{ x['__cl' ~ 'ass__'] }}", "'__class__' of 'str' object is unsafe"),
    ("{{ x | attr('__class__') }}", "filter `attr`"),
    ("{{ [x] | map(attribute='__class__') | list }}", "unsafe|names"),
    ("{{ '{0.__class__}'.format(x) }}", "calls something"),
    ("{% set f = x.format %}{{ f(x) }}", "calls something"),
    ("{{ lipsum() }}", "calls something"),
    ("{{ namespace.__init__ }}", "reads `__init__`"),
    ("{{ dict.mro() }}", "calls something"),
    ("{% include 'x' %}", "uses `include`"),
    ("{% import 'x' as y %}", "uses `import`"),
    ("{% extends 'x' %}", "uses `extends`"),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "uses `macro`"),
    ("{% set a %}{{ x }}{% endset %}", "uses `assignblock`"),
    ("{% for a in items recursive %}{{ loop(items) }}{% endfor %}", "recursive loop|calls something"),
    ("{{ items.append(1) }}", "calls something"),
    ("{{ self }}", "prints a TemplateReference"),
    ("{{ range }}", "prints a function"),
    ("{{ items | map('upper') }}", "prints a generator"),
]
FLOODS = [
    "{{ range(1000000000) | list }}",
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    (
        "{% for a in range(10000) %}{% for b in items | map('upper') %}{% for c in range(1000) %}{% "
        "endfor %}{% endfor %}{% endfor %}"
    ),
    "{{ 'a' * 1000000000 }}",
    "{{ [0] * 1000000000 }}",
    "{% set a = x %}" + "{% set a = a ~ a %}" * 60,
    "{% set a = x %}" + "{% set a = a + a %}" * 60,
    "{% set a = items %}" + "{% set a = a + a %}" * 60,
    "{% set a = x %}" + "{% set a = [a, a] | join %}" * 60,
    "{% set a = x %}" + "{% set a = ''.join([a, a]) %}" * 60,
    "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
    "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
    "{{ [[['a' * 1000] * 1000] * 1000] * 1000 }}",
    "{{ [[['a' * 1000] * 1000] * 1000] | join }}",
    "{% set a = 'a ' * 4000000 %}" + "".join(f"{{% set b{number} = a.split() %}}" for number in range(500)),
    "{% set a = 'a' * 4000000 %}" + "".join(f"{{% set b{number} = a[1:] %}}" for number in range(500)),
    "{% set a = 'a' * 4000000 %}" + "".join(f"{{% set b{number} = a | upper %}}" for number in range(500)),
    "{% set a = 'a' * 4000000 %}{% set b = [" + "a, " * 2_000 + "] %}{{ b | map('upper') | list | length }}",
    "{% set a = 'a' * 4000000 %}{% set b = ["
    + "a, " * 2_000
    + "] %}{{ b | select | map('upper') | list | length }}",
    "{{ '%1000000000s' % x }}",
    "{{ 10 ** 100000 }}",
    "{{ 1.5 | round(100000000, 'ceil') }}",
    "{% for a in range(100000) %}" + "a" * 1_000 + "{% endfor %}",
    "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
]


@pytest.mark.parametrize(("text", "told"), ESCAPES)
def test_what_reaches_for_python_is_refused(text: str, told: str) -> None:
    with pytest.raises((Refused, Missing), match=told):
        rendered(text, x="text", items=["a", "b"])


@pytest.mark.parametrize("text", FLOODS, ids=range(len(FLOODS)))
def test_what_would_run_away_is_stopped(text: str) -> None:
    start = time.process_time()
    with pytest.raises(Refused):
        rendered(text, x="text", items=["a", "b"])
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }} ||| x",
        "{{ cycler.__init__.__globals__ }} ||| x",
        "{{ range(1000000000) | list }} ||| x",
    ],
)
def test_a_template_that_is_refused_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        InputError,
        match=(
            r"templates\.yaml, template `t`.* is refused: it (reads `__|loops over or builds more than "
            r"20,000,000)"
        ),
    ):
        one(tmp_path, text, [{"x": 1}])


def test_choices_are_in_the_sandbox_too(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"template `t`: its `answer_choices` is refused: it reads `__class__`"
    ):
        one(tmp_path, "Q ||| x", [{"x": 1}], answer_choices="{{ x.__class__ }}")


def test_the_budget_is_for_one_row_and_leaves_room_for_long_ones() -> None:
    program = compiled("{% for a in range(n) %}{{ x }}{% endfor %}")
    for _ in range(2):
        assert len(program.render({"n": 20, "x": "y" * (WORK // 25)}, Draws(0))) == 20 * (WORK // 25)
    with pytest.raises(Refused):
        program.render({"n": 26, "x": "y" * (WORK // 25)}, Draws(0))


def test_values_of_a_record_cannot_be_changed() -> None:
    record = {"items": ["a"]}
    with pytest.raises(Refused):
        rendered("{{ items.append('b') }}", **record)
    assert record == {"items": ["a"]}


def test_what_is_not_defined_may_be_asked_for() -> None:
    assert (
        rendered("{{ y | default('none') }}{{ 'no' if y is not defined }}{{ x.y | d(1) }}", x={}) == "noneno1"
    )


def test_an_item_beyond_the_end_is_told_from_a_missing_name() -> None:
    for text in ("{{ x[3] }}", "{{ x.3 }}", "{{ 'ab'[5] }}", "{{ [] | choice }}"):
        with pytest.raises(Short):
            rendered(text, x=["a"])
    for text in ("{{ y }}", "{{ x.y }}", "{{ {'a': 1}['b'] }}"):
        with pytest.raises(Missing):
            rendered(text, x=["a"])


@given(st.text(st.sampled_from("{}%|()[]'\"._ x1+*~-=iforsetnd\n"), max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_renders_or_is_refused_in_our_words(text: str) -> None:
    with contextlib.suppress(ValueError, Short):
        rendered(text, x=["a", {"b": "c"}])


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in x %}" * 25 + "{% endfor %}" * 25,
        "{{ 9[1:] }}",
        "{{ " + "9" * 5_000 + " }}",
        "{{ x | nosuch }}",
        "{% for",
    ],
)
def test_texts_that_cannot_be_compiled_are_refused_in_our_words(text: str) -> None:
    with pytest.raises(
        ValueError,
        match=(
            "not a text that Python can run|fails|digits|filter `nosuch`|not valid Jinja|TypeError|not "
            "subscriptable"
        ),
    ):
        rendered(text, x=["a"])


def test_escapes_that_need_none_are_kept_as_public_templates_have_them() -> None:
    assert rendered(r"{{ x | join(' \|\| ') }}", x=["a", "b"]) == r"a \|\| b"


def test_names_of_the_collection_are_found_without_opening_rows(tmp_path: Path) -> None:
    put(tmp_path, "quarel", [template("do_not_use", QUESTION)], [{"broken": True}])
    assert set(find_submixture("t0_sf", tmp_path)) == {"t0_sf/quarel_do_not_use"}
