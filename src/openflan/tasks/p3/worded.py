"""P3 as rows: what the templates made of the datasets, a configuration for each task.

    P3/quarel_do_not_use/train-00000-of-00001.parquet       a folder for each configuration
    P3/data/quarel_do_not_use/train.jsonl                   below `data`, and as JSON lines, too
    hub:bigscience/P3/quarel_do_not_use                     one configuration; without it all of T0-SF

Rows have `inputs_pretokenized`, `targets_pretokenized` and, for some, `answer_choices`; columns of token ids
are not read. Nineteen of the tasks show their choices beside the text, so their rows have `options`. A row
whose target is not exactly one of them is left out and counted: the public code stops there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from openflan.errors import InputError
from openflan.tasks.hub import HubSource, hub_records
from openflan.tasks.p3.names import (
    HUB_SPELLINGS,
    T0_SF,
    chosen_names,
    entry_of,
    is_known,
    known_names,
    published,
)
from openflan.tasks.p3.settings import Clean, Settings, row_of, settings_of
from openflan.tasks.p3.tables import NamedRows, columns_in, has_rows, open_rows, train_files
from openflan.tasks.public import Unusable, public, usable
from openflan.tasks.records import Record, Records
from openflan.tasks.rows import BadRow, EmptyTarget
from openflan.tasks.task import Opener, Row, Task, name_of

INPUTS, TARGETS, CHOICES = "inputs_pretokenized", "targets_pretokenized", "answer_choices"


def p3_row(record: Record, clean: Clean = "none", options: bool = False) -> Row:
    """A record as a row (see `row_of`), with its choices as `options` if requested.

    Raises EmptyTarget for empty inputs or targets, BadRow for values that are no texts, and for missing
    choices.
    """
    for name in (INPUTS, TARGETS):
        if not isinstance(record.get(name), str):
            raise BadRow(
                f"`{name}` must be a text; found {record[name]!r:.60}"
                if name in record
                else f"lacks `{name}`; found {_listed(list(record))}"
            )
        if not record[name].strip():
            raise EmptyTarget(name)
    choices = record.get(CHOICES) if options else None
    if options and not (
        isinstance(choices, list) and choices and all(isinstance(choice, str) for choice in choices)
    ):
        raise BadRow(
            f"`{CHOICES}` must be a list of texts, as this task's options stand beside its text; found "
            f"{choices!r:.60}"
        )
    return row_of(record[INPUTS], record[TARGETS], choices, clean)


def is_p3(data: Path) -> bool:
    """Return True if a folder, or its `data` folder, has a folder for each configuration: with the name of a
    task of T0-SF, or with P3's columns."""
    return any(is_known(folder.name) or _has_columns(folder) for folder in _folders(data))


def find_p3(data: Path, submixture: str) -> dict[str, Opener]:
    """The tasks of a folder of configurations that the submixture takes (see `names`); `openflan.yaml` in it
    may set `clean`.

    Raises InputError if there is none.
    """
    settings = settings_of(data)
    folders = {
        published(folder.name): folder
        for folder in _folders(data)
        if is_known(folder.name) or _has_columns(folder)
    }
    return {
        name_of(submixture, config): public(
            partial(_open, partial(_in_folder, folders[config]), submixture, config, settings)
        )
        for config in chosen_names(folders, submixture, data)
    }


def is_hub_p3(data: Path) -> bool:
    return HubSource.parse(data.as_posix()).name.lower().endswith("/p3")


def find_hub_p3(data: Path, submixture: str) -> dict[str, Opener]:
    """The task of one configuration on the hub, or all of T0-SF's, each loaded when it is opened.

    Raises InputError for a configuration that the submixture does not take, and if none is named for another
    submixture than `t0_sf`.
    """
    source = HubSource.parse(data.as_posix())
    if source.config is None and submixture != T0_SF:
        raise InputError(
            f"{source.text}: name a configuration, such as hub:{source.name}/quarel_do_not_use; only the "
            f"submixture `{T0_SF}` takes all of its own"
        )
    configs = [published(source.config)] if source.config else [*known_names()]
    return {
        name_of(submixture, config): public(
            partial(_open, partial(_on_hub, source, config), submixture, config, Settings())
        )
        for config in chosen_names(configs, submixture, source.text)
    }


def _folders(data: Path) -> list[Path]:
    if not data.is_dir():
        return []
    return sorted(
        folder
        for parent in (data, data / "data")
        if parent.is_dir()
        for folder in parent.iterdir()
        if folder.is_dir()
    )


def _has_columns(folder: Path) -> bool:
    if not has_rows(folder):
        return False
    try:
        return {INPUTS, TARGETS} <= set(columns_in(train_files(folder)[0]))
    except InputError:  # said when the folder is opened as what it is
        return False


def _in_folder(folder: Path, columns: Sequence[str]) -> Records:
    files = train_files(folder)
    if files[0].suffix != ".jsonl":  # its rows each say what they lack
        _check_columns(str(files[0]), columns_in(files[0]), columns)
    return open_rows(files, columns)


def _on_hub(source: HubSource, config: str, columns: Sequence[str]) -> Records:
    revision = f"@{source.revision}" if source.revision else ""
    text = f"hub:{source.name}/{HUB_SPELLINGS.get(config, config)}{revision}:{source.split}"
    table = hub_records(text, raw=True)
    _check_columns(text, table.all_columns, columns)
    return NamedRows(table, columns)


def _check_columns(location: str, present: Sequence[str], needed: Sequence[str]) -> None:
    if missing := [name for name in needed if name not in present]:
        raise InputError(
            f"{location}: lacks {_listed(missing)}; found {_listed(present)}; the columns of P3 are "
            f"{_listed((INPUTS, TARGETS, CHOICES))}"
        )


def _open(
    records_of: Callable[[Sequence[str]], Records], submixture: str, config: str, settings: Settings
) -> Task:
    name = name_of(submixture, config)
    entry = entry_of(config)
    options = bool(entry and entry.options)
    records = records_of((INPUTS, TARGETS, CHOICES) if options else (INPUTS, TARGETS))
    convert = partial(p3_row, clean=settings.clean, options=options)

    (group,) = usable(records, convert, lambda record: config, _stranger).values()
    return Task(
        name,
        group.rows(records, convert),
        group.fields,
        dataset=entry.dataset if entry else config,
        category=entry.category if entry else "P3",
        licence=entry.licence if entry else None,
        left_out=dict(group.excluded.counts),
    )


def _stranger(row: Row) -> Unusable | None:
    """Why a row is left out whose target is none of its options."""
    if "options" not in row or row["targets"] in row["options"]:
        return None
    return Unusable(
        f"the target `{row['targets']:.60}` is not among its choices {[*row['options']]!s:.300}",
        "targets that are not among their choices",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
