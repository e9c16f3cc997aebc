"""What a mixture is made of, counted and drawn: order, ties, shares, files of the same bytes."""

from __future__ import annotations

import builtins
import csv
import io
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError, SetupError
from openflan.reports.collection import (
    TaskLine,
    as_csv,
    as_records,
    categories,
    languages,
    largest_categories,
)
from openflan.reports.collection_figures import check_suffix, draw_categories, draw_languages

LINES = [
    TaskLine("a/1", "a", "quiz", ("English",), 0.1),
    TaskLine("a/2", "a", "sums", ("English", "Czech"), 0.3),
    TaskLine("a/3", "a", "quiz", ("Czech", "English"), 0.1),
    TaskLine("b/1", "b", "quiz", ("English",), 0.5),
    TaskLine("b/2", "b", "news", ("German",), None),
]


def test_categories_are_ranked_within_their_submixture_by_tasks_and_by_share() -> None:
    lines = [
        (item.submixture, item.category, item.tasks, item.rank, item.share, item.share_rank)
        for item in categories(LINES)
    ]
    assert lines == [
        ("a", "quiz", 2, 1, 0.2, 2),
        ("a", "sums", 1, 2, 0.3, 1),
        ("b", "news", 1, 1, None, None),
        ("b", "quiz", 1, 2, 0.5, 1),
    ]


def test_the_first_ones_are_shown_and_only_those_with_a_share_by_share() -> None:
    counts = categories(LINES)
    assert {name: [one.category for one in bars] for name, bars in largest_categories(counts).items()} == {
        "a": ["quiz", "sums"],
        "b": ["news", "quiz"],
    }
    assert {
        name: [one.category for one in bars] for name, bars in largest_categories(counts, "share").items()
    } == {
        "a": ["sums", "quiz"],
        "b": ["quiz"],
    }
    assert {
        name: [one.category for one in bars] for name, bars in largest_categories(counts, limit=1).items()
    } == {
        "a": ["quiz"],
        "b": ["news"],
    }


def test_a_task_counts_for_each_of_its_languages_with_its_whole_share() -> None:
    lines = [(one.language, one.tasks, one.rank, one.share, one.submixtures) for one in languages(LINES)]
    assert lines == [
        ("English", 4, 1, 1.0, (("a", 3), ("b", 1))),
        ("Czech", 2, 2, 0.4, (("a", 2),)),
        ("German", 1, 3, None, (("b", 1),)),
    ]


names = st.sampled_from(["one", "two", "three, four", 'five "six"', "sieben\nacht", "ß"])
lines = st.builds(
    TaskLine,
    names,
    st.sampled_from(["a", "b", "c"]),
    names,
    st.lists(names, min_size=1, max_size=3).map(tuple),
    st.none() | st.floats(0, 1),
)


@given(st.lists(lines, max_size=30))
def test_nothing_is_lost_and_order_does_not_depend_on_that_of_the_tasks(task_lines: list[TaskLine]) -> None:
    counts = categories(task_lines)
    assert {(one.submixture, one.category): one.tasks for one in counts} == dict(
        Counter((line.submixture, line.category) for line in task_lines)
    )
    assert sorted(as_csv(counts).splitlines()) == sorted(as_csv(categories(task_lines[::-1])).splitlines())
    assert {one.language: one.tasks for one in languages(task_lines)} == dict(
        Counter(name for line in task_lines for name in set(line.languages))
    )
    for submixture in {one.submixture for one in counts}:
        ranked = [one for one in counts if one.submixture == submixture]
        assert [one.rank for one in ranked] == list(range(1, len(ranked) + 1))
        assert all(before.tasks >= after.tasks for before, after in pairwise(ranked))


@given(st.lists(lines, min_size=1, max_size=12))
def test_the_csv_says_what_the_json_says(task_lines: list[TaskLine]) -> None:
    for counts in (categories(task_lines), languages(task_lines)):
        table = list(csv.DictReader(io.StringIO(as_csv(counts), newline="")))
        records = json.loads(json.dumps(as_records(counts)))
        flat = [
            {key: value for key, value in record.items() if key != "submixtures"}
            | record.get("submixtures", {})
            for record in records
        ]
        for row, record in zip(table, flat, strict=True):
            assert {
                key: "" if record.get(key) is None and key in records[0] else str(record.get(key, 0))
                for key in row
            } == row


def drawn(folder: Path, form: str) -> list[bytes]:
    counts = categories(LINES)
    draw_categories(
        largest_categories(counts), "tasks", {"a": "Part A"}, {"a": 2, "b": 9}, folder / "1", form
    )
    draw_categories(largest_categories(counts, "share"), "share", {}, {}, folder / "2", form)
    draw_languages(languages(LINES), folder / "3", form)
    return [(folder / name).read_bytes() for name in "123"]


def test_figures_have_the_same_bytes_each_time_and_show_every_name_and_number(tmp_path: Path) -> None:
    first = drawn(tmp_path, "svg")
    assert first == drawn(tmp_path, "svg")
    texts = [
        {
            "".join(node.itertext()).strip()
            for node in ElementTree.fromstring(svg).iter()  # noqa: S314 - drawn here
            if node.tag.endswith("text")
        }
        for svg in first
    ]
    assert {"Part A: 2 categories", "b: 2 of 9 categories", "quiz", "sums", "news", "2", "tasks"} <= texts[0]
    assert {"b: 1 category", "% of the mixture", "20.0", "30.0", "50.0"} <= texts[1]
    assert {"English", "Czech", "German", "4", "2", "1"} <= texts[2]
    assert all(png.startswith(b"\x89PNG") for png in drawn(tmp_path, "png"))


def test_a_users_settings_change_nothing(tmp_path: Path) -> None:
    import matplotlib

    before = drawn(tmp_path, "svg")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert drawn(tmp_path, "svg") == before


@settings(max_examples=8, deadline=None)
@given(st.lists(lines, min_size=1, max_size=70, unique_by=lambda line: line.category + str(line.languages)))
def test_any_mixture_can_be_drawn(
    tmp_path_factory: pytest.TempPathFactory, task_lines: list[TaskLine]
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    draw_categories(largest_categories(categories(task_lines)), "tasks", {}, {}, folder / "c", "svg")
    draw_languages(languages(task_lines), folder / "l", "svg")
    for name in "cl":
        ElementTree.fromstring((folder / name).read_bytes())  # noqa: S314


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(
        SetupError, match=r"matplotlib, which is not installed; pip install 'openflan\[report\]'"
    ):
        draw_languages(languages(LINES), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_another_kind_of_file_is_refused() -> None:
    check_suffix(".svg")
    with pytest.raises(InputError, match=r"`\.pdf` is no kind of figure; expected svg or png"):
        check_suffix(".pdf")
