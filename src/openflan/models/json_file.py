"""Reads JSON files of a model folder, which anybody may have written, within limits; errors name the file.

Python's own reader stops at some thousand levels with RecursionError, lets lone surrogates through, which no
output takes, and refuses integers of many digits with ValueError. All of them are input errors here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from openflan.errors import InputError

_REMEDY = "fetch or export the model again"
_MOST_BYTES = 256 << 20
"""The largest tokenizer.json of a public model has some 40 MB."""


def json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is no such file.

    Raises InputError, with the file's name, for a file that cannot be read, is too large, is no JSON, is
    nested too deeply, holds text that is no Unicode (lone surrogates), or holds something else than an
    object.
    """
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(
                f"{path} has {path.stat().st_size:,} bytes, expected at most {_MOST_BYTES:,}: {_REMEDY}"
            )
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 text ({one_line(error)}): {_REMEDY}") from None
    try:
        value = json.loads(text)
        # The reader accepts escaped surrogates; only writing detects one without its partner.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError(f"{path} holds a lone surrogate, which is no character: {_REMEDY}") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply: {_REMEDY}") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({one_line(error)}): {_REMEDY}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a {type(value).__name__}, expected a JSON object: {_REMEDY}")
    return value


def one_line(error: BaseException, most: int = 300) -> str:
    """An error's text on one line, printable everywhere: white space joined, surrogates and control
    characters escaped, at most `most` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text[:most]
    )
