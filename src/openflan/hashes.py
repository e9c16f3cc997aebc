"""SHA-256 hashes as hexadecimal digits: of bytes and texts, of files, and of JSON values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

SHORT = 16
"""Digits of a shortened hash: 64 bits, which tell apart all that one folder holds."""


def sha256_of(content: bytes | str) -> str:
    """Return the 64 hexadecimal digits of the hash of some bytes, or of a text in UTF-8.

    Half of a surrogate pair, which UTF-8 does not have, counts as the three bytes that it would be.
    """
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the 64 hexadecimal digits of the hash of a file's bytes. Memory is constant. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_json(value: Any, *, escaped: bool = False) -> str:
    """Return the 64 hexadecimal digits of the hash of a plain value as JSON, with sorted keys.

    `escaped` writes characters outside ASCII as escapes before hashing. Both forms tell values apart equally
    well; a stored hash is only equal to one that was made in the same form.
    """
    return sha256_of(json.dumps(value, sort_keys=True, ensure_ascii=escaped))
