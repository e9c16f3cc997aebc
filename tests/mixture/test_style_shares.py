"""`styles: release`: each task has the release's share of inversions and number of exemplars."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from pydantic import ValidationError

from openflan.errors import InputError
from openflan.mixture.open_mixture import build_stream
from openflan.mixture.style_shares import inverted_in_release, shots_of, style_shares
from openflan.recipe.load_recipe import dump_recipe, load_recipe, recipe_from
from openflan.recipe.presets import INVERTED, INVERTED_TENTHS
from openflan.recipe.schema import Mixture, Styles
from openflan.tasks.catalogue import catalogue, find
from openflan.tasks.task import Task
from openflan.templates.import_flan import import_flan
from openflan.templates.render import SHOTS
from openflan.templates.wording import InvertedShare, WordingSet

PACKAGED = WordingSet(("*",), frozenset(), ())
SHARED_SETS = {"anli_r": 3, "arc_": 2, "wmt16_": 6}


def zero_shot(name: str) -> float:
    return inverted_in_release(name, PACKAGED).zero


def test_the_table_has_the_releases_shares() -> None:
    """Mean 15 % over the sets of templates (tasks that share a set counted once), 70 % for WMT 16, 10 % for
    many."""
    entries = [entry.name.partition("/")[2] for entry in find(submixture="muffin", part="flan2021")]
    assert set(INVERTED_TENTHS) <= set(entries)
    sets = {re.sub(r"^(anli|arc|wmt16|mnli)_.*", r"\1", name): name for name in entries}
    assert mean(zero_shot(f"muffin/{name}") for name in sets.values()) == pytest.approx(0.155, abs=0.01)
    assert {zero_shot(f"muffin/{name}") for name in entries if name.startswith("wmt16")} == {0.7}
    tenths = Counter(INVERTED_TENTHS[name] for name in sets.values() if name in INVERTED_TENTHS)
    assert tenths[1] >= 10
    for name in ("bool_q", "hellaswag", "mnli_matched", "wsc", "wic", "winogrande", "glue_qqp", "lambada"):
        assert zero_shot(f"muffin/{name}") == 0, name


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("muffin/rte", 0.1),
        ("muffin/sentiment140", 0.4),
        ("cot/gsm8k", INVERTED),
        ("muffin/wiki_dialog", INVERTED),
        ("muffin/program_synthesis_dmcc_python", INVERTED),
        ("t0_sf/quarel_do_not_use", 0.0),
        ("niv2/task067_abductivenli_answer_generation", 0.0),
        ("niv2/task067_abductive-nli_answer_generation", 0.0),
        ("mine/quiz", INVERTED),
    ],
)
def test_each_part_of_the_collection_has_its_own_share(name: str, share: float) -> None:
    assert inverted_in_release(name, PACKAGED) == InvertedShare(share, share)


def test_wordings_that_say_their_share_come_first() -> None:
    said = WordingSet(("*",), frozenset(), (), inverted_share=InvertedShare(0.25, 0.75))
    assert inverted_in_release("muffin/rte", said) == InvertedShare(0.25, 0.75)


def task(name: str, fields: str, count: int = 40, **keys: Any) -> Task:
    names = frozenset(fields.split())
    rows = [{field: f"{field} {number}" for field in names - {"options"}} for number in range(count)]
    if "options" in names:
        rows = [{**row, "options": ["yes", "no"], "answer": "yes"} for row in rows]
    return Task(name, rows, names, "made up", "test", **keys)


def test_two_exemplars_for_natural_instructions_and_the_usual_for_others() -> None:
    release = Mixture.model_validate({"submixtures": {"niv2": {"styles": "release"}}}).submixtures["niv2"]
    niv2 = task("niv2/task1_x", "definition question answer")
    assert shots_of(release.styles, niv2) == (2,)
    assert shots_of(release.styles, task("muffin/rte", "premise hypothesis options answer")) == SHOTS
    assert shots_of(Styles(), niv2) == SHOTS == tuple(Styles().shots), "the default is not the release's"
    assert shots_of(Styles(shots=[1, 4]), niv2) == (1, 4)


def drawn(name: str, fields: str, styles: Any, **keys: Any) -> list[Any]:
    submixture = name.partition("/")[0]
    mixture = Mixture.model_validate({"submixtures": {submixture: {"styles": styles, **keys}}})
    opened = task(name, fields)
    stream = build_stream(mixture, {name: opened}, seed=4)
    return [stream[position] for position in range(600)]


def test_the_stream_draws_what_the_release_has() -> None:
    seen = drawn("niv2/task1_x", "definition question answer", "release")
    assert {len(one.exemplars) for one in seen if one.style.few_shot} == {2}
    assert not any(one.style.inverted for one in seen)
    few = {len(one.exemplars) for one in drawn("niv2/task1_x", "definition question answer", {})}
    assert few == {0, 2, 3, 5}, "without it the default stays"


def test_imported_templates_give_each_side_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))
    shown, made_up = "('{premise} {hypothesis} {options_}', '{answer}')", "('Invent', '{premise}')"
    few = "FewShotPattern(inputs='{}', targets='{{{}}}')"
    direct, inverted = few.format("{premise} {options_}", "answer"), few.format("{answer}", "premise")
    folder = tmp_path / "FLAN/flan/v2"
    folder.mkdir(parents=True)
    (folder / "templates.py").write_text(
        f"PATTERNS = {{'rte': [{', '.join([shown] * 3 + [made_up])}]}}\n"
        f"FEWSHOT_PATTERNS = {{'rte': [{', '.join([direct] * 1 + [inverted] * 3)}]}}\n"
    )
    (folder / "flan_templates_branched.py").write_text("PATTERNS = {}\n")
    import_flan(tmp_path / "FLAN", tmp_path / "cache/wordings/flan")
    fields = "premise hypothesis options answer"
    seen = drawn("muffin/rte", fields, "release", wordings="original")
    for few_shot, share in ((False, 0.25), (True, 0.75)):
        of_kind = [one for one in seen if one.style.few_shot == few_shot]
        assert mean(one.style.inverted for one in of_kind) == pytest.approx(share, abs=0.08)


def test_release_is_a_short_form_that_other_keys_may_replace(tmp_path: Path) -> None:
    values = {
        "name": "x",
        "model": {"base": "a"},
        "mixture": {"submixtures": {"muffin": {"styles": "release"}}},
        "training": {"steps": 1},
    }
    recipe = recipe_from(values, "here")
    styles = recipe.mixture.submixtures["muffin"].styles
    assert styles == Styles(inverted="release", shots="release")
    (tmp_path / "x.yaml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "x.yaml") == recipe
    mixed = Mixture.model_validate(
        {"submixtures": {"muffin": {"styles": {"inverted": "release", "few_shot": 0.2}}}}
    ).submixtures["muffin"]
    found = style_shares(mixed.styles, task("muffin/wmt16_translate_csen", "source answer"), PACKAGED)
    assert (found.few_shot, found.inverted, found.inverted_few_shot) == (0.2, 0.7, 0.7)
    overridden = recipe_from(values, "here", ["mixture.submixtures.muffin.styles={few_shot: 0.1}"])
    assert overridden.mixture.submixtures["muffin"].styles.few_shot == 0.1


@pytest.mark.parametrize(
    ("styles", "says"),
    [
        ("relase", "expected `release`, or a mapping"),
        ({"inverted": "always"}, "release"),
        ({"inverted": 2}, "less than or equal to 1"),
        ({"shots": []}, "at least 1"),
        ({"shots": [0]}, "greater than 0"),
    ],
)
def test_other_values_are_refused(styles: Any, says: str) -> None:
    with pytest.raises((ValidationError, InputError)) as caught:
        Mixture.model_validate({"submixtures": {"muffin": {"styles": styles}}})
    assert says in str(caught.value)


def test_every_task_of_the_catalogue_has_a_share() -> None:
    assert all(0 <= zero_shot(name) <= 0.7 for name in catalogue())
