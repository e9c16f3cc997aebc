"""Data sets of the Hugging Face hub, through the optional library `datasets`.

`hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT]`; CONFIG may also be a folder of the data set, SPLIT is `train` if
absent and may be a slice such as `train[:1000]`. The library keeps its copy as memory-mapped Arrow files, so
rows are read as those of any table. Data sets that need a loading script no longer load; the hub keeps
Parquet copies of most on the branch `refs/convert/parquet`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import InputError, SetupError
from openflan.tasks.columns import ColumnRecords
from openflan.tasks.custom import find_rows
from openflan.tasks.formats.reading import AS_IT_IS, Reading, parse_columns
from openflan.tasks.formats.table import FIELD_NAMES
from openflan.tasks.slices import is_there
from openflan.tasks.table_files import table_of_blocks
from openflan.tasks.task import Opener

PREFIX = "hub:"
FORM = "hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT]"
CONVERTED = "refs/convert/parquet"
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


def find_hub(data: Path, submixture: str, reading: Reading = AS_IT_IS) -> dict[str, Opener]:
    """The tasks of a data set of the hub: one named after it, or those of a collection that its columns show.

    Raises SetupError if `datasets` is missing or the hub cannot be reached, InputError if there is no such
    data set, configuration or split, and if a folder of that name lies in the current one: the library would
    read that instead of the hub.
    """
    source = HubSource.parse(data.as_posix())
    records = hub_records(source.text, whole=FIELD_NAMES | set(parse_columns(reading.columns).values()))
    return find_rows(
        lambda: records, frozenset(records.all_columns), source.name.partition("/")[2], submixture, reading
    )


def hub_records(text: str, *, raw: bool = False, whole: frozenset[str] = frozenset()) -> ColumnRecords:
    """The records of `hub:...`; `raw` keeps columns of any kind, `whole` those that it names. Raises as
    `find_hub` does."""
    source = HubSource.parse(text)
    dataset = _load(source)
    if getattr(dataset, "_indices", None) is not None:
        dataset = dataset.flatten_indices()
    if dataset.num_rows == 0:
        raise InputError(f"{source.text}: a split without rows")
    return ColumnRecords(
        [table_of_blocks(source.text, dataset.data.schema, dataset.data.to_batches())], raw=raw, whole=whole
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
    folder = source.revision == CONVERTED and source.config is not None
    try:
        return _call(datasets, source, as_folder=folder)
    except datasets.exceptions.DatasetNotFoundError:
        raise InputError(
            f"{source.text}: no such data set on the hub, or not one that you may read (`hf auth login`)"
        ) from None
    except (ConnectionError, TimeoutError, HfHubHTTPError) as error:
        raise SetupError(_offline(source, error)) from None
    except RuntimeError as error:
        if "scripts are no longer supported" not in str(error):
            raise
        raise InputError(
            f"{source.text}: needs a loading script, which `datasets` no longer runs; try its Parquet copy, "
            f"hub:{source.name}{f'/{source.config}' if source.config else ''}@{CONVERTED}:{source.split}"
        ) from None
    except (ValueError, FileNotFoundError) as error:
        raise InputError(f"{source.text}: {' '.join(str(error).split())[:300]}") from None


def _call(datasets: Any, source: HubSource, as_folder: bool) -> Any:
    chosen: dict[str, Any] = {"revision": source.revision, "split": source.split}
    if as_folder:
        return datasets.load_dataset(source.name, data_dir=source.config, **chosen)
    try:
        return datasets.load_dataset(source.name, name=source.config, **chosen)
    except ValueError as error:
        if source.config is None or "BuilderConfig" not in str(error):
            raise
        return datasets.load_dataset(source.name, data_dir=source.config, **chosen)


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
