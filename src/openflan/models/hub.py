"""Repositories of the Hugging Face hub: their local copies, and whether the hub can be reached at all.

Without a network the hub's library repeats its attempts for a minute before it raises.
Decision: one connection is opened first, and without it only what was fetched before is used.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from openflan.errors import InputError, SetupError
from openflan.models.json_file import one_line

CONNECT_SECONDS = 1.5
"""Seconds until the hub must have accepted a connection, the look-up of its name included."""

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
    unreachable = "HF_HUB_OFFLINE is set" if offline else _unreachable(constants.ENDPOINT)
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


def _unreachable(endpoint: str) -> str | None:
    """Why no connection to the hub, or to the proxy on the way to it, can be opened; None where it can."""
    address = urlsplit(endpoint)
    proxy = getproxies().get(address.scheme) or getproxies().get("all")
    if proxy and not proxy_bypass(address.hostname or ""):
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        host, port = address.hostname or "", address.port or (443 if address.scheme == "https" else 80)
    except ValueError as error:
        return one_line(error)
    failures: list[str] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
        except (OSError, ValueError) as error:
            failures.append(one_line(error))

    # Looking up a name has no time limit of its own, hence the thread.
    attempt = Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(CONNECT_SECONDS)
    if attempt.is_alive():
        return f"{host} does not answer"
    return f"no connection to {host}: {failures[0]}" if failures else None
