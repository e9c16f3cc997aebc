"""The Flan mixture's own arithmetic: real caps and row counts, rates A, B and the release's, against hand
computations.

Seven tasks of Muffin have no published number of rows; for these the tests assume as many as the cap, as the
code states it does.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from openflan.mixture.offline import Offline, offline_ledger
from openflan.mixture.open_mixture import group_of
from openflan.recipe.load_recipe import load_recipe
from openflan.recipe.presets import PARTS
from openflan.recipe.schema import Mixture
from openflan.tasks.catalogue import catalogue, find

UNPUBLISHED = {
    "muffin/task_master",
    "muffin/trivia_qa_wiki_missing",
    "muffin/program_synthesis_dmcc_python",
    "muffin/program_synthesis_dr_repair_error_comments",
    "muffin/program_synthesis_dr_repair_line_numbers",
    "muffin/program_synthesis_dr_repair_no_errors",
    "muffin/program_synthesis_dr_repair_plain_code",
}
COT = 7_473 + 2_061 + 6_915 + 1_084 + 36_174 + 7_112 + 6_070 + 2_728 + 5_154
"""Lines of the nine chain-of-thought files; none is above the cap of 100,000."""

# With every task counting at most 30,000: 1,495,430 in the 71 sets of Flan 2021 that have published counts,
# the unpublished one of them, QReCC, WikiDialog, Taskmaster (unpublished) and five of program synthesis
# (unpublished).
FLAN2021 = 1_495_430 + 30_000
MUFFIN = FLAN2021 + 10_170 + 30_000 + 30_000 + 5 * 30_000
NIV2_CAPPED, NIV2_ROWS = 4_235_910, 5_030_933
NOT_BUILT = {"muffin/task_master", "muffin/trivia_qa_wiki_missing"}
FLAN2021_RELEASE, DIALOG_RELEASE = 1_495_430, 10_170 + 200_000
"""The sums of the release itself (flan/v2/constants.py): it builds neither of NOT_BUILT."""
T0_SF = sum(min(entry.rows or 0, 20_000) for entry in find(submixture="t0_sf"))


def ledger(rates: str) -> Offline:
    return offline_ledger(load_recipe("flan-2022", [f"mixture.rates={rates}"]).mixture, {})


@pytest.mark.parametrize(
    ("rates", "shares"),
    [
        ("proportion-a", {"muffin": (52, 100), "t0_sf": (15, 100), "niv2": (30, 100), "cot": (3, 100)}),
        ("proportion-b", {"muffin": (460, 999), "t0_sf": (279, 999), "niv2": (242, 999), "cot": (18, 999)}),
        ("release", {"muffin": (43, 100), "t0_sf": (32, 100), "niv2": (20, 100), "cot": (5, 100)}),
    ],
)
def test_submixtures_have_the_shares_of_the_preset(rates: str, shares: dict[str, tuple[int, int]]) -> None:
    """B sums to 99.9, so its shares are of that; the release's Muffin is its Flan 2021 and dialog
    together."""
    offline = ledger(rates)
    assert {one.name: one.share for one in offline.submixtures} == pytest.approx(
        {name: part / whole for name, (part, whole) in shares.items()}, rel=1e-12
    )
    assert sum(task.share for task in offline.tasks) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("rates", "task", "share"),
    [
        ("proportion-a", "cot/gsm8k", Fraction(3, 100) * Fraction(7_473, COT)),
        ("proportion-a", "muffin/rte", Fraction(52, 100) * Fraction(2_290, MUFFIN)),
        ("proportion-a", "muffin/wmt14_enfr", Fraction(52, 100) * Fraction(30_000, MUFFIN)),
        (
            "proportion-a",
            "niv2/task067_abductivenli_answer_generation",
            Fraction(30, 100) * Fraction(5_000, NIV2_CAPPED),
        ),
        ("proportion-b", "cot/esnli", Fraction(18, 999) * Fraction(36_174, COT)),
        ("proportion-b", "muffin/wiki_dialog", Fraction(460, 999) * Fraction(30_000, MUFFIN)),
        ("proportion-b", "muffin/task_master", Fraction(460, 999) * Fraction(30_000, MUFFIN)),
        ("proportion-b", "t0_sf/quarel_do_not_use", Fraction(279, 999) * Fraction(1_941, T0_SF)),
        ("release", "muffin/rte", Fraction(40, 100) * Fraction(2_290, FLAN2021_RELEASE)),
        ("release", "muffin/qrecc", Fraction(3, 100) * Fraction(10_170, DIALOG_RELEASE)),
        ("release", "muffin/wiki_dialog", Fraction(3, 100) * Fraction(200_000, DIALOG_RELEASE)),
        (
            "release",
            "niv2/task067_abductivenli_answer_generation",
            Fraction(20, 100) * Fraction(6_499, NIV2_ROWS),
        ),
        ("release", "cot/gsm8k", Fraction(5, 100) * Fraction(7_473, COT)),
    ],
)
def test_a_task_has_the_share_computed_by_hand(rates: str, task: str, share: Fraction) -> None:
    tasks_by_name = {one.task: one for one in ledger(rates).tasks}
    assert tasks_by_name[task].share == pytest.approx(float(share), rel=1e-12)


CAPS = {
    "proportion-a": {"muffin": 30_000, "t0_sf": 20_000, "cot": 100_000, "niv2": 5_000},
    "proportion-b": {"muffin": 30_000, "t0_sf": 20_000, "cot": 100_000, "niv2": 5_000},
    "release": {"flan2021": 30_000, "dialog": 200_000, "t0_sf": 20_000, "cot": 100_000, "niv2": 10**9},
}
RATES = {
    "proportion-a": {"muffin": 52, "t0_sf": 15, "cot": 3, "niv2": 30},
    "proportion-b": {
        "muffin": Fraction("46.0"),
        "t0_sf": Fraction("27.9"),
        "cot": Fraction("1.8"),
        "niv2": Fraction("24.2"),
    },
    "release": {"flan2021": 40, "dialog": 3, "t0_sf": 32, "cot": 5, "niv2": 20},
}


@pytest.mark.parametrize("rates", CAPS)
def test_every_share_is_the_exact_fraction(rates: str) -> None:
    """The oracle knows the catalogue's rows and the numbers above, and nothing of groups and presets."""
    weights: dict[str, dict[str, Fraction]] = {}
    for entry in find():
        group = entry.part or "" if rates == "release" and entry.submixture == "muffin" else entry.submixture
        if group != "program_synthesis" and not (rates == "release" and entry.name in NOT_BUILT):
            cap = CAPS[rates][group]
            weights.setdefault(group, {})[entry.name] = Fraction(
                cap if entry.rows is None else min(entry.rows, cap)
            )
    total = sum(Fraction(rate) for rate in RATES[rates].values())
    rate = {group: Fraction(RATES[rates][group]) / total / sum(of.values()) for group, of in weights.items()}
    expected = {name: rate[group] * weight for group, of in weights.items() for name, weight in of.items()}
    tasks_by_name = {task.task: task.share for task in ledger(rates).tasks}
    assert tasks_by_name.keys() == expected.keys()
    assert max(abs(tasks_by_name[name] / float(share) - 1) for name, share in expected.items()) < 1e-12


def test_tasks_without_a_published_count_are_shown_as_unknown() -> None:
    offline = ledger("proportion-b")
    assert {task.task for task in offline.assumed} == UNPUBLISHED
    assert {(task.rows, task.weight, task.epochs) for task in offline.assumed} == {(None, 30_000, None)}
    muffin = offline.submixtures[0]
    assert (muffin.name, muffin.tasks, muffin.unknown, muffin.weight) == ("muffin", 80, 7, MUFFIN)


def test_the_release_draws_no_program_synthesis_and_says_so() -> None:
    offline = ledger("release")
    assert {left.task for left in offline.left_out if left.reason == "rate 0"} == {
        task for task in UNPUBLISHED if "program_synthesis" in task
    }
    assert not any("program_synthesis" in task.task for task in offline.tasks)
    assert {left.task for left in offline.left_out if left.reason == "not built by the release"} == NOT_BUILT
    assert len(offline.tasks) == 1_838 - 5 - 2
    assert offline.assumed == (), "every task of the release has a published number of rows"
    assert {one.name: one.weight for one in offline.groups} == {
        "muffin/flan2021": FLAN2021_RELEASE,
        "muffin/dialog": DIALOG_RELEASE,
        "t0_sf": T0_SF,
        "niv2": NIV2_ROWS,
        "cot": COT,
    }


def test_passes_and_the_first_repeated_task_follow_from_the_shares() -> None:
    offline = ledger("proportion-a")
    assert offline.examples == MUFFIN + T0_SF + NIV2_CAPPED + COT
    gsm8k = next(task for task in offline.tasks if task.task == "cot/gsm8k")
    assert gsm8k.epochs == pytest.approx(0.03 * offline.examples / COT)
    name, examples = offline.first_repeated
    assert name.startswith("cot/"), "the highest rate for its size"
    assert examples == pytest.approx(COT / 0.03, abs=1)


def test_the_parts_of_the_presets_are_those_of_the_catalogue() -> None:
    parts: dict[str, set[str]] = {}
    for entry in catalogue().values():
        if entry.part is not None:
            parts.setdefault(entry.submixture, set()).add(entry.part)
    assert parts == {name: set(of) for name, of in PARTS.items()}


def test_groups_of_tasks() -> None:
    release = Mixture.model_validate(
        {"submixtures": {"muffin": {}, "cot": {}, "niv2": {}, "t0_sf": {}}, "rates": "release"}
    )
    assert group_of(release, "muffin/rte") == "muffin/flan2021"
    assert group_of(release, "muffin/wiki_dialog") == "muffin/dialog"
    assert group_of(release, "muffin/dialog_zs_opt") == "muffin/dialog", "a ready-made copy's"
    assert group_of(release, "cot/gsm8k") == "cot"
    rest = release.model_copy(update={"rates": {"muffin/dialog": 1.0, "muffin": 2.0}})
    assert (group_of(rest, "muffin/rte"), group_of(rest, "muffin/mine"), group_of(rest, "muffin/qrecc")) == (
        "muffin",
        "muffin",
        "muffin/dialog",
    )
    assert group_of(release.model_copy(update={"rates": "proportion-a"}), "muffin/qrecc") == "muffin"
    assert group_of(release.model_copy(update={"rates": None}), "muffin/qrecc") == "muffin"
