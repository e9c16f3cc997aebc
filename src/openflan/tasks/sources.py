"""Where a submixture's rows come from: an embedded source, the hub, or a file or folder; its layout
decides which reader is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from openflan.embedded import EMBEDDED_SUBMIXTURES, parse_data
from openflan.errors import InputError
from openflan.json_files import reading as reading_file
from openflan.tasks.cot import find_cot
from openflan.tasks.cot_files import is_cot_file
from openflan.tasks.custom import find_own
from openflan.tasks.embedded_rows import embedded_data_of, embedded_tasks
from openflan.tasks.formats.reading import AS_IT_IS, Reading
from openflan.tasks.hub import FORM, find_hub, is_hub
from openflan.tasks.lines import holds_any
from openflan.tasks.muffin.find import MUFFIN, find_muffin, find_muffin_on_hub
from openflan.tasks.natural_instructions import find_natural_instructions, prepare_openers
from openflan.tasks.p3 import find_hub_p3, find_p3, find_promptsource, is_hub_p3, is_p3, is_promptsource
from openflan.tasks.places import Data, check_one_kind, first_of_each, places_of, single_openers
from openflan.tasks.ready_made import find_ready_made, is_ready_made
from openflan.tasks.row_files import JSONL, ROW_FILES, TABLES, is_rows_json, kind_of
from openflan.tasks.saved import is_saved
from openflan.tasks.slices import Slices, is_there
from openflan.tasks.splits import PLAIN_FOLDERS, choose, only_other_splits, split_of_folder
from openflan.tasks.task import Opener, Task, open_each, select

COT = "cot"
_TASK_MARKS = (b'"Definition"', b'"Instances"')
"""Names that only files of natural-instructions have."""

ROWS = "files of rows"
ONE_TASK_A_FILE = ("*_train.tsv", "task*.json", ROWS)
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


def _holds_instructions(data: Path) -> bool:
    """Whether a path is a JSON file with the object of a task, or a folder with files `task*.json`, also in
    `tasks`."""
    if data.is_dir():
        return any(any((data / folder).glob("task*.json")) for folder in (".", "tasks"))
    if data.suffix != ".json" or is_rows_json(data):
        return False
    return data.name.startswith("task") or holds_any(Slices(data), _TASK_MARKS)


def _holds_cot(data: Path) -> bool:
    """Whether a path is a chain-of-thought file of the public release, or a folder with such files."""
    if data.is_dir():
        return any(is_cot_file(file) for file in data.glob("*_train.tsv"))
    return data.suffix == ".tsv" and is_cot_file(data)


def _holds_rows(data: Path) -> bool:
    """Whether a path is a file of rows, or a folder with such files to train on, or one that `save_to_disk`
    wrote."""
    if data.is_dir():
        return is_saved(data) or bool(choose(data).files)
    return kind_of(data) is not None and not _holds_instructions(data) and not _holds_cot(data)


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
    Layout("*_train.tsv", _holds_cot, _find_cot),
    Layout("task*.json", _holds_instructions, find_natural_instructions),
    Layout("P3 (a folder for each task, such as quarel_do_not_use/)", is_p3, find_p3),
    Layout("promptsource (templates/ and data/)", is_promptsource, find_promptsource),
    READY_MADE,
    Layout(ROWS, _holds_rows, find_own),
)
"""The layouts in the order in which they are tried. Files of a ready-made Flan are files of rows too; any
other two layouts in one folder are refused."""


def open_submixture(
    name: str, data: Data, patterns: Sequence[str] | None = None, reading: Reading = AS_IT_IS
) -> dict[str, Task]:
    """The tasks called `name`/..., by name, from `data` or from an embedded source; `patterns` selects some,
    and only those are opened. `reading` says how a user's own rows are to be read.

    Public tasks that cannot be used are left out (see `open_usable`). Raises as `find_submixture` does,
    for a pattern that matches nothing, and for a task whose data are broken.
    """
    return open_usable(name, data, patterns, reading)[0]


def open_usable(
    name: str, data: Data, patterns: Sequence[str] | None = None, reading: Reading = AS_IT_IS
) -> tuple[dict[str, Task], dict[str, str]]:
    """The tasks that `open_submixture` returns, and the public tasks that cannot be used, by name, each with
    what is wrong with it."""
    openers = select(find_submixture(name, data, reading), patterns or ())
    prepare_openers(single_openers(openers.values()))
    opened = open_each(openers, patterns or ())
    if len(places_of(data)) > 1:
        check_one_kind(name, opened[0])
    return opened


def find_submixture(name: str, data: Data, reading: Reading = AS_IT_IS) -> dict[str, Opener]:
    """The names of all tasks of a submixture, and what opens each: of several places, the first that has the
    task (see `places`). Raises InputError as `find_in_place` does."""
    if data is None or isinstance(data, Path):
        return find_in_place(name, data, reading)
    if embedded := next((place for place in data if parse_data(place) is not None), None):
        raise InputError(f"submixture `{name}`: {embedded} has all tasks of its own; name it alone")
    return first_of_each({place: find_in_place(name, place, reading) for place in data})


def find_in_place(name: str, data: Path | None, reading: Reading = AS_IT_IS) -> dict[str, Opener]:
    """The names of the tasks of a submixture that one place has, and what opens each.

    `data` is a file or folder in one of the layouts of READERS, `hub:...`, or `embedded:NAME[@SEED]`; None
    means the embedded source that offers the submixture. If a folder holds a folder named after the
    submixture, that one is read. Chain-of-thought tasks keep their names, cot/DATASET, so they need the
    submixture `cot`. Tables that hold many tasks are read once to find them. Raises InputError if the layout
    is none of them, or several, for what cannot be looked at, and for a `reading` of rows that are not a
    user's own or a data set of the hub.
    """
    embedded = embedded_data_of(name, data)
    is_own = data not in (None, EVERY_ON_HUB) and not (data and is_hub(data) and is_hub_p3(data))
    if reading.is_given and (embedded is not None or not is_own):
        raise _no_reading(data)
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
        return find_hub_p3(data, name) if is_hub_p3(data) else find_hub(data, name, reading)
    if not is_there(data):
        raise InputError(f"{data}: no such file or folder (the data of submixture `{name}`)")
    with reading_file(data):
        return _find_there(name, _below(data, name), reading)


def layouts_of(data: Path) -> list[Layout]:
    """The layouts of a file or folder. Files of a ready-made Flan are files of rows too, and among files of a
    public collection JSON, CSV and TSV files are its notes."""
    layouts = [layout for layout in READERS if layout.matches(data)]
    others = [layout for layout in layouts if layout.name != ROWS]
    notes_alone = bool(others) and data.is_dir() and not choose(data, (*JSONL, *TABLES)).files
    return others if READY_MADE in layouts or notes_alone else layouts


def _below(data: Path, name: str) -> Path:
    """The folder in `data` that is named after the submixture, if it holds tasks of it; else `data`."""
    folder = data / name
    if name in PLAIN_FOLDERS or split_of_folder(name) or not folder.is_dir():
        return data
    return folder if layouts_of(folder) or (name == MUFFIN and find_muffin(folder)) else data


def _find_there(name: str, data: Path, reading: Reading) -> dict[str, Opener]:
    if reading.is_given:
        if not _holds_rows(data):
            raise _no_reading(data)
        return find_own(data, name, reading)
    if name == MUFFIN and data.is_dir() and (datasets := find_muffin(data)):
        return datasets
    return _layout(data).find(data, name)


def check_layout(name: str, data: Data) -> None:
    """Raises InputError as `find_submixture` does for a path that is not there, or of no known layout; reads
    no rows, and asks no hub."""
    for place in places_of(data):
        _check_layout(name, place)


def _check_layout(name: str, data: Path | None) -> None:
    if embedded_data_of(name, data) is not None or data is None or is_hub(data):
        return
    if not is_there(data):
        raise InputError(f"{data}: no such file or folder (the data of submixture `{name}`)")
    if name != MUFFIN:
        with reading_file(data):
            _layout(_below(data, name))


def _layout(data: Path) -> Layout:
    layouts = layouts_of(data)
    if not layouts and data.is_dir() and (others := choose(data).aside):
        raise only_other_splits(data, others)
    if not layouts:
        expected = ", ".join(ROW_FILES if layout.name == ROWS else layout.name for layout in READERS)
        problem = "nothing in it is read" if data.is_dir() else "unknown layout"
        raise InputError(f"{data}: {problem}; looked for {expected}")
    if len(layouts) > 1:
        raise InputError(
            f"{data}: holds {' and '.join(layout.name for layout in layouts)}; put each kind into a "
            "folder, and a submixture, of its own"
        )
    return layouts[0]


def _no_reading(data: Path | None) -> InputError:
    return InputError(
        f"{data or 'the embedded rows'}: `--format` and `--map` (`format:` and `columns:` in a recipe) are "
        "for files "
        f"of your own rows; looked for {ROW_FILES}"
    )


def _identity(task: Task) -> Task:
    return task
