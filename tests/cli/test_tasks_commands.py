"""`openflan tasks`: the catalogue listed and counted, folders listed and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import SHARED, Done, openflan

from openflan.tasks.catalogue import counts

INSTRUCTIONS = json.dumps(
    {"Definition": ["Add."], "Categories": ["Sums"], "Instances": [{"input": "1 1", "output": ["2"]}]}
)
COT = "How many?\tfour\tTwo and two.\n"


def listed(*arguments: object) -> list[dict[str, Any]]:
    done = openflan("tasks", "list", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    printed: list[dict[str, Any]] = json.loads(done.stdout)
    return printed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of three layouts, some broken in different ways."""
    contents: dict[str, str | bytes] = {
        "gsm8k_train.tsv": COT,
        "qed_train.tsv": "two\tcolumns\n",
        "qasc_trained_train.tsv": COT,
        "task137_detoxifying-lms_classification_toxicity.json": INSTRUCTIONS,
        "task664_mmmlu_answer_generation_abstract_algebra.json": INSTRUCTIONS,
        "task9_cut.json": INSTRUCTIONS[:40],
        "task8_empty.json": "",
        "task7_list.json": "[]",
        "task6_deep.json": "[" * 100_000,
        "mine.jsonl": '{"inputs": "a", "targets": "b"}\n',
        "latin.jsonl": b'{"inputs": "caf\xe9", "targets": "b"}\n',
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path


# list


def test_the_catalogue_and_the_embedded_world_are_listed() -> None:
    listing = listed()
    by_submixture = {
        name: sum(task["submixture"] == name for task in listing)
        for name in ("muffin", "t0_sf", "niv2", "cot")
    }
    assert by_submixture == {"muffin": 80, "t0_sf": 193, "niv2": 1556, "cot": 9}
    assert {task["submixture"] for task in listing} == {*by_submixture, "microflan", "microflan_text"}
    assert len({task["name"] for task in listing}) == len(listing)


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (["--submixture", "niv2"], 1556),
        (["--submixture", "niv2", "--language", "sw"], 3),
        (["--submixture", "niv2", "--language", "Swahili"], 3),
        (["--submixture", "niv2", "--held-out"], 57),
        (["--submixture", "cot", "--category", "Natural Language"], 1),
        (["--submixture", "muffin", "--dataset", "mnli"], 2),
        (["--submixture", "cot", "--language", "sw"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_filters(arguments: list[str], number: int) -> None:
    assert len(listed(*arguments)) == number


def test_a_listed_task_says_all_that_is_known() -> None:
    (task,) = listed("--submixture", "cot", "--dataset", "gsm8k")
    assert task["name"] == "cot/gsm8k"
    assert task["rows"] == 7473
    assert task["licence"] == "MIT"
    assert task["link"].endswith("gsm8k_train.tsv")
    assert len(task["variants"]) == 3


def test_the_table_has_a_line_for_every_task() -> None:
    done = openflan("tasks", "list", "--submixture", "niv2")
    title, header, *lines = done.stdout.splitlines()
    assert title == "1,556 tasks of 372 datasets in 108 categories"
    assert header.split()[:2] == ["task", "category"]
    assert len(lines) == 1556
    assert all(line.startswith("niv2/task") for line in lines)


def test_the_embedded_world_is_listed_with_wordings_splits_and_examples() -> None:
    listing = listed("--submixture", "microflan")
    assert len([task for task in listing if task["split"] == "train"]) >= 200
    assert len({task["category"] for task in listing}) >= 20
    assert {(task["split"], task["held_out"] is None) for task in listing} == {
        ("train", True),
        ("dev", False),
        ("test", False),
    }
    assert all(
        len(task["wordings"]) >= 4 and task["example"]["inputs"] and task["example"]["targets"]
        for task in listing
    )
    (boss,) = [task for task in listing if task["name"] == "microflan/relation_boss-qa"]
    assert boss["example"]["inputs"] == "Who is the boss of Ann?"
    assert "plain" in boss["wordings"]


def test_the_table_of_the_embedded_world_shows_them_too() -> None:
    done = openflan("tasks", "list", "--submixture", "microflan", "--category", "two-hop")
    _, header, *lines = done.stdout.splitlines()
    assert header.split() == ["task", "category", "rows", "split", "held", "out", "wordings", "example"]
    assert any(
        " test  " in line and " composition " in line and "What is the " in line and " -> " in line
        for line in lines
    )


def test_a_shown_task_says_its_split() -> None:
    done = openflan("tasks", "show", "microflan/person_sport-qa")
    assert "  split: test\n" in done.stdout
    assert "  held out: skill\n" in done.stdout


def test_counts_reconcile_with_the_paper() -> None:
    done = openflan("tasks", "list", "--counts")
    assert done.returncode == 0, done.stderr
    for figure in ("1,836", "1,838", "473", "437", "146", "140", "60"):
        assert figure in done.stdout
    shown = json.loads(openflan("tasks", "list", "--counts", "--json").stdout)
    assert shown["total"]["tasks"] == 1838
    assert len(shown["differences"]) == len(counts().differences)
    for difference in shown["differences"]:
        assert difference["why"] in done.stdout


def test_the_document_on_the_collection_shows_the_same_counts() -> None:
    page = (Path(__file__).parents[2] / "docs" / "collection.md").read_text(encoding="utf-8")
    for difference in counts().differences:
        assert difference.why in page
        assert f"| {difference.figure} | {difference.ours:,} | {difference.paper:,} |" in page
    for count in (*counts().submixtures, counts().total):
        assert (
            f"| {count.tasks:,} | {count.paper_tasks:,} | {count.datasets:,} | {count.categories:,} | "
            f"{count.languages:,} | {count.variants:,} |"
        ) in page


def test_what_is_in_a_folder_is_listed_and_what_cannot_be_read_is_counted(folder: Path) -> None:
    listing = {task["name"]: task for task in listed("--data", folder)}
    assert listing.keys() == {
        "cot/gsm8k",
        "niv2/task137_detoxifying_lms_classification_toxicity",
        "niv2/task664_mmmlu_answer_generation_abstract_algebra",
        "own/mine",
    }
    assert listing["niv2/task664_mmmlu_answer_generation_abstract_algebra"]["held_out"] == "mmlu"
    assert "7 tasks cannot be read" in openflan("tasks", "list", "--data", folder).stderr


# show


def test_a_task_is_shown_from_a_folder_that_holds_broken_files(folder: Path) -> None:
    for name in ("cot/gsm8k", "gsm8k"):
        (example,) = json.loads(openflan("tasks", "show", name, "--data", folder, "--json").stdout)
        assert (example["task"], example["answer"]) == ("cot/gsm8k", "four")
    for name in (
        "niv2/task137_detoxifying-lms_classification_toxicity",
        "niv2/task137_detoxifying_lms_classification_toxicity",
    ):
        (example,) = json.loads(openflan("tasks", "show", name, "--data", folder, "--json").stdout)
        assert example["answer"] == "2"
    (example,) = json.loads(
        openflan("tasks", "show", "named/mine", "--data", folder / "mine.jsonl", "--json").stdout
    )
    assert example["task"] == "named/mine"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "cot/esnli"], "curl -O https://"),
        (["show", "esnli"], "do not come with openflan"),
        (
            ["show", "niv2/task1580_eqasc-perturbed_question_generation"],
            "git clone --depth 1 https://github.com/allenai/natural-instructions",
        ),
        (["show", "t0_sf/quail_no_prompt_id"], "config quail_no_prompt_id"),
        (["show", "muffin/rte"], "https://huggingface.co/datasets/"),
        (["show", "task184"], "niv2/task184_break_generate_question or niv2/task184_snli"),
        (["show", "niv2/task184"], "niv2/task184_break_generate_question or niv2/task184_snli"),
        (["show", "cot/gsm8"], "did you mean `cot/gsm8k`"),
        (["show", "cot/ecqa", "--data", "FOLDER"], "no rows of cot/ecqa"),
        (["show", "cot/qed", "--data", "FOLDER"], "2 columns"),
        (["show", "own/minee", "--data", "FOLDER"], "did you mean `own/mine`"),
        (["list", "--submixture", "nvi2"], "did you mean `niv2`"),
        (["list", "--language", "Swahilli"], "did you mean `swahili`"),
        (
            ["list", "--submixture", "microflan", "--category", "two hop facts"],
            "no category holds `two hop facts`; did you mean `two-hop facts`?",
        ),
        (["list", "--submixture", "cot", "--category", "xyzzy"], "no category holds `xyzzy`; there are"),
        (["list", "--submixture", "microflann"], "did you mean `microflan`"),
        (
            ["list", "--data", "FOLDER/gsm8k_train.tsv", "--submixture", "niv2"],
            "no tasks of submixture `niv2`; it has cot",
        ),
        (
            ["list", "--data", "embedded:microflan@7", "--submixture", "microflan-text"],
            "did you mean `microflan_text`",
        ),
        (["show", "microflan/person_color-qa"], "did you mean `microflan/person_colour-qa`"),
        (["check", "--submixture", "microflann"], "did you mean `microflan`"),
        (["check", "--data", "FOLDER", "--wordings", "mine.yaml"], "leave one out"),
        (["list", "--counts", "--submixture", "cot"], "without filters"),
        (["check", "--data", "nowhere"], "no such file or folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_answered_with_the_remedy(
    arguments: list[str], says: str, folder: Path, tmp_path: Path
) -> None:
    done = openflan(
        "tasks", *(argument.replace("FOLDER", str(folder)) for argument in arguments), folder=tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2, done.stderr


# check


def checked(done: Done) -> dict[str, dict[str, Any]]:
    return {row["task"]: row for row in json.loads(done.stdout)}


def test_one_bad_file_does_not_hide_the_others(folder: Path) -> None:
    done = openflan("tasks", "check", "--data", folder, "--json")
    assert done.returncode == 1
    rows = checked(done)
    status = {name: row["status"] for name, row in rows.items() if row["status"] != "missing"}
    assert {name for name, found in status.items() if found == "works"} == {
        "cot/gsm8k",
        "niv2/task137_detoxifying_lms_classification_toxicity",
        "niv2/task664_mmmlu_answer_generation_abstract_algebra",
        "own/mine",
    }
    assert {name for name, found in status.items() if found == "broken"} == {
        "cot/qed",
        "cot/qasc_trained",
        "niv2/task9_cut",
        "niv2/task8_empty",
        "niv2/task7_list",
        "niv2/task6_deep",
        "own/latin",
    }
    for name, file in (
        ("cot/qed", "qed_train.tsv:1"),
        ("niv2/task9_cut", "task9_cut.json:1"),
        ("own/latin", "latin.jsonl:1"),
    ):
        assert file in rows[name]["detail"]
    assert "kept out of training" in rows["niv2/task664_mmmlu_answer_generation_abstract_algebra"]["detail"]
    assert {name for name, row in rows.items() if row["status"] == "missing" and name.startswith("cot/")} == {
        f"cot/{name}" for name in ("aqua", "creak", "ecqa", "esnli", "qasc", "sensemaking", "strategyqa")
    }
    assert sum(row["status"] == "missing" and name.startswith("niv2/") for name, row in rows.items()) == 1555
    assert not any(name.startswith(("muffin/", "t0_sf/")) for name in rows)


def test_a_long_list_of_missing_tasks_is_one_line_for_people(folder: Path) -> None:
    done = openflan("tasks", "check", "--data", folder)
    assert done.returncode == 1
    title = done.stdout.splitlines()[0]
    assert title == "4 works, 7 broken, 1,562 missing"
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("niv2/*")]
    assert "1,555 tasks: `openflan collection fetch niv2" in line
    assert len(done.stdout.splitlines()) < 30


def test_without_data_the_embedded_world_works_and_each_submixture_is_one_line() -> None:
    done = openflan("tasks", "check", "--json")
    assert done.returncode == 0, done.stderr
    rows = checked(done)
    assert {name: row["tasks"] for name, row in rows.items() if row["status"] == "missing"} == {
        "muffin/*": 80,
        "t0_sf/*": 193,
        "niv2/*": 1556,
        "cot/*": 9,
    }
    works = {name for name, row in rows.items() if row["status"] == "works"}
    assert works
    assert {name for name in works if not name.startswith(("microflan/", "microflan_text/"))} == {
        "held apart",
        "wordings",
    }
    assert len(rows) == len(works) + 4


def test_a_wording_that_gives_an_answer_away_is_named_and_a_leak_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    head = 'tasks: ["microflan/person_pet-qa"]\nfields: [question, answer]\nwordings:\n'
    file.write_text(
        head + '  - {id: tells, inputs: "{question} It is {answer}. Thank you.", targets: "{answer}"}\n'
    )
    done = openflan("tasks", "check", "--submixture", "microflan", "--wordings", file)
    assert done.returncode == 1
    assert f"{file}:4: wording `tells` gives away the answer: its inputs show `{{answer}}`" in done.stdout
    assert "microflan/person_pet-qa, wording `tells`: `Thank you.` is a held-out wording" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(
    not (SHARED / "data" / "cot").is_dir(), reason="the public chain-of-thought files are not here"
)
def test_the_link_of_a_missing_file_stands_in_one_line() -> None:
    done = openflan("tasks", "check", "--data", SHARED / "data" / "cot")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("cot/esnli")]
    assert (
        "curl -O "
        "https://raw.githubusercontent.com/google-research/FLAN/main/flan/v2/cot_data/esnli_train.tsv, "
        "then"
    ) in line
