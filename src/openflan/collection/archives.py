"""A repository's archive: the commit that it says it holds, and the files of it that are kept."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from openflan.errors import SetupError
from openflan.hashes import sha256_of

_BROKEN = (tarfile.TarError, EOFError, zlib.error, OSError)


@contextmanager
def _opened(archive: Path, address: str) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, "r:gz") as tar:
            yield tar
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise SetupError(
            f"{address}: no whole archive ({' '.join(str(error).split())[:80]}); run the same command again"
        ) from None


def unpack(
    archive: Path, address: str, keep: Sequence[tuple[str, str]], folder: Path
) -> tuple[str | None, Mapping[str, tuple[str, str]]]:
    """Writes the files that `keep` names below `folder`, one by one and each whole.

    `keep` are pairs of a pattern and a folder: `*` does not cross folders, `**` keeps what lies below.
    Returns the commit that git wrote into the archive (None if it did not), and the path in the repository
    and the SHA-256 of each file by its place below `folder`. Raises SetupError for an archive that is not
    whole, or has none of the files.
    """
    written: dict[str, tuple[str, str]] = {}
    with _opened(archive, address) as tar:
        commit = tar.pax_headers.get("comment", "")
        for member in tar:
            # The first part of each name is a folder for the whole repository.
            path = "/".join(PurePosixPath(member.name).parts[1:])
            place = _place(path, keep) if member.isfile() else None
            if place is None or ".." in PurePosixPath(place).parts:
                continue
            file = tar.extractfile(member)
            content = file.read() if file is not None else b""
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_name(f".{target.name}.part")
            unfinished.write_bytes(content)
            unfinished.replace(target)
            written[place] = path, sha256_of(content)
    if not written:
        patterns = ", ".join(pattern for pattern, _ in keep)
        raise SetupError(f"{address}: holds none of {patterns}; the repository has changed")
    return commit if re.fullmatch(r"[0-9a-f]{40}", commit) else None, written


def _place(path: str, keep: Sequence[tuple[str, str]]) -> str | None:
    for pattern, to in keep:
        if pattern.endswith("/**"):
            root = pattern.removesuffix("**")
            if path.startswith(root):
                return f"{to}/{path.removeprefix(root)}"
        elif path.count("/") == pattern.count("/") and fnmatchcase(path, pattern):
            base = pattern.partition("*")[0].rpartition("/")[0]
            return f"{to}/{path.removeprefix(f'{base}/') if base else path}"
    return None
