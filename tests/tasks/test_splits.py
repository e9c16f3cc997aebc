"""Folders with files of several splits: only the training rows are learned, the others are named, and a file
named itself is always read."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.tasks.p3.tables import train_files
from openflan.tasks.reach import reach
from openflan.tasks.sources import open_submixture
from openflan.tasks.splits import WORDS, split_of, split_of_folder
from openflan.tasks.texts import open_texts

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))


def rows(answer: str) -> list[dict[str, str]]:
    return [{"inputs": f"{answer} {number}?", "targets": answer} for number in range(3)]


def write(path: Path, answer: str) -> Path:
    """Three rows with this answer, in the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows(answer)), encoding="utf-8")
        return path
    table = pa.Table.from_pylist(rows(answer))
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    return path


def learned(data: Path) -> set[str]:
    """The answers that training would see."""
    return {
        str(task.rows[index]["targets"])
        for task in open_submixture("mine", data).values()
        for index in range(len(task.rows))
    }


def learned_with_notice(data: Path, *named: str) -> set[str]:
    with pytest.warns(UserWarning, match="left aside and not trained on") as warned:
        answers = learned(data)
    (notice,) = {str(one.message) for one in warned}
    assert all(name in notice for name in named), notice
    assert "\n" not in notice
    return answers


@pytest.mark.skipif(
    not (SHARED / "cases/split_folder").is_dir(), reason="the shared cases are not at hand (OPENFLAN_SHARED)"
)
def test_the_folder_of_three_splits_trains_on_its_six_rows(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SHARED / "cases/split_folder", tmp_path / "capitals"))
    assert learned_with_notice(folder, "test.jsonl", "validation.jsonl") == {
        "Oslo",
        "Lima",
        "Nairobi",
        "Tokyo",
        "N'Djamena",
        "Suva",
    }
    assert learned(folder / "test.jsonl") == {"Kathmandu", "Muscat", "Doha"}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".arrow"])
@pytest.mark.parametrize(
    ("training", "others"),
    [
        ("train", ("validation", "test")),
        ("Train-00000-of-00001", ("VALID-00000-of-00001", "Test_00000")),
        ("quiz.training.v2", ("quiz.dev.v2", "quiz-eval-0001")),
        ("part-0", ("test", "held-out")),
        ("data/train_1", ("data/val_1", "data/test_1")),
        ("train/part-0", ("valid/part-0", "evaluation/part-0")),
        ("Training/000", ("Dev/000", "TEST/000")),
        ("default/train/0000", ("default/test/0000", "test/0000")),
    ],
)
def test_only_the_training_split_is_learned(
    tmp_path: Path, suffix: str, training: str, others: tuple[str, str]
) -> None:
    folder = tmp_path / "quiz"
    write(folder / f"{training}{suffix}", "learned")
    for name in others:
        write(folder / f"{name}{suffix}", "held back")
    assert learned_with_notice(folder, *(f"{name}{suffix}" for name in others)) == {"learned"}
    for name in others:
        assert learned(folder / f"{name}{suffix}") == {"held back"}


def test_files_whose_topics_sound_like_splits_are_learned(tmp_path: Path) -> None:
    """The negative control: what is left aside is a matter of words, not of letters."""
    for name in (
        "contest",
        "latest_news",
        "devices",
        "values",
        "evaluate",
        "driving_test_questions",
        "trainers",
        "household_outlook",
    ):
        write(tmp_path / "topics" / f"{name}.jsonl", name)
    assert len(learned(tmp_path / "topics")) == 8


def test_a_folder_called_after_a_split_may_hold_a_whole_data_set(tmp_path: Path) -> None:
    write(tmp_path / "test/train.jsonl", "learned")
    write(tmp_path / "test/test.jsonl", "held back")
    assert learned_with_notice(tmp_path / "test") == {"learned"}
    write(tmp_path / "other/validation/part-0.parquet", "asked for")
    assert learned(tmp_path / "other/validation") == {"asked for"}


@pytest.mark.parametrize("names", [("test.jsonl",), ("dev.parquet", "test.parquet"), ("test/part-0.arrow",)])
def test_a_folder_with_nothing_to_train_on_says_which_file_to_name(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        write(tmp_path / "held" / name, "held back")
    with pytest.raises(InputError, match=re.escape(names[0])) as caught:
        learned(tmp_path / "held")
    assert "holds only files of validation or test splits" in str(caught.value)


def test_saved_splits_are_told_by_the_same_rule(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    for name in ("train_sft", "test_sft"):
        write(folder / name / "data-00000-of-00001.arrow", name)
        (folder / name / "state.json").write_text(
            json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]})
        )
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["test_sft", "train_sft"]}))
    assert learned_with_notice(folder, "test_sft") == {"train_sft"}
    assert learned(folder / "test_sft") == {"test_sft"}


def test_documents_of_other_splits_are_no_pretraining_text(tmp_path: Path) -> None:
    for name in ("wiki.train.txt", "wiki.valid.txt", "more/wiki.test.txt", "more/essays.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n", encoding="utf-8")
    with pytest.warns(
        UserWarning, match=r"2 files left aside and not trained on.*more/wiki.test.txt, wiki.valid.txt"
    ):
        texts = open_texts([tmp_path])
    assert [texts[number] for number in range(len(texts))] == ["more/essays.txt", "wiki.train.txt"]
    assert len(open_texts([tmp_path / "wiki.valid.txt"])) == 1


def test_what_is_listed_is_what_is_trained_on(tmp_path: Path) -> None:
    for name in ("a b", "a_b", "quiz_test"):  # two files of one name: read file by file
        write(tmp_path / f"{name}.jsonl", "answer")
    with pytest.warns(UserWarning, match="1 file left aside.*quiz_test.jsonl"):
        assert [task.name for task in reach(tmp_path)] == ["own/a_b", "own/a_b"]


def test_folders_of_prompted_rows_follow_the_same_rule(tmp_path: Path) -> None:
    for name in ("Training-0", "DEV-0", "rows.test"):
        write(tmp_path / f"{name}.parquet", "answer")
    assert [path.name for path in train_files(tmp_path)] == ["Training-0.parquet"]


CASING: tuple[Callable[[str], str], ...] = (str.lower, str.upper, str.title)


@given(
    split=st.sampled_from(list(WORDS)),
    word=st.integers(0, 20),
    topic=st.sampled_from(["", "squad", "my-list", "quiz.all", "Überblick", "北京"]),
    between=st.sampled_from(["-", "_", ".", " "]),
    ending=st.sampled_from(["", "-00003-of-00012", "_7", ".part2", "12", "-v1.1", "_en"]),
    casing=st.sampled_from(CASING),
    first=st.booleans(),
    suffix=st.sampled_from([".jsonl", ".parquet", ".arrow", ".txt", ".PARQUET"]),
)
def test_a_name_with_a_split_at_either_end_tells_it(
    split: str,
    word: int,
    topic: str,
    between: str,
    ending: str,
    casing: Callable[[str], str],
    first: bool,
    suffix: str,
) -> None:
    words = WORDS[split]  # type: ignore[index]
    named = casing(words[word % len(words)])
    name = (
        f"{named}{between}{topic}"
        if first and topic
        else f"{topic}{between}{named}{ending}"
        if topic
        else f"{named}{ending}"
    )
    assert split_of(name + suffix) == split
    assert split_of(f"x{named}x{suffix}") is None
    assert split_of_folder(f"{named}{ending}") == split
    assert split_of_folder(f"{topic or 'quiz'}{between}{named}") is None
