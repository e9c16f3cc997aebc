"""Training, validation and test rows of one task are one task, in every kind of file: its training rows are
trained on, the others are named, and can be opened for validation and evaluation."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from row_forms import CHAT_FORMS, TEXT_FORMS, only, pairs_of, write

from openflan.errors import InputError
from openflan.evaluation.selection import open_benchmark
from openflan.mixture.open_mixture import open_mixture
from openflan.mixture.own_data import own_data_described, own_data_lines
from openflan.recipe.schema import Mixture
from openflan.tasks.custom import task_of_split
from openflan.tasks.reach import reach
from openflan.tasks.sources import open_submixture
from openflan.tasks.splits import topic_of

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))
LEFT_ASIDE = pytest.mark.filterwarnings("ignore:.*left aside and not trained on")
ENDINGS = ("jsonl", "NDJSON", "json", "csv", "tsv", "parquet", "arrow", "jsonl.gz", "csv.gz")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))


def rows(answer: str, count: int = 3, form: str = "inputs-targets") -> list[dict[str, Any]]:
    return [(TEXT_FORMS.get(form) or CHAT_FORMS[form])(f"{answer} {n}?", answer) for n in range(count)]


def answers(task: Any) -> set[str]:
    return {answer for _, answer in pairs_of(task)}


@pytest.mark.skipif(
    not (SHARED / "cases/split_folder").is_dir(), reason="the shared cases are not at hand (OPENFLAN_SHARED)"
)
@LEFT_ASIDE
def test_the_folder_of_three_splits_is_one_task_with_three_splits(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SHARED / "cases/split_folder", tmp_path / "capitals"))
    task = only(folder)
    assert (task.name, len(task.rows), set(task.splits)) == ("mine/capitals", 6, {"validation", "test"})
    assert answers(task_of_split(task, "validation")) == {"Havana", "Baghdad", "Valletta"}
    assert answers(task_of_split(task, "test")) == {"Kathmandu", "Muscat", "Doha"}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("training", "validation", "test"),
    [
        ("train", "validation", "test"),
        ("Train-00000-of-00001", "VALID-00000-of-00001", "Test_00000"),
        ("quiz", "quiz.dev", "quiz-eval"),
        ("data/train_1", "data/val_1", "data/test_1"),
        ("train/part-0", "valid/part-0", "evaluation/part-0"),
    ],
)
@LEFT_ASIDE
def test_the_splits_of_a_task_are_found_by_name_in_every_kind_of_file(
    tmp_path: Path, ending: str, training: str, validation: str, test: str
) -> None:
    folder = tmp_path / "folder"
    for name, answer in ((training, "learned"), (validation, "validated"), (test, "tested")):
        write(folder / f"{name}.{ending}", rows(answer))
    task = only(folder)
    assert answers(task) == {"learned"}
    assert set(task.splits) == {"validation", "test"}
    assert answers(task_of_split(task, "validation")) == {"validated"}
    tested = task_of_split(task, "test")
    assert (answers(tested), tested.split, tested.name) == ({"tested"}, "test", task.name)


@LEFT_ASIDE
def test_splits_of_different_kinds_of_files_are_one_task(tmp_path: Path) -> None:
    write(tmp_path / "quiz/train.jsonl", rows("learned"))
    write(tmp_path / "quiz/validation.csv", rows("validated"))
    write(tmp_path / "quiz/test.parquet", rows("tested"))
    task = only(tmp_path / "quiz")
    assert answers(task_of_split(task, "validation")) == {"validated"}
    assert answers(task_of_split(task, "test")) == {"tested"}


@LEFT_ASIDE
def test_each_of_several_tasks_has_its_own_splits(tmp_path: Path) -> None:
    for topic in ("capitals", "rivers"):
        write(tmp_path / f"geo/{topic}_train.jsonl", rows(f"{topic} learned"))
        write(tmp_path / f"geo/test_{topic}.jsonl", rows(f"{topic} tested"))
    write(tmp_path / "geo/lakes.jsonl", rows("lakes"))
    tasks = open_submixture("mine", tmp_path / "geo")
    assert set(tasks) == {"mine/capitals", "mine/rivers", "mine/lakes"}
    assert answers(task_of_split(tasks["mine/rivers"], "test")) == {"rivers tested"}
    assert not tasks["mine/lakes"].splits


def test_shards_of_a_split_are_one_task_and_parts_without_one_are_several(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"quiz/train-0000{number}-of-00003.jsonl", rows(str(number)))
        write(tmp_path / f"parts/part-{number}.jsonl", rows(str(number)))
    assert answers(only(tmp_path / "quiz")) == {"0", "1", "2"}
    assert len(open_submixture("mine", tmp_path / "parts")) == 3


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("train.jsonl", ""),
        ("TEST_01.csv", ""),
        ("rows_validation_00000-of-00002.parquet", ""),
        ("gsm8k_train.tsv", "gsm8k"),
        ("my-quiz.dev.v2.json", "my-quiz"),
        ("train_Über uns.jsonl.gz", "Über uns"),
        ("driving_test_questions.jsonl", "driving_test_questions"),
        ("contest-v2.jsonl", "contest-v2"),
        ("北京-train-00000-of-00001.ndjson", "北京"),
    ],
)
def test_the_topic_of_a_file_is_its_name_without_split_and_shard(name: str, topic: str) -> None:
    assert topic_of(Path(name)) == topic


def test_a_split_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    task = only(write(tmp_path / "rows.jsonl", rows("learned")))
    with pytest.raises(InputError, match=r"has no rows of a split `test` \(other splits: none\)"):
        task_of_split(task, "test")


@LEFT_ASIDE
def test_broken_rows_of_a_split_hurt_only_those_who_read_it(tmp_path: Path) -> None:
    write(tmp_path / "quiz/train.jsonl", rows("learned"))
    write(tmp_path / "quiz/test.jsonl", [*rows("tested"), {"inputs": "a", "targets": None}])
    task = only(tmp_path / "quiz")
    with pytest.raises(InputError, match=r"test\.jsonl:4: missing `targets`"):
        task_of_split(task, "test")


# Of use: validation and evaluation


def mixture(data: Path, **more: Any) -> Mixture:
    return Mixture(submixtures={"own": {"data": data}}, **more)  # type: ignore[dict-item]


@pytest.mark.parametrize("ending", ENDINGS)
@LEFT_ASIDE
def test_the_validation_split_validates_and_all_training_rows_train(tmp_path: Path, ending: str) -> None:
    write(tmp_path / f"quiz/train.{ending}", rows("learned", 20))
    write(tmp_path / f"quiz/validation.{ending}", rows("validated", 4))
    opened = open_mixture(mixture(tmp_path / "quiz", validation="split", validation_rows=5))
    assert (len(opened.tasks["own/quiz"].rows), answers(opened.tasks["own/quiz"])) == (20, {"learned"})
    assert answers(opened.validation["own/quiz"]) == {"validated"}
    held_back = open_mixture(mixture(tmp_path / "quiz", validation_rows=2))
    assert (len(held_back.tasks["own/quiz"].rows), answers(held_back.validation["own/quiz"])) == (
        18,
        {"learned"},
    )


@LEFT_ASIDE
def test_validation_by_split_without_any_is_refused_before_training(tmp_path: Path) -> None:
    write(tmp_path / "quiz/train.jsonl", rows("learned"))
    write(tmp_path / "quiz/test.jsonl", rows("tested"))
    with pytest.raises(InputError, match="no task has validation rows; put a file such as validation.jsonl"):
        open_mixture(mixture(tmp_path / "quiz", validation="split"))


@LEFT_ASIDE
def test_what_is_read_of_own_rows_is_said_in_a_line(tmp_path: Path) -> None:
    write(tmp_path / "quiz/train.jsonl", rows("learned", 12, "preference"))
    write(tmp_path / "quiz/test.jsonl", rows("tested", 2, "preference"))
    opened = open_mixture(mixture(tmp_path / "quiz"))
    assert own_data_lines(own_data_described(opened.tasks.values())) == [
        "own/quiz: 12 rows, format preference (prompt, chosen, rejected); other splits, not trained on: test",
        "own/quiz: preference pairs: the chosen answers are learned, the rejected ones are ignored",
    ]
    assert opened.described["own_data"][0]["format"] == "preference (prompt, chosen, rejected)"


@LEFT_ASIDE
def test_the_test_split_is_evaluated_by_its_name(tmp_path: Path) -> None:
    write(tmp_path / "quiz/train.jsonl", rows("learned", 5))
    write(tmp_path / "quiz/test.csv", rows("tested", 2))
    benchmark = open_benchmark("own/quiz", "direct", tmp_path / "quiz", split="test")
    assert benchmark.split == "test"
    assert {example.target for example in benchmark.examples("own/quiz")} == {"tested"}
    usual = open_benchmark("own/quiz", "direct", tmp_path / "quiz")
    assert {example.target for example in usual.examples("own/quiz")} == {"learned"}


@LEFT_ASIDE
def test_what_is_listed_has_the_splits_too(tmp_path: Path) -> None:
    write(tmp_path / "quiz/train.jsonl", rows("learned"))
    write(tmp_path / "quiz/dev.jsonl", rows("validated"))
    (reached,) = reach(tmp_path / "quiz")
    assert (reached.name, [*reached.open().splits]) == ("own/quiz", ["validation"])
