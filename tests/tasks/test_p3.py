"""P3 as rows: folders of configurations, the hub, which tasks are taken, what is done to their texts, and
what is said of broken ones."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openflan.errors import InputError
from openflan.tasks.catalogue import find
from openflan.tasks.p3.settings import row_of
from openflan.tasks.reach import reach
from openflan.tasks.sources import find_submixture, open_submixture
from openflan.tasks.task import Task
from openflan.templates.choice import choose_wordings
from openflan.templates.pattern import Pattern
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import Wording, WordingSet

PLAIN, SEPARATE = "quarel_do_not_use", "sciq_Direct_Question"
Record = dict[str, Any]


def worded(number: int, choices: list[str] | None = None) -> Record:
    """A record as P3 has it, token ids included."""
    inputs, targets = (
        f"Passage {number}.\nWhat is number {number}?",
        choices[number % len(choices)] if choices else f"thing\n{number}",
    )
    ids = {"inputs": [3, number, 1], "targets": [number, 1]}
    return (
        ids
        | {"inputs_pretokenized": inputs, "targets_pretokenized": targets}
        | ({"answer_choices": choices} if choices else {})
    )


def write_jsonl(path: Path, records: list[Record]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def write_parquet(path: Path, records: list[Record]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records), path, row_group_size=2)


def opened(data: Path | str, submixture: str = "t0_sf", tasks: list[str] | None = None) -> dict[str, Task]:
    return open_submixture(submixture, Path(data), tasks)


def rows(task: Task) -> list[Any]:
    return [task.rows[index] for index in range(len(task.rows))]


Writer = Callable[[Path, list[Record]], None]
LAYOUTS = [
    ("train-00000-of-00001.parquet", write_parquet),
    ("train/0000.parquet", write_parquet),
    ("train.jsonl", write_jsonl),
    ("rows.jsonl", write_jsonl),
]


@pytest.mark.parametrize("below", ["", "data"])
@pytest.mark.parametrize(("file", "write"), LAYOUTS)
def test_a_folder_for_each_configuration_is_a_task_each(
    tmp_path: Path, file: str, write: Writer, below: str
) -> None:
    write(tmp_path / below / PLAIN / file, [worded(number) for number in range(5)])
    write(tmp_path / below / SEPARATE / file, [worded(number, ["ice", "fog"]) for number in range(4)])
    tasks = opened(tmp_path)
    assert set(tasks) == {f"t0_sf/{PLAIN}", f"t0_sf/{SEPARATE}"}
    plain, separate = tasks[f"t0_sf/{PLAIN}"], tasks[f"t0_sf/{SEPARATE}"]
    assert plain.fields == {"inputs", "targets", "question", "answer"}
    assert plain.rows[3] == {
        "inputs": "Passage 3.\nWhat is number 3?",
        "targets": "thing\n3",
        "question": "Passage 3.\nWhat is number 3?",
        "answer": "thing\n3",
    }
    assert separate.fields == plain.fields | {"options"}
    assert [(row["targets"], row["options"]) for row in rows(separate)] == [
        (("ice", "fog")[index % 2], ["ice", "fog"]) for index in range(4)
    ]
    entry = next(entry for entry in find(submixture="t0_sf") if entry.name == separate.name)
    assert (separate.dataset, separate.category, separate.refused) == (entry.dataset, entry.category, 0)


def test_shards_are_one_task_and_other_splits_are_not_read(tmp_path: Path) -> None:
    for shard in range(3):
        write_parquet(
            tmp_path / PLAIN / f"train-{shard:05d}-of-00003.parquet",
            [worded(10 * shard + number) for number in range(3)],
        )
    write_parquet(tmp_path / PLAIN / "validation-00000-of-00001.parquet", [worded(99)])
    (task,) = opened(tmp_path).values()
    assert [row["targets"] for row in rows(task)] == [
        f"thing\n{10 * shard + index}" for shard in range(3) for index in range(3)
    ]


def test_rows_for_evaluation_alone_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / PLAIN / "validation-00000-of-00001.parquet", [worded(1)])
    with pytest.raises(
        InputError, match=r"quarel_do_not_use: holds validation-.*parquet, which are not for training"
    ):
        opened(tmp_path)


def test_only_the_tasks_of_the_collection_are_taken_and_the_others_counted(tmp_path: Path) -> None:
    for config in (PLAIN, "anli_invented_r1", "quarel_do_not_use_score_eval"):
        write_jsonl(tmp_path / config / "train.jsonl", [worded(1)])
    with pytest.warns(
        UserWarning,
        match=r"2 of 3 tasks left out .*: 1 for scoring candidate answers, 1 not among T0-SF's 193",
    ):
        openers = find_submixture("t0_sf", tmp_path)
    assert set(openers) == {f"t0_sf/{PLAIN}"}


def test_another_submixture_takes_all_but_the_scored_ones(tmp_path: Path) -> None:
    for config in (PLAIN, "anli_invented_r1", "quarel_do_not_use_score_eval"):
        write_jsonl(tmp_path / config / "train.jsonl", [worded(1)])
    with pytest.warns(UserWarning, match="1 of 3 tasks left out"):
        assert set(opened(tmp_path, "mine")) == {f"mine/{PLAIN}", "mine/anli_invented_r1"}


def test_a_folder_with_none_of_them_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "quarel_do_not_used" / "train.jsonl", [worded(1)])
    with pytest.raises(InputError, match="did you mean `quarel_do_not_use`"):
        opened(tmp_path)


def test_all_names_of_the_collection_are_known(tmp_path: Path) -> None:
    for entry in find(submixture="t0_sf"):
        write_jsonl(tmp_path / entry.name.partition("/")[2] / "train.jsonl", [worded(1, ["ice", "fog"])])
    tasks = opened(tmp_path)
    assert len(tasks) == 193
    assert sum("options" in task.fields for task in tasks.values()) == 19


def test_they_are_reached_by_a_folder_named_after_the_submixture(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "t0_sf" / PLAIN / "train.jsonl", [worded(1)])
    assert [(task.name, len(task.open().rows)) for task in reach(tmp_path)] == [(f"t0_sf/{PLAIN}", 1)]


# What is done to the texts


def test_texts_stay_as_they_are_unless_told(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / PLAIN / "train.jsonl",
        [{"inputs_pretokenized": " a\nb\n\nc ", "targets_pretokenized": "d\ne "}],
    )
    (task,) = opened(tmp_path).values()
    assert (task.rows[0]["inputs"], task.rows[0]["targets"]) == ("a\nb\n\nc", "d\ne")


def test_the_collections_cleaning_makes_blanks_of_newlines_and_glues_targets(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / SEPARATE / "train.jsonl",
        [
            {
                "inputs_pretokenized": "a\nb\n\nc",
                "targets_pretokenized": "d\ne",
                "answer_choices": ["d\ne", "f"],
            }
        ],
    )
    (tmp_path / "openflan.yaml").write_text("clean: flan\n", encoding="utf-8")
    (task,) = opened(tmp_path).values()
    assert (task.rows[0]["inputs"], task.rows[0]["targets"], task.rows[0]["options"]) == (
        "a b  c",
        "de",
        ["de", "f"],
    )


def test_cleaning_changes_nothing_but_newlines() -> None:
    assert row_of("a\\nb\tc", "d\\ne", ["x  y"], "flan") == row_of("a\\nb\tc", "d\\ne", ["x  y"], "none")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cleen: flan", "`cleen` is not a setting; did you mean `clean`"),
        ("clean: flat", "`clean: flat` must be flan or none"),
        ("clip: 0", "`clip: 0` must be a number of characters"),
        ("seed: -1", "`seed: -1` must be a whole number"),
        ("seed: true", "`seed: True` must be"),
        ("- clean", "expected a mapping"),
        ("clean: [", "not valid YAML"),
    ],
)
def test_settings_that_mean_nothing_are_refused(tmp_path: Path, text: str, told: str) -> None:
    write_jsonl(tmp_path / PLAIN / "train.jsonl", [worded(1)])
    (tmp_path / "openflan.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"openflan\.yaml:(\d+:)? .*") as caught:
        opened(tmp_path)
    assert told in str(caught.value)


def test_targets_that_are_no_choice_are_left_out_and_counted(tmp_path: Path) -> None:
    records = [worded(number, ["ice", "fog"]) for number in range(6)]
    records[1]["targets_pretokenized"], records[4]["targets_pretokenized"] = "Fog", "hail"
    write_parquet(tmp_path / SEPARATE / "train.parquet", records)
    (task,) = opened(tmp_path).values()
    assert task.left_out == {"targets that are not among their choices": 2}
    assert (task.refused, [row["inputs"][8] for row in rows(task)]) == (2, ["0", "2", "3", "5"])


def test_a_task_without_any_usable_row_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / SEPARATE / "train.jsonl", [worded(0, ["ice"]) | {"targets_pretokenized": "fog"}])
    with pytest.raises(
        InputError,
        match=(
            r"train\.jsonl:1: the target `fog` is not among its choices \['ice'\]; none of its 1 rows "
            r"can be "
            r"used"
        ),
    ):
        opened(tmp_path)


def test_choices_of_a_task_that_shows_them_in_its_text_are_no_options(tmp_path: Path) -> None:
    """So a target that is none of them, such as a letter, stays."""
    write_jsonl(tmp_path / PLAIN / "train.jsonl", [worded(0, ["ice", "fog"]) | {"targets_pretokenized": "A"}])
    (task,) = opened(tmp_path).values()
    assert (task.rows[0]["targets"], "options" in task.fields) == ("A", False)


def test_empty_texts_are_left_out_and_counted(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / PLAIN / "train.jsonl",
        [worded(0), worded(1) | {"targets_pretokenized": " "}, worded(2) | {"inputs_pretokenized": ""}],
    )
    (task,) = opened(tmp_path).values()
    assert (len(task.rows), task.left_out) == (
        1,
        {"empty targets_pretokenized": 1, "empty inputs_pretokenized": 1},
    )


# Rendered


def test_rows_are_rendered_as_they_stand_and_their_options_by_wordings_that_list_them(tmp_path: Path) -> None:
    write_jsonl(tmp_path / SEPARATE / "train.jsonl", [worded(number, ["ice", "fog"]) for number in range(2)])
    (task,) = opened(tmp_path).values()
    bare = Renderer(task, choose_wordings(None, "mine/quiz", frozenset({"inputs", "targets"}))).render(
        0, Style(), seed=0, position=0
    )
    assert (bare.inputs, bare.targets) == ("Passage 0.\nWhat is number 0?", "ice")
    listing = WordingSet(
        ("*",),
        task.fields,
        (Wording("w", Pattern.parse("{question}\n{options}"), Pattern.parse("{answer}")),),
    )
    listed = Renderer(task, listing).render(1, Style(few_shot=True), seed=0, position=0, shots=1)
    assert listed.targets == "fog"
    assert listed.inputs.count("ice") == 3  # twice as an option, once as the exemplar's answer


# Broken files


@pytest.mark.parametrize("write", [write_jsonl, write_parquet])
def test_changed_columns_are_named(tmp_path: Path, write: Writer) -> None:
    file = tmp_path / PLAIN / f"train.{'jsonl' if write is write_jsonl else 'parquet'}"
    write(file, [{"inputs": "a", "targets": "b"}])
    with pytest.raises(
        InputError,
        match=r"quarel_do_not_use/train\..*lacks .*`inputs_pretokenized`.*found `inputs`, `targets`",
    ):
        opened(tmp_path)


def test_choices_that_went_missing_are_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / SEPARATE / "train.parquet", [worded(1)])
    with pytest.raises(InputError, match=r"train\.parquet: lacks `answer_choices`"):
        opened(tmp_path)


def test_columns_that_change_between_shards_are_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / PLAIN / "train-0.parquet", [worded(1)])
    write_parquet(tmp_path / PLAIN / "train-1.parquet", [{"inputs_pretokenized": "a", "target": "b"}])
    with pytest.raises(InputError, match=r"train-1\.parquet: lacks the columns .*targets_pretokenized"):
        opened(tmp_path)


def test_values_that_are_no_texts_are_left_out_and_named_where_no_row_is_left(tmp_path: Path) -> None:
    write_jsonl(tmp_path / PLAIN / "train.jsonl", [worded(1), worded(2) | {"targets_pretokenized": None}])
    assert [task.left_out for task in opened(tmp_path).values()] == [
        {"`targets_pretokenized` not as expected": 1}
    ]
    write_jsonl(tmp_path / PLAIN / "train.jsonl", [worded(2) | {"targets_pretokenized": None}])
    with pytest.raises(
        InputError, match=r"train\.jsonl:1: `targets_pretokenized` must be a text; found None"
    ):
        opened(tmp_path)


def test_mixed_encodings_are_left_out_and_named_with_their_line_where_no_row_is_left(tmp_path: Path) -> None:
    write_jsonl(tmp_path / PLAIN / "train.jsonl", [worded(1)])
    latin = '{"inputs_pretokenized": "café", "targets_pretokenized": "x"}\n'.encode("latin-1")
    path = tmp_path / PLAIN / "train.jsonl"
    path.write_bytes(path.read_bytes() + latin + path.read_bytes())
    assert [(len(task.rows), task.left_out) for task in opened(tmp_path).values()] == [(2, {"not UTF-8": 1})]
    path.write_bytes(latin)
    with pytest.raises(InputError, match=r"train\.jsonl:1: not UTF-8 \(byte 0xe9 at column \d+\)"):
        opened(tmp_path)


def test_mixed_encodings_in_a_table_are_left_out(tmp_path: Path) -> None:
    texts = [text.encode("utf-8") for text in ("one", "two", "three")] + ["café".encode("latin-1")]
    broken = pa.array(texts, pa.binary()).view(pa.string())
    table = pa.table({"inputs_pretokenized": broken, "targets_pretokenized": pa.array(["a", "b", "c", "d"])})
    (tmp_path / PLAIN).mkdir()
    pq.write_table(table, tmp_path / PLAIN / "train.parquet")
    assert [(len(task.rows), task.left_out) for task in opened(tmp_path).values()] == [(3, {"not UTF-8": 1})]


def test_tfrecords_are_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / PLAIN).mkdir()
    (tmp_path / PLAIN / "train.tfrecord-00000-of-00001").write_bytes(b"x")
    with pytest.raises(
        InputError, match=r"TFRecord files, which openflan does not read; fetch the Parquet files"
    ):
        opened(tmp_path)


def test_a_broken_configuration_hides_no_other(tmp_path: Path) -> None:
    write_jsonl(tmp_path / PLAIN / "train.jsonl", [worded(1)])
    write_jsonl(tmp_path / SEPARATE / "train.jsonl", [{"other": 1}])
    assert set(opened(tmp_path, tasks=["t0_sf/quarel_*"])) == {f"t0_sf/{PLAIN}"}


# The hub, which is never asked: `load_dataset` reads the test's own files


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    datasets = pytest.importorskip("datasets", reason="the extra `data` (datasets) is not installed")
    load = datasets.load_dataset
    datasets.disable_progress_bars()
    calls: list[dict[str, Any]] = []

    def fake(path: str, **chosen: Any) -> Any:
        calls.append({"path": path, **chosen})
        file = tmp_path / f"{chosen['name']}.parquet"
        write_parquet(file, [worded(number, ["ice", "fog"]) for number in range(5)])
        return load("parquet", data_files=str(file), split=chosen["split"], cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", fake)
    return calls


def test_a_configuration_of_the_hub_is_the_task_of_its_name(hub: list[dict[str, Any]]) -> None:
    (task,) = opened(f"hub:bigscience/P3/{SEPARATE}@abc:train[:4]").values()
    assert (task.name, len(task.rows), task.rows[1]["targets"], task.rows[1]["options"]) == (
        f"t0_sf/{SEPARATE}",
        4,
        "fog",
        ["ice", "fog"],
    )
    assert hub == [{"path": "bigscience/P3", "name": SEPARATE, "revision": "abc", "split": "train[:4]"}]


def test_the_hub_without_a_configuration_is_all_of_the_collections_tasks_each_loaded_when_opened(
    hub: list[dict[str, Any]],
) -> None:
    assert len(find_submixture("t0_sf", Path("hub:bigscience/P3"))) == 193
    assert hub == []
    assert set(opened("hub:bigscience/P3", tasks=["quarel_do_not_use"])) == {f"t0_sf/{PLAIN}"}
    assert [call["name"] for call in hub] == [PLAIN]


@pytest.mark.parametrize(
    ("text", "submixture", "told"),
    [
        ("hub:bigscience/P3/quarel_do_not_use_score_eval", "t0_sf", "did you mean `quarel_do_not_use`"),
        ("hub:bigscience/P3/quarel_do_not_use_score_eval", "mine", "is one that the submixture `mine` takes"),
        ("hub:bigscience/P3", "mine", "name a configuration"),
    ],
)
def test_other_configurations_of_the_hub_are_refused(text: str, submixture: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        opened(text, submixture)


def test_nothing_is_said_where_nothing_is_wrong(tmp_path: Path) -> None:
    write_jsonl(tmp_path / SEPARATE / "train.jsonl", [worded(number, ["ice", "fog"]) for number in range(4)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened(tmp_path)
