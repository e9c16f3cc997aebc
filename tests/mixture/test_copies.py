"""A ready-made copy has the release's shares: caps are those of the collection's tasks, not of a task of the
copy, and the styles of a source are drawn equally."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.mixture.copies import as_released, capped_task, source_total
from openflan.mixture.offline import offline_ledger
from openflan.mixture.open_mixture import build_stream, open_tasks, rows_of_one_epoch, task_shares
from openflan.mixture.task_shares import shares_table
from openflan.recipe.presets import SOURCES
from openflan.recipe.schema import Mixture
from openflan.tasks.ready_made import STYLES
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task

TASK_SOURCES = {"flan2021": "Flan2021", "t0": "P3", "niv2": "NIv2", "cot": "CoT", "dialog": "Dialog"}


def write_copy(folder: Path, rows: dict[tuple[str, str], dict[str, int]]) -> Path:
    """A copy with so many rows of each source, style and task."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = [
        {
            "inputs": f"{source} {style} {task} {number}",
            "targets": "x",
            "task_source": TASK_SOURCES[source],
            "task_name": task,
            "template_type": style,
        }
        for (source, style), counts in rows.items()
        for task, count in counts.items()
        for number in range(count)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder / "rows.jsonl"


def mixture(data: Path, name: str, cap: int | None = None, **keys: Any) -> Mixture:
    return Mixture.model_validate({"submixtures": {name: {"data": str(data), "cap": cap}}, **keys})


def test_a_cap_is_that_of_each_task_of_the_collection_and_not_of_the_copys(tmp_path: Path) -> None:
    counts = {"rte": 3, "snli": 40, "xsum": 40}
    data = write_copy(tmp_path, {("flan2021", "zs_opt"): counts, ("flan2021", "fs_opt"): {"rte": 3}})
    wanted = mixture(data, "flan2021", cap=10)
    tasks = open_tasks(wanted)
    assert tasks["flan2021/zs_opt"].sizes == (3, 40, 40)
    table = shares_table(wanted, tasks, build_stream(wanted, tasks, seed=0), examples=100)
    assert {row["task"]: (row["rows"], row["weight"], row["hidden_by_cap"]) for row in table} == {
        "flan2021/zs_opt": (83, 3 + 10 + 10, 60),
        "flan2021/fs_opt": (3, 3, 0),
    }
    assert rows_of_one_epoch(wanted, tasks) == 26


def test_styles_of_a_source_are_drawn_equally_however_many_rows_they_have(tmp_path: Path) -> None:
    rows = {("flan2021", style): {"rte": 5 * number} for number, style in enumerate(STYLES, start=1)}
    rows |= {("dialog", "zs_opt"): {"qrecc": 4}, ("dialog", "fs_opt"): {"qrecc": 40}}
    data = write_copy(tmp_path, rows)
    wanted = mixture(data, "muffin")
    assert task_shares(wanted, open_tasks(wanted)) == pytest.approx(
        {f"muffin/flan2021_{style}": 40 / 43 / 4 for style in STYLES}
        | {"muffin/dialog_zs_opt": 3 / 43 / 2, "muffin/dialog_fs_opt": 3 / 43 / 2}
    )


def test_a_source_without_forms_without_options_is_half_zero_shot(tmp_path: Path) -> None:
    """Some copies hold natural instructions "without options" too, the same rows once more."""
    data = write_copy(tmp_path, {("niv2", style): {"task1_x": 4} for style in STYLES[:3]})
    wanted = mixture(data, "niv2")
    assert task_shares(wanted, open_tasks(wanted)) == pytest.approx(
        {"niv2/zs_opt": 0.25, "niv2/zs_noopt": 0.25, "niv2/fs_opt": 0.5}
    )


def test_the_whole_release_from_copies_has_its_own_rates(tmp_path: Path) -> None:
    data = write_copy(
        tmp_path,
        {
            (source, style): {f"{source}_task": size}
            for size, source in enumerate(SOURCES, start=3)
            for style in (STYLES if source in ("flan2021", "t0") else ("zs_opt", "fs_opt"))
        },
    )
    wanted = Mixture.model_validate(
        {
            "submixtures": {name: {"data": str(data)} for name in ("muffin", "t0_sf", "niv2", "cot")},
            "rates": "release",
        }
    )
    share = task_shares(wanted, open_tasks(wanted))
    by_source = dict.fromkeys(SOURCES, 0.0)
    for name, task in open_tasks(wanted).items():
        by_source[str(task.part)] += share[name]
    assert by_source == pytest.approx({source: rate / 100 for source, rate in SOURCES.items()})
    assert share["t0_sf/fs_noopt"] == pytest.approx(0.08), "a quarter of 32 %"


def test_rows_that_name_no_task_count_as_the_catalogue_says() -> None:
    """The published sums of the release: 71 sets of Flan 2021, two of dialog."""
    assert source_total("flan2021", 30_000) == 1_495_430
    assert source_total("dialog", 200_000) == 210_170
    assert source_total("niv2", 5_000) == 4_235_910
    for source, cap, most in (("flan2021", 30_000, 1_495_430), ("cot", 100_000, 74_771)):
        task = Task(f"mine/{source}", range(9_000_000), frozenset(), source, "x", part=source)  # type: ignore[arg-type]
        assert capped_task(task, "mine", cap).weight == most
        assert capped_task(task, "mine", None).weight == 9_000_000


@pytest.mark.parametrize("task", ["flan", "t0", "CoT", None])
def test_a_name_of_the_source_is_no_name_of_a_task(tmp_path: Path, task: str | None) -> None:
    rows = [{"inputs": "a", "targets": "b", **({"task": task} if task else {})}] * 3
    path = tmp_path / "flan_zs_opt_train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert open_submixture("flan2021", path)["flan2021/zs_opt"].sizes == ()


def test_both_sets_of_mnli_share_a_name_in_the_copies(tmp_path: Path) -> None:
    data = write_copy(tmp_path, {("flan2021", "zs_opt"): {"glue/mnli:2.0.0": 9, "snli:1.1.0": 2}})
    assert open_submixture("flan2021", data)["flan2021/zs_opt"].sizes == (5, 4, 2)


def test_the_offline_ledger_has_the_same_shares(tmp_path: Path) -> None:
    data = write_copy(
        tmp_path, {("cot", "zs_opt"): {"cot_gsm8k": 4}, ("cot", "fs_opt"): {"cot_gsm8k": 2, "cot_qasc": 9}}
    )
    wanted = mixture(data, "cot")
    tasks = open_tasks(wanted)
    found = offline_ledger(wanted, {"cot": tasks})
    assert {one.task: one.share for one in found.tasks} == pytest.approx(task_shares(wanted, tasks))
    assert {one.share for one in found.tasks} == {0.5}


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["g", "h"]), st.sampled_from([*SOURCES]), st.sampled_from(STYLES)),
        st.floats(0.01, 1.0),
        min_size=1,
        max_size=12,
    )
)
def test_groups_keep_their_whole_and_other_tasks_their_shares(
    weights: dict[tuple[str, str, str], float],
) -> None:
    total = sum(weights.values()) + 1.0
    tasks = {
        f"{group}/{source}_{style}": Task(
            f"{group}/{source}_{style}", [], frozenset(), source, "x", part=source, finished=True
        )
        for group, source, style in weights
    }
    groups = {name: name.partition("/")[0] for name in tasks} | {"h/own": "h"}
    shares = dict(zip(tasks, (weight / total for weight in weights.values()), strict=True)) | {
        "h/own": 1 / total
    }
    moved = as_released(shares, groups, tasks)
    assert moved["h/own"] == shares["h/own"]
    for group in ("g", "h"):
        before, after = (sum(one[name] for name in one if groups[name] == group) for one in (shares, moved))
        assert after == pytest.approx(before)
    again = as_released(moved, groups, tasks)
    assert again == pytest.approx(moved)
