"""From a study to its cells."""

import re
from pathlib import Path

import pytest
from small_study import small_study, write_study

from openflan.errors import InputError
from openflan.microflan.world import microflan_tasks
from openflan.recipe.load_recipe import load_recipe
from openflan.studies.cells import grid, subset, trainable
from openflan.studies.load_study import load_study, packaged_studies


def test_subsets_are_nested_and_seeded() -> None:
    names = [f"own/{number}" for number in range(100)]
    for seed in range(3):
        few, more, every = (set(subset(names, count, seed)) for count in (5, 50, 100))
        assert few < more < every == set(names)
        assert len(few) == 5
    assert subset(names, 5, 0) == subset(list(reversed(names)), 5, 0) != subset(names, 5, 1)
    with pytest.raises(InputError, match="only 100 tasks"):
        subset(names, 101, 0)


def test_only_what_may_be_trained_on_is_counted() -> None:
    names = trainable(load_recipe("microflan").mixture, "microflan")
    assert set(names) == {name for name, task in microflan_tasks().items() if task.held_out is None}


def test_cells_are_the_grid_then_controls_seed_by_seed(base: Path, tmp_path: Path) -> None:
    control = {
        "shuffled": {
            "at": {"tasks": 3, "rate": "low"},
            "set": {"mixture.submixtures.microflan.targets": "shuffled"},
        }
    }
    cells = grid(
        load_study(write_study(tmp_path / "s.yaml", small_study(base, controls=control))),
        tmp_path,
        ["training.batch_size=1"],
    )
    labels = [cell.label for cell in cells]
    first, second = (["3-low", "3-high", "3-low-shuffled"] for _ in range(2))
    assert labels == [
        "0-low",
        "0-high",
        *(f"{name}-seed0" for name in first),
        *(f"{name}-seed1" for name in second),
    ], "untrained cells run once"
    low, high, shuffled = (cell.recipe for cell in cells[2:5])
    assert (low.training.learning_rate, high.training.learning_rate, low.training.batch_size, low.seed) == (
        0.001,
        0.02,
        1,
        0,
    )
    assert len(low.mixture.submixtures["microflan"].tasks) == 3
    assert (
        low.mixture.submixtures["microflan"].tasks
        == high.mixture.submixtures["microflan"].tasks
        != cells[5].recipe.mixture.submixtures["microflan"].tasks
    )
    assert [recipe.mixture.submixtures["microflan"].targets for recipe in (low, shuffled)] == [
        "own",
        "shuffled",
    ]


def test_random_weights_have_the_shape_of_the_base(base: Path, tmp_path: Path) -> None:
    study = small_study(base, controls={"random": {"at": {"tasks": 3}, "set": {"init": "random"}}})
    cell = next(
        cell for cell in grid(load_study(write_study(tmp_path / "s.yaml", study)), tmp_path) if cell.control
    )
    assert cell.recipe.model.base is None
    assert cell.recipe.model.config is not None
    assert cell.recipe.model.config["d_model"] == 16
    assert cell.recipe.model.tokenizer == str(base)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            {"tasks": 0, "pretrain": "microflan-base"},
            "cell low: `tasks: 0` is the base as it is; leave `pretrain` or `tasks` out",
        ),
        (
            {"pretrain": {"training.steps": 3}},
            "expected the name of a recipe of continued pretraining, or {recipe: NAME, KEY: VALUE}",
        ),
        ({"pretrain": "microflan-bass"}, "did you mean `microflan-base`"),
        ({"pretrain": {"recipe": "microflan-base", "trainin.steps": 3}}, "`trainin`"),
    ],
)
def test_pretraining_that_cannot_be_is_named(
    base: Path, tmp_path: Path, setting: dict[str, object], message: str
) -> None:
    study = small_study(base, axes={"rate": {"low": setting}}, directions=[], figures=[])
    with pytest.raises(InputError, match=re.escape(message)):
        grid(load_study(write_study(tmp_path / "s.yaml", study)), tmp_path)


def test_nested_mixtures_keep_the_papers_rates() -> None:
    path = packaged_studies()["figure-4"]
    cells = {cell.label: cell.recipe for cell in grid(load_study(path), path.parent)}
    steps = {
        name: cells[f"{name}-9-seed0"].training.steps for name in ("small", "base", "large", "xl", "xxl")
    }
    assert steps == {
        "small": 98_000,
        "base": 84_000,
        "large": 64_000,
        "xl": 38_000,
        "xxl": 14_000,
    }  # Table 22
    assert cells["small-89-seed0"].mixture.rates == {"muffin": 52.0, "cot": 3.0}  # Table 23, Proportion A
    assert set(cells["small-1836-seed0"].mixture.submixtures) == {"muffin", "t0_sf", "niv2", "cot"}
    assert len({recipe.training.steps for name, recipe in cells.items() if name.startswith("xl-")}) == 1


@pytest.mark.parametrize("name", packaged_studies())
def test_packaged_studies_have_controls_or_the_papers_axes(name: str) -> None:
    study = load_study(packaged_studies()[name])
    assert study.directions, "directions are stated beforehand"
    assert len(study.seeds) >= 3
    assert name == study.name
    if not name.startswith("figure-"):
        assert set(study.controls) == {"random-init", "shuffled-targets", "replay-only"}
        assert any(ask.likelihood for ask in study.evaluations.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quetion": "?"}, "`quetion` is not a key of a study; did you mean `question`"),
        ({"controls": {"x": {"at": {"tasks": 7}, "set": {}}}}, "there is no `7`; there is 0, 3"),
        (
            {"figures": [{"name": "x", "title": "x", "x": "size", "evaluations": ["direct"]}]},
            "there is no `size`; there is tasks, rate",
        ),
        ({"seeds": [1, 1]}, "twice"),
    ],
)
def test_a_broken_study_is_named(
    base: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_study(write_study(tmp_path / "s.yaml", small_study(base) | changes))
