"""What a Muffin dataset is: where its rows lie, which columns they have, and how one becomes fields.

Every family of datasets has a file of its own with a table of these. A row function is pure. It turns a raw
record of the hub's copy into the fields that wordings use. It returns None for a record that the collection
leaves out too (unlabelled, or cleaned away); those are counted. Class words and their order are part of what
is learned, so they stand in the row functions, never in wordings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from openflan.tasks.task import Row

Raw: TypeAlias = Mapping[str, Any]
"""A record as a data set's library or file gives it: class labels are numbers, answers may be nested."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A task of Muffin.

    `name` is the catalogue's, without `muffin/`. `hub` is `OWNER/NAME[/CONFIG]` (None: nowhere on the hub as
    far as is known). `split` is what is trained on, with a window such as `train[:-600]` where the collection
    keeps rows back. `columns` are those that `row` reads, checked when a file is opened. `fields` are those
    that every row has afterwards. `further` ones say the same in another form, for the collection's own
    wordings, or come from columns that not every copy has, so rows may lack them. `row` gives None for
    records to leave out and raises ValueError, with what is wrong, for records that are broken.
    """

    name: str
    hub: str | None
    split: str
    columns: tuple[str, ...]
    fields: tuple[str, ...]
    row: Callable[[Raw], Row | None]
    further: tuple[str, ...] = ()
