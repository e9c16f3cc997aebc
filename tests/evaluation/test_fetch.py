"""Public files are fetched once, checked, and never mixed with others; the web is played by the files
themselves."""

import hashlib
import json
import os
import zipfile
from io import BytesIO
from pathlib import Path
from urllib.error import URLError

import pytest

from openflan.benchmark_data import fetch as module
from openflan.benchmark_data.fetch import benchmark_cache, fetch, is_fetched, public_files
from openflan.benchmark_data.registry import PAPER, find_benchmark_data
from openflan.errors import InputError, SetupError
from openflan.evaluation import find_benchmark

SHARED = Path(os.environ.get("OPENFLAN_SHARED", Path(__file__).parents[3] / "shared"))
DATA = SHARED / "data"
needs_data = pytest.mark.skipif(not (DATA / "bbh").is_dir(), reason="no benchmark files: set OPENFLAN_SHARED")


@pytest.mark.parametrize("name", PAPER)
def test_every_file_that_a_benchmark_needs_has_an_address_and_a_checksum(name: str) -> None:
    known = public_files(name)
    assert set(known) >= set(find_benchmark_data(name).files)
    for address, digest in known.values():
        assert address.startswith("https://")
        assert len(bytes.fromhex(digest)) == 32


@needs_data
@pytest.mark.parametrize("name", PAPER)
def test_checksums_are_those_of_the_files(name: str) -> None:
    for path, (_, digest) in public_files(name).items():
        data = (DATA / name / path).read_bytes()
        if path == "exemplars.json":
            data = json.dumps(json.loads(data), sort_keys=True).encode()
        assert hashlib.sha256(data).hexdigest() == digest, path


@needs_data
@pytest.mark.parametrize("name", ["mgsm", "mmlu", "gsm8k"])
def test_what_was_fetched_can_be_asked_and_is_fetched_once(name: str, tmp_path: Path) -> None:
    asked: list[str] = []

    def web(address: str) -> bytes:
        asked.append(address)
        if address.endswith(".zip"):
            packed = BytesIO()
            with zipfile.ZipFile(packed, "w") as archive:
                for path in find_benchmark_data("mmlu").files[1:]:
                    archive.writestr(f"data/{path}", (DATA / "mmlu" / path).read_bytes())
            return packed.getvalue()
        if address.endswith("exemplars.py"):
            values = json.loads((DATA / "mgsm/exemplars.json").read_text(encoding="utf-8"))
            return "\n".join(f"{key.upper()} = {value!r}" for key, value in values.items()).encode()
        return (DATA / name / address.rpartition("/")[2]).read_bytes()

    assert not is_fetched(name, tmp_path)
    assert fetch(name, tmp_path, web) == tmp_path
    assert is_fetched(name, tmp_path)
    assert len(asked) == len(set(asked))
    mine, theirs = (find_benchmark(name, "direct", data, shots=0) for data in (tmp_path, DATA))
    task = next(iter(mine.tasks))
    assert [one.prompt for one in mine.examples(task)] == [one.prompt for one in theirs.examples(task)]
    fetch(name, tmp_path, lambda address: pytest.fail(f"{address} was asked again"))


def test_another_file_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"holds another test\.jsonl than the one that is known .*--data"):
        fetch("gsm8k", tmp_path, lambda address: b"{}")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mgsm", b"MGSM = open('x')", "holds no plain constants"),
        ("mgsm", b"x = (", "holds no plain constants"),
        ("mmlu", b"no zip", "is no archive with dev/"),
    ],
)
def test_damaged_downloads_are_named(
    name: str, content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {path: found for path, found in public_files(name).items() if found[0].endswith((".py", ".zip"))}
    monkeypatch.setattr(module, "public_files", lambda name: known)
    with pytest.raises(SetupError, match=message):
        fetch(name, tmp_path, lambda address: content)


def test_without_a_connection_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*arguments: object, **more: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr("openflan.downloads.requests.OpenerDirector.open", unreachable)
    monkeypatch.setattr("openflan.downloads.requests.time.sleep", lambda seconds: None)
    with pytest.raises(SetupError, match=r"cannot be reached .*no route.*--data"):
        fetch("gsm8k", tmp_path)


def test_where_files_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path))
    assert benchmark_cache() == tmp_path / "benchmarks"
    with pytest.raises(InputError, match="did you mean `mmlu`"):
        public_files("mmmlu")
    with pytest.raises(InputError, match="no addresses and checksums .* svamp: get them from https.*--data"):
        public_files("svamp")


def test_a_member_that_unpacks_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """From an archive of a few kilobytes."""
    monkeypatch.setattr(module, "_MOST_BYTES", 1 << 20)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/test/virology_test.csv", bytes(5 << 20))
        archive.writestr("data/test/small.csv", b"a,b")
    assert len(packed.getvalue()) < 1 << 17
    with pytest.raises(SetupError, match=r"its virology_test.csv is larger than 1 MiB"):
        module._member(packed.getvalue(), "https://example.invalid/x.zip", "virology_test.csv")
    assert module._member(packed.getvalue(), "https://example.invalid/x.zip", "small.csv") == b"a,b"


def test_a_download_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        def __enter__(self) -> "Endless":
            return self

        def __exit__(self, *_: object) -> None: ...

        def read(self, size: int) -> bytes:
            return bytes(size)

    monkeypatch.setattr("openflan.downloads.requests.OpenerDirector.open", lambda *_, **__: Endless())
    monkeypatch.setattr(module, "_MOST_BYTES", 1 << 16)
    with pytest.raises(SetupError, match="which no file of a benchmark has"):
        module._get("https://example.invalid/x")
