"""The table of embedded sources: the names that users write, and what each source offers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.embedded import (
    EMBEDDED,
    EMBEDDED_BENCHMARKS,
    SOURCES,
    EmbeddedBenchmark,
    EmbeddedData,
    EmbeddedSource,
    bundled_models,
    parse_benchmark,
    parse_data,
    source_of_model,
    source_of_submixture,
)
from openflan.evaluation.embedded_benchmarks import open_embedded_benchmark
from openflan.models.folder import model_folder
from openflan.tasks.embedded_rows import embedded_documents, embedded_tasks

SEEDS = st.integers(0, 10**6)


@given(st.sampled_from(SOURCES), SEEDS)
def test_a_label_names_the_data_that_it_comes_from(source: EmbeddedSource, seed: int) -> None:
    data = EmbeddedData(source, seed)
    assert parse_data(EMBEDDED + data.label) == parse_data(Path(EMBEDDED + data.label)) == data


@given(st.sampled_from([(source, name) for source in SOURCES for name in source.benchmarks]), SEEDS)
def test_a_label_names_the_benchmark_that_it_comes_from(named: tuple[EmbeddedSource, str], seed: int) -> None:
    benchmark = EmbeddedBenchmark(*named, seed)
    assert parse_benchmark(benchmark.label) == benchmark
    assert parse_benchmark(benchmark.dev_label) is not None


@given(st.text(max_size=20))
def test_other_names_are_no_embedded_data(name: str) -> None:
    assert parse_data(name) is None
    assert parse_data(f"hub:{name}") is None


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_source_offers_what_the_table_says(source: EmbeddedSource) -> None:
    for submixture in source.submixtures:
        assert source_of_submixture(submixture) is source
        tasks = embedded_tasks(submixture, EmbeddedData(source, 5))
        assert tasks
        assert all(name.startswith(f"{submixture}/") for name in tasks)
    assert embedded_documents(EmbeddedData(source, 5))[0]["text"]
    for folder in source.bundled.iterdir():
        assert bundled_models()[EMBEDDED + folder.name] == model_folder(EMBEDDED + folder.name) == folder
        assert source_of_model(EMBEDDED + folder.name) is source


@pytest.mark.parametrize("name", EMBEDDED_BENCHMARKS)
def test_a_benchmark_of_the_table_is_opened_by_its_name(name: str) -> None:
    benchmark = open_embedded_benchmark(f"{name}@5", "direct", limit=1)
    assert benchmark is not None
    assert benchmark.name == f"{name}@5"


def test_other_names_are_no_benchmark_or_model_of_a_source() -> None:
    assert open_embedded_benchmark("mmlu", "direct") is None
    assert source_of_submixture("niv2") is None
    assert source_of_model("google/t5-small-lm-adapt") is None
    assert source_of_model(f"{EMBEDDED}none") is None
