"""Data sets of the Hugging Face hub, through the optional library `datasets`.

`hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT]`; CONFIG may also be a folder of the data set, SPLIT is `train` if
absent and may be a slice such as `train[:1000]`. The library keeps its copy as memory-mapped Arrow files, so
rows are read as those of any table. The library no longer runs loading scripts. The hub keeps Parquet copies
of most data sets that have one, on the branch `refs/convert/parquet`; these are read instead, with a warning.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import InputError, SetupError
from openflan.tasks.columns import ColumnRecords
from openflan.tasks.custom import find_rows
from openflan.tasks.slices import is_there
from openflan.tasks.table_files import table_of_blocks
from openflan.tasks.task import Opener

PREFIX = "hub:"
FORM = "hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT]"
CONVERTED = "refs/convert/parquet"
_NO_SCRIPTS = "scripts are no longer supported"
_SOURCE = re.compile(
    r"hub:(?P<name>[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*)(?:/(?P<config>[^@:]+))?"
    r"(?:@(?P<revision>[^:]+))?(?::(?P<split>.+))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class HubSource:
    """A split of a data set; `text` is as the recipe has it."""

    text: str
    name: str
    config: str | None = None
    revision: str | None = None
    split: str = "train"

    @classmethod
    def parse(cls, text: str) -> HubSource:
        """Raises InputError if the text is not of the form, or leads out of the data set (`..` in it)."""
        match = _SOURCE.fullmatch(text)
        if match is None or any(
            part in ("", ".", "..")
            for name in ("config", "revision")
            for part in (match[name] or "-").split("/")
        ):
            raise InputError(f"{text!r}: expected {FORM}, such as hub:openai/gsm8k/main:train")
        return cls(text, match["name"], match["config"], match["revision"], match["split"] or "train")


def is_hub(data: Path) -> bool:
    return data.as_posix().startswith(PREFIX)


def find_hub(data: Path, submixture: str) -> dict[str, Opener]:
    """The tasks of a data set of the hub: one named after it, or those of a collection that its columns show.

    Raises SetupError if `datasets` is missing or the hub cannot be reached, InputError if there is no such
    data set, configuration or split, and if a folder of that name lies in the current one: the library would
    read that instead of the hub.
    """
    source = HubSource.parse(data.as_posix())
    records = hub_records(source.text)
    return find_rows(
        lambda: records, frozenset(records.all_columns), source.name.partition("/")[2], submixture
    )


def hub_records(text: str, *, raw: bool = False) -> ColumnRecords:
    """The records of `hub:...`; `raw` keeps columns of any kind. Raises as `find_hub` does."""
    source = HubSource.parse(text)
    dataset = _load(source)
    if getattr(dataset, "_indices", None) is not None:
        dataset = dataset.flatten_indices()
    if dataset.num_rows == 0:
        raise InputError(f"{source.text}: a split without rows")
    return ColumnRecords(
        [table_of_blocks(source.text, dataset.data.schema, dataset.data.to_batches())], raw=raw
    )


def _load(source: HubSource) -> Any:
    if is_there(Path(source.name)):
        raise InputError(
            f"{source.text}: {source.name} is a path in the current folder too, which `datasets` would "
            "read instead of the hub; "
            f"start from another folder, or write `./{source.name}` to read what is in it"
        )
    try:
        import datasets
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise SetupError(
            f"{source.text}: reading from the hub needs the library `datasets`; run `pip install "
            "'openflan[data]'`"
        ) from None
    try:
        return _call(datasets, source)
    except datasets.exceptions.DatasetNotFoundError:
        raise InputError(
            f"{source.text}: no such data set on the hub, or not one that you may read (`hf auth login`)"
        ) from None
    except (ConnectionError, TimeoutError, HfHubHTTPError) as error:
        raise SetupError(_offline(source, error)) from None
    except (ValueError, FileNotFoundError) as error:
        if "LocalEntryNotFoundError" in str(error):
            raise SetupError(_offline(source, error)) from None
        raise InputError(f"{source.text}: {' '.join(str(error).split())[:300]}") from None


def _call(datasets: Any, source: HubSource) -> Any:
    """The split as the library has it; that of the Parquet copy if the data set needs a loading script."""
    if source.revision == CONVERTED:
        return _converted(datasets, source)
    chosen: dict[str, Any] = {"revision": source.revision, "split": source.split}
    try:
        return datasets.load_dataset(source.name, name=source.config, **chosen)
    except ValueError as error:
        if source.config is not None and "BuilderConfig" in str(error):
            return datasets.load_dataset(source.name, data_dir=source.config, **chosen)
        if source.revision is not None or not _only_cached(error):
            raise
        refusal: Exception = error
    except RuntimeError as error:
        if _NO_SCRIPTS not in str(error):
            raise
        refusal = error
    needs_script = _NO_SCRIPTS in str(refusal)
    if source.revision is not None:
        raise InputError(
            f"{source.text}: needs a loading script, which `datasets` no longer runs; its Parquet copy has "
            f"revisions of its own: write {_copy_of(source)}"
        )
    try:
        table = _converted(datasets, source)
    except (ValueError, FileNotFoundError, InputError) as error:
        if not needs_script:
            raise (error if isinstance(error, InputError) else refusal) from None
        raise InputError(
            f"{source.text}: needs a loading script, which `datasets` no longer runs, and its Parquet copy "
            f"({_copy_of(source)}) cannot be read: {' '.join(str(error).split())[:300]}"
        ) from None
    warnings.warn(
        f"{source.text}: needs a loading script, which is not run; read from its Parquet copy, "
        f"{_copy_of(source)}",
        stacklevel=4,
    )
    return table


def _converted(datasets: Any, source: HubSource) -> Any:
    """The split of the Parquet copy, where a folder stands for a configuration.

    The folder is looked up first: of one that is not there, the library would read what it has kept of
    another. Raises InputError if there is no such configuration, with those that there are.
    """
    folders = _folders(source.name)
    folder = source.config
    if folders is not None:
        folder = _folder_of(source, folders)
        split = source.split.partition("[")[0]
        inside = _folders(source.name, folder) or ()
        if f"partial-{split}" in inside and split not in inside:
            warnings.warn(
                f"{source.text}: the hub converted only the first gigabytes of this split to Parquet",
                stacklevel=5,
            )
    chosen: dict[str, Any] = {"revision": CONVERTED, "split": source.split}
    return datasets.load_dataset(source.name, data_dir=folder, **chosen)


def _folder_of(source: HubSource, folders: Sequence[str]) -> str:
    """The folder of a configuration. The hub has called some configurations `default` when it made the copy;
    a copy with one folder has one configuration."""
    if source.config in folders:
        return str(source.config)
    if "default" in folders and (source.config is None or len(folders) == 1):
        return "default"
    if source.config is None and len(folders) == 1:
        return folders[0]
    raise InputError(
        f"{source.text}: the Parquet copy has "
        + (f"no configuration `{source.config}`; " if source.config else "several configurations; ")
        + f"write one of {', '.join(folders[:8])}{', ...' if len(folders) > 8 else ''}"
    )


def _folders(name: str, inside: str = "") -> list[str] | None:
    """The folders of a data set's Parquet copy, or of one of them; None if the hub cannot be asked."""
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        entries = huggingface_hub.HfApi().list_repo_tree(
            name, inside or None, revision=CONVERTED, repo_type="dataset"
        )
        folders = [entry.path for entry in entries if isinstance(entry, huggingface_hub.hf_api.RepoFolder)]
    # the hub client raises a dozen unrelated types where there is no connection
    except Exception as error:
        if isinstance(error, EntryNotFoundError | HfHubHTTPError):
            raise FileNotFoundError(f"{name} has no branch {CONVERTED}, or not {inside}") from error
        return None
    return [path.rpartition("/")[2] for path in folders]


def _only_cached(error: ValueError) -> bool:
    """Whether the library looked for the data set in its own copies alone. It does so also where it refused
    what is on the hub, if it has read another part of the data set before."""
    return "Couldn't find cache" in str(error)


def _copy_of(source: HubSource) -> str:
    config = f"/{source.config}" if source.config else ""
    return f"hub:{source.name}{config}@{CONVERTED}:{source.split}"


def _offline(source: HubSource, error: Exception) -> str:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    at = f" --revision {source.revision}" if source.revision else ""
    return (
        f"{source.text}: the hub cannot be reached ({reason}). Offline: on a machine with a connection run "
        f"`hf download {source.name} --repo-type dataset{at} --local-dir FOLDER` (the files of "
        f"https://huggingface.co/datasets/{source.name}), "
        f"copy the folder here and write `data: FOLDER{f'/{source.config}' if source.config else ''}`, "
        "the folder in it that holds the rows"
    )
