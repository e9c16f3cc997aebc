"""The folder for what openflan downloads, imports or calculates once for every run."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder that the environment variable OPENFLAN_CACHE names, else ~/.cache/openflan.

    The folder may not exist yet. The variable is read at each call.
    """
    cache = os.environ.get("OPENFLAN_CACHE")
    return Path(cache).expanduser() if cache else Path.home() / ".cache" / "openflan"
