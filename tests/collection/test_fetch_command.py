"""`openflan collection fetch`: the plan offline, the whole collection from a server, twice, and what is said
of what is missing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from collection_copy import fill
from commands import openflan
from hub_server import CONVERTED, Hub

from openflan.collection.lock_file import read_lock
from openflan.collection.plan import PARTS, plan
from openflan.recipe.load_recipe import load_recipe
from openflan.tasks.catalogue import find
from openflan.tasks.sources import open_submixture

SMALL = ("muffin/rte", "muffin/mnli_matched", "muffin/mnli_mismatched", "muffin/lambada", "muffin/true_case")


def fetched(*arguments: object) -> dict[str, Any]:
    done = openflan("collection", "fetch", *arguments, "--json")
    assert done.returncode in (0, 1), done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def test_the_plan_prints_without_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    done = openflan("collection", "fetch", "--dry-run")
    assert done.returncode == 0
    for word in (
        "nyu-mll/glue",
        "bigscience/P3",
        "allenai/natural-instructions",
        "muffin/newsroom",
        "2026-11-30",
    ):
        assert word in done.stdout
    assert "not tried on the live hub" in done.stdout


def test_the_plan_says_of_everything_where_it_comes_from_and_when() -> None:
    done = openflan("collection", "fetch", *PARTS, "--dry-run", "--json")
    printed = json.loads(done.stdout)
    assert {source["part"] for source in printed["sources"]} == set(PARTS)
    for entry in [*printed["sources"], *printed["not_fetched"], *printed["gone"]]:
        assert entry.get("statement", entry.get("source"))
        assert entry["looked_up"] == "2026-11-30"


def test_the_plan_covers_every_task_of_the_collection() -> None:
    everything = plan()
    folders = {folder for source in everything.sources for piece in source.pieces for folder in piece.folders}
    by_hand = {absent.what for absent in everything.not_fetched}
    for submixture in ("muffin", "t0_sf"):
        for entry in find(submixture=submixture):
            assert (entry.name in folders) != (entry.name in by_hand), entry.name
    assert not any("conceptofmind" in source.repository for source in plan([*PARTS]).sources)
    assert not any("opus_paracrawl" in source.repository for source in everything.sources)


def test_of_the_largest_sets_the_first_file_is_fetched_unless_all_are_asked_for(
    hub: Hub, tmp_path: Path
) -> None:
    fill(hub, ("muffin",), muffin=("muffin/wmt14_enfr", "muffin/wmt16_translate_tren"))
    rows = {}
    for options in ((), ("--whole",), ()):
        fetched("muffin", "--to", tmp_path, *options)
        tasks = open_submixture("muffin", tmp_path)
        rows[options, len(rows)] = [len(task.rows) for task in tasks.values()]
    assert [*rows.values()] == [[2, 4], [4, 4], [4, 4]]
    assert plan(["muffin"]).shortened == ("muffin/wmt14_enfr", "muffin/wmt16_translate_csen")
    assert plan(["muffin"], whole=True).shortened == ()


def test_an_unknown_part_is_refused_with_the_nearest() -> None:
    done = openflan("collection", "fetch", "muffins", "--dry-run")
    assert (done.returncode, "did you mean `muffin`" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "--to"), (("--dry-run", "--verify"), "give one of them"), (("--to", __file__), "not a folder")],
)
def test_what_does_not_go_together_is_refused(arguments: tuple[str, ...], said: str) -> None:
    done = openflan("collection", "fetch", *arguments)
    assert (done.returncode, said in done.stderr) == (2, True)


def test_two_parts_land_where_they_are_found(hub: Hub, tmp_path: Path) -> None:
    fill(hub, ("niv2", "cot"))
    assert fetched("niv2", "cot", "--to", tmp_path)["failures"] == []
    places = load_recipe(tmp_path / "flan-2022.yaml").mixture.submixtures
    tasks = {name: open_submixture(name, section.data) for name, section in places.items()}
    assert {name: len(of_it) for name, of_it in tasks.items()} == {"niv2": 3, "cot": 9}
    # The recipe names what is there, not only what was asked for last.
    fill(hub, ("ready-made",))
    fetched("ready-made", "--to", tmp_path)
    assert set(load_recipe(tmp_path / "flan-2022.yaml").mixture.submixtures) == {"niv2", "cot"}


@pytest.mark.slow  # 270 tasks are opened twice
@pytest.mark.filterwarnings("ignore:.*so it is no whole split")
def test_the_whole_collection_lands_where_it_is_found(hub: Hub, tmp_path: Path) -> None:
    fill(hub)
    to = tmp_path / "FLAN"
    value = fetched("--to", to)
    assert value["failures"] == []
    places = load_recipe(to / "flan-2022.yaml").mixture.submixtures
    tasks = {name: open_submixture(name, section.data) for name, section in places.items()}
    by_hand = {absent["what"] for absent in value["not_fetched"]}
    assert set(tasks["muffin"]) == {entry.name for entry in find(submixture="muffin")} - by_hand
    assert set(tasks["t0_sf"]) == {entry.name for entry in find(submixture="t0_sf")}
    assert len(tasks["cot"]) == 9
    assert len(tasks["niv2"]) == 3
    # Every file of the split, and no other split.
    assert len(tasks["muffin"]["muffin/sst2"].rows) == 4
    assert (to / "FLAN" / "flan" / "v2" / "templates.py").is_file()
    assert not list(to.rglob("*.part"))
    assert not (to / "niv2" / "src").exists()
    ledger = openflan("tasks", "check", "--data", to, "--json")
    statuses = {row["task"]: row["status"] for row in json.loads(ledger.stdout)}
    assert {name for name, status in statuses.items() if status == "broken"} == set()


@pytest.mark.filterwarnings("ignore:.*so it is no whole split")
def test_files_that_several_tasks_share_are_fetched_once(hub: Hub, tmp_path: Path) -> None:
    fill(hub, ("muffin",), muffin=SMALL)
    value = fetched("muffin", "--to", tmp_path / "FLAN")
    assert value["sources"]["muffin:nyu-mll/glue"]["files"] == 4
    assert len([path for path in hub.paths("mnli/train/0000.parquet") if path.startswith("/cdn")]) == 1
    pairs = [
        tmp_path / "FLAN" / "muffin" / name / "0000.parquet" for name in ("mnli_matched", "mnli_mismatched")
    ]
    assert pairs[0].read_bytes() == pairs[1].read_bytes()
    # Windows at the beginning need the first file alone.
    assert len(list((tmp_path / "FLAN" / "muffin" / "true_case").iterdir())) == 1
    assert len(open_submixture("muffin", tmp_path / "FLAN")["muffin/lambada"].rows) == 4


COT_ROWS = Path("ready-made", "cot_submix_original", "data", "0000.parquet")


def test_a_second_fetch_asks_nobody_and_a_changed_file_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    fill(hub, ("ready-made", "cot"))
    first = fetched("ready-made", "cot", "--to", tmp_path)
    hub.asked.clear()
    assert fetched("ready-made", "cot", "--to", tmp_path) == first
    assert hub.asked == []
    damaged = tmp_path / COT_ROWS
    content = damaged.read_bytes()
    damaged.write_bytes(bytes(len(content)))
    (tmp_path / "cot" / "qasc_train.tsv").unlink()
    fetched("ready-made", "cot", "--to", tmp_path)
    assert damaged.read_bytes() == content
    assert (tmp_path / "cot" / "qasc_train.tsv").is_file()
    assert len([path for path in hub.paths() if path.startswith("/cdn")]) == 1


def test_a_file_that_only_looks_unchanged_is_found_by_hash(hub: Hub, tmp_path: Path) -> None:
    fill(hub, ("ready-made",))
    fetched("ready-made", "--to", tmp_path)
    damaged = tmp_path / COT_ROWS
    content, status = damaged.read_bytes(), damaged.stat()
    damaged.write_bytes(bytes(len(content)))
    os.utime(damaged, ns=(status.st_atime_ns, status.st_mtime_ns))
    fetched("ready-made", "--to", tmp_path)
    assert damaged.read_bytes() != content  # size and time say that it is unchanged
    fetched("ready-made", "--to", tmp_path, "--hash")
    assert damaged.read_bytes() == content


def test_the_commit_of_the_first_fetch_is_kept(hub: Hub, tmp_path: Path) -> None:
    fill(hub, ("ready-made", "cot"))
    fetched("ready-made", "cot", "--to", tmp_path)
    commits = {key: source.commits for key, source in read_lock(tmp_path).items()}
    assert commits["cot:google-research/FLAN"] == {"main": "c" * 40}
    # Upstream moves on.
    branch = hub.repositories["DataProvenanceInitiative/cot_submix_original"].branches["main"]
    branch.update(dict.fromkeys(branch, b"other"))
    content = (tmp_path / COT_ROWS).read_bytes()
    (tmp_path / COT_ROWS).unlink()
    (tmp_path / "cot" / "qasc_train.tsv").unlink()
    fetched("ready-made", "cot", "--to", tmp_path)
    assert (tmp_path / COT_ROWS).read_bytes() == content
    assert {key: source.commits for key, source in read_lock(tmp_path).items()} == commits
    assert hub.paths(f"tar.gz/{'c' * 40}")


def test_files_that_lie_there_already_are_hashed_and_not_fetched(hub: Hub, tmp_path: Path) -> None:
    fill(hub, ("ready-made",))
    fetched("ready-made", "--to", tmp_path)
    (tmp_path / "collection.lock.json").unlink()
    hub.asked.clear()
    assert fetched("ready-made", "--to", tmp_path)["failures"] == []
    assert not any(path.startswith("/cdn") for path in hub.paths())
    assert sum(len(source.files) for source in read_lock(tmp_path).values()) == 5


def test_a_commit_that_is_gone_is_said_with_the_remedy(hub: Hub, tmp_path: Path) -> None:
    fill(hub, ("ready-made",))
    fetched("ready-made", "--to", tmp_path)
    branch = hub.repositories["DataProvenanceInitiative/cot_submix_original"].branches["main"]
    branch.update(dict.fromkeys(branch, b"other"))
    hub.history.clear()
    (tmp_path / COT_ROWS).unlink()
    (failure,) = fetched("ready-made", "--to", tmp_path)["failures"]
    assert "move collection.lock.json away" in failure["why"]
    (tmp_path / "collection.lock.json").unlink()
    fetched("ready-made", "--to", tmp_path)
    assert (tmp_path / COT_ROWS).read_bytes() == b"other"


def test_what_one_repository_lacks_does_not_stop_the_others(hub: Hub, tmp_path: Path) -> None:
    fill(hub, ("muffin",))
    del hub.repositories["ybisk/piqa"]
    hub.repositories["facebook/anli"].status = 403
    done = openflan("collection", "fetch", "muffin", "--to", tmp_path, "--json")
    failures = {failure["what"]: failure["why"] for failure in json.loads(done.stdout)["failures"]}
    assert done.returncode == 1
    assert set(failures) == {"ybisk/piqa", "facebook/anli"}
    assert "no such data set" in failures["ybisk/piqa"]
    assert "HF_TOKEN" in failures["facebook/anli"]
    assert (tmp_path / "muffin" / "rte" / "0000.parquet").is_file()
    shown = openflan("collection", "fetch", "muffin", "--to", tmp_path)
    assert "ybisk/piqa" in shown.stdout
    assert "muffin/newsroom" in shown.stdout


def test_sizes_and_licences_are_printed_before_anything_is_fetched(hub: Hub, tmp_path: Path) -> None:
    fill(hub, ("ready-made",))
    hub.faults["0123456789abcdef.parquet"] = ["503"] * 60
    done = openflan("collection", "fetch", "ready-made", "--to", tmp_path)
    assert done.returncode == 1
    assert "apache-2.0" in done.stdout
    assert "kB" in done.stdout
    assert "run the same command again" in done.stderr


def test_a_full_disk_is_noticed_first(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(hub, ("ready-made",))
    free = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr("openflan.collection.fetch.shutil.disk_usage", lambda path: free)
    done = openflan("collection", "fetch", "ready-made", "--to", tmp_path / "new")
    assert (done.returncode, "are free" in done.stderr) == (1, True)
    assert not (tmp_path / "new").exists()


def test_ctrl_c_keeps_what_is_done(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(hub, ("ready-made",))
    from openflan.collection import fetch as module

    download, calls = module.download, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return download(*arguments)

    monkeypatch.setattr(module, "download", interrupted)
    done = openflan("collection", "fetch", "ready-made", "--to", tmp_path)
    assert (done.returncode, "run the same command again" in done.stderr) == (130, True)
    assert sum(len(source.files) for source in read_lock(tmp_path).values()) == 2
    hub.asked.clear()
    assert fetched("ready-made", "--to", tmp_path)["failures"] == []
    assert len([path for path in hub.paths() if path.startswith("/cdn")]) == 3


def test_an_archive_that_was_cut_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    fill(hub, ("cot",))
    hub.faults["refs/heads/main"] = ["cut", "cut"]
    assert fetched("cot", "--to", tmp_path)["failures"] == []
    assert len(open_submixture("cot", tmp_path)) == 9


def test_ready_made_rows_and_templates_are_found(hub: Hub, tmp_path: Path) -> None:
    fill(hub, ("ready-made", "promptsource"))
    assert fetched("ready-made", "promptsource", "--to", tmp_path)["failures"] == []
    recipe = load_recipe(tmp_path / "flan-2022-ready-made.yaml")
    names = {
        name
        for submixture, section in recipe.mixture.submixtures.items()
        for name in open_submixture(submixture, section.data)
    }
    assert {"muffin/flan2021_zs_opt", "muffin/dialog_fs_opt", "t0_sf/zs_noopt", "niv2/fs_opt"} <= names
    templates = load_recipe(tmp_path / "flan-2022.yaml").mixture.submixtures["t0_sf"].data
    assert set(open_submixture("t0_sf", templates)) == {"t0_sf/sciq_Direct_Question"}


def test_verify_prints_a_table_of_what_the_servers_have(hub: Hub, tmp_path: Path) -> None:
    fill(hub, ("muffin", "cot"))
    del hub.repositories["ybisk/piqa"]
    del hub.repositories["aps/super_glue"].branches[CONVERTED]["rte/train/0000.parquet"]
    del hub.repositories["aps/super_glue"].branches[CONVERTED]["rte/train/0001.parquet"]
    hub.repositories["facebook/anli"].gated = True
    done = openflan("collection", "fetch", "muffin", "cot", "--verify")
    lines = {line.split(" | ")[1]: line.split(" | ") for line in done.stdout.splitlines()[2:]}
    assert done.returncode == 1
    assert lines["ybisk/piqa"][2] == "missing"
    assert lines["aps/super_glue"][2] == "there, in part"
    assert "muffin/rte: no Parquet" in lines["aps/super_glue"][-1]
    assert "consent" in lines["facebook/anli"][-1]
    assert lines["nyu-mll/glue"][2] == "there"
    assert lines["google-research/FLAN"][2] == "there"
    assert not any(path.startswith("/cdn") for path in hub.paths())


def test_offline_is_said_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = openflan("collection", "fetch", "--to", tmp_path)
    assert (done.returncode, "HF_HUB_OFFLINE" in done.stderr) == (1, True)


def test_the_token_is_never_written(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fill(hub, ("ready-made",))
    done = openflan("collection", "fetch", "ready-made", "--to", tmp_path)
    assert "hf_secret" not in done.stdout + done.stderr
    assert any(token == "Bearer hf_secret" for _, _, token in hub.asked)
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or b"hf_secret" not in file.read_bytes()


def test_a_broken_lock_file_is_named(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "collection.lock.json").write_text('{"format": 1}')
    done = openflan("collection", "fetch", "cot", "--to", tmp_path)
    assert (done.returncode, "collection.lock.json" in done.stderr) == (2, True)
