"""What a mixture leaves out, and why: licences that are not allowed, rates of 0, tasks that are held out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.mixture.licences import UNKNOWN, check_licences, licence_of, refusal, spelled
from openflan.mixture.offline import IN_ITS_FILE, offline_ledger
from openflan.mixture.open_mixture import LeftOut, build_stream, open_mixture, open_tasks
from openflan.recipe.schema import Mixture
from openflan.tasks.catalogue import catalogue, find
from openflan.tasks.sources import open_submixture
from openflan.tasks.task import Task

INSTRUCTIONS = {
    "task001_free": ["MIT"],
    "task002_share": ["CC BY-SA 4.0"],
    "task003_closed": ["CC BY-NC 4.0"],
    "task004_silent": None,
    "task005_unknown": ["Unknown"],
    "task006_both": ["MIT", "CC BY-NC 4.0"],
    "task007_mmmlu_x": ["MIT"],
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Natural instructions whose files name licences, or do not."""
    folder = tmp_path / "instructions"
    folder.mkdir()
    for name, licence in INSTRUCTIONS.items():
        document = {
            "Definition": ["d"],
            "Instances": [{"input": f"{name} {number}", "output": ["a"]} for number in range(4)],
        }
        (folder / f"{name}.json").write_text(
            json.dumps(document | ({"Instance License": licence} if licence else {}))
        )
    (folder / "task007_mmmlu_x.json").rename(folder / "task685_mmmlu_answer_generation_abstract_algebra.json")
    return folder


def mixture(data: Path, **keys: object) -> Mixture:
    return Mixture.model_validate(
        {"submixtures": {"niv2": {"data": str(data), **keys.pop("niv2", {})}}, **keys}
    )  # type: ignore[dict-item]


HELD_OUT = LeftOut("niv2/task685_mmmlu_answer_generation_abstract_algebra", "held out (mmlu)")


def test_tasks_of_other_licences_are_left_out_and_listed(data: Path) -> None:
    opened = open_mixture(mixture(data, licences=["mit", "cc-by-sa-4.0"]))
    assert list(opened.tasks) == ["niv2/task001_free", "niv2/task002_share"]
    assert opened.left_out == (
        LeftOut("niv2/task003_closed", "licence cc-by-nc-4.0"),
        LeftOut("niv2/task004_silent", "licence unknown"),
        LeftOut("niv2/task005_unknown", "licence unknown"),
        LeftOut("niv2/task006_both", "licence mit, cc-by-nc-4.0"),
        HELD_OUT,
    )
    assert opened.described["left_out"][0] == {
        "task": "niv2/task003_closed",
        "reason": "licence cc-by-nc-4.0",
    }


def test_without_a_filter_only_what_is_held_out_is_left_out(data: Path) -> None:
    opened = open_mixture(mixture(data))
    assert len(opened.tasks) == 6
    assert opened.left_out == (HELD_OUT,)


@pytest.mark.parametrize("allowed", [["MIT"], ["Mit License"], ["m?t"], "mit"])
def test_names_are_compared_in_any_case_and_by_pattern(data: Path, allowed: object) -> None:
    assert list(open_tasks(mixture(data, licences=allowed))) == ["niv2/task001_free"]


def test_every_licence_that_a_task_names_must_be_allowed(data: Path) -> None:
    assert "niv2/task006_both" in open_tasks(mixture(data, licences=["mit", "cc-by-*"]))
    assert "niv2/task006_both" not in open_tasks(mixture(data, licences=["cc-by-*"]))


def test_a_task_that_is_named_and_forbidden_is_refused(data: Path) -> None:
    for name in ("niv2/task003_closed", "task003_closed"):
        with pytest.raises(
            InputError,
            match=r"`niv2`: niv2/task003_closed \(licence cc-by-nc-4.0\) not allowed by `mixture.licences`",
        ):
            open_tasks(mixture(data, licences=["mit"], niv2={"tasks": ["task001_free", name]}))


def test_nothing_left_is_refused_with_the_commonest_reason(data: Path) -> None:
    with pytest.raises(
        InputError, match=r"no task is left to train on: all 7 are left out, 2 for `licence unknown`"
    ):
        open_tasks(mixture(data, licences=["apache-2.0"]))


def test_a_name_that_fits_no_licence_is_refused_with_the_nearest(data: Path) -> None:
    with pytest.raises(
        InputError,
        match="`mixture.licences`: no task has the licence `cc-by-sa4.0`.*did you mean `cc-by-sa-4.0`",
    ):
        open_tasks(mixture(data, licences=["mit", "cc-by-sa4.0"]))
    with pytest.raises(InputError, match="no task has the licence `gnu-\\*`, nor is it a common one"):
        open_tasks(mixture(data, licences=["gnu-*"]))


def test_a_licence_that_only_one_file_names_can_be_allowed(data: Path) -> None:
    path = data / "task001_free.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"Instance License": ["House Terms, Version 2"]})
    )
    assert list(open_tasks(mixture(data, licences=["house terms, version 2"]))) == ["niv2/task001_free"]


def test_the_catalogue_tells_the_licence_where_the_rows_do_not(tmp_path: Path) -> None:
    for name in ("gsm8k", "creak"):
        (tmp_path / f"{name}_train.tsv").write_text("q\ta\tr\n" * 3)
    cot = Mixture.model_validate({"submixtures": {"cot": {"data": str(tmp_path)}}, "licences": ["mit"]})
    opened = open_mixture(cot)
    assert list(opened.tasks) == ["cot/gsm8k"]
    assert opened.left_out == (LeftOut("cot/creak", UNKNOWN),)


def test_a_rate_of_zero_leaves_a_task_out_even_if_it_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"inputs": "a", "targets": "b"}\n' * 500)
    own = {
        "niv2": {"data": str(data), "tasks": "task001_free"},
        "own": {"data": str(tmp_path / "rows.jsonl"), "styles": {"few_shot": 0}},
    }
    recipe_mixture = Mixture.model_validate({"submixtures": own, "rates": {"niv2": 0, "own": 1}})
    opened = open_mixture(recipe_mixture)
    assert list(opened.tasks) == ["own/rows"]
    assert opened.left_out == (LeftOut("niv2/task001_free", "rate 0"),)
    assert build_stream(recipe_mixture, opened.tasks, seed=0)[5].task == "own/rows"


@pytest.fixture
def muffin(tmp_path: Path) -> Path:
    """A ready-made copy of Muffin's first two parts, of 40 and 10 rows."""
    for source, rows in (("flan", 40), ("dialog", 10)):
        text = "".join(
            json.dumps({"inputs": f"{source} {index}", "targets": "a", "task": "x"}) + "\n"
            for index in range(rows)
        )
        (tmp_path / f"{source}_zs_opt_train.jsonl").write_text(text)
    return tmp_path


def test_rates_weigh_the_parts_of_muffin(muffin: Path) -> None:
    recipe_mixture = Mixture.model_validate(
        {"submixtures": {"muffin": {"data": str(muffin)}}, "rates": "release"}
    )
    stream = build_stream(recipe_mixture, open_tasks(recipe_mixture), seed=0)
    assert {entry.task.name: entry.share for entry in stream.entries} == pytest.approx(
        {"muffin/dialog_zs_opt": 3 / 43, "muffin/flan2021_zs_opt": 40 / 43}
    )
    without = recipe_mixture.model_copy(update={"rates": {"muffin/flan2021": 1.0, "muffin/dialog": 0.0}})
    assert open_mixture(without).left_out == (LeftOut("muffin/dialog_zs_opt", "rate 0"),)


def test_a_task_of_no_part_that_has_a_rate_is_refused(muffin: Path) -> None:
    for path in muffin.glob("*.jsonl"):
        path.unlink()
    (muffin / "mine.jsonl").write_text('{"inputs": "a", "targets": "b"}\n')
    recipe_mixture = Mixture.model_validate(
        {"submixtures": {"muffin": {"data": str(muffin)}}, "rates": "release"}
    )
    with pytest.raises(
        InputError,
        match=(
            r"muffin/mine: no rate, as `mixture.rates` names only muffin/flan2021, .* mapping that also has "
            r"`muffin`"
        ),
    ):
        open_tasks(recipe_mixture)


def test_missing_data_is_named_for_all_submixtures_at_once(data: Path) -> None:
    recipe_mixture = Mixture.model_validate(
        {"submixtures": {"muffin": {}, "niv2": {"data": str(data)}, "cot": {}}}
    )
    says = (
        r"no data for muffin, cot: add mixture.submixtures.muffin.data=PATH "
        r"mixture.submixtures.cot.data=PATH .*`openflan mixture`"
    )
    with pytest.raises(InputError, match=says):
        open_tasks(recipe_mixture)


# Spelling


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CC BY-SA 4.0", "cc-by-sa-4.0"),
        ("Apache License, Version 2.0", "apache-2.0"),
        ("Apache 2.0", "apache-2.0"),
        ("cc_by_4.0", "cc-by-4.0"),
        ("The MIT License", "mit"),
        ("CC BY 4.0 International", "cc-by-4.0"),
        ("cc-by*", "cc-by*"),
    ],
)
def test_licences_have_one_spelling(text: str, name: str) -> None:
    assert spelled(text) == name == spelled(name)


@given(st.text(max_size=40))
def test_spelling_is_settled_after_one_time(text: str) -> None:
    assert spelled(spelled(text)) == spelled(text)


@given(
    st.sampled_from(sorted({entry.licence for entry in catalogue().values() if entry.licence})), st.randoms()
)
def test_a_licence_of_the_catalogue_is_allowed_however_it_is_written(licence: str, random: object) -> None:
    written = "".join(letter.upper() if random.random() < 0.5 else letter.lower() for letter in licence)
    check_licences([written], [])
    assert refusal(licence, [written]) is None
    assert refusal(licence, ["gpl-3.0"]) == f"licence {spelled(licence)}"
    assert refusal(licence, None) is refusal(None, None) is None
    assert refusal(None, ["*"]) == UNKNOWN


def test_a_pattern_reaches_as_far_as_it_says() -> None:
    assert refusal("CC BY-NC 4.0", ["cc-by-*"]) is None, "non-commercial ones begin alike"
    assert refusal("CC BY-NC 4.0", ["cc-by-[0-9]*", "cc-by-sa-*"]) == "licence cc-by-nc-4.0"


def test_a_licence_called_unknown_gives_way_to_the_catalogues() -> None:
    rows = [{"inputs": "a", "targets": "b"}]
    assert licence_of(Task("cot/gsm8k", rows, frozenset(rows[0]), "x", "y", licence="Unknown")) == "MIT"
    assert licence_of(Task("cot/gsm8k", rows, frozenset(rows[0]), "x", "y", licence="CC0")) == "CC0"


# Offline


def recipe(**keys: object) -> Mixture:
    return Mixture.model_validate(
        {"submixtures": {"muffin": {}, "t0_sf": {}, "niv2": {}, "cot": {}}, "rates": "proportion-b", **keys}
    )


def test_offline_the_filter_goes_by_the_catalogue() -> None:
    opened = offline_ledger(recipe(licences=["mit"]), {})
    assert {task.task for task in opened.tasks} == {entry.name for entry in find() if entry.licence == "MIT"}
    reasons = {left.task: left.reason for left in opened.left_out}
    assert reasons["muffin/squad_v1"] == "licence cc-by-sa-4.0"
    assert reasons["muffin/xsum"] == UNKNOWN
    assert reasons["niv2/task067_abductivenli_answer_generation"] == IN_ITS_FILE
    assert len(opened.tasks) + len(opened.left_out) == len(catalogue())


def test_offline_rows_at_hand_count_as_they_are(data: Path, tmp_path: Path) -> None:
    real = "task067_abductivenli_answer_generation"
    shutil.copy(data / "task001_free.json", data / f"{real}.json")
    tasks = open_submixture("niv2", data)
    opened = {task.task: task for task in offline_ledger(recipe(), {"niv2": tasks}).tasks}
    assert (opened[f"niv2/{real}"].rows, opened[f"niv2/{real}"].here, opened[f"niv2/{real}"].get) == (
        4,
        True,
        None,
    )
    assert (opened["niv2/task001_free"].rows, opened["niv2/task001_free"].here) == (4, True), (
        "also a task that the catalogue does not have"
    )
    assert opened["cot/gsm8k"].rows == 7_473
    assert not opened["cot/gsm8k"].here
    assert "gsm8k_train.tsv" in str(opened["cot/gsm8k"].get)


def test_offline_missing_says_exactly_what(data: Path) -> None:
    opened = offline_ledger(recipe(), {"niv2": open_submixture("niv2", data)})
    missing = {one.submixture: one for one in opened.missing}
    assert {name: (len(one.tasks), one.all_of_it) for name, one in missing.items()} == {
        "muffin": (80, True),
        "t0_sf": (193, True),
        "niv2": (1_556, False),
        "cot": (9, True),
    }
    assert missing["cot"].override == "mixture.submixtures.cot.data=PATH"
    assert set(missing["cot"].tasks) == {entry.name for entry in find(submixture="cot")}


def test_offline_a_ready_made_copy_stands_for_the_whole_submixture(muffin: Path) -> None:
    opened = offline_ledger(recipe(rates="release"), {"muffin": open_submixture("muffin", muffin)})
    assert {task.task: task.share for task in opened.tasks if task.submixture == "muffin"} == pytest.approx(
        {"muffin/dialog_zs_opt": 0.03, "muffin/flan2021_zs_opt": 0.40}
    )
    assert "muffin" not in {one.submixture for one in opened.missing}


def test_offline_what_is_held_out_follows_the_recipe() -> None:
    assert sum(left.reason == "held out (mmlu)" for left in offline_ledger(recipe(), {}).left_out) == 57
    allowed = offline_ledger(recipe(held_out=[]), {})
    assert allowed.left_out == ()
    assert len(allowed.tasks) == 1_838 + 57


def test_offline_patterns_choose_as_they_do_with_data() -> None:
    recipe_mixture = Mixture.model_validate({"submixtures": {"cot": {"tasks": ["gsm8k", "cot/s*"]}}})
    assert [task.task for task in offline_ledger(recipe_mixture, {}).tasks] == [
        "cot/gsm8k",
        "cot/sensemaking",
        "cot/strategyqa",
    ]
    with pytest.raises(InputError, match="no task matches `gsm9k`; did you mean `gsm8k`"):
        offline_ledger(Mixture.model_validate({"submixtures": {"cot": {"tasks": ["gsm9k"]}}}), {})
