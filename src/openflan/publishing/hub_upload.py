"""Files go to a model repository of the Hugging Face hub in one commit.

The token is the one that the hub's library finds (HF_TOKEN, or what `hf auth login` saved); it is never read
or written here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from openflan.errors import InputError, OpenflanError, SetupError, shortened
from openflan.publishing.files import Publication
from openflan.reachable import why_unreachable

MAIN = "main"

_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*", re.ASCII)

_REPLACED = re.compile(
    r"(model|adapter_model)(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json"
    r"|adapter_config\.json|base\.json|scores\.json"
)
"""Files of an earlier push that would stand beside those of this one, or be read in their place."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """The commit of a push: its address, its hash, and the files of an earlier push that it removed."""

    url: str
    commit: str
    removed: tuple[str, ...]


def check_repository(name: str) -> None:
    """Raises InputError for a text that is not OWNER/NAME."""
    if not _NAME.fullmatch(name) or len(name) > 96 or ".." in name or "--" in name:
        raise InputError(
            f"`{shortened(name)}` is not a repository of the hub; write OWNER/NAME, such as ann/flan-t5-mine"
        )


def upload(
    publication: Publication,
    repository: str,
    *,
    private: bool = False,
    revision: str = MAIN,
    message: str = "Model trained with openflan",
) -> Pushed:
    """Pushes the files to a repository, which is made if it is not there, in one commit.

    `private` is for a repository that is made; `revision` is a branch. Raises InputError for a name that is
    none, and where `private` is asked of a public repository; SetupError without a token, without a
    connection, and for what the hub refuses.
    """
    check_repository(repository)
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise SetupError("HF_HUB_OFFLINE is set, so nothing can be pushed; unset it")
    if get_token() is None:
        raise SetupError("no token for the hub: run `hf auth login`, or set HF_TOKEN to one that may write")
    if (reason := why_unreachable(constants.ENDPOINT)) is not None:
        raise SetupError(f"{constants.ENDPOINT}: {reason}; run the same command again later")
    api = HfApi()
    try:
        api.create_repo(repository, private=private or None, exist_ok=True)
        if private and not api.repo_info(repository).private:
            raise InputError(
                f"{repository}: is there already and is public, which --private does not change; make it "
                "private on the hub, or name another"
            )
        if revision != MAIN:
            api.create_branch(repository, branch=revision, exist_ok=True)
        names = {file.name for file in publication.files}
        removed = [
            name
            for name in api.list_repo_files(repository, revision=revision)
            if _REPLACED.fullmatch(name) and name not in names
        ]
        operations: list[Any] = [CommitOperationAdd(file.name, file.content) for file in publication.files]
        operations += [CommitOperationDelete(name, is_folder=False) for name in removed]
        commit = api.create_commit(
            repository, operations, commit_message=message, revision=revision, num_threads=2
        )
    except OpenflanError:
        raise
    # The hub's library raises its own errors, those of its transport, and ValueError for a card.
    except Exception as error:
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
        raise SetupError(
            f"{repository}: could not be pushed ({shortened(' '.join(str(cause).split()))}); nothing was "
            "committed, so run the same command again when that is mended"
        ) from error
    return Pushed(str(commit.commit_url), str(commit.oid), tuple(removed))
