"""Where the hub and GitHub's archives are asked.

Addresses can be replaced: `HF_ENDPOINT` is the hub's (as in its own library), `OPENFLAN_GITHUB_ENDPOINT` that
of GitHub's archives. The token comes from the hub's usual variables alone, goes to the hub's own host alone,
and is never written or printed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from openflan.downloads.requests import Requests
from openflan.errors import SetupError

HUB_VARIABLE, HUB = "HF_ENDPOINT", "https://huggingface.co"
GITHUB_VARIABLE, GITHUB = "OPENFLAN_GITHUB_ENDPOINT", "https://codeload.github.com"
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_OFFLINE = "HF_HUB_OFFLINE"


@dataclass(frozen=True)
class Servers:
    """The addresses of the hub and of GitHub's archives, and what asks them."""

    hub: str
    github: str
    requests: Requests

    @classmethod
    def from_environment(cls, say: Callable[[str], None]) -> Servers:
        """Raises SetupError if HF_HUB_OFFLINE is set."""
        if os.environ.get(_OFFLINE, "").upper() in ("1", "ON", "YES", "TRUE"):
            raise SetupError(f"{_OFFLINE} is set, so nothing is fetched; unset it, or look with `--dry-run`")
        hub = (os.environ.get(HUB_VARIABLE) or HUB).rstrip("/")
        github = (os.environ.get(GITHUB_VARIABLE) or GITHUB).rstrip("/")
        token = next((value for name in _TOKENS if (value := os.environ.get(name, "").strip())), None)
        return cls(hub, github, Requests(token, urlsplit(hub).netloc, say))

    def revision_address(self, repository: str, revision: str) -> str:
        """The address of what the hub says of a revision of a data set."""
        return f"{self.hub}/api/datasets/{repository}/revision/{quote(revision, safe='')}"

    def tree_address(self, repository: str, revision: str) -> str:
        """The address of the list of a revision's files."""
        return f"{self.hub}/api/datasets/{repository}/tree/{quote(revision, safe='')}?recursive=true"

    def file_address(self, repository: str, revision: str, path: str) -> str:
        """The address of a file of a data set."""
        return f"{self.hub}/datasets/{repository}/resolve/{quote(revision, safe='')}/{quote(path)}"

    def archive_address(self, repository: str, ref: str) -> str:
        """The address of a repository's files as one archive."""
        return f"{self.github}/{repository}/tar.gz/{quote(ref)}"
