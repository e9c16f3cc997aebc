"""Promptsource templates: rows that are left out, clipping, and what an error says about rows and files."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from promptsource_files import QUESTION, one, only, opened, pairs, put, template

from openflan.errors import InputError
from openflan.tasks.p3.prompts import read_prompts
from openflan.tasks.sources import open_submixture

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
