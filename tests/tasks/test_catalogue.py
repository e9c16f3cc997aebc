"""The catalogue: its numbers against those collected from the public lists, and looking things up in it."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType, ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.tasks import cot
from openflan.tasks.catalogue import (
    LANGUAGES,
    PAPER,
    POLICIES,
    SUBMIXTURES,
    Difference,
    Entry,
    aliases,
    catalogue,
    counts,
    find,
    how_to_get,
    language,
    real_name,
    resolve,
    table,
)
from openflan.tasks.natural_instructions_rows import MMLU, is_mmlu
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))
PACKED = files("openflan.tasks.catalogue").joinpath("catalogue.json.gz")
DOUBLED = ("task184", "task672", "task861", "task868", "task1168")
ENTRIES = st.sampled_from(sorted(catalogue().values(), key=lambda entry: entry.name))


@pytest.mark.parametrize(
    ("submixture", "tasks"), [("muffin", 80), ("t0_sf", 193), ("niv2", 1556), ("cot", 9)]
)
def test_the_submixtures_have_their_published_numbers_of_tasks(submixture: str, tasks: int) -> None:
    assert len(find(submixture=submixture)) == tasks


def test_muffin_is_three_parts() -> None:
    assert Counter(entry.part for entry in find(submixture="muffin")) == {
        "flan2021": 72,
        "dialog": 3,
        "program_synthesis": 5,
    }
    assert len(find(part="dialog")) == 3
    assert all(entry.part is None for entry in find() if entry.submixture != "muffin")


def test_tasks_made_from_mmlu_are_listed_but_not_in_the_collection() -> None:
    left_out = find(held_out=True)
    numbers = {int(re.match(r"niv2/task(\d+)_mmmlu_", entry.name)[1]) for entry in left_out}
    assert numbers == {*range(664, 668), *range(685, 738)}
    assert len(left_out) == 57
    assert {entry.held_out for entry in left_out} == set(POLICIES) == {"mmlu"}
    assert set(left_out) == {
        entry for entry in catalogue().values() if is_mmlu(entry.name.partition("/")[2])
    }, "the reader keeps out the same ones"
    assert set(POLICIES) == {MMLU}
    assert not any("mmlu" in entry.name for entry in find())
    assert len(find(held_out=None)) == len(catalogue()) == 1838 + 57


def test_41_other_spellings_lead_to_the_real_name_and_its_file() -> None:
    assert len(aliases()) == 41
    for other, real in aliases().items():
        assert "-" in other
        assert other not in catalogue()
        assert resolve(other) is resolve(other.removeprefix("niv2/")) is catalogue()[real]
        assert real_name(other) == real == real_name(real)
        assert f"tasks/{other.removeprefix('niv2/')}.json" in catalogue()[real].source


def test_five_numbers_name_two_tasks_each_so_that_only_names_are_keys() -> None:
    numbers: dict[str, list[str]] = {}
    for entry in find(submixture="niv2"):
        numbers.setdefault(entry.name.removeprefix("niv2/").partition("_")[0], []).append(entry.name)
    assert {number for number, names in numbers.items() if len(names) > 1} == set(DOUBLED)
    for task_number in DOUBLED:
        first, second = numbers[task_number]
        assert resolve(first).name == first != second == resolve(second).name
        for asked in (task_number, f"niv2/{task_number}"):
            with pytest.raises(InputError, match="is a number, not a name") as caught:
                resolve(asked)
            assert first in str(caught.value)
            assert second in str(caught.value)


def test_names_are_unique_and_can_name_tasks() -> None:
    bare = Counter(name.partition("/")[2] for name in catalogue())
    assert set(bare.values()) == {1}
    for entry in catalogue().values():
        Task(entry.name, rows=[], fields=frozenset(), dataset=entry.dataset, category=entry.category)


def test_every_entry_says_what_it_is_and_where_its_rows_are() -> None:
    for entry in catalogue().values():
        assert entry.source
        assert entry.link.startswith("https://")
        assert entry.link in how_to_get(entry)
        assert entry.languages
        assert set(entry.languages) <= set(LANGUAGES.values())
        for label in (entry.dataset, entry.category):
            assert label
            assert label == label.lower().strip()


def test_names_of_chain_of_thought_tasks_and_their_categories_are_those_of_the_reader() -> None:
    assert {entry.name: entry.category for entry in find(submixture="cot")} == {
        f"cot/{name}": category for name, category in cot.DATASETS.items()
    }


def test_inverted_forms_are_variants_of_tasks() -> None:
    assert Counter(len(entry.variants) for entry in find(submixture="cot")) == {3: 9}
    assert Counter(len(entry.variants) for entry in find(submixture="muffin")) == {1: 80}
    assert not any(entry.variants for entry in find() if entry.submixture in ("t0_sf", "niv2"))
    assert not any(
        "input_inversion" in entry.name or "__" in entry.name
        for entry in find()
        if entry.submixture != "niv2"
    )


def test_row_counts_capped_and_raw_add_up_to_the_sums_known_of_the_release() -> None:
    def rows(submixture: str, part: str | None = None) -> list[int]:
        return [entry.rows for entry in find(submixture=submixture, part=part) if entry.rows is not None]

    niv2, flan = rows("niv2"), rows("muffin", "flan2021")
    assert len(niv2) == 1556
    assert (
        sum(niv2),
        sum(min(number, 5_000) for number in niv2),
        sum(number > 5_000 for number in niv2),
    ) == (5_030_933, 4_235_910, 577)
    assert (
        len(flan),
        sum(flan),
        sum(min(number, 30_000) for number in flan),
        sum(number > 30_000 for number in flan),
    ) == (71, 114_400_460, 1_495_430, 39)
    assert {entry.name: entry.rows for entry in find(submixture="cot")}["cot/gsm8k"] == 7473


def test_options_are_told_where_rows_carry_them() -> None:
    assert sum(bool(entry.options) for entry in find(submixture="t0_sf")) == 19
    assert resolve("muffin/rte").options is True
    assert resolve("muffin/squad_v2").options is False
    assert resolve("muffin/xsum").options is False
    assert resolve("muffin/trivia_qa_wiki_missing").options is None


@pytest.mark.skipif(
    not (SHARED / "data" / "cot").is_dir(), reason="the public chain-of-thought files are not here"
)
def test_published_row_counts_are_those_of_the_files() -> None:
    tasks = open_submixture("cot", SHARED / "data" / "cot")
    assert len(tasks) == 7
    assert {name: len(task.rows) for name, task in tasks.items()} == {
        name: catalogue()[name].rows for name in tasks
    }


# Languages


def test_a_language_is_given_by_code_or_name() -> None:
    assert len(LANGUAGES) == 60
    assert {name for entry in find() for name in entry.languages} == set(LANGUAGES.values())
    for code, name in LANGUAGES.items():
        assert (
            language(code)
            == language(code.upper())
            == language(name)
            == language(f" {name.lower()} ")
            == name
        )
    assert language("Farsi") == "Persian"
    assert {entry.name for entry in find(language="sw")} == {
        entry.name for entry in find() if "Swahili" in entry.languages
    }
    assert len(find(language="Swahili")) == 3
    with pytest.raises(InputError, match="did you mean `swahili`"):
        find(language="Swahilli")


# Looking up


@given(ENTRIES)
def test_an_entry_is_found_by_each_of_its_properties(entry: Entry) -> None:
    assert resolve(entry.name) is resolve(entry.name.partition("/")[2]) is entry
    for entries in (
        find(category=entry.category.upper(), held_out=None),
        find(dataset=entry.dataset, held_out=None),
        find(submixture=entry.submixture, language=entry.languages[-1], held_out=entry.held_out is not None),
    ):
        assert entry in entries
        assert len(entries) < len(catalogue())


@settings(max_examples=25, deadline=None)  # the nearest of 1,900 names takes a tenth of a second
@given(
    st.text()
    | ENTRIES.map(lambda entry: entry.name[:-1])
    | st.from_regex(r"(niv2/)?task\d{1,4}", fullmatch=True)
)
def test_any_other_name_is_refused_in_one_sentence(name: str) -> None:
    if name in catalogue() or name in {full.partition("/")[2] for full in catalogue()}:
        return
    with pytest.raises(InputError) as caught:
        resolve(name)
    assert name in str(caught.value)


def test_refusals_name_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean `cot/gsm8k`"):
        resolve("cot/gsm8")
    with pytest.raises(InputError, match="did you mean `niv2`"):
        find(submixture="niv")


def test_the_catalogue_cannot_be_changed() -> None:
    assert isinstance(catalogue(), MappingProxyType)
    assert isinstance(aliases(), MappingProxyType)


# Reconciliation


def test_the_figures_beside_the_papers() -> None:
    counted = counts()
    assert {one.submixture: (one.tasks, one.paper_tasks) for one in counted.submixtures} == {
        "muffin": (80, 80),
        "t0_sf": (193, 193),
        "niv2": (1556, 1554),
        "cot": (9, 9),
    }
    figures = {difference.figure: (difference.ours, difference.paper) for difference in counted.differences}
    assert figures == {
        "tasks": (1838, 1836),
        "tasks of NIV2": (1556, 1554),
        "NIV2 tasks removed for MMLU": (57, 44),
        "tasks of Muffin in the text": (80, 88),
        "datasets": (437, 473),
        "categories": (140, 146),
        "languages": (60, 60),
    }
    assert (counted.total.tasks, counted.total.variants, counted.total.held_out) == (1838, 107, 57)
    assert sum(PAPER[name] for name in SUBMIXTURES) == PAPER["tasks"]


MENTIONED = {
    "tasks": ["2 is NIV2's", "107"],
    "tasks of NIV2": ["2 tasks more", "41", "5 numbers"],
    "NIV2 tasks removed for MMLU": ["44", "57"],
    "tasks of Muffin in the text": ["80", "62", "26", "88", "70", "10"],
    "datasets": ["473", "CoT"],
    "categories": ["146", "140", "144"],
    "languages": ["584", "576"],
}


@pytest.mark.parametrize("difference", counts().differences, ids=lambda difference: difference.figure)
def test_every_difference_is_explained_in_a_sentence(difference: Difference) -> None:
    for words in MENTIONED[difference.figure]:
        assert words in difference.why
    assert difference.why.endswith(".")


def test_our_side_is_counted_and_not_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = dict(catalogue())
    del entries["cot/gsm8k"]
    entries = {name: entry for name, entry in entries.items() if "Swahili" not in entry.languages}
    others = aliases()
    monkeypatch.setattr(table, "_read", lambda: (entries, others))
    changed = {difference.figure: difference.ours for difference in counts().differences}
    assert (changed["tasks"], changed["tasks of NIV2"], changed["languages"]) == (1834, 1553, 59)


# The file


def test_the_file_is_small_and_read_only_when_asked_for() -> None:
    assert len(PACKED.read_bytes()) < 120_000
    code = (
        "import openflan.cli.main, openflan.tasks.catalogue.table as table; "
        "print(table._read.cache_info().currsize); table.catalogue()"
    )
    code += "; print(table._read.cache_info().currsize)"
    assert subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split() == ["0", "1"]


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "build_catalogue", Path(__file__).parents[2] / "scripts" / "build_catalogue.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def line(
    submixture: str,
    name: str,
    notes: str,
    *,
    dataset: str = "d",
    category: str = "Kind",
    hub: str = "",
    spoken: str = "English",
) -> dict[str, str]:
    return {
        "submixture": submixture,
        "dataset": dataset,
        "task_category": category,
        "task_name": name,
        "hf_hub_id": hub,
        "language": spoken,
        "notes": notes,
    }


LINES = [
    line("niv2", "task9_a_b", "kind=base; n=12", spoken="French;English"),
    line("niv2", "task9_a-b", "kind=metadata_only; n=12"),
    line("cot", "cot_gsm8k", "kind=base; lines=3", dataset="gsm8k"),
    line(
        "cot",
        "cot_input_inversion_gsm8k__question_generation",
        "kind=inverted",
        dataset="gsm8k",
        category="Question Generation",
    ),
    line(
        "flan2021",
        "rte",
        "kind=base; tfds=super_glue/rte:1.0.2; cases zs/x/five=20/20/19; options=yes|no",
        hub="a/b",
    ),
]


def test_the_builder_gives_the_same_bytes_for_the_same_facts(builder: ModuleType) -> None:
    content = builder.built(LINES)
    assert content == builder.built(LINES)
    assert content[4:8] == bytes(4), "the time stamp of a gzip file"
    document = json.loads(gzip.decompress(content))
    rows = {
        row["name"]: row
        for row in (dict(zip(document["columns"], row, strict=True)) for row in document["rows"])
    }
    assert document["aliases"] == {"niv2/task9_a-b": "niv2/task9_a_b"}
    assert rows.keys() == {"niv2/task9_a_b", "cot/gsm8k", "muffin/rte"}
    assert rows["niv2/task9_a_b"]["languages"] == ["French", "English"]
    assert rows["cot/gsm8k"]["variants"] == ["question generation"]
    assert (rows["muffin/rte"]["rows"], rows["muffin/rte"]["options"], rows["muffin/rte"]["part"]) == (
        20,
        True,
        "flan2021",
    )


@pytest.mark.parametrize(
    "extra",
    [
        LINES[0],
        line("niv2", "task8_x-y", "kind=metadata_only; n=1"),
        line("dialog", "x_input_inversion", "kind=inverted"),
    ],
)
def test_the_builder_refuses_what_does_not_fit(builder: ModuleType, extra: dict[str, str]) -> None:
    with pytest.raises(SystemExit):
        builder.built([*LINES, extra])


@pytest.mark.skipif(
    not (SHARED / "spec" / "catalogue.csv").is_file(), reason="the table of facts is not here"
)
def test_the_packaged_file_is_what_the_builder_makes_of_the_facts(
    builder: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(builder, "OUT", tmp_path / "built.gz")
    monkeypatch.setattr(sys, "argv", ["build_catalogue.py", str(SHARED / "spec" / "catalogue.csv")])
    builder.main()
    assert gzip.decompress((tmp_path / "built.gz").read_bytes()) == gzip.decompress(PACKED.read_bytes())
