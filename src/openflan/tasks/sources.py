"""Where a submixture's rows come from: an embedded source, the hub, or a file or folder; its layout
decides which reader is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from openflan.embedded import EMBEDDED_SUBMIXTURES
from openflan.errors import InputError
from openflan.json_files import reading
from openflan.tasks.cot import find_cot
from openflan.tasks.custom import find_arrow, find_jsonl, find_parquet
from openflan.tasks.embedded_rows import embedded_data_of, embedded_tasks
from openflan.tasks.hub import FORM, find_hub, is_hub
from openflan.tasks.muffin.find import MUFFIN, find_muffin, find_muffin_on_hub
from openflan.tasks.natural_instructions import find_natural_instructions, prepare_openers
from openflan.tasks.p3 import find_hub_p3, find_p3, find_promptsource, is_hub_p3, is_p3, is_promptsource
from openflan.tasks.ready_made import find_ready_made, is_ready_made
from openflan.tasks.saved import is_saved
from openflan.tasks.slices import is_there
from openflan.tasks.splits import PLAIN_FOLDERS, choose, only_other_splits, split_of_folder
from openflan.tasks.task import Opener, Task, open_each, select

COT = "cot"
ONE_TASK_A_FILE = ("*_train.tsv", "task*.json", "*.jsonl")
"""The files that hold one task each."""

EVERY_ON_HUB = Path("hub:")
"""The `data:` of Muffin that reads each data set from its own repository on the hub."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout that openflan reads: its name in messages, whether a path `matches`, and `find`, which returns
    what opens each task of a path under a submixture's name."""

    name: str
    matches: Callable[[Path], bool]
    find: Callable[[Path, str], dict[str, Opener]]


def _holds(pattern: str, *below: str) -> Callable[[Path], bool]:
    """Whether a path is a file of the pattern's kind, or a folder with such files in it or in one of the
    folders `below`."""

    def matches(data: Path) -> bool:
        if data.is_dir():
            return any(any((data / folder).glob(pattern)) for folder in (".", *below))
        return data.suffix == Path(pattern).suffix

    return matches


def _holds_rows(suffix: str) -> Callable[[Path], bool]:
    """Whether a path is a file with the suffix, or a folder with such files to train on."""

    def matches(data: Path) -> bool:
        return bool(choose(data, suffix).files) if data.is_dir() else data.suffix == suffix

    return matches


def _holds_arrow(data: Path) -> bool:
    return is_saved(data) or _holds_rows(".arrow")(data)


def _find_cot(data: Path, submixture: str) -> dict[str, Opener]:
    if submixture != COT:
        raise InputError(
            f"{data}: chain-of-thought files (*_train.tsv) belong to the submixture `{COT}`, found under "
            f"`{submixture}`; rename the submixture"
        )
    return find_cot(data)


READY_MADE = Layout(
    "ready-made Flan (such as cot_zsopt_data/, cot_zs_opt_train.jsonl, cot_submix_original/)",
    is_ready_made,
    find_ready_made,
)
READERS = (
    Layout("*_train.tsv", _holds("*_train.tsv"), _find_cot),
    Layout("task*.json", _holds("task*.json", "tasks"), find_natural_instructions),
    Layout("P3 (a folder for each task, such as quarel_do_not_use/)", is_p3, find_p3),
    Layout("promptsource (templates/ and data/)", is_promptsource, find_promptsource),
    READY_MADE,
    Layout("*.jsonl", _holds_rows(".jsonl"), find_jsonl),
    Layout("*.parquet", _holds_rows(".parquet"), find_parquet),
    Layout("*.arrow", _holds_arrow, find_arrow),
)
"""The layouts in the order in which they are tried. Files of a ready-made Flan are JSONL and Parquet too; any
other two layouts in one folder are refused."""


def open_submixture(name: str, data: Path | None, patterns: Sequence[str] | None = None) -> dict[str, Task]:
    """The tasks called `name`/..., by name, from `data` or from an embedded source; `patterns` selects some,
    and only those are opened.

    Public tasks that cannot be used are left out (see `open_usable`). Raises as `find_submixture` does,
    for a pattern that matches nothing, and for a task whose data are broken.
    """
    return open_usable(name, data, patterns)[0]


def open_usable(
    name: str, data: Path | None, patterns: Sequence[str] | None = None
) -> tuple[dict[str, Task], dict[str, str]]:
    """The tasks that `open_submixture` returns, and the public tasks that cannot be used, by name, each with
    what is wrong with it."""
    openers = select(find_submixture(name, data), patterns or ())
    prepare_openers(openers.values())
    return open_each(openers, patterns or ())


def find_submixture(name: str, data: Path | None) -> dict[str, Opener]:
    """The names of all tasks of a submixture, and what opens each.

    `data` is a file or folder in one of the layouts of READERS, `hub:...`, or `embedded:NAME[@SEED]`; None
    means the embedded source that offers the submixture. If a folder holds a folder named after the
    submixture, that one is read. Chain-of-thought tasks keep their names, cot/DATASET, so they need the
    submixture `cot`. Tables that hold many tasks are read once to find them. Raises InputError if the layout
    is none of them, or several, and for what cannot be looked at.
    """
    embedded = embedded_data_of(name, data)
    if embedded is not None:
        tasks = embedded_tasks(name, embedded)
        return {task.name: partial(_identity, task) for task in tasks.values()}
    if data is None:
        raise InputError(
            f"submixture `{name}` needs `data:` (a file or folder, or {FORM}); only "
            f"{' and '.join(EMBEDDED_SUBMIXTURES)} come with openflan"
        )
    if data == EVERY_ON_HUB and name == MUFFIN:
        return find_muffin_on_hub()
    if is_hub(data):
        return find_hub_p3(data, name) if is_hub_p3(data) else find_hub(data, name)
    if not is_there(data):
        raise InputError(f"{data}: no such file or folder (the data of submixture `{name}`)")
    with reading(data):
        return _find_there(name, _below(data, name))


def layouts_of(data: Path) -> list[Layout]:
    """The layouts of a file or folder. Files of a ready-made Flan are JSONL and Parquet too."""
    layouts = [layout for layout in READERS if layout.matches(data)]
    return (
        [layout for layout in layouts if layout.name not in ("*.jsonl", "*.parquet")]
        if READY_MADE in layouts
        else layouts
    )


def _below(data: Path, name: str) -> Path:
    """The folder in `data` that is named after the submixture, if it holds tasks of it; else `data`."""
    folder = data / name
    if name in PLAIN_FOLDERS or split_of_folder(name) or not folder.is_dir():
        return data
    return folder if layouts_of(folder) or (name == MUFFIN and find_muffin(folder)) else data


def _find_there(name: str, data: Path) -> dict[str, Opener]:
    if name == MUFFIN and data.is_dir() and (datasets := find_muffin(data)):
        return datasets
    return _layout(data).find(data, name)


def check_layout(name: str, data: Path | None) -> None:
    """Raises InputError as `find_submixture` does for a path that is not there, or of no known layout; reads
    no rows, and asks no hub."""
    if embedded_data_of(name, data) is not None or data is None or is_hub(data):
        return
    if not is_there(data):
        raise InputError(f"{data}: no such file or folder (the data of submixture `{name}`)")
    if name != MUFFIN:
        with reading(data):
            _layout(_below(data, name))


def _layout(data: Path) -> Layout:
    layouts = layouts_of(data)
    if not layouts and data.name.endswith(".gz"):
        raise InputError(
            f"{data}: compressed, so its rows cannot be read by index; unpack it with `gunzip {data}`"
        )
    if not layouts and data.is_dir() and (others := choose(data, ".jsonl").aside):
        raise only_other_splits(data, others)
    if not layouts:
        raise InputError(
            f"{data}: unknown layout; expected {', '.join(layout.name for layout in READERS)} (a file or "
            "a folder of one kind)"
        )
    if len(layouts) > 1:
        raise InputError(
            f"{data}: holds {' and '.join(layout.name for layout in layouts)}; put each kind into a "
            "folder, and a submixture, of its own"
        )
    return layouts[0]


def _identity(task: Task) -> Task:
    return task
