"""Export the rendered mixture as a text file, for use in any other trainer.

Examples are written in the order of the stream, chunk by chunk, so that memory does not grow with the file.
The file gets its name when it is complete. Each example has `inputs`, `targets`, its `position` in the stream
and where it came from (`Rendered.provenance`). `hf_dataset` gives the same examples without a file, as a
Hugging Face dataset that renders while it is read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from tqdm import tqdm

from openflan.errors import InputError, SetupError
from openflan.run_folder import replacing
from openflan.templates.render import Rendered

CHUNK = 4_096
"""Examples that are written at a time."""

SUFFIXES = (".jsonl", ".parquet")

Record: TypeAlias = dict[str, object]

_Kind: TypeAlias = Literal["text", "name", "number", "numbers", "texts"]
_COLUMNS: dict[str, _Kind] = {
    "inputs": "text",
    "targets": "text",
    "position": "number",
    "task": "name",
    "row": "number",
    "style": "name",
    "wording": "name",
    "exemplars": "numbers",
    "pruned": "number",
    "labels": "texts",
    "between": "text",
    "separator": "text",
    "options": "text",
}


class Examples(Protocol):
    """Rendered examples by position (`mixture.stream.Stream`)."""

    def __getitem__(self, position: int, /) -> Rendered: ...


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written; `tasks` and `formats` count examples."""

    path: Path
    examples: int
    size: int
    tasks: Mapping[str, int]
    formats: Mapping[str, int]


def record(position: int, example: Rendered) -> Record:
    """Return one line of the file: texts, position and provenance of an example."""
    return {
        "inputs": example.inputs,
        "targets": example.targets,
        "position": position,
        **example.provenance(),
    }


def check_path(path: Path) -> None:
    """Raise InputError for a path without one of SUFFIXES, or of a folder."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: expected a file name that ends in {' or '.join(SUFFIXES)}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file in it")


def export(examples: Examples, path: Path, count: int, notes: Mapping[str, str] | None = None) -> Exported:
    """Write the first `count` examples to a `.jsonl` or `.parquet` file; `notes` go into a Parquet file's
    metadata.

    Raises InputError for another suffix, SetupError if the file cannot be written; an existing file then
    stays unchanged."""
    check_path(path)
    tasks, formats = Counter[str](), Counter[str]()
    # The bar stays away where standard error is no terminal.
    with (
        replacing(path) as partial,
        _writer(partial, path.suffix, notes or {}) as write,
        tqdm(total=count, desc=path.name, unit="ex", disable=None) as bar,
    ):
        for first in range(0, count, CHUNK):
            chunk = [examples[position] for position in range(first, min(first + CHUNK, count))]
            write([record(position, example) for position, example in enumerate(chunk, start=first)])
            tasks.update(example.task for example in chunk)
            formats.update(example.style.name for example in chunk)
            bar.update(len(chunk))
    return Exported(path, count, path.stat().st_size, dict(tasks.most_common()), dict(formats.most_common()))


def hf_dataset(open_examples: Callable[[], Examples], count: int, shards: int = 1) -> Any:
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
    ends = [count * shard // shards for shard in range(shards + 1)]
    positions = [range(first, end) for first, end in pairwise(ends)]
    return IterableDataset.from_generator(
        _records,
        features=Features({column: kinds[kind] for column, kind in _COLUMNS.items()}),
        gen_kwargs={"open_examples": open_examples, "positions": positions},
    )


def _records(open_examples: Callable[[], Examples], positions: list[range]) -> Iterator[Record]:
    examples = open_examples()
    for position in chain.from_iterable(positions):
        yield record(position, examples[position])


Write: TypeAlias = Callable[[list[Record]], None]


@contextmanager
def _writer(path: Path, suffix: str, notes: Mapping[str, str]) -> Iterator[Write]:
    if suffix == ".jsonl":
        with path.open("w", encoding="utf-8", newline="\n") as file:
            yield lambda records: file.writelines(
                json.dumps(one, ensure_ascii=False) + "\n" for one in records
            )
        return
    import pyarrow as pa
    from pyarrow import parquet

    schema = _schema().with_metadata(dict(notes))
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        yield lambda records: writer.write_table(pa.Table.from_pylist(records, schema=schema))


def _schema() -> Any:
    import pyarrow as pa

    kinds: dict[_Kind, Any] = {
        "text": pa.string(),
        "name": pa.dictionary(pa.int32(), pa.string()),
        "number": pa.int64(),
    }
    kinds |= {"numbers": pa.list_(pa.int64()), "texts": pa.list_(pa.string())}
    return pa.schema([(column, kinds[kind]) for column, kind in _COLUMNS.items()])
