"""The Flan 2022 collection as others rendered it: rows that are already `inputs` and `targets`, in the
layouts of the public copies.

    flan_zsopt_data/*.parquet               a folder for each source and style
    cot_fs_noopt_train.jsonl                a file for each source and style; ..._part1, ..._part2 if several
    t0_submix_original/data/*.parquet       a folder for each source; the style stands in each row

The copies do not keep the mixture's ratios, so a task is one source in one style, and the recipe weighs the
submixtures: `t0: {data: FLAN}` takes from such a folder the rows that came from P3, as tasks `t0/zs_opt`,
`t0/fs_opt`, ...; a submixture of any other name takes everything, as `mine/t0_zs_opt`, `mine/cot_fs_opt`, ...
What the rows say of wording and exemplars is lost in the copies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from openflan.errors import InputError
from openflan.tasks.columns import ColumnRecords
from openflan.tasks.natural_instructions_rows import is_mmlu
from openflan.tasks.public import PublicGroup, Unusable, usable
from openflan.tasks.records import Joined, JsonRecords, Record, Records
from openflan.tasks.rows import EmptyTarget
from openflan.tasks.table_files import open_table
from openflan.tasks.task import Opener, Row, Task

WORDED = frozenset({"inputs", "targets"})
TEMPLATE_TYPES = ("template_type", "_template_type")
_SOURCE_COLUMNS = ("task_source", "_task_source")
_TASK_COLUMNS = ("task_name", "_task_name", "task")
_WANTED = WORDED | {*TEMPLATE_TYPES, *_SOURCE_COLUMNS, *_TASK_COLUMNS}

STYLES = ("zs_opt", "zs_noopt", "fs_opt", "fs_noopt")
TAKES: Mapping[str, tuple[str, ...]] = {
    "flan2021": ("flan2021",),
    "t0": ("t0",),
    "t0_sf": ("t0",),
    "niv2": ("niv2",),
    "cot": ("cot",),
    "dialog": ("dialog",),
    "muffin": ("flan2021", "dialog"),
}
"""Which sources a submixture of that name takes from a copy; all of them under any other name. Muffin is Flan
2021 with dialogue and program synthesis (Chung et al. 2022, section 2.1); no copy has the last."""

_NAMES: Mapping[str, str] = {
    "flan": "flan2021",
    "flan2021": "flan2021",
    "t0": "t0",
    "p3": "t0",
    "niv2": "niv2",
    "cot": "cot",
    "dialog": "dialog",
}
_TASKS_OF_NAME: Mapping[str, int] = {"glue/mnli": 2}
"""How many tasks of the collection share a name in the copies, if more than one."""

_SOURCE = r"(?P<source>flan2021|flan|t0|niv2|cot|dialog)"
_ONE_STYLE = re.compile(rf"{_SOURCE}_(?P<shots>zs|fs)_?(?P<options>noopt|opt)(?:_data|_train)?(?:_part\d+)?")
_ALL_STYLES = re.compile(rf"{_SOURCE}_submix(?:_original)?")
_SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz")


def worded_row(record: Record) -> Row:
    """The fields `inputs`, `targets` and, where the copy has it, `source_task`. Raises BadRow unless inputs
    and targets are texts."""
    inputs, targets = record.get("inputs"), record.get("targets")
    if targets is None or targets == "":
        raise EmptyTarget("targets")
    if not isinstance(inputs, str) or not isinstance(targets, str):
        raise Unusable(
            f"found {_named(record)}; expected the texts `inputs` and `targets`",
            "inputs or targets are no texts",
        )
    if not targets.strip():
        raise EmptyTarget("targets")
    task = _first(record, _TASK_COLUMNS)
    return (
        {"inputs": inputs, "targets": targets, "source_task": task}
        if isinstance(task, str)
        else {"inputs": inputs, "targets": targets}
    )


def is_ready_made(data: Path) -> bool:
    """Whether a file or folder, or something in the folder, is named as the public copies name theirs."""
    return bool(_members(data))


def find_ready_made(data: Path, submixture: str) -> dict[str, Opener]:
    """The tasks of a public copy, or of a part of one, that the submixture takes (see TAKES).

    Raises InputError for files between them that belong to no copy, and if the submixture takes none of the
    sources that are there.
    """
    members = _members(data)
    strangers = (
        [path for path in sorted(data.glob("*.jsonl")) if path not in members] if data.is_dir() else []
    )
    if strangers and any(path.is_file() for path in members):
        raise InputError(
            f"{strangers[0]}: no name of a ready-made Flan (such as cot_zs_opt_train.jsonl), among files "
            "that have one; put it elsewhere"
        )
    files: dict[tuple[str, str], list[Path]] = {}
    paths_by_source: dict[str, list[Path]] = {}
    for path in members:
        if match := _ONE_STYLE.fullmatch(_stem(path)):
            style = f"{match['shots']}_{match['options']}"
            files.setdefault((_NAMES[match["source"]], style), []).extend(_data_files(path))
        elif match := _ALL_STYLES.fullmatch(_stem(path)):
            paths_by_source.setdefault(_NAMES[match["source"]], []).extend(_data_files(path))
    taken = _chosen_sources(submixture, {source for source, _ in files} | set(paths_by_source), str(data))
    openers: dict[str, Opener] = {
        _name(submixture, source, style): partial(_open_style, paths, submixture, source, style)
        for (source, style), paths in files.items()
        if source in taken
    }
    for source, paths in paths_by_source.items():
        if source in taken:
            inside = _split(_records(paths), submixture, source)
            if twice := sorted(openers.keys() & inside.keys()):
                raise InputError(
                    f"{data}: `{twice[0]}` is there twice, once in {paths[0].parent}; keep one copy"
                )
            openers |= inside
    return openers


def find_styles_in_rows(records: Records, submixture: str) -> dict[str, Opener]:
    """The tasks of rows that say themselves where they come from (`task_source`) and in which style
    (`template_type`), in one pass over them."""
    return _split(records, submixture, None)


def _members(data: Path) -> list[Path]:
    """`data` if it is a part of a copy, else those of its files and folders that are."""
    if _is_part(data):
        return [data]
    return sorted(path for path in data.iterdir() if _is_part(path)) if data.is_dir() else []


def _is_part(path: Path) -> bool:
    if path.is_dir():
        return bool(_ONE_STYLE.fullmatch(path.name) or _ALL_STYLES.fullmatch(path.name))
    return path.name.endswith(_SUFFIXES) and bool(_ONE_STYLE.fullmatch(_stem(path)))


def _stem(path: Path) -> str:
    return re.sub(r"\.(parquet|jsonl|jsonl\.gz)$", "", path.name)


def _data_files(path: Path) -> list[Path]:
    """The files of a part: its own, or those in its `data` or `default/train` folder."""
    if path.is_file():
        packed = path.name.endswith(".gz")
        return [] if packed and path.with_suffix("").exists() else [path]
    for folder in (path, path / "data", path / "default" / "train"):
        if files := sorted(file for file in folder.glob("*") if file.name.endswith(_SUFFIXES)):
            return files
    raise InputError(f"{path}: no Parquet or JSONL files in this folder; expected those of a ready-made Flan")


def _records(paths: Sequence[Path]) -> Records:
    for path in paths:
        if path.suffix == ".gz":
            raise InputError(
                f"{path}: compressed, so its rows cannot be read by index; unpack it with `gunzip {path}`"
            )
    tables = [path for path in paths if path.suffix == ".parquet"]
    lines: list[Records] = [JsonRecords(path) for path in paths if path.suffix == ".jsonl"]
    if not tables:
        return Joined(lines)
    parts = [open_table(path) for path in tables]
    for part in parts:
        if missing := WORDED - set(part.schema.names):
            raise InputError(
                f"{part.location}: lacks {' and '.join(sorted(missing))}; found "
                f"{', '.join(part.schema.names)}; expected inputs and targets"
            )
    table = ColumnRecords(parts, only=_WANTED)
    return Joined([table, *lines]) if lines else table


def _open_style(paths: Sequence[Path], submixture: str, source: str, style: str) -> Task:
    if not paths:
        raise InputError(f"{source} {style}: no files")
    records = _records(paths)
    (group,) = usable(records, worded_row, lambda record: style, _held_out, _source_task).values()
    return _task(records, group, submixture, source, style)


def _split(records: Records, submixture: str, source: str | None) -> dict[str, Opener]:
    def key(record: Record) -> tuple[str, str]:
        return source or _source_of(record), _style_of(record)

    groups = usable(records, worded_row, key, _held_out, _source_task)
    taken = _chosen_sources(submixture, {name for name, _ in groups}, records.place(0))
    return {
        _name(submixture, name, style): partial(_task, records, group, submixture, name, style)
        for (name, style), group in sorted(groups.items(), key=lambda item: item[0])
        if name in taken
    }


def _task(records: Records, group: PublicGroup, submixture: str, source: str, style: str) -> Task:
    name = _name(submixture, source, style)
    return Task(
        name,
        group.rows(records, worded_row),
        group.fields,
        dataset=f"Flan 2022 collection, {source}",
        category=f"ready-made {style}",
        left_out=dict(group.excluded.counts),
        finished=True,
        part=source,
        sizes=_sizes(group.labels),
    )


def _sizes(labels: Mapping[str | None, int]) -> tuple[int, ...]:
    """The rows of each task of the collection, by the names in the rows; empty if not every row names its
    task. Some copies name the source there, in place of the task."""
    if None in labels or all(str(name).lower() in _NAMES for name in labels):
        return ()
    return tuple(
        size
        for name, rows in sorted(labels.items(), key=lambda item: str(item[0]))
        for size in _shared_out(rows, _TASKS_OF_NAME.get(str(name).partition(":")[0], 1))
    )


def _shared_out(rows: int, tasks: int) -> list[int]:
    return [rows // tasks + (number < rows % tasks) for number in range(tasks)]


def _chosen_sources(submixture: str, there: set[str], location: str) -> set[str]:
    takes = there.intersection(TAKES.get(submixture, there))
    if not takes:
        raise InputError(
            f"{location}: a ready-made Flan with {', '.join(sorted(there))}, of which the submixture "
            f"`{submixture}` takes none "
            f"(it takes {' and '.join(TAKES[submixture])}); rename the submixture, or name other data"
        )
    return takes


def _name(submixture: str, source: str, style: str) -> str:
    return f"{submixture}/{style}" if TAKES.get(submixture) == (source,) else f"{submixture}/{source}_{style}"


def _style_of(record: Record) -> str:
    style = _first(record, TEMPLATE_TYPES)
    if style not in STYLES:
        raise Unusable(
            f"`template_type` is {style!r:.60}; expected one of {', '.join(STYLES)}",
            "unknown `template_type`",
        )
    return str(style)


def _source_of(record: Record) -> str:
    source = _first(record, _SOURCE_COLUMNS)
    if not isinstance(source, str) or source.lower() not in _NAMES:
        raise Unusable(
            f"`task_source` is {source!r:.60}; expected Flan2021, P3, NIv2, CoT or Dialog",
            "unknown `task_source`",
        )
    return _NAMES[source.lower()]


def _source_task(row: Row) -> str | None:
    name = row.get("source_task")
    return name if isinstance(name, str) and name else None


def _held_out(row: Row) -> Unusable | None:
    task = str(row.get("source_task", ""))
    return Unusable(f"a row of `{task:.60}`, which is held out", "held out (mmlu)") if is_mmlu(task) else None


def _named(record: Record) -> str:
    return ", ".join(f"`{name!s:.60}`" for name in [*record][:10])


def _first(record: Record, names: Sequence[str]) -> object:
    return next((record[name] for name in names if name in record), None)
