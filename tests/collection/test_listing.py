"""Which files of a data set a split is made of, in every layout of the hub; archives keep what is wanted."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from hub_server import CONVERTED, Hub, archive
from hypothesis import given
from hypothesis import strategies as st

from openflan.collection.archives import unpack
from openflan.collection.listing import HubFile, choose_files, hub_files, list_source
from openflan.collection.plan import Piece, Source
from openflan.collection.servers import Servers
from openflan.errors import InputError, SetupError


def files(*paths: str) -> list[HubFile]:
    return [HubFile(path, 1, "0" * 64) for path in paths]


@pytest.mark.parametrize(
    ("paths", "config", "split", "chosen"),
    [
        (["rte/train/0000.parquet", "rte/test/0000.parquet"], "rte", "train", ["rte/train/0000.parquet"]),
        (
            ["a/train/0001.parquet", "a/train/0000.parquet"],
            "a",
            "train",
            ["a/train/0000.parquet", "a/train/0001.parquet"],
        ),
        (["a/train/0000.parquet", "b/train/0000.parquet"], "b", "train", ["b/train/0000.parquet"]),
        (["a/train/0000.parquet", "b/train/0000.parquet"], "c", "train", []),
        (["a/train/0000.parquet", "b/train/0000.parquet"], None, "train", []),
        (["a/train/0000.parquet"], None, "train", ["a/train/0000.parquet"]),
        (["a/train/0000.parquet"], "c", "train", []),
        (["default/train/0000.parquet"], "plain_text", "train", ["default/train/0000.parquet"]),
        (
            ["default/train/0000.parquet", "x/train/0000.parquet"],
            None,
            "train",
            ["default/train/0000.parquet"],
        ),
        (
            ["data/train-00000-of-00002-0a1b.parquet", "data/test-00000-of-00001-2c.parquet"],
            None,
            "train",
            ["data/train-00000-of-00002-0a1b.parquet"],
        ),
        (
            ["fr-en/train-00000-of-00001.parquet", "de-en/train-00000-of-00001.parquet"],
            "fr-en",
            "train",
            ["fr-en/train-00000-of-00001.parquet"],
        ),
        (
            ["plain_text/train_r1-00000-of-00001.parquet", "plain_text/train_r2-00000-of-00001.parquet"],
            "plain_text",
            "train_r2",
            ["plain_text/train_r2-00000-of-00001.parquet"],
        ),
        (
            ["a/name-train-00000-of-00001.parquet", "a/name-validation.parquet"],
            "a",
            "train",
            ["a/name-train-00000-of-00001.parquet"],
        ),
        (["train.jsonl", "test.jsonl", "README.md"], None, "train", ["train.jsonl"]),
        (
            ["train.jsonl", "data/train-00000-of-00001.parquet"],
            None,
            "train",
            ["data/train-00000-of-00001.parquet"],
        ),
        (["task_ /train/0000.parquet"], "task_", "train", ["task_ /train/0000.parquet"]),
        (["train.csv", "piqa.py"], None, "train", []),
        (["a/training_notes/0000.parquet", "a/retrain-00000-of-00001.parquet"], "a", "train", []),
    ],
)
def test_the_files_of_a_split(paths: list[str], config: str | None, split: str, chosen: list[str]) -> None:
    assert [file.path for file in choose_files(files(*paths), config, split).files] == chosen


def test_a_partial_conversion_is_known_and_the_whole_comes_first() -> None:
    partial = files("a/partial-train/0000.parquet", "a/partial-train/0001.parquet")
    assert choose_files(partial, "a", "train").partial
    whole = choose_files([*partial, *files("a/train/0000.parquet")], "a", "train")
    assert (whole.partial, len(whole.files)) == (False, 1)
    # Rows at the beginning are all there.
    first = choose_files(partial, "a", "train", first_only=True)
    assert (first.partial, len(first.files)) == (False, 1)


def test_a_renamed_configuration_is_taken_only_where_there_is_one() -> None:
    assert not choose_files(files("default/train/0.parquet"), "cb", "train", may_be_renamed=False).files


@given(
    configs=st.lists(
        st.from_regex(r"[a-z][a-z0-9_.]{0,8}", fullmatch=True), min_size=1, max_size=4, unique=True
    ),
    splits=st.lists(st.sampled_from(["train", "test", "validation", "train_r1"]), min_size=1, unique=True),
    shards=st.integers(1, 3),
    is_converted=st.booleans(),
    data=st.data(),
)
def test_every_split_of_every_configuration_is_found_and_no_other(
    configs: list[str], splits: list[str], shards: int, is_converted: bool, data: st.DataObject
) -> None:
    def path(config: str, split: str, shard: int) -> str:
        if is_converted:
            return f"{config}/{split}/{shard:04}.parquet"
        return f"{config}/{split}-{shard:05}-of-{shards:05}.parquet"

    configs = [config for config in configs if config != "data"] or ["main"]
    listed = files(*(path(c, s, n) for c in configs for s in splits for n in range(shards)))
    config, split = data.draw(st.sampled_from(configs)), data.draw(st.sampled_from(splits))
    chosen = choose_files(data.draw(st.permutations(listed)), config, split)
    assert [file.path for file in chosen.files] == [path(config, split, n) for n in range(shards)]


@pytest.mark.parametrize("pages", [[{"error": "x"}], [[{"type": "file"}]], [None], [[3]], ["text"]])
def test_what_is_no_list_of_files_is_refused(pages: list[object]) -> None:
    with pytest.raises(SetupError, match="not the list of files"):
        hub_files(pages, "http://hub/tree")


def source(*pieces: Piece) -> Source:
    return Source("muffin", "hub", "org/rows", 1, None, None, "", "", pieces)


PIECE = Piece("main", "train", ("muffin/rows",))


def test_the_conversion_branch_comes_first_and_the_other_fills_it(hub: Hub, servers: Servers) -> None:
    hub.put("org/rows", CONVERTED, {"main/train/0000.parquet": b"converted"})
    other = {"main/train-00000-of-00001.parquet": b"own", "two/train-00000-of-00001.parquet": b"own"}
    hub.put("org/rows", "main", other)
    second = Piece("two", "train", ("muffin/two",))
    listing = list_source(servers, source(PIECE, second))
    branches = {located.piece.config: located.revision.name for located in listing.located}
    assert branches == {"main": CONVERTED, "two": "main"}


def test_the_licence_is_that_of_the_card_also_for_the_conversion_branch(hub: Hub, servers: Servers) -> None:
    hub.put("org/rows", CONVERTED, {"main/train/0000.parquet": b"converted"}, licence="cc0-1.0", gated=True)
    assert (list_source(servers, source(PIECE)).licence, list_source(servers, source(PIECE)).gated) == (
        None,
        True,
    )
    hub.put("org/rows", "main", {"README.md": b"card"})
    assert list_source(servers, source(PIECE)).licence == "cc0-1.0"


def test_a_whole_split_is_preferred_to_a_partial_conversion(hub: Hub, servers: Servers) -> None:
    hub.put("org/rows", CONVERTED, {"main/partial-train/0000.parquet": b"some"})
    (located,) = list_source(servers, source(PIECE)).located
    assert located.choice.partial
    hub.put("org/rows", "main", {"main/train-00000-of-00001.parquet": b"all of it"})
    (located,) = list_source(servers, source(PIECE)).located
    assert (located.choice.partial, located.revision.name) == (False, "main")


def test_a_long_list_comes_in_pages(hub: Hub, servers: Servers) -> None:
    many = {f"c{number}/train/0000.parquet": b"rows" for number in range(150)}
    hub.put("org/rows", CONVERTED, many)
    pieces = [Piece(f"c{number}", "train", (f"muffin/{number}",)) for number in range(150)]
    assert len(list_source(servers, source(*pieces)).located) == 150
    assert len(hub.paths("tree/" + hub.repositories["org/rows"].commit(CONVERTED))) > 1


def test_a_server_that_is_no_hub_is_named(hub: Hub, servers: Servers) -> None:
    with pytest.raises(InputError, match="no such data set"):
        list_source(servers, source(PIECE))
    hub.put("org/rows", "main", {})
    hub.faults["revision/main"] = ["418"]
    with pytest.raises(SetupError, match="the server says 418"):
        list_source(servers, source(PIECE))


KEEP = (("tasks/task*.json", "niv2/tasks"), ("templates/**", "t"), ("splits/*/*.txt", "niv2/splits"))


def test_an_archive_gives_what_is_kept_and_its_commit(tmp_path: Path) -> None:
    packed = {
        "tasks/task1.json": "1",
        "tasks/deep/task2.json": "2",
        "tasks/other.json": "3",
        "templates/a/b.yaml": "4",
        "splits/default/train.txt": "5",
        "README.md": "6",
    }
    (tmp_path / "a.tar.gz").write_bytes(archive("repo-main", packed, "a" * 40))
    commit, written = unpack(tmp_path / "a.tar.gz", "address", KEEP, tmp_path / "to")
    assert commit == "a" * 40
    assert {place: path for place, (path, _) in written.items()} == {
        "niv2/tasks/task1.json": "tasks/task1.json",
        "t/a/b.yaml": "templates/a/b.yaml",
        "niv2/splits/default/train.txt": "splits/default/train.txt",
    }
    for place, (path, sha256) in written.items():
        content = (tmp_path / "to" / place).read_bytes()
        assert content == packed[path].encode()
        assert sha256 == hashlib.sha256(content).hexdigest()


def test_a_hostile_archive_writes_nothing_elsewhere(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("r/templates/../../../out.yaml", "r/templates/ok.yaml", "/etc/templates/x.yaml"):
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
        link = tarfile.TarInfo("r/templates/link.yaml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    (tmp_path / "a.tar.gz").write_bytes(packed.getvalue())
    to = tmp_path / "one" / "two"
    commit, written = unpack(tmp_path / "a.tar.gz", "address", KEEP, to)
    assert commit is None
    assert not list(tmp_path.rglob("out.yaml"))
    assert not list(tmp_path.rglob("link.yaml"))
    assert "t/ok.yaml" in written


@pytest.mark.parametrize("damage", ["cut", "nothing", "text"])
def test_an_archive_that_is_not_whole_is_said(tmp_path: Path, damage: str) -> None:
    whole = archive("repo", {"tasks/task1.json": "1" * 5000, "README.md": "2"})
    content = {"cut": whole[: len(whole) // 2], "nothing": b"", "text": b"<html>"}[damage]
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(SetupError, match="no whole archive"):
        unpack(tmp_path / "a.tar.gz", "address", KEEP, tmp_path)


def test_an_archive_without_the_files_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(archive("repo", {"README.md": "2"}))
    with pytest.raises(SetupError, match="the repository has changed"):
        unpack(tmp_path / "a.tar.gz", "address", KEEP, tmp_path)
