"""The paper's own studies on models and data that are tiny: whether they run, not what they say."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from openflan.cli.main import app
from openflan.models.estimate import DEVICES, Hardware
from openflan.studies.cells import grid
from openflan.studies.estimate import plan
from openflan.studies.load_study import load_study, packaged_studies
from openflan.studies.run_study import Options, run_study

SUBMIXTURES = ("cot", "muffin", "t0_sf", "niv2")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up benchmarks, and a file of rows for each submixture."""
    from made_up_data import make_all

    folder = tmp_path_factory.mktemp("data")
    make_all(folder)
    for name in SUBMIXTURES:
        rows = [
            {"inputs": f"What is {index} of {name}?", "targets": f"It is {index}. The answer is {index}."}
            for index in range(40)
        ]
        (folder / name).mkdir()
        (folder / name / "made_up.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def overrides(base: Path, data: Path) -> tuple[str, ...]:
    small = (
        "training.steps=1",
        "training.batch_size=2",
        "training.precision=float32",
        "packing.inputs=64",
        "packing.targets=16",
    )
    return (
        f"model.base={base}",
        *small,
        *(f"mixture.submixtures.{name}.data={data / name}" for name in SUBMIXTURES),
    )


def dry_run(name: str, cells: tuple[str, ...], base: Path, data: Path, folder: Path) -> dict:
    path = packaged_studies()[name]
    study = load_study(path)
    short = {name: ask.model_copy(update={"max_tokens": 2}) for name, ask in study.evaluations.items()}
    options = Options(overrides=overrides(base, data), chosen=cells, coarse=True, data=data, limit=1)
    return run_study(path, study.model_copy(update={"evaluations": short}), folder, options)


def test_figure_6_runs_before_and_after(base: Path, data: Path, tmp_path: Path) -> None:
    results = dry_run("figure-6", ("small-*",), base, data, tmp_path)
    cells = {cell["cell"]: cell for cell in results["cells"]}
    assert {name: cell["trained"] for name, cell in cells.items() if name.startswith("small")} == {
        "small-before": False,
        "small-after": True,
    }
    assert set(cells["small-before"]["scores"]) == {"direct", "trigger"}
    assert cells["base-before"]["scores"] == cells["small-before"]["scores"], (
        "here all sizes begin with one base, so that its answers count for each"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("name", "num_cells"), [("figure-4", 5), ("figure-5", 4)])
def test_figures_4_and_5_run_over_their_mixtures(
    name: str, num_cells: int, base: Path, data: Path, tmp_path: Path
) -> None:
    results = dry_run(name, ("small-*",), base, data, tmp_path)
    cells = [
        cell for cell in results["cells"] if cell["cell"].startswith("small-")
    ]  # one base and one step make all sizes the same here
    assert len(cells) == num_cells
    for cell in cells:
        assert {"normalized-average", "cot-average", "non-cot-average"} <= set(cell["scores"])
        parts = [
            cell["scores"][item]["average"]["mean"]
            for item in ("mmlu", "mmlu-cot", "bbh", "bbh-cot", "tydiqa", "mgsm-cot")
        ]
        assert cell["scores"]["normalized-average"]["average"]["mean"] == pytest.approx(
            sum(parts) / 6, abs=1e-3
        )


def test_the_plan_has_the_papers_flops() -> None:
    """Table 2: finetuning Flan-T5-XL took 5.6e19 FLOPs, 3 N D over full rows."""
    path = packaged_studies()["figure-4"]
    lines = {
        line.cell: line
        for line in plan(grid(load_study(path), path.parent, seeds=[0]), Hardware(DEVICES["h100"], 1, 0.4))
    }
    assert lines["xl-1836-seed0"].flops == pytest.approx(5.6e19, rel=0.02)
    assert lines["xl-9-seed0"].flops == lines["xl-1836-seed0"].flops, "one number of steps a model"
    assert lines["xl-1836-seed0"].seconds == pytest.approx(5.6e19 / (989e12 * 0.4), rel=0.02)
    assert lines["xl-0"].flops == 0


def test_the_command_prints_a_plan_and_runs_nothing(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        app, ["study", "tasks-and-size", f"model.base={base}", "training.steps=7", "--plan", "--json"]
    )
    assert result.exit_code == 0, result.output
    cells = json.loads(result.stdout)["cells"]
    assert sum(cell["steps"] > 0 for cell in cells) == (2 * 3 + 3) * 3
    assert {cell["steps"] for cell in cells} == {0, 7}
    assert list(tmp_path.iterdir()) == []
