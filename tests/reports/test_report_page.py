"""report.html and `openflan report`: complete, escaped, self-contained, and the same for the same folder."""

import json
import re
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_up_run import RECIPE, full_run, generation, metrics, parse, score, write_run
from typer.testing import CliRunner

from openflan.cli.report import report
from openflan.errors import InputError
from openflan.reports.curve import loss_curve
from openflan.reports.gather import gather
from openflan.reports.html import cell, commands, render, summary, write_report
from openflan.reports.tables import ABSENT

APP = typer.Typer()
APP.command()(report)

NASTY = (
    "<script>alert('x')</script></pre><img src=http://example.org/a.png onerror=alert(1)>&amp;&lt; "
    "{{ 7 * 7 }}"
)


@pytest.fixture(params=["with matplotlib", "without matplotlib"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "without matplotlib":
        monkeypatch.setitem(sys.modules, "matplotlib", None)
    else:
        pytest.importorskip("matplotlib")
    return str(request.param)


def test_the_page_is_well_formed_and_needs_nothing_else(tmp_path: Path, either_way: str) -> None:
    text = write_report(full_run(tmp_path / "run")).read_text()
    page = parse(text)
    assert text.startswith("<!DOCTYPE html>")
    assert page.faults == []
    assert not {"script", "link", "img", "iframe", "object", "form", "a"} & set(page.elements)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")]
    assert all(value and value.startswith("#") for name, value in page.attributes if name == "xlink:href")
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    assert "@import" not in text
    assert ("svg" in page.elements) is (either_way == "with matplotlib")


def test_the_reader_of_pages_sees_faults() -> None:
    assert parse("<p><b>x</p>").faults
    assert parse("<div>").faults
    assert "script" in parse(f"<pre>{NASTY}</pre>").elements


def test_a_run_that_was_only_started_says_what_it_lacks(tmp_path: Path) -> None:
    page = parse(write_report(write_run(tmp_path / "run")).read_text())
    assert page.faults == []
    text = " ".join(page.text)
    assert all(sentence in text for sentence in ABSENT.values())


def test_data_is_text_wherever_it_stands(tmp_path: Path) -> None:
    ledger = {
        "examples": 1,
        "submixtures": [{"submixture": NASTY, "tasks": 1, "rows": 1, "share": 1.0}],
        "tasks": [
            {
                "task": NASTY,
                "submixture": NASTY,
                "category": NASTY,
                "rows": 1,
                "cap": None,
                "share": 1.0,
                "epochs": 1.0,
            }
        ],
        "measured": {"examples": 1, "counts": {NASTY: 1}, "formats": {NASTY: 1}},
    }
    run = full_run(
        tmp_path / "run",
        recipe=RECIPE + f"# {NASTY}\n",
        ledger=ledger,
        provenance={NASTY: NASTY, "data": {NASTY: NASTY}, "tokenizer": NASTY},
        scores=[score(NASTY, {NASTY: 1.0}), score("final", {NASTY: 1.0}, benchmark=NASTY, mode=NASTY)],
        generations={
            "final-x": [generation(NASTY, 0, f"\n\n {NASTY}\n", [NASTY, "b"], benchmark=NASTY, mode=NASTY)]
        },
    )
    page = parse(write_report(run).read_text())
    assert page.faults == []
    assert not {"script", "img"} & set(page.elements)
    assert f"\n\n {NASTY}\n" in page.pre
    assert NASTY in page.pre
    assert RECIPE + f"# {NASTY}\n" in page.pre


@settings(max_examples=30, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\r\0")))
def test_a_generation_is_shown_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assume("<|" not in text and "think" not in text.lower())  # blocks of thinking are cut
    run = write_run(
        tmp_path_factory.mktemp("any") / "run",
        generations={"final-bbh-cot": [generation("snarks", 0, text, "(A)")]},
    )
    page = parse(write_report(run).read_text(encoding="utf-8"))
    shown = text.encode("utf-8", "backslashreplace").decode()
    assert shown in page.pre
    assert page.faults == []


def test_half_a_surrogate_pair_is_named_with_its_line(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "run", generations={"final-bbh-cot": [generation("snarks", 0, "\ud83d!", "(A)")]}
    )
    with pytest.raises(InputError, match=r"final-bbh-cot.jsonl:1: holds half of a surrogate pair"):
        write_report(run)


def test_the_same_folder_gives_the_same_bytes_wherever_it_lies(tmp_path: Path, either_way: str) -> None:
    here, there = full_run(tmp_path / "here"), full_run(tmp_path / "elsewhere" / "there")
    page = write_report(here).read_bytes()
    assert write_report(here).read_bytes() == page
    assert write_report(there).read_bytes() == page
    assert str(tmp_path).encode() not in page
    changed = full_run(tmp_path / "changed", metrics=[*metrics(39), {**metrics(40)[-1], "loss": 9.0}])
    assert write_report(changed).read_bytes() != page


def test_without_matplotlib_the_loss_is_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = " ".join(parse(write_report(full_run(tmp_path / "run")).read_text()).text)
    assert "pip install 'openflan[report]'" in text
    assert "running mean" in text


def test_the_curve_has_units_and_the_colours_of_the_page(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    svg = loss_curve(gather(write_run(tmp_path / "run", metrics=metrics(5_000))).metrics)
    assert svg is not None
    assert "loss (nats per target token)" in svg
    assert ">step<" in svg
    assert "var(--accent)" in svg
    assert "currentColor" in svg
    assert "#0102" not in svg
    assert len(svg) < 100_000
    assert loss_curve(()) is None


def test_a_users_plot_settings_change_nothing(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    steps = gather(write_run(tmp_path / "run", metrics=metrics(30))).metrics
    plain = loss_curve(steps)
    with matplotlib.rc_context(
        {"lines.linestyle": "--", "axes.grid": True, "svg.fonttype": "path", "svg.hashsalt": "other"}
    ):
        assert loss_curve(steps) == plain


def test_right_wrong_and_unknown_are_told_apart(tmp_path: Path) -> None:
    answers = [
        generation("snarks", 0, "So the answer is (A).", "(A)"),
        generation("snarks", 1, "So the answer is (B).", "(A)"),
    ]
    other = [generation("x", 0, "a", "a", benchmark="somebody's", mode="direct")]
    page = render(
        gather(
            write_run(
                tmp_path / "run", generations={"final-bbh-cot": answers, "final-somebody's-direct": other}
            )
        )
    )
    assert re.findall(r'class="tag[a-z ]*">([a-z ]+)<', page) == ["right", "wrong", "not judged"]


def test_what_a_run_is_and_how_to_repeat_it(tmp_path: Path) -> None:
    gathered = gather(full_run(tmp_path / "run"))
    assert (
        summary(gathered)
        == "org/toy-base, finetuned for 40 steps on 2 tasks in 1 submixture, about 400 examples."
    )
    assert commands(gathered) == [
        "openflan finetune toy.yaml",
        "openflan evaluate runs/toy --benchmark bbh --mode cot --data DATA --checkpoint base",
        "openflan evaluate runs/toy --benchmark bbh --mode cot --data DATA",
        "openflan report runs/toy",
    ]
    local = gather(
        write_run(tmp_path / "local", recipe=RECIPE.replace("org/toy-base", "/some/where/earlier/model"))
    )
    assert summary(local) == "earlier/model, finetuned for 40 steps."
    halfway = gather(
        full_run(
            tmp_path / "half", metrics=metrics(10), scores=[score("step-10", {"snarks": 1.0}, partial=True)]
        )
    )
    assert "10 of 40 steps so far" in summary(halfway)
    assert "--checkpoint 10 " in commands(halfway)[1]
    assert "a part of the questions" in commands(halfway)[1]


@pytest.mark.parametrize(
    ("value", "column", "shown"),
    [
        (None, "", "–"),
        (1234567, "", "1,234,567"),
        (12.345, "", "12.35"),
        (0.0523, "", "0.0523"),
        (-2.5, "", "−2.50"),
        (0.0, "", "0.00"),
        ("x-y", "", "x-y"),
        (2.5, "difference", "+2.50"),
        (-2.5, "difference", "−2.50"),
        (-0.0, "difference", "0.00"),
        (None, "difference", "–"),
    ],
)
def test_numbers_as_they_are_read(value: str | float | None, column: str, shown: str) -> None:
    assert cell(value, column) == shown


def test_long_task_tables_start_folded(tmp_path: Path) -> None:
    def ledger(tasks: int) -> dict[str, object]:
        rows = [
            {
                "task": f"own/{n}",
                "submixture": "own",
                "category": "c",
                "rows": 1,
                "cap": None,
                "share": 1 / tasks,
                "epochs": 1.0,
            }
            for n in range(tasks)
        ]
        return {
            "examples": 1,
            "submixtures": [],
            "tasks": rows,
            "measured": {"examples": 1, "counts": {}, "formats": {}},
        }

    folded = [
        parse(render(gather(write_run(tmp_path / str(tasks), ledger=ledger(tasks))))).elements.count(
            "details"
        )
        for tasks in (3, 300)
    ]
    assert folded == [0, 1]


def test_the_command_prints_the_tables_and_the_path_last(tmp_path: Path) -> None:
    run = full_run(tmp_path / "run")
    result = CliRunner().invoke(APP, [str(run.folder)])
    assert result.exit_code == 0
    assert "bbh, cot: before and after" in result.stdout
    assert "own/a" in result.stdout
    assert result.stdout.rstrip().endswith(str(run.report))
    assert run.report.is_file()


def test_json_is_one_value_with_the_same_tables(tmp_path: Path) -> None:
    run = full_run(tmp_path / "run")
    value = json.loads(CliRunner().invoke(APP, [str(run.folder), "--json"]).stdout)
    assert value["report"] == str(run.report)
    assert value["absent"] == []
    table = value["tables"]["bbh cot"]
    assert dict(zip(table["columns"], table["rows"][0], strict=True))["difference"] == 3.0
    assert set(value["tables"]) == {
        "bbh cot",
        "results",
        "bbh cot by task",
        "training",
        "loss",
        "submixtures",
        "tasks",
        "formats",
        "counts",
    }


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    result = CliRunner().invoke(APP, [str(tmp_path)])
    assert isinstance(result.exception, InputError)
    assert "not a run folder" in str(result.exception)


def test_a_model_that_was_only_evaluated_has_a_page_of_results(tmp_path: Path) -> None:
    run = full_run(tmp_path / "plain")
    for path in (run.recipe, run.ledger, run.provenance, run.metrics):
        path.unlink()
    result = CliRunner().invoke(APP, [str(run.folder)])
    assert result.exit_code == 0, result.exception
    assert "bbh, cot: before and after" in result.stdout
    assert "No ledger" not in result.stdout
    page = run.report.read_text()
    assert "<h1>plain</h1>" in page
    assert "openflan evaluate MODEL --benchmark bbh --mode cot --data DATA --run runs/plain" in page
    assert not any(f"<h2>{part}</h2>" in page for part in ("Training", "Mixture", "Recipe"))
    run.scores.unlink()
    assert isinstance(CliRunner().invoke(APP, [str(run.folder)]).exception, InputError)
