"""Public data with flaws: rows and tasks that cannot be used, patterns that take away, names, and how a
copy's sources stand."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError, OpenflanError
from openflan.mixture.open_mixture import build_stream, open_mixture, open_tasks, task_shares
from openflan.recipe.schema import Mixture
from openflan.tasks.catalogue import resolve
from openflan.tasks.muffin.families import DATASETS
from openflan.tasks.p3.names import published
from openflan.tasks.reach import reach
from openflan.tasks.sources import find_submixture, open_submixture
from openflan.tasks.task import select
from openflan.templates.flan_fields import fields_of
from openflan.templates.wording import WordingSet

INSTANCES: list[dict[str, Any]] = [
    {"input": f"in {number}", "output": [f"out {number}"]} for number in range(4)
]


def niv2(folder: Path, name: str, instances: list[Any]) -> None:
    document = {"Definition": ["Say it."], "Categories": ["Test"], "Instances": instances}
    (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")


def mixture(data: Path, **more: Any) -> Mixture:
    return Mixture.model_validate({"submixtures": {"niv2": {"data": str(data), **more}}})


def test_a_row_with_an_empty_output_refuses_nothing_and_is_counted(tmp_path: Path) -> None:
    niv2(tmp_path, "task001_good", INSTANCES)
    niv2(
        tmp_path,
        "task002_some",
        [*INSTANCES, {"input": "x", "output": [" "]}, {"input": "x"}, {"input": "\ud800", "output": "y"}],
    )
    niv2(tmp_path, "task003_none", [{"input": "x", "output": []}])
    opened = open_mixture(mixture(tmp_path))
    assert {name: len(task.rows) for name, task in opened.tasks.items()} == {
        "niv2/task001_good": 4,
        "niv2/task002_some": 4,
    }
    assert opened.tasks["niv2/task002_some"].left_out == {
        "empty output": 1,
        "no input and output": 1,
        "half a character": 1,
    }
    assert [(left.task, "task003_none.json" in left.reason) for left in opened.left_out] == [
        ("niv2/task003_none", True)
    ]
    assert "3 of 11 rows left out" in str(opened.warning)
    assert "1 task left out: niv2/task003_none" in str(opened.warning)


def test_a_task_that_is_named_outright_is_not_passed_over(tmp_path: Path) -> None:
    niv2(tmp_path, "task001_good", INSTANCES)
    niv2(tmp_path, "task003_none", [{"input": "x", "output": []}])
    with pytest.raises(InputError, match=r"task003_none\.json: Instances\[0\]"):
        open_mixture(mixture(tmp_path, tasks=["task001_good", "task003_none"]))


def test_a_pattern_takes_tasks_away(tmp_path: Path) -> None:
    for index in (1, 2, 3):
        niv2(tmp_path, f"task00{index}_x", INSTANCES)
    (tmp_path / "task004_broken.json").write_text("{", encoding="utf-8")
    assert set(open_mixture(mixture(tmp_path, tasks=["!task002_x", "!niv2/task004*"])).tasks) == {
        "niv2/task001_x",
        "niv2/task003_x",
    }
    with pytest.raises(InputError, match="no task matches `task009_x`"):
        open_mixture(mixture(tmp_path, tasks="!task009_x"))
    with pytest.raises(InputError, match="no task is left"):
        open_mixture(mixture(tmp_path, tasks=["task001_x", "!niv2/*"]))


@given(st.sets(st.sampled_from("abcdef"), min_size=1), st.sets(st.sampled_from("abcdef")))
def test_what_patterns_choose_is_what_they_want_without_what_they_take_away(
    chosen: set[str], taken: set[str]
) -> None:
    tasks = {f"s/{name}": name for name in "abcdef"}
    patterns = [*(f"!s/{name}" for name in taken), *chosen]
    if chosen <= taken:
        with pytest.raises(InputError, match="no task is left"):
            select(tasks, patterns)
    else:
        assert set(select(tasks, patterns).values()) == chosen - taken


@pytest.mark.parametrize(
    "stem",
    [
        "task1530_scitail1.1_sentence_generation",
        "task074_squad1.1_question_generation",
        "task1637_doqa2.1_any",
    ],
)
def test_names_with_a_dot_are_those_of_the_list(tmp_path: Path, stem: str) -> None:
    niv2(tmp_path, stem, INSTANCES)
    (name,) = open_submixture("niv2", tmp_path)
    assert resolve(name).name == name == f"niv2/{stem.partition('.')[0]}"
    assert set(open_submixture("niv2", tmp_path, [f"niv2/{stem}"])) == {name}


@pytest.mark.parametrize("name", ["quoref_Read_And_Extract_", "dbpedia_14_given_a_choice_of_categories_"])
@pytest.mark.parametrize("end", ["", " ", "_ "])
def test_names_with_a_blank_at_the_end_are_those_of_the_list(tmp_path: Path, name: str, end: str) -> None:
    folder = tmp_path / (name.rstrip("_") + end)
    folder.mkdir()
    (folder / "train.jsonl").write_text(
        json.dumps({"inputs_pretokenized": "a", "targets_pretokenized": "b"}) + "\n", encoding="utf-8"
    )
    assert set(find_submixture("t0_sf", tmp_path)) == {f"t0_sf/{name}"}
    assert published("a name of my own ") == "a name of my own"


def test_one_dead_set_of_the_hub_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from openflan.tasks.muffin import find
    from openflan.tasks.records import JsonRecords

    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"premise": "a", "hypothesis": "b", "label": 0}) + "\n", encoding="utf-8")

    def records(text: str, *, raw: bool) -> Any:
        if "rte" not in text:
            raise InputError(f"{text}: no such data set on the hub")
        return JsonRecords(rows)

    monkeypatch.setattr(find, "hub_records", records)
    plan = Mixture.model_validate(
        {"submixtures": {"muffin": {"data": "hub:", "tasks": ["muffin/rte", "muffin/w*"]}}}
    )
    opened = open_mixture(plan)
    assert set(opened.tasks) == {"muffin/rte"}
    assert all("no such data set on the hub" in left.reason for left in opened.left_out)
    assert "muffin/wic" in {left.task for left in opened.left_out}


def test_copas_templates_get_the_bare_word_and_ours_a_question() -> None:
    raw = {"premise": "p", "choice1": "a", "choice2": "b", "question": "effect", "label": 1}
    row = DATASETS["copa"].row(raw)
    assert row is not None
    assert (row["asked_for"], row["question"]) == ("effect", "What happened as a result?")
    assert fields_of("copa")["question"] == "asked_for"


def test_dialog_has_the_releases_share_of_a_ready_made_copy(tmp_path: Path) -> None:
    for name in (
        "flan_zs_opt",
        "flan_zs_noopt",
        "flan_fs_opt",
        "flan_fs_noopt",
        "dialog_zs_opt",
        "dialog_fs_opt",
        "t0_zs_opt",
        "niv2_zs_opt",
        "cot_zs_opt",
    ):
        (tmp_path / f"{name}_train.jsonl").write_text(
            '{"inputs": "a", "targets": "b"}\n' * 30, encoding="utf-8"
        )
    data = {"data": str(tmp_path)}
    plan = Mixture.model_validate(
        {"submixtures": dict.fromkeys(("muffin", "t0_sf", "niv2", "cot"), data), "rates": "proportion-b"}
    )
    share = task_shares(plan, open_tasks(plan))
    assert sum(share.values()) == pytest.approx(1)
    dialog = sum(value for name, value in share.items() if "dialog" in name)
    assert dialog == pytest.approx(46 / 99.9 * 3 / 43)
    assert share["muffin/flan2021_zs_opt"] == pytest.approx(share["muffin/flan2021_fs_opt"])
    everything = Mixture.model_validate({"submixtures": {"mine": data}})
    share = task_shares(everything, open_tasks(everything))
    by_source = {
        source: sum(value for name, value in share.items() if f"/{source}_" in name)
        for source in ("flan2021", "t0", "niv2", "cot", "dialog")
    }
    assert by_source == pytest.approx(
        {"flan2021": 0.40, "t0": 0.32, "niv2": 0.20, "cot": 0.05, "dialog": 0.03}
    )
    assert build_stream(everything, open_tasks(everything), seed=0)[0].inputs == "a"


GOOD = {
    "task001_x.json": json.dumps({"Definition": ["d"], "Categories": ["c"], "Instances": INSTANCES}),
    "gsm8k_train.tsv": "q\ta\tr\n" * 4,
    "muffin/rte.jsonl": '{"premise": "a", "hypothesis": "b", "label": 0}\n' * 4,
    "cot_zs_opt_train.jsonl": '{"inputs": "a", "targets": "b"}\n' * 4,
    "quarel_do_not_use/train.jsonl": '{"inputs_pretokenized": "a", "targets_pretokenized": "b"}\n' * 4,
}
MARKS = [
    b"\x00",
    b"\xff",
    b"\\ud800",
    b"[" * 5_000,
    b"9" * 5_000,
    b"null",
    b"NaN",
    b"\n",
    b'"',
    b"{",
    b"}",
    b"\t",
    b"[]",
    b"1e999",
    b"\xe2\x80\xa8",
    b"",
]


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_a_mutated_file_is_read_or_refused_in_our_words(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    content = GOOD[name].encode()
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(begin, min(len(content), begin + 12)))
        content = content[:begin] + data.draw(st.sampled_from(MARKS) | st.binary(max_size=4)) + content[end:]
    path = tmp_path_factory.mktemp("mutated") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    root = path.parent.parent if path.parent.name == "quarel_do_not_use" else path.parent
    with contextlib.suppress(OpenflanError):  # anything else is a fault
        for reached in reach(root):
            task = reached.open()
            for index in range(len(task.rows)):
                "".join(str(value) for value in task.rows[index].values()).encode()


def test_a_pattern_takes_tasks_away_from_a_set_of_wordings() -> None:
    covered = WordingSet(("cot/*", "!cot/qed"), frozenset(), ())
    assert [covered.covers(f"cot/{name}") for name in ("gsm8k", "qed")] == [True, False]
    assert not covered.covers("mine/gsm8k")
