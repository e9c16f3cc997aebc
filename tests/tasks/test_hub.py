"""Data sets of the hub: what `data: hub:...` means, how rows come out of the library's tables, and what is
said when something is missing.

The hub itself is never asked: `datasets.load_dataset` is replaced by one that reads the test's own files,
which goes through the same tables.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openflan.errors import InputError, SetupError
from openflan.recipe.load_recipe import recipe_from
from openflan.tasks.hub import HubSource
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task
from openflan.tasks.texts import open_texts

ROWS = [{"inputs": f"question {number}", "targets": f"answer {number}", "id": number} for number in range(40)]


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("hub:org/name", ("org/name", None, None, "train")),
        ("hub:org/na-me.v2/main", ("org/na-me.v2", "main", None, "train")),
        ("hub:org/name:test", ("org/name", None, None, "test")),
        ("hub:org/name@abc123", ("org/name", None, "abc123", "train")),
        (
            "hub:org/name/a/b@refs/convert/parquet:train[:10%]",
            ("org/name", "a/b", "refs/convert/parquet", "train[:10%]"),
        ),
    ],
)
def test_a_source_has_parts(text: str, source: tuple[str, str | None, str | None, str]) -> None:
    actual = HubSource.parse(text)
    assert (actual.name, actual.config, actual.revision, actual.split) == source
    assert Path(text).as_posix() == text  # recipes hold it as a path


@pytest.mark.parametrize(
    "text",
    ["hub:", "hub:name", "hub:org/name/", "hub:org/name:", "hub:org/name@", "hub:org//name", "hub:org/na me"],
)
def test_what_is_no_source_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(InputError, match=r"expected hub:OWNER/NAME\[/CONFIG\]\[@REVISION\]\[:SPLIT\]"):
        HubSource.parse(text)


def test_a_recipe_keeps_a_source_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = {
        "name": "mine",
        "model": {"base": "org/base"},
        "mixture": {
            "submixtures": {"a": {"data": "hub:org/name/main@abc:train[:5]"}, "b": {"data": "rows.jsonl"}}
        },
        "training": {"steps": 1},
    }
    data = {
        name: str(submixture.data)
        for name, submixture in recipe_from(values, "here").mixture.submixtures.items()
    }
    assert data == {"a": "hub:org/name/main@abc:train[:5]", "b": str(tmp_path / "rows.jsonl")}


def test_the_missing_library_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        SetupError, match=r"needs the library `datasets`; run `pip install 'openflan\[data\]'`"
    ):
        open_submixture("mine", Path("hub:org/name"))


# With the library


@pytest.fixture
def datasets() -> Any:
    return pytest.importorskip("datasets", reason="the extra `data` (datasets) is not installed")


Hub = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


@pytest.fixture
def hub(datasets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Puts rows behind `load_dataset`; gives the list of the calls it will get."""
    load = datasets.load_dataset
    datasets.disable_progress_bars()

    def hold(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=6)
        calls: list[dict[str, Any]] = []

        def fake(path: str, **chosen: Any) -> Any:
            calls.append({"path": path, **chosen})
            return load(
                "parquet",
                data_files=str(tmp_path / "rows.parquet"),
                split=chosen["split"],
                cache_dir=str(tmp_path / "cache"),
            )

        monkeypatch.setattr(datasets, "load_dataset", fake)
        return calls

    return hold


def raising(datasets: Any, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", fail)


def only(text: str) -> Task:
    (task,) = open_submixture("mine", Path(text)).values()
    return task


def test_rows_are_those_of_the_data_set(hub: Hub) -> None:
    calls = hub(ROWS)
    task = only("hub:org/name")
    assert (task.name, task.fields) == ("mine/name", {"inputs", "targets", "id"})
    assert [task.rows[index] for index in range(len(task.rows) - 1, -1, -1)] == [
        {**row, "id": str(row["id"])} for row in ROWS[::-1]
    ]
    assert calls == [{"path": "org/name", "name": None, "revision": None, "split": "train"}]


def test_a_slice_has_only_its_rows(hub: Hub) -> None:
    calls = hub(ROWS)
    task = only("hub:org/name/main@abc:train[10:13]")
    assert [task.rows[index]["inputs"] for index in range(len(task.rows))] == [
        "question 10",
        "question 11",
        "question 12",
    ]
    assert calls == [{"path": "org/name", "name": "main", "revision": "abc", "split": "train[10:13]"}]


def test_a_selection_that_the_library_keeps_as_indices_has_only_its_rows(
    datasets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets.disable_progress_bars()
    chosen = datasets.Dataset.from_list(ROWS).select([7, 3])
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: chosen)
    assert [only("hub:org/name").rows[index]["inputs"] for index in range(2)] == ["question 7", "question 3"]


def test_collections_on_the_hub_are_known_by_their_columns(hub: Hub) -> None:
    hub(
        [
            {
                **row,
                "task_source": "CoT",
                "task_name": "x",
                "template_type": ["zs_opt", "fs_opt"][row["id"] % 2],
            }
            for row in ROWS
        ]
    )
    assert {
        name: len(task.rows)
        for name, task in open_submixture("cot", Path("hub:org/cot_submix_original")).items()
    } == {"cot/fs_opt": 20, "cot/zs_opt": 20}


def test_conversations_on_the_hub_are_read(hub: Hub) -> None:
    hub(
        [
            {
                "messages": [
                    {"role": "user", "content": f"{index}?"},
                    {"role": "assistant", "content": f"{index}!"},
                ]
            }
            for index in range(5)
        ]
    )
    assert only("hub:org/chat").rows[4] == {"inputs": "4?", "targets": "4!"}


def test_a_configuration_may_be_a_folder(datasets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def load(path: str, **chosen: Any) -> Any:
        calls.append(chosen)
        if "name" in chosen:
            raise ValueError("BuilderConfig 'cot_zsopt_data' not found. Available: ['default']")
        return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert len(only("hub:org/name/cot_zsopt_data").rows) == 40
    assert calls[-1] == {"data_dir": "cot_zsopt_data", "revision": None, "split": "train"}
    calls.clear()
    monkeypatch.setattr("openflan.tasks.hub._folders", lambda name, inside="": ["main", "other"])
    only("hub:org/name/main@refs/convert/parquet")
    assert calls == [{"data_dir": "main", "revision": "refs/convert/parquet", "split": "train"}]


SCRIPT = RuntimeError("Dataset scripts are no longer supported, but found name.py")
CACHE = ValueError("Couldn't find cache for org/name for config 'main'")


@pytest.mark.parametrize("refusal", [SCRIPT, CACHE], ids=["script", "script, another part cached"])
@pytest.mark.parametrize(
    ("text", "folders", "folder"),
    [
        ("hub:org/name/main", ["main", "other"], "main"),
        ("hub:org/name/plain_text", ["default"], "default"),
        ("hub:org/name", ["default", "other"], "default"),
        ("hub:org/name", ["main"], "main"),
        ("hub:org/name/main:train[:3]", None, "main"),
    ],
)
def test_a_data_set_with_a_script_is_read_from_its_parquet_copy(
    datasets: Any,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Exception,
    text: str,
    folders: list[str] | None,
    folder: str,
) -> None:
    calls = []

    def load(path: str, **chosen: Any) -> Any:
        if chosen["revision"] is None:
            raise refusal
        calls.append(chosen)
        return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(
        "openflan.tasks.hub._folders", lambda name, inside="": ["train"] if inside else folders
    )
    with pytest.warns(UserWarning, match="read from its Parquet copy, hub:org/name.*@refs/convert/parquet"):
        assert len(only(text).rows) == 40
    split = HubSource.parse(text).split
    assert calls == [{"data_dir": folder, "revision": "refs/convert/parquet", "split": split}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hub:org/name", "several configurations; write one of main, other"),
        ("hub:org/name/mein", "no configuration `mein`; write one of main, other"),
    ],
)
def test_another_configuration_of_a_parquet_copy_is_never_read(
    datasets: Any, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    """The library would read what it has kept of any other."""
    raising(datasets, monkeypatch, SCRIPT)
    monkeypatch.setattr("openflan.tasks.hub._folders", lambda name, inside="": ["main", "other"])
    with pytest.raises(InputError, match=said):
        open_submixture("mine", Path(text))


def test_a_partial_parquet_copy_is_said(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub(ROWS)
    inside = {"": ["default"], "default": ["partial-train", "test"]}
    monkeypatch.setattr("openflan.tasks.hub._folders", lambda name, folder="": inside[folder])
    with pytest.warns(UserWarning, match="only the first gigabytes"):
        only("hub:org/name@refs/convert/parquet")


def test_what_the_library_refuses_is_told_plainly(datasets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[tuple[Exception, type[Exception], str]] = [
        (
            ConnectionError("Couldn't reach the Hub"),
            SetupError,
            "hf download org/name --repo-type dataset --revision abc --local-dir FOLDER",
        ),
        (datasets.exceptions.DatasetNotFoundError("no"), InputError, "no such data set on the hub"),
        (
            SCRIPT,
            InputError,
            "hub:org/name/main@refs/convert/parquet:test",
        ),
        (
            ValueError("Unknown split 'test'. Should be one of ['train']"),
            InputError,
            "Unknown split 'test'. Should be one of ['train']",
        ),
    ]
    for error, kind, message in cases:
        raising(datasets, monkeypatch, error)
        with pytest.raises(kind) as caught:
            open_submixture("mine", Path("hub:org/name/main@abc:test"))
        assert str(caught.value).startswith("hub:org/name/main@abc:test: ")
        assert message in str(caught.value)


def test_other_failures_of_the_library_are_not_hidden(datasets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(datasets, monkeypatch, RuntimeError("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        open_submixture("mine", Path("hub:org/name"))


def test_an_empty_split_is_refused(datasets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *_, **__: datasets.Dataset.from_dict({"inputs": [], "targets": []})
    )
    with pytest.raises(InputError, match="hub:org/name: a split without rows"):
        open_submixture("mine", Path("hub:org/name"))


def test_offline_says_which_files_to_fetch(datasets: Any, tmp_path: Path) -> None:
    """The library itself, told to stay offline."""
    code = (
        "from pathlib import Path\nfrom openflan.errors import SetupError\nfrom openflan.tasks.sources "
        "import open_submixture\n"
        "try:\n    open_submixture('mine', Path('hub:org/name/main'))\nexcept SetupError as error:\n    "
        "print(error)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert done.startswith("hub:org/name/main: the hub cannot be reached (")
    assert "hf download org/name --repo-type dataset --local-dir FOLDER" in done
    assert "https://huggingface.co/datasets/org/name" in done
    assert "write `data: FOLDER/main`" in done


# Only the hub is read


@pytest.mark.parametrize(
    "text",
    [
        "hub:../name",
        "hub:./name",
        "hub:org/..",
        "hub:org/.",
        "hub:.../name",
        "hub:..",
        "hub:/etc/passwd",
        "hub:org/.hidden",
        "hub:~/rows",
        "hub:C:\\rows\\x",
    ],
)
def test_a_path_is_no_data_set_of_the_hub(text: str) -> None:
    with pytest.raises(InputError, match="expected hub:OWNER/NAME"):
        open_submixture("mine", Path(text))


@pytest.mark.parametrize(
    "text",
    [
        "hub:org/name/../../other",
        "hub:org/name/a/./b",
        "hub:org/name@../main",
        "hub:org/name/a//b",
        "hub:org/name/..",
    ],
)
def test_a_configuration_or_revision_does_not_lead_out_of_the_data_set(text: str) -> None:
    with pytest.raises(InputError, match="expected hub:OWNER/NAME"):
        HubSource.parse(text)


@pytest.mark.parametrize("name", ["org/name", "Open-Orca/FLAN.v2"])
@pytest.mark.parametrize("config", ["", "/main"])
def test_a_local_folder_is_never_read_in_place_of_the_hub(
    datasets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, config: str
) -> None:
    folder = tmp_path / f"{name}{config}"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text('{"inputs": "local", "targets": "local"}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        InputError, match=rf"hub:{name}{config}: {name} is a path in the current folder.*`./{name}`"
    ):
        only(f"hub:{name}{config}")
    assert only(f"{name}{config}").rows[0]["targets"] == "local", "what is named as a folder is read as one"


def test_a_local_folder_gives_no_documents_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "org/name").mkdir(parents=True)
    (tmp_path / "org/name/train.jsonl").write_text('{"text": "local"}\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is a path in the current folder"):
        open_texts([Path("hub:org/name")])
