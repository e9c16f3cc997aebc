"""Repositories of the Hugging Face hub: their local copies, and whether the hub can be reached at all.

Without a network the hub's library repeats its attempts for a minute before it raises.
Decision: one connection is opened first, and without it only what was fetched before is used.
"""

from __future__ import annotations

import re
from pathlib import Path

from openflan.errors import InputError, SetupError
from openflan.models.json_file import one_line
from openflan.reachable import why_unreachable

HUB_ID = re.compile(r"[A-Za-z0-9][\w.\-]*(/[A-Za-z0-9][\w.\-]*)?")
# No file that is a program or a pickle.
_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]


def path_exists(path: Path) -> bool:
    """Whether a path exists; False for an impossible one (too long, with a NUL, or in a folder without
    permission)."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def fetch_from_hub(name: str) -> Path:
    """The local copy of a hub repository, fetched if need be.

    Raises InputError for a name that no repository can have, SetupError within about two seconds if the hub
    cannot be reached and no copy is there.
    """
    if not HUB_ID.fullmatch(name):
        raise InputError(
            f"{one_line(ValueError(name))}: no such folder; expected a Hugging Face model folder or a hub "
            "id such as google/t5-small-lm-adapt"
        )
    from huggingface_hub import constants, snapshot_download

    offline = constants.HF_HUB_OFFLINE
    unreachable = "HF_HUB_OFFLINE is set" if offline else why_unreachable(constants.ENDPOINT)
    try:
        return Path(snapshot_download(name, allow_patterns=_FILES, local_files_only=unreachable is not None))
    # the hub client raises a dozen unrelated types: offline, no such repository, gated, bad proxy
    except Exception as error:
        reason = unreachable or one_line(
            ValueError((str(error).strip().splitlines() or [type(error).__name__])[0])
        )
        raise SetupError(
            f"{name}: no such folder, and it could not be fetched from the hub ({reason}); offline, give "
            "a local folder"
        ) from None
