"""Scores of one benchmark that were asked differently stand side by side in a report, and only greedy ones
make its averages."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_run import generation, parse, score, write_run

from openflan.evaluation.averages import COMPONENTS, averages_of_scores
from openflan.evaluation.known_benchmarks import usual_shots
from openflan.evaluation.score_record import EvaluationScore, read_scores
from openflan.reports import tables
from openflan.reports.gather import Gathered, gather
from openflan.reports.html import commands, render
from openflan.reports.results import suite
from openflan.run_folder import Run

RUN_0_1 = Path(__file__).parents[1] / "evaluation" / "run_of_0_1"

VARIANTS: list[dict[str, Any]] = [
    {"variant": "-likelihood"},
    {"variant": "-likelihood-normalized"},
    {"variant": "-t0.7-k40", "samples": 40},
    {"variant": "-t0.7-k40", "samples": 8},
    {"shots": 0},
    {"shots": 1, "variant": "-likelihood"},
    {"split": "test"},
]
"""What a score of version 0.1 had beside a greedy one with the usual exemplars; all of them are 90 here."""


def _score(
    model: str, component: str, normalized: float, *, shots: int | None = None, **changes: Any
) -> dict[str, Any]:
    benchmark, mode = component.split("-")
    count = usual_shots(benchmark, mode) if shots is None else shots
    made = score(
        model,
        {"snarks": normalized + 30},
        benchmark=benchmark,
        mode=mode,
        prompt_version=f"{component}-{count}-shot-1",
    )
    return {**made, "normalized": normalized, "samples": 1, "split": "", **changes}


def _variants(model: str, component: str) -> list[dict[str, Any]]:
    """Those that are not the usual way of asking: TyDiQA's one exemplar is its usual number."""
    return [
        _score(model, component, 90.0, **variant)
        for variant in VARIANTS
        if variant.get("shots", -1) != usual_shots(*component.split("-"))
    ]


def _row(gathered: Gathered, model: str) -> dict[str, Any]:
    table = suite(gathered)
    assert table is not None
    return next(dict(zip(table.columns, row, strict=True)) for row in table.rows if row[0] == model)


def test_a_likelihood_score_does_not_replace_the_greedy_one(tmp_path: Path) -> None:
    """The report's averages are right with greedy, likelihood, sampled and shot-count variants of the same
    benchmarks side by side."""
    greedy = [
        _score(model, component, value)
        for model, value in (("base", 10.0), ("final", 28.0))
        for component in COMPONENTS
    ]
    others = [
        variant
        for model in ("base", "final")
        for component in COMPONENTS
        for variant in _variants(model, component)
    ]
    gathered = gather(write_run(tmp_path / "run", scores=[*greedy, *others]))
    assert (_row(gathered, "base")["normalized average"], _row(gathered, "final")["normalized average"]) == (
        10.0,
        28.0,
    )
    assert _row(gathered, "final")["error reduction %"] == pytest.approx(20.0)
    assert len(gathered.scores) == len(greedy) + len(others)
    before_after = {table.name: table for table in tables.before_after(gathered)}
    assert [row[3:6] for row in before_after["bbh cot"].rows[:2]] == [(40.0, 58.0, 18.0), (10.0, 28.0, 18.0)]
    for name in (
        "bbh cot likelihood",
        "bbh cot t0.7-k40 40 samples",
        "bbh cot t0.7-k40 8 samples",
        "bbh cot 0-shot",
        "bbh cot 1-shot likelihood",
    ):
        assert before_after[name].rows[1][3:6] == (90.0, 90.0, 0.0)
    assert len(before_after) == len(tables.before_after(gathered))


@settings(max_examples=30, deadline=None)
@given(order=st.randoms(use_true_random=False), kept=st.sets(st.integers(0, 5)))
def test_suite_averages_take_greedy_generation_only_in_any_order(
    order: Any, kept: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without the greedy score of a component there is no average, however many others there are."""
    greedy = [_score("final", component, 28.0) for index, component in enumerate(COMPONENTS) if index in kept]
    mixed = [*greedy, *(one for component in COMPONENTS for one in _variants("final", component))]
    order.shuffle(mixed)
    averages = averages_of_scores(EvaluationScore.from_json(one) for one in mixed)
    components_of = {
        "normalized average": set(range(6)),
        "CoT average": {1, 3, 5},
        "non-CoT average": {0, 2, 4},
    }
    assert averages == {name: 28.0 if needed <= kept else None for name, needed in components_of.items()}
    assert (
        averages_of_scores(
            (EvaluationScore.from_json(one) for one in mixed), counts=lambda key: key.decoding.samples == 40
        )["CoT average"]
        == 90.0
    )


def test_what_repeats_a_run_prints_every_option_that_mattered(tmp_path: Path) -> None:
    options = {
        "limit": 3,
        "subset": ["snarks", "navigate"],
        "max_tokens": 7,
        "context": 99,
        "chat": True,
        "dtype": "bfloat16",
        "device": "cuda",
    }
    new = EvaluationScore.from_json(_score("final", "bbh-cot", 1.0, shots=0)).to_json() | {"options": options}
    rows = EvaluationScore.from_json(_score("final", "bbh-cot", 1.0)).to_json() | {
        "benchmark": "held-out",
        "options": {"benchmark": "niv2/*"},
    }
    scores = [new, rows, *(_score("step-20", "mmlu-direct", 1.0, **one) for one in VARIANTS)]
    command_lines = commands(gather(write_run(tmp_path / "run", scores=scores)))[1:-1]
    assert command_lines[0] == (
        "openflan evaluate runs/toy --benchmark bbh --mode cot --shots 0 --limit 3 --subset "
        "snarks,navigate --max-tokens 7 --context 99 --chat "
        "--dtype bfloat16 --data DATA   # on cuda"
    )
    assert command_lines[1].startswith("openflan evaluate runs/toy --benchmark 'niv2/*' --mode cot")
    assert "--data DATA" in command_lines[1]
    mmlu = "openflan evaluate runs/toy --benchmark mmlu --mode direct"
    assert [
        line.removeprefix(mmlu).removesuffix(" --data DATA --checkpoint 20") for line in command_lines[2:]
    ] == [
        " --likelihood",
        " --likelihood --normalized",
        " --samples 40 --temperature 0.7 --top-k 40",
        " --samples 8 --temperature 0.7 --top-k 40",
        " --shots 0",
        " --shots 1 --likelihood",
        " --split test",
    ]


def test_a_run_of_0_1_is_reported(tmp_path: Path) -> None:
    shutil.copytree(RUN_0_1, tmp_path / "run")
    run = Run(tmp_path / "run")
    gathered = gather(run)
    assert gathered.scores == read_scores(run.scores)
    names = [table.name for table in tables.before_after(gathered)]
    assert names == [
        "microflan direct", "microflan direct likelihood", "microflan direct t0.7-k40 3 samples",
        "microflan direct 3-shot", "mine-own direct"
    ]  # fmt: skip
    text = "\n".join(parse(render(gathered)).text)
    for option in (
        "--likelihood",
        "--samples 3 --temperature 0.7 --top-k 40",
        "--shots 3",
        "--checkpoint base",
    ):
        assert option in text


def test_one_headline_number(tmp_path: Path) -> None:
    """Terminal, page and JSON name the gain of the summary; other averages are not called the gain."""
    sys.path.append(str(Path(__file__).parents[1] / "cli"))
    from commands import openflan

    run = write_run(
        tmp_path / "run", scores=[_score("base", "bbh-cot", 10.0), _score("final", "bbh-cot", 28.0)]
    )
    run.summary.write_text('{"gain": {"normalized": 45.87654, "ci95": [44.06, 49.7]}}')
    assert (
        "gain over the base, normalized by chance, mean of the groups: +45.9 points"
        in openflan("report", run.folder).stdout
    )
    assert '"normalized": 45.87654' in openflan("report", run.folder, "--json").stdout
    text = " ".join(" ".join(parse(run.report.read_text()).text).split())
    assert (
        "+45.9 points : gain over the base, normalized by chance, mean of the groups (95 % interval "
        "+44.1 to +49.7, over items)"
    ) in text
    assert text.count("gain over the base") == 1
    assert "accuracy in %, plain mean of the tasks, before and after" in text
    run.summary.unlink()
    summed_up = tables.gain(gather(run))
    assert summed_up is not None
    assert (summed_up[0], summed_up[1].normalized) == ("tasks", 18.0), (
        "without groups it is the gain over the benchmark's tasks"
    )
    run.summary.write_text('{"gain": {"normalized": "much"}}')
    refused = openflan("report", run.folder)
    assert (refused.returncode, "summary.json: `normalized`" in refused.stderr) == (2, True)


def test_samples_shown_are_greedy_ones_of_the_final_model(tmp_path: Path) -> None:
    """A file of likelihoods is no model of its own, and its answers do not stand beside greedy ones."""
    lines = {
        stem: [generation("snarks", 0, stem, "(A)")]
        for stem in ("base-bbh-cot", "base-bbh-cot-likelihood", "base-bbh-cot-0-shot")
    }
    (shown,) = gather(write_run(tmp_path / "run", generations=lines)).samples
    assert (shown.model, shown.generation) == ("base", "base-bbh-cot")
    alone = gather(
        write_run(
            tmp_path / "alone", generations={"final-bbh-cot-likelihood": lines["base-bbh-cot-likelihood"]}
        )
    )
    assert alone.samples[0].model == "final"
