"""What is measured while training, and pretraining runs, in the report."""

import json
from pathlib import Path

from openflan.recipe.load_recipe import dump_recipe, load_any_recipe
from openflan.reports.gather import gather
from openflan.reports.html import write_report
from openflan.reports.tables import watched
from openflan.run_folder import Run

LINE = {"loss": 2.0, "tokens": 10, "examples": 2, "fill": 0.5, "seconds": 0.1, "waiting_seconds": 0.0}


def run_of(folder: Path, recipe: str, lines: list[dict[str, object]], *overrides: str) -> Run:
    run = Run(folder)
    folder.mkdir()
    run.recipe.write_text(dump_recipe(load_any_recipe(recipe, overrides)))
    run.metrics.write_text("".join(json.dumps(LINE | line) + "\n" for line in lines))
    return run


def test_validation_loss_and_held_out_scores_stand_by_step(tmp_path: Path) -> None:
    measured = {"step": 2, "validation_loss": 1.5, "scores": {"bbh": 12.5, "mean": 12.5}}
    run = run_of(
        tmp_path / "run", "tiny-t5-cot", [{"step": 1}, measured, {"step": 3, "validation_loss": 1.25}]
    )
    table = watched(gather(run))
    assert table is not None
    assert table.columns == ("step", "validation loss", "bbh %", "mean %")
    assert table.rows == ((2, 1.5, 12.5, 12.5), (3, 1.25, None, None))
    write_report(run)
    assert "During training" in run.report.read_text()


def test_nothing_measured_no_table(tmp_path: Path) -> None:
    assert watched(gather(run_of(tmp_path / "run", "tiny-t5-cot", [{"step": 1}, {"step": 2}]))) is None


def test_a_pretraining_run_has_a_report(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", "lm-adapt-t5", [{"step": 1}, {"step": 2}], "pretraining.data=texts.txt")
    run.ledger.write_text('{"documents": 3}')
    write_report(run)
    page = run.report.read_text()
    assert "pretrained for" in page
    assert "openflan pretrain lm-adapt-t5.yaml" in page
