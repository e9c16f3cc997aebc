"""Whether a server can be reached at all, asked before a library that repeats its attempts for a minute."""

from __future__ import annotations

import socket
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from openflan.errors import shortened

CONNECT_SECONDS = 1.5
"""Seconds until a server must have accepted a connection, the look-up of its name included."""


def why_unreachable(endpoint: str) -> str | None:
    """Why no connection to the server of an address, or to the proxy on the way to it, can be opened; None
    where it can."""
    address = urlsplit(endpoint)
    proxy = getproxies().get(address.scheme) or getproxies().get("all")
    if proxy and not proxy_bypass(address.hostname or ""):
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        host, port = address.hostname or "", address.port or (443 if address.scheme == "https" else 80)
    except ValueError as error:
        return shortened(" ".join(str(error).split()))
    failures: list[str] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
        except (OSError, ValueError) as error:
            failures.append(shortened(" ".join(str(error).split())))

    # Looking up a name has no time limit of its own, hence the thread.
    attempt = Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(CONNECT_SECONDS)
    if attempt.is_alive():
        return f"{host} does not answer"
    return f"no connection to {host}: {failures[0]}" if failures else None
