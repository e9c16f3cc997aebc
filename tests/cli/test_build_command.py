"""`openflan build`, and training from what it made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import Done, openflan

RECIPE = """\
name: mine
model: {{base: {base}}}
mixture:
  submixtures:
    own: {{data: {data}, styles: {{few_shot: 0.5}}}}
packing: {{inputs: 48, targets: 12}}
training: {{steps: 4, batch_size: 2, learning_rate: 0.05}}
checkpoints: {{every: 2}}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, rows: Path, t5: Path) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "mine.yaml"
    path.write_text(RECIPE.format(base=t5, data=rows))
    return path


@pytest.fixture(scope="module")
def built(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One window, in one block."""
    folder = tmp_path_factory.mktemp("built") / "build"
    done = openflan("build", recipe, "--to", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "copy"))


@pytest.fixture(scope="module")
def unbuilt(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the recipe without a build."""
    folder = tmp_path_factory.mktemp("unbuilt") / "run"
    assert openflan("finetune", recipe, "--run", folder).returncode == 0
    return folder


def _made(done: Done) -> tuple[int, int, int]:
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed["made"], printed["packed_anew"], printed["kept"]


def _losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_it_says_what_was_made_and_what_comes_next(recipe: Path, tmp_path: Path) -> None:
    done = openflan("build", recipe, "--examples", 5_000, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith("runs/mine/build: 5,120 examples in ")
    assert first.endswith("(2 blocks made, 0 packed anew, 0 kept)")
    assert f"openflan finetune {recipe}" in done.stderr
    again = json.loads(openflan("build", recipe, "--examples", 5_000, "--json", folder=tmp_path).stdout)
    assert (again["examples"], again["made"], again["kept"]) == (5_120, 0, 2)
    assert done.stdout.splitlines()[1] == f"content {again['content']}"


@pytest.mark.slow
def test_by_default_it_makes_what_the_steps_will_read(recipe: Path, tmp_path: Path) -> None:
    few, many = (
        json.loads(
            openflan(
                "build", recipe, "--to", tmp_path / str(steps), "--json", f"training.steps={steps}"
            ).stdout
        )
        for steps in (4, 3_000)
    )
    assert few["examples"] == 256, "one window of own rows"
    assert many["examples"] > 4_096
    assert many["sequences"] >= 6_000


def test_training_from_a_build_is_training_without_it_to_the_bit(
    recipe: Path, built: Path, unbuilt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no window was made: the stream is asked for nothing once the ledger is written."""
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(unbuilt / "ledger.json", run)
    monkeypatch.setattr(
        "openflan.packing.example_windows.tokens_at", lambda *arguments: pytest.fail("a window was made")
    )
    done = openflan("finetune", recipe, "--run", run, "--build", built)
    assert done.returncode == 0, done.stderr
    assert "not used" not in done.stderr
    assert _losses(run) == _losses(unbuilt)
    assert (run / "model" / "model.safetensors").read_bytes() == (
        unbuilt / "model" / "model.safetensors"
    ).read_bytes()


def test_the_runs_own_build_is_found_and_restart_keeps_it(
    recipe: Path, built: Path, unbuilt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(built, run / "build")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    monkeypatch.setattr(
        "openflan.packing.example_windows.tokens_at", lambda *arguments: pytest.fail("a window was made")
    )
    for restart in ([], ["--restart"]):
        done = openflan("finetune", recipe, "--run", run, *restart)
        assert done.returncode == 0, done.stderr
        assert _losses(run) == _losses(unbuilt)
        assert {path: path.read_bytes() for path in before} == before


def test_restart_begins_a_run_where_only_a_build_is(recipe: Path, built: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(built, run / "build")
    assert openflan("finetune", recipe, "--run", run, "--restart").returncode == 0


@pytest.mark.filterwarnings("default:.*not used, as it was built")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("packing.targets=10", "packing.targets"),
        pytest.param("seed=5", "seed", marks=pytest.mark.slow),
        pytest.param("mixture.submixtures.own.cap=20", "mixture.submixtures", marks=pytest.mark.slow),
    ],
)
def test_a_build_of_other_settings_is_not_used_and_training_says_so(
    change: str, named: str, recipe: Path, built: Path, tmp_path: Path
) -> None:
    plain, warned = tmp_path / "plain", tmp_path / "warned"
    done = openflan("finetune", recipe, change, "--run", warned, "--build", built)
    assert done.returncode == 0, done.stderr
    assert (
        f"{built}: not used, as it was built with other {named}; `openflan build` makes it anew"
        in " ".join(done.stderr.split())
    )
    openflan("finetune", recipe, change, "--run", plain)
    assert _losses(warned) == _losses(plain)


def test_a_folder_without_a_build_is_refused(recipe: Path, tmp_path: Path) -> None:
    done = openflan("finetune", recipe, "--run", tmp_path / "run", "--build", tmp_path)
    assert done.returncode == 2
    assert (
        f"{tmp_path}: no build there (no build.json); name the folder that `openflan build` printed"
        in done.stderr
    )
    assert not (tmp_path / "run").exists()


def test_a_damaged_build_stops_training_and_repair_mends_it(
    recipe: Path, copy: Path, built: Path, tmp_path: Path
) -> None:
    path = copy / "blocks" / "000000" / "ids.npy"
    path.write_bytes(path.read_bytes()[:-2])
    for command in (
        ["finetune", recipe, "--run", tmp_path / "run", "--build", copy],
        ["build", recipe, "--to", copy],
    ):
        done = openflan(*command)
        assert done.returncode == 2
        assert f"{path}: missing, incomplete or changed since it was written" in done.stderr
        assert "--repair" in done.stderr
    done = openflan("build", recipe, "--to", copy, "--repair", "--json")
    assert _made(done) == (1, 0, 0)
    assert (
        f"{path}: missing, incomplete or changed since it was written; block 0 is made again" in done.stderr
    )
    assert path.read_bytes() == (built / "blocks" / "000000" / "ids.npy").read_bytes()


UNTOUCHED = [
    "training.batch_size=3",
    "training.learning_rate=0.1",
    "training.micro_batch_size=1",
    "checkpoints.every=1",
    "name=other",
]
PACKED_ANEW = [("packing.targets=10", "packing.targets"), ("packing.on_overflow=drop", "packing.on_overflow")]
MADE_ANEW = [
    ("seed=5", "seed"),
    pytest.param("mixture.rates={own: 2}", "mixture.rates", marks=pytest.mark.slow),
    pytest.param(
        "mixture.submixtures.own.styles.few_shot=0.25", "mixture.submixtures", marks=pytest.mark.slow
    ),
    ("packing.inputs=32", "token budget of exemplars, set by packing.inputs"),
]


@pytest.mark.parametrize("change", UNTOUCHED)
def test_what_no_token_depends_on_changes_nothing(change: str, recipe: Path, built: Path) -> None:
    done = openflan("build", recipe, change, "--to", built, "--json")
    assert _made(done) == (0, 0, 1)
    assert "changed since" not in done.stderr


@pytest.mark.parametrize(("change", "named"), PACKED_ANEW)
def test_other_limits_keep_the_tokens(change: str, named: str, recipe: Path, copy: Path) -> None:
    path = copy / "blocks" / "000000" / "ids.npy"
    ids = path.stat()
    done = openflan("build", recipe, change, "--to", copy, "--json")
    assert _made(done) == (0, 1, 0)
    assert f"changed since the build: {named}; the tokens stay, sequences are packed anew" in done.stderr
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (ids.st_ino, ids.st_mtime_ns)
    assert _made(openflan("build", recipe, change, "--to", copy, "--json")) == (0, 0, 1)


@pytest.mark.parametrize(("change", "named"), MADE_ANEW)
def test_another_mixture_or_room_makes_all_anew(change: str, named: str, recipe: Path, copy: Path) -> None:
    done = openflan("build", recipe, change, "--to", copy, "--json")
    assert _made(done) == (1, 0, 0)
    assert f"changed since the build: {named}; all of it is made anew" in done.stderr


def test_changed_rows_are_seen(recipe: Path, rows: Path, copy: Path, tmp_path: Path) -> None:
    other = tmp_path / "data" / rows.name
    other.parent.mkdir()
    shutil.copy(rows, other)
    same = openflan("build", recipe, f"mixture.submixtures.own.data={other}", "--to", copy, "--json")
    assert _made(same) == (0, 0, 1), "where rows lie does not matter"
    other.write_text(other.read_text().replace("blue", "red", 1))
    done = openflan("build", recipe, f"mixture.submixtures.own.data={other}", "--to", copy, "--json")
    assert _made(done) == (1, 0, 0)
    assert "changed since the build: data of own/rows; all of it is made anew" in done.stderr


@pytest.mark.slow
def test_a_causal_models_build_packs_one_sequence(llama: Path, rows: Path, tmp_path: Path) -> None:
    path = tmp_path / "causal.yaml"
    path.write_text(RECIPE.format(base=llama, data=rows))
    assert openflan("build", path, "--to", tmp_path / "build").returncode == 0
    for run, build in (("with", ["--build", tmp_path / "build"]), ("without", [])):
        assert openflan("finetune", path, "--run", tmp_path / run, *build).returncode == 0
    assert _losses(tmp_path / "with") == _losses(tmp_path / "without")


@pytest.mark.slow
def test_worker_processes_make_the_same(recipe: Path, tmp_path: Path) -> None:
    contents = []
    for to, more in (("one", []), ("two", ["--workers", 2]), ("third", ["--shard", "0/3"])):
        done = openflan("build", recipe, "--to", tmp_path / to, "--examples", 4_096, "--json", *more)
        assert _made(done) == (1, 0, 0)
        contents.append(json.loads(done.stdout)["content"])
    assert set(contents) == {contents[0]}
    assert _made(
        openflan("build", recipe, "--to", tmp_path / "none", "--examples", 4_096, "--json", "--shard", "1/3")
    ) == (0, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--shard", "2/2"], "`--shard 2/2` is not a part such as 0/4"),
        (["packing.targets=1"], "none of 256 examples fits"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[object], says: str, recipe: Path, tmp_path: Path) -> None:
    done = openflan("build", recipe, "--to", tmp_path / "build", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
