"""Rows and documents of the embedded sources: which of them a submixture's `data:` names, and the rows
themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from openflan.embedded import (
    EmbeddedData,
    EmbeddedSource,
    parse_data,
    source_of_submixture,
)
from openflan.errors import InputError, did_you_mean
from openflan.tasks.records import Records
from openflan.tasks.task import Task


class _DataModule(Protocol):
    """What the module `tasks_and_texts` of an embedded source offers."""

    def tasks(self, submixture: str, seed: int) -> dict[str, Task]:
        """All tasks of one of its submixtures, by name, held-out ones included."""
        ...

    def documents(self, seed: int, mix: str) -> Records:
        """Records `{"text": ..., "salient": [begin, end]}` for pretraining; `salient` counts characters and
        may be absent. Raises InputError for an unknown mix."""
        ...


def embedded_data_of(submixture: str, data: Path | None) -> EmbeddedData | None:
    """The embedded data that a submixture's rows are made from; None where the rows come from elsewhere.

    Raises InputError for embedded data under a submixture that its source does not offer, and for a mix,
    which is of plain text alone.
    """
    if data is None:
        source = source_of_submixture(submixture)
        return None if source is None else EmbeddedData(source, source.seed)
    embedded = parse_data(data)
    if embedded is None:
        return None
    if submixture not in embedded.source.submixtures:
        names = embedded.source.submixtures
        hint = did_you_mean(submixture, names) or f"; {' and '.join(names)} do"
        raise InputError(f"submixture `{submixture}` does not come from {data}{hint}")
    if embedded.mix:
        raise InputError(
            f"submixture `{submixture}`: `{data}`: mixes of kinds are for `pretraining.data`; expected "
            f"{embedded.source.data_form}"
        )
    return embedded


def embedded_tasks(submixture: str, data: EmbeddedData) -> dict[str, Task]:
    """All tasks of a submixture that the source of `data` offers, by name, held-out ones included."""
    return _data_module(data.source).tasks(submixture, data.seed)


def embedded_documents(data: EmbeddedData) -> Records:
    """The plain text of a source as records with `text` and, where something is marked, `salient`.

    Raises InputError for an unknown mix.
    """
    return _data_module(data.source).documents(data.seed, data.mix)


def _data_module(source: EmbeddedSource) -> _DataModule:
    return cast(_DataModule, source.load_part("tasks_and_texts"))
