"""The public files of the benchmarks, fetched once and checked: for machines with a connection and no copy.

`public_files/NAME.json` names the URL and the sha256 of every file. Nothing else is accepted: a file that has
changed upstream is refused, because prompts and questions would differ from everybody's. Files go to
`benchmarks/NAME` in $OPENFLAN_CACHE, else in ~/.cache/openflan, each under a temporary name first, so that an
interrupted fetch continues where it stopped. MGSM's exemplars are published as a Python file; its assignments
are read as literals, never run, and written as JSON. GSM8K's exemplars are in no file of its own.
"""

from __future__ import annotations

import ast
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

from openflan.benchmark_data.registry import find_benchmark_data
from openflan.cache_folder import cache_folder
from openflan.deadline import within
from openflan.downloads.requests import CUT, Missing, Requests, Unreachable
from openflan.errors import InputError, SetupError
from openflan.hashes import sha256_of, sha256_of_json

Get = Callable[[str], bytes]

_REQUESTS = Requests(attempts=2)
"""Two, so that a machine without a connection is told so at once."""

_SECONDS_IN_ALL = 1_800
_MOST_BYTES = 1 << 30


def benchmark_cache() -> Path:
    """Where fetched files lie."""
    return cache_folder() / "benchmarks"


def public_files(name: str) -> dict[str, tuple[str, str]]:
    """Address and sha256 of each file of a benchmark, by its path in the benchmark's folder.

    Raises InputError for an unknown benchmark, and for one whose files have no known address.
    """
    benchmark = find_benchmark_data(name)
    if benchmark.public_files:
        return dict(benchmark.public_files)
    listed = files("openflan.benchmark_data") / "public_files" / f"{name}.json"
    if not listed.is_file():
        source = f" from {benchmark.homepage}" if benchmark.homepage else ""
        raise InputError(
            f"no addresses and checksums are known for the files of {name}: get them{source}, and give their "
            "folder with `--data`"
        )
    values = json.loads(listed.read_text(encoding="utf-8"))
    return {path: (address, digest) for path, (address, digest) in values.items()}


def has_public_files(name: str) -> bool:
    """Return True if addresses and checksums of a benchmark's files are known, so that `fetch` can download
    them."""
    listed = files("openflan.benchmark_data") / "public_files" / f"{name}.json"
    return bool(find_benchmark_data(name).public_files) or listed.is_file()


def is_fetched(name: str, folder: Path | None = None) -> bool:
    """Return True if every file of a benchmark is in the cache."""
    target = (folder or benchmark_cache()) / find_benchmark_data(name).folder_name
    return has_public_files(name) and all((target / path).is_file() for path in public_files(name))


def fetch(name: str, folder: Path | None = None, get: Get | None = None) -> Path:
    """The folder that holds `NAME/` with every file of a benchmark, those that lack fetched by `get`.

    Raises SetupError if an address cannot be reached, or holds another file than the one that is known.
    """
    root = folder or benchmark_cache()
    benchmark_folder = root / find_benchmark_data(name).folder_name
    get_once = cache(get or _get)
    for path, (address, digest) in public_files(name).items():
        target = benchmark_folder / path
        if target.is_file():
            continue
        data, actual_digest = _content(get_once(address), address, path)
        if actual_digest != digest:
            raise SetupError(
                f"{address} holds another {path} than the one that is known (sha256 {actual_digest[:12]}..., "
                f"expected {digest[:12]}...): give a copy by `--data`"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.part")
        unfinished.write_bytes(data)
        unfinished.replace(target)
    return root


def _content(downloaded: bytes, address: str, path: str) -> tuple[bytes, str]:
    """The file's bytes and what is checked: the bytes themselves, or of exemplars their values."""
    if address.endswith(".zip"):
        data = _member(downloaded, address, path)
    elif address.endswith(".py"):
        values = _assignments(downloaded, address)
        return json.dumps(values, ensure_ascii=False).encode(), sha256_of_json(values, escaped=True)
    else:
        data = downloaded
    return data, sha256_of(data)


def _member(archive: bytes, address: str, path: str) -> bytes:
    """The member whose path ends in `path`; the folder above it is not ours to know."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as zip_file:
            member = next(name for name in zip_file.namelist() if f"/{name}".endswith(f"/{path}"))
            if zip_file.getinfo(member).file_size > _MOST_BYTES:
                raise SetupError(
                    f"{address}: its {path} is larger than {_MOST_BYTES >> 20} MiB: give a copy by `--data`"
                )
            return zip_file.read(member)
    except (
        zipfile.BadZipFile,
        StopIteration,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise SetupError(f"{address} is no archive with {path} in it: give a copy by `--data`") from error


def _assignments(source: bytes, address: str) -> dict[str, object]:
    """The constants of a module, by their names in lower case."""
    try:
        assigned = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
        return {
            node.targets[0].id.lower(): ast.literal_eval(node.value)
            for node in assigned
            if isinstance(node.targets[0], ast.Name)
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SetupError(f"{address} holds no plain constants ({error}): give a copy by `--data`") from error


def _get(address: str) -> bytes:
    def read() -> bytes:
        with _REQUESTS.answer(address) as response:
            return bytes(response.read(_MOST_BYTES + 1))

    try:
        content = within(_SECONDS_IN_ALL, read)
    except (Missing, SetupError, *CUT) as error:
        reason = error.reason if isinstance(error, Unreachable) else error
        raise SetupError(
            f"{address} cannot be reached ({reason}): run the same command again with a connection, or "
            "copy the files and give their folder by `--data`"
        ) from error
    if len(content) > _MOST_BYTES:
        raise SetupError(
            f"{address}: more than {_MOST_BYTES >> 20} MiB, which no file of a benchmark has: give a copy by "
            "`--data`"
        )
    return content
