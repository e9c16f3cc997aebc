"""`openflan mixture` for a recipe whose data is not here, and `openflan finetune` of the same."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from openflan.cli.main import app
from openflan.errors import InputError
from openflan.tasks.catalogue import how_to_get, resolve

SUBMIXTURES = ("muffin", "t0_sf", "niv2", "cot")
FEW = (
    "mixture.submixtures.niv2.tasks=['niv2/task067*', 'niv2/task068*']",
    "mixture.submixtures.t0_sf.tasks=t0_sf/quarel*",
)
"""Overrides that leave most tasks out, as long tables take long to print."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


def openflan(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def cot(tmp_path: Path) -> Path:
    (tmp_path / "gsm8k_train.tsv").write_text("q\ta\tr\n" * 11)
    return tmp_path


def test_the_whole_collection_is_told_without_data() -> None:
    done = openflan("mixture", "flan-2022")
    assert done.exit_code == 0, done.output
    for text in (
        "flan-2022: 1,838 tasks",
        "125,674,630 + unknown",
        "rates: proportion-b",
        "each counts as much as its cap (30,000): muffin/task_master, muffin/trivia_qa_wiki_missing, ",
        "tasks left out: 57 (held out (mmlu))",
        *(f"give them with mixture.submixtures.{name}.data=PATH" for name in SUBMIXTURES),
        "missing: all 1,556 tasks of niv2",
        "allenai/natural-instructions",
    ):
        assert text in done.output
    for task in ("muffin/wmt14_enfr", "cot/gsm8k", "t0_sf/quarel_do_not_use"):
        assert task in done.output


def test_the_same_as_json_has_every_task_and_what_to_fetch() -> None:
    printed = json.loads(openflan("mixture", "flan-2022", "--json").stdout)
    tasks = {task["task"]: task for task in printed["tasks"]}
    assert len(tasks) == 1_838
    assert (printed["offline"], printed["rates"], len(printed["assumed"])) == (True, "proportion-b", 7)
    assert tasks["muffin/task_master"]["rows"] is None
    assert tasks["muffin/bool_q"]["get"] == how_to_get(resolve("muffin/bool_q"))
    assert sum(task["share"] for task in printed["tasks"]) == pytest.approx(1)
    for level in ("submixtures", "groups", "categories"):
        assert sum(one["share"] for one in printed[level]) == pytest.approx(1)
        assert sum(one["tasks"] for one in printed[level]) == 1_838
    assert {one["submixture"]: len(one["tasks"]) for one in printed["missing"]} == {
        "muffin": 80,
        "t0_sf": 193,
        "niv2": 1_556,
        "cot": 9,
    }
    assert {left["reason"] for left in printed["left_out"]} == {"held out (mmlu)"}


def test_rows_at_hand_are_counted(cot: Path) -> None:
    printed = json.loads(
        openflan("mixture", "flan-2022", f"mixture.submixtures.cot.data={cot}", "--json").stdout
    )
    tasks = {task["task"]: task for task in printed["tasks"]}
    assert (tasks["cot/gsm8k"]["rows"], tasks["cot/gsm8k"]["here"]) == (11, True)
    assert (tasks["cot/esnli"]["rows"], tasks["cot/esnli"]["here"]) == (36_174, False)
    assert {one["submixture"]: len(one["tasks"]) for one in printed["missing"]}["cot"] == 8
    done = openflan("mixture", "flan-2022", f"mixture.submixtures.cot.data={cot}", *FEW)
    assert "missing: 8 tasks of cot (cot/aqua, cot/creak, cot/ecqa, cot/esnli, cot/qasc, ...)" in done.output


def test_data_on_the_hub_is_not_looked_at() -> None:
    printed = json.loads(
        openflan("mixture", "flan-2022", "mixture.submixtures.t0_sf.data=hub:bigscience/P3", "--json").stdout
    )
    assert sum(task["submixture"] == "t0_sf" for task in printed["tasks"]) == 193


def test_data_that_is_stated_but_not_there_is_an_error(tmp_path: Path) -> None:
    done = openflan("mixture", "flan-2022", f"mixture.submixtures.cot.data={tmp_path / 'nowhere'}")
    assert isinstance(done.exception, InputError)
    assert "nowhere: no such file or folder (the data of submixture `cot`)" in str(done.exception)


def test_groups_are_shown_where_rates_weigh_parts() -> None:
    done = openflan("mixture", "flan-2022", "mixture.rates=release", *FEW)
    assert "muffin/flan2021" in done.output
    assert "5 (rate 0)" in done.output
    assert "muffin/flan2021" not in openflan("mixture", "flan-2022", *FEW).output


def test_licences_are_counted_by_reason() -> None:
    done = openflan("mixture", "flan-2022", "mixture.licences=[mit]")
    assert "(licence cc-by-4.0)" in done.output
    assert "1,556 (licence stated in its file, which is not here)" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["finetune", "flan-2022"],
        ["mixture", "flan-2022", "--show", 1],
        ["mixture", "flan-2022", "--export", "x.jsonl"],
    ],
)
def test_what_needs_rows_stops_with_what_is_missing(
    arguments: list[object], cot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cot)
    done = openflan(*arguments, f"mixture.submixtures.cot.data={cot}")
    assert isinstance(done.exception, InputError)
    says = str(done.exception)
    assert says.startswith(
        "no data for muffin, t0_sf, niv2: add mixture.submixtures.muffin.data=PATH "
        "mixture.submixtures.t0_sf.data=PATH"
    )
    assert "cot" not in says.partition("(")[0]
    assert "\n" not in says


def test_the_ledger_lists_what_a_filter_left_out(t5: Path, tmp_path: Path) -> None:
    for name in ("gsm8k", "creak"):
        (tmp_path / f"{name}_train.tsv").write_text(
            "".join(f"what is {number} ?\tblue\tthe sky is blue\n" for number in range(20))
        )
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        f"name: mine\nmodel: {{base: {t5}}}\npacking: {{inputs: 64, targets: 32}}\ntraining: {{steps: 2}}\n"
        f"mixture: {{licences: [mit], submixtures: {{cot: {{data: {tmp_path}}}}}}}\n"
    )
    printed = json.loads(openflan("mixture", recipe, "--json").stdout)
    assert printed["left_out"] == [{"task": "cot/creak", "reason": "licence unknown"}]
    assert [row["task"] for row in printed["tasks"]] == ["cot/gsm8k"]
    assert "tasks left out: 1 (licence unknown)" in openflan("mixture", recipe).output
