"""A run is a folder that contains all that is needed to repeat, resume and report it.

    recipe.yaml        the resolved recipe: loading it gives the same run
    provenance.json    versions, and hashes of the data and the tokenizer
    ledger.json        the share of each task, measured before training
    metrics.jsonl      one line for each logged step
    trackers.json      the run's id at each tracker; tensorboard/ and wandb/ are the trackers' own
    tokenizer/         the tokenizer of the run
    build/             tokens and packed sequences, if `openflan build` was run
    checkpoints/step-N/
    model/             the finetuned model, a plain Hugging Face folder
    adapter/           the adapter by itself, if one was trained; it is merged into model/
    generations/*.jsonl, scores.json
    summary.json       of a quickstart: groups of questions before and after
    report.html
    .locks/            lock files of the processes that use the folder

Files are written under a temporary name and then renamed, so that no incomplete file is ever visible.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openflan.errors import InputError, SetupError
from openflan.frames import frame_of
from openflan.json_files import byte_lines, parse_json, read_json_file
from openflan.lock import Held, locked

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class Run:
    """The paths of a run folder."""

    folder: Path

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    @property
    def provenance(self) -> Path:
        return self.folder / "provenance.json"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.json"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def tokenizer(self) -> Path:
        return self.folder / "tokenizer"

    @property
    def build(self) -> Path:
        return self.folder / "build"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    @property
    def generations(self) -> Path:
        return self.folder / "generations"

    @property
    def scores(self) -> Path:
        return self.folder / "scores.json"

    @property
    def summary(self) -> Path:
        return self.folder / "summary.json"

    @property
    def locks(self) -> Path:
        return self.folder / ".locks"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    def to_frame(self) -> DataFrame:
        """The training metrics, one line for each logged step: `step`, `loss` and the other columns of
        `metrics.jsonl`. Empty before the first logged step.

        Raises SetupError if pandas is not installed, InputError for a damaged file.
        """
        return frame_of(read_jsonl(self.metrics))


def find_run(folder: Path) -> Run:
    """The run in a folder; raises InputError if there is none."""
    run = Run(folder)
    if not run.recipe.is_file():
        problem = "has no recipe.yaml" if folder.is_dir() else "does not exist"
        if any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
            raise InputError(
                f"{folder}: a model, not a run folder; evaluate it with `openflan evaluate {folder}`, and "
                "name the folder that this prints"
            )
        raise InputError(
            f"{folder}: not a run folder: it {problem}; name the folder that `openflan finetune` printed"
        )
    return run


def training_alone(run: Run) -> AbstractContextManager[Held]:
    """The lock of a run folder: two trainings would overwrite each other's checkpoints. Raises InputError if
    another training holds it."""
    return locked(
        run.locks / "training",
        f"{run.folder}: another training is at work there; wait for it, or name another folder with --run",
    )


def remove_run(run: Run) -> None:
    """Removes the contents of a run folder, except its build. An empty or missing folder stays as it is.

    Raises InputError if the folder holds something else than a run, or if the run is being trained.
    """
    contents = (
        [path for path in run.folder.iterdir() if path not in (run.build, run.locks)]
        if run.folder.exists()
        else []
    )
    if not contents:
        return
    if not run.recipe.is_file():
        raise InputError(
            f"{run.folder}: --restart removes runs, but this folder holds none (no recipe.yaml); name "
            "another with --run"
        )
    with training_alone(run):
        for path in contents:
            _remove(path)


def check_alone(run: Run, held: Held) -> None:
    """Raises SetupError if the lock of a training no longer keeps others out, because its file or the run
    folder was removed or replaced."""
    if not held.lost():
        return
    if not run.folder.is_dir():
        raise SetupError(
            f"{run.folder}: was removed while it was being trained; run the same command again to train anew"
        )
    raise SetupError(
        f"{run.folder}: {held.path.relative_to(run.folder)}, which keeps other trainings out, was "
        "removed or replaced during this one, so another may be "
        "at work there; this one ends and leaves its last checkpoint as it is. Run the same command "
        "again to go on when no other is at work"
    )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write a file or folder to; it replaces `path` when the block
    ends without an exception.

    If the block raises, `path` is unchanged and the temporary file is removed. An OSError, such as a full
    disk, is raised as SetupError.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        yield temporary
        flush(temporary)
        _swap(temporary, path)
    except OSError as error:
        _discard(temporary)
        raise unwritten(path, error) from error
    except BaseException:
        _discard(temporary)
        raise


def unwritten(path: Path, error: OSError) -> SetupError:
    """The SetupError that `replacing` raises for an OSError, for code that writes its temporary path from
    another process."""
    return SetupError(
        f"{path}: could not be written: {error.strerror or error}; what was there before is intact"
    )


class Lines:
    """A file to which whole lines are appended, each in one write. The file and its folder are created if
    they are missing.

    Raises SetupError if a line cannot be written, for example on a full disk; the file then ends with the
    line before it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without a buffer nothing is left that closing the file would have to write.
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise unwritten(path, error) from error

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, line: str) -> None:
        """Append a line, which needs no line end. Half of a surrogate pair, which is no character, becomes
        U+FFFD."""
        data = f"{whole_characters(line)}\n".encode()
        try:
            before = os.fstat(self._file.fileno()).st_size
            try:
                while data:
                    data = data[self._file.write(data) or 0 :]
            except OSError:
                with suppress(OSError):
                    self._file.truncate(before)
                raise
        except OSError as error:
            raise unwritten(self.path, error) from error

    def sync(self) -> None:
        """Brings what was written to the disk."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise unwritten(self.path, error) from error

    def written(self) -> bytes:
        """All that the open file holds, also where its path was removed or leads to another file by now."""
        self._file.seek(0)
        return self._file.read()

    def in_place(self) -> bool:
        """Return True if the path still leads to the open file."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            return False


def write_json(path: Path, value: Any) -> None:
    text = whole_characters(json.dumps(value, indent=1, ensure_ascii=False)) + "\n"
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def whole_characters(text: str) -> str:
    """Return the text with U+FFFD for each half of a surrogate pair, which UTF-8 cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_json(path: Path, otherwise: Any = None) -> Any:
    """The value of a JSON file, or `otherwise` if there is none; raises InputError if the file is not
    JSON."""
    if not path.is_file():
        return otherwise
    return read_json_file(
        path, remedy="openflan writes it whole, so it was changed since: restore or delete it"
    )


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file; a last line that was torn by a kill (it has no newline) is left out. Raises
    InputError for any other broken line."""
    if not path.is_file():
        return []
    return [
        _parsed(line, location) for location, line, is_whole in byte_lines(path) if is_whole and line.strip()
    ]


def _parsed(line: bytes, location: str) -> dict[str, Any]:
    value = parse_json(line, location, remedy="delete that line")
    if not isinstance(value, dict):
        raise InputError(f"{location}: expected a JSON object; delete that line")
    return value


def flush(path: Path) -> None:
    """Brings a file, or every file of a folder, to the disk before the rename makes it visible."""
    for file in [path] if path.is_file() else [inner for inner in path.rglob("*") if inner.is_file()]:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())


def _swap(temporary: Path, path: Path) -> None:
    """Puts `temporary` in the place of `path`. A rename cannot replace a folder, so an old one steps aside
    and comes back if the rename fails."""
    if not path.is_dir():
        os.replace(temporary, path)
        return
    aside = path.with_name(f".{path.name}.old")
    _remove(aside)
    os.replace(path, aside)
    try:
        os.replace(temporary, path)
    except OSError:
        os.replace(aside, path)
        raise
    _discard(aside)


def _discard(path: Path) -> None:
    """Removes what is no longer needed; a failure to do so must not hide how the writing itself went."""
    with suppress(OSError):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
