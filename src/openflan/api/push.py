"""Pushes the model of a run to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from openflan.publishing.files import gather_files
from openflan.publishing.hub_upload import MAIN, Pushed, check_repository, upload
from openflan.run_folder import Run, find_run


def push(
    run: Run | Path | str,
    repository: str,
    *,
    private: bool = False,
    adapter: bool = False,
    base: str | None = None,
    revision: str = MAIN,
    message: str = "Model trained with openflan",
) -> Pushed:
    """Pushes the model of a run, or with `adapter` its adapter, to OWNER/NAME of the hub, with tokenizer,
    card, recipe and scores. The token is the one that the hub's library finds.

    `base`: the hub id of a base that was read from a folder. `revision`: a branch. Raises InputError for a
    run without a model, and for files that name paths of this machine; SetupError without a token or a
    connection.
    """
    check_repository(repository)
    opened = run if isinstance(run, Run) else find_run(Path(run))
    publication = gather_files(opened, repository, adapter=adapter, base=base)
    return upload(publication, repository, private=private, revision=revision, message=message)
