"""Export the rendered mixture as a text file, for use in any other trainer.

Examples are rendered in parts of some thousand (`export_parts`), by several processes if asked for, and the
parts are written in the order of the stream, so that the file does not depend on the number of processes and
memory does not grow with it. The file gets its name when it is complete; until then its parts are kept, and
an export that was stopped or killed goes on from them. `hf_dataset` gives the same examples without a file,
as a Hugging Face dataset that renders while it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, TypeAlias

from tqdm import tqdm

from openflan.errors import InputError, OpenflanError, SetupError
from openflan.lock import locked
from openflan.mixture.export_parts import SIZE as CHUNK
from openflan.mixture.export_parts import Part, PartFolder, table_of
from openflan.mixture.export_records import Form, Record, columns, record, schema
from openflan.mixture.export_workers import Examples, Make, Plan, parts
from openflan.run_folder import replacing, unwritten
from openflan.stopping import Terminated, stoppable

SUFFIXES = (".jsonl", ".parquet")

__all__ = ["CHUNK", "Exported", "check_path", "export", "hf_dataset", "record"]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written; `tasks` and `formats` count examples. `characters` are those of all inputs and of all
    targets."""

    path: Path
    examples: int
    size: int
    tasks: Mapping[str, int]
    formats: Mapping[str, int]
    characters: tuple[int, int] = (0, 0)


def check_path(path: Path) -> None:
    """Raise InputError for a path without one of SUFFIXES, or of a folder."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: expected a file name that ends in {' or '.join(SUFFIXES)}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file in it")


def export(
    examples: Examples,
    path: Path,
    count: int,
    notes: Mapping[str, str] | None = None,
    *,
    form: Form = "text",
    workers: int = 1,
    make: Make | None = None,
    key: str | None = None,
) -> Exported:
    """Write the first `count` examples to a `.jsonl` or `.parquet` file; `notes` go into a Parquet file's
    metadata.

    `workers` processes render; where the system cannot fork them, each opens the stream with `make`. `key`
    names all that the examples depend on: an export of the same key that did not end goes on from its parts.

    Raises InputError for another suffix, and if another export to the file is at work; SetupError if the file
    cannot be written; an existing file then stays unchanged. After SIGTERM raises Terminated and after Ctrl-C
    Interrupted, once the parts under way are kept."""
    check_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritten(path, error) from error
    folder = PartFolder(path)
    busy = f"{path}: another export is at work there; wait for it, or name another file"
    with locked(folder.lock, busy):
        try:
            done = _written(Plan(path, count, form), folder, examples, notes or {}, workers, make, key)
        except OpenflanError as error:
            if key is None or not isinstance(error, Terminated | SetupError):
                folder.remove()
            raise
        folder.remove()
    return done


def _written(
    plan: Plan,
    folder: PartFolder,
    examples: Examples,
    notes: Mapping[str, str],
    workers: int,
    make: Make | None,
    key: str | None,
) -> Exported:
    path, count = plan.path, plan.count
    tasks, formats, inputs, targets, done = Counter[str](), Counter[str](), 0, 0, 0
    # The bar stays away where standard error is no terminal.
    with (
        stoppable("part") as asked,
        replacing(path) as partial,
        _writer(partial, path.suffix, plan.form, notes) as write,
        tqdm(total=count, desc=path.name, unit="ex", unit_scale=True, disable=None) as bar,
    ):
        folder.begin(key)
        for part in parts(plan, folder, examples, asked, workers, make):
            write(part)
            tasks.update(part.tasks)
            formats.update(part.formats)
            inputs, targets = inputs + part.characters[0], targets + part.characters[1]
            done += part.examples
            bar.update(part.examples)
        if done < count:
            raise asked.ended(f"after {done:,} of {count:,} examples")
    counted = dict(tasks.most_common()), dict(formats.most_common())
    return Exported(path, count, path.stat().st_size, *counted, (inputs, targets))


def hf_dataset(
    open_examples: Callable[[], Examples], count: int, shards: int = 1, form: Form = "text"
) -> Any:
    """Return the first `count` examples as a `datasets.IterableDataset`, with the columns of an exported
    file, rendered while they are read.

    `open_examples` opens the stream; it is called in each process that reads, so it must be picklable
    (`training.prepare.stream_opener`). As many DataLoader workers can share the work as there are `shards`,
    each a run of positions; with one, the order is the stream's. Raises SetupError if `datasets` is not
    installed.
    """
    try:
        from datasets import Features, IterableDataset, List, Value
    except ImportError:
        raise SetupError("datasets is not installed: pip install 'openflan[data]'") from None
    kinds = {"text": Value("string"), "name": Value("string"), "number": Value("int64")}
    kinds |= {"numbers": List(kinds["number"]), "texts": List(kinds["text"])}
    kinds["messages"] = List({"role": Value("string"), "content": Value("string")})
    ends = [count * shard // shards for shard in range(shards + 1)]
    positions = [range(first, end) for first, end in pairwise(ends)]
    return IterableDataset.from_generator(
        _records,
        features=Features({column: kinds[kind] for column, kind in columns(form).items()}),
        gen_kwargs={"open_examples": open_examples, "positions": positions, "form": form},
    )


def _records(open_examples: Callable[[], Examples], positions: list[range], form: Form) -> Iterator[Record]:
    examples = open_examples()
    for position in chain.from_iterable(positions):
        yield record(position, examples[position], form)


Write: TypeAlias = Callable[[Part], object]


@contextmanager
def _writer(path: Path, suffix: str, form: Form, notes: Mapping[str, str]) -> Iterator[Write]:
    if suffix == ".jsonl":
        with path.open("wb") as file:
            yield lambda part: file.write(part.content)
        return
    from pyarrow import parquet

    columns = schema(form).with_metadata(dict(notes))
    with parquet.ParquetWriter(path, columns, compression="zstd") as writer:
        yield lambda part: writer.write_table(table_of(part).replace_schema_metadata(dict(notes)))
