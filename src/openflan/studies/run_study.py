"""Runs the cells of a study that have no result yet, several at the same time, and writes the results of all
finished cells.

    FOLDER/study.yaml         the study, as it was read, for whoever wants to run it again
    FOLDER/evaluations.json   what was asked: tasks, numbers of questions, chances
    FOLDER/cells.jsonl        a line for each finished cell: the state of the whole, appended when a cell ends
    FOLDER/results.json, results.csv, README.md, *.svg
    FOLDER/cells/             run folders, unless they lie elsewhere; FOLDER/.gitignore leaves them out
    FOLDER/.lock              held while the study runs

Decision: a line is known by the hash of what it depends on. The same command therefore resumes after a kill,
and after a change of the study it runs only what changed. Price: lines that a study no longer needs stay in
the file until somebody deletes them.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatchcase
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from openflan.errors import InputError, OpenflanError, did_you_mean
from openflan.evaluation.generations import whole_lines
from openflan.lock import locked
from openflan.models.quiet import one_thread
from openflan.run_folder import Lines, read_jsonl, replacing, write_json
from openflan.stopping import Terminated
from openflan.studies.cell_scores import Scores
from openflan.studies.cells import Cell, grid
from openflan.studies.evaluations import Layout, layout_of
from openflan.studies.identity import cell_key, training_key
from openflan.studies.results import results_of, write_results
from openflan.studies.run_cell import Job, start_worker, work
from openflan.studies.study_schema import Ask, Study

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How a study is run; `chosen` are patterns of cells, `limit` caps the questions of each task of every
    evaluation. `runs` is where run folders go if not beside the results: cells of several studies that train
    alike then train once."""

    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None
    workers: int = 1
    coarse: bool = False
    chosen: tuple[str, ...] = ()
    data: Path | None = None
    limit: int | None = None
    command: str = ""
    runs: Path | None = None


def run_study(
    path: Path, study: Study, folder: Path, options: Options, say: Say = lambda text: None
) -> dict[str, Any]:
    """Runs the missing cells, and writes and returns the results of all finished cells. `say` is called with
    a line for every cell that ends.

    Raises InputError before any cell runs, for unknown cells, missing bases or data, groups that no
    evaluation has, and a folder that another study uses. Raises what the first failing cell raised, after all
    cells have run.
    """
    cells = grid(study, path.parent, options.overrides, options.seeds)
    chosen = chosen_cells(cells, options)
    evaluations = limited(study, options.limit)
    layouts = {name: layout_of(ask, options.data) for name, ask in evaluations.items()}
    check_groups(study, cells, layouts)
    if missing := next((cell for cell in chosen if cell.missing), None):
        raise InputError(
            f"cell {missing.label}: {missing.missing}; choose others with --cells, or name another base "
            "with model.base=FOLDER"
        )
    every = {
        cell.label: _job(cell, options.runs or folder / "cells", evaluations, layouts, options.data)
        for cell in cells
        if not cell.missing
    }
    with locked(
        folder / ".lock",
        (
            f"{folder}: another call of `openflan study` is at work there; wait for it, or name another "
            "folder with --out"
        ),
    ):
        jobs = [every[cell.label] for cell in chosen]
        with replacing(folder / ".gitignore") as partial:
            partial.write_text("cells/\n.lock\n", encoding="utf-8")
        if path.resolve() != (folder / "study.yaml").resolve():
            with replacing(folder / "study.yaml") as partial:
                shutil.copyfile(path, partial)
        write_json(folder / "evaluations.json", {name: layout.as_json() for name, layout in layouts.items()})
        done = _finished(folder)
        pending = [job for job in jobs if job.key not in done]
        say(
            f"{study.name}: {len(jobs) - len(pending)} of {len(jobs)} cells are there, {len(pending)} to "
            f"run on {options.workers} at a time"
        )
        failure, began = None, time.monotonic()
        for num_finished, (job, line) in enumerate(_run(pending, options.workers, folder), 1):
            if isinstance(line, BaseException):
                failure = failure or _with_log(job, line)
                say(f"{job.cell.label}: failed: {line}")
            else:
                done[job.key] = line
                say(_progress(job, line, num_finished, pending, time.monotonic() - began, done))
        lines = {label: done[job.key] for label, job in every.items() if job.key in done}
        scores = Scores.of(cells, lines, layouts, study.averages)
        results = results_of(study, scores, options.seeds or tuple(study.seeds))
        write_results(folder, study, scores, results, options.command)
        if failure is not None:
            raise failure
        return results


def chosen_cells(cells: Sequence[Cell], options: Options) -> list[Cell]:
    """Return the cells of the first seed if `coarse`, and of them those that the patterns name, with or
    without their seed."""
    first = next((cell.seed for cell in cells if cell.trained), None)
    first_cells = [cell for cell in cells if not options.coarse or cell.seed in (None, first)]
    for pattern in options.chosen:
        if not any(_matches(cell, pattern) for cell in first_cells):
            names = list(dict.fromkeys(cell.name for cell in first_cells))
            raise InputError(
                "no cell is called "
                f"`{pattern}`{did_you_mean(pattern, names) or '; there are ' + ', '.join(names)}"
            )
    return [
        cell
        for cell in first_cells
        if not options.chosen or any(_matches(cell, pattern) for pattern in options.chosen)
    ]


def limited(study: Study, limit: int | None) -> dict[str, Ask]:
    return {
        name: ask if limit is None else ask.model_copy(update={"limit": min(limit, ask.limit or limit)})
        for name, ask in study.evaluations.items()
    }


def check_groups(study: Study, cells: Sequence[Cell], layouts: Mapping[str, Layout]) -> None:
    """Raises InputError for a direction or figure that names a group which its evaluation does not have."""
    scores = Scores.of(cells, {}, layouts, study.averages)
    for direction in study.directions:
        for _, selector in direction.terms:
            for group in direction.groups:
                scores.column("", 0, selector.evaluation or direction.evaluation, group)
    for figure in study.figures:
        for evaluation in figure.evaluations:
            for group in figure.groups:
                scores.column("", 0, evaluation, group)


def _matches(cell: Cell, pattern: str) -> bool:
    return fnmatchcase(cell.name, pattern) or fnmatchcase(cell.label, pattern)


def _job(
    cell: Cell, runs: Path, evaluations: Mapping[str, Ask], layouts: Mapping[str, Layout], data: Path | None
) -> Job:
    model = training_key(cell)
    keys = {name: cell_key(model, {name: ask}, layouts)[:8] for name, ask in evaluations.items()}
    return Job(cell, cell_key(model, evaluations, layouts), model, runs, evaluations, keys, data)


def _finished(folder: Path) -> dict[str, dict[str, Any]]:
    """The lines of cells by key; a last line that a kill tore is cut off, so that the next one does not
    continue it."""
    path = folder / "cells.jsonl"
    with Lines(path):
        whole_lines(path)
    lines = read_jsonl(path)
    if broken := next(
        (
            line
            for line in lines
            if not isinstance(line.get("key"), str) or not isinstance(line.get("seconds"), dict)
        ),
        None,
    ):
        raise InputError(
            f"{path}: a line has no `key` or no `seconds` ({broken!r:.80}); delete that line, and its "
            "cell is run again"
        )
    return {line["key"]: line for line in lines}


def _run(jobs: Sequence[Job], workers: int, folder: Path) -> Iterator[tuple[Job, Any]]:
    """Each job with its line, which is in the file by then, or with what it raised, as they end."""
    if workers > 1 and len(jobs) > 1:
        # Spawned, as forked processes would share the libraries' threads.
        with ProcessPoolExecutor(
            min(workers, len(jobs)), mp_context=get_context("spawn"), initializer=start_worker
        ) as pool:
            running = {pool.submit(work, job): job for job in jobs}
            try:
                for future in as_completed(running):
                    raised = future.exception()
                    if isinstance(raised, Terminated):
                        raise raised
                    yield running[future], raised if raised is not None else _append(folder, future.result())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        return
    if jobs:
        one_thread()
    for job in jobs:
        try:
            line = work(job)
        except Terminated:
            raise
        except Exception as error:  # another cell may still run
            yield job, error
        else:
            yield job, _append(folder, line)


def _append(folder: Path, line: dict[str, Any]) -> dict[str, Any]:
    with Lines(folder / "cells.jsonl") as file:
        file.write(json.dumps(line, ensure_ascii=False))
        file.sync()
    return line


def _with_log(job: Job, error: BaseException) -> Exception:
    text = (
        f"cell {job.cell.label}: {error}; its log is {job.run.folder / 'log.txt'}; the same command "
        "tries again what failed"
    )
    return type(error)(text) if isinstance(error, OpenflanError) else OpenflanError(text)


def _progress(
    job: Job,
    line: Mapping[str, Any],
    num_ended: int,
    pending: Sequence[Job],
    elapsed: float,
    done: Mapping[str, Any],
) -> str:
    """Return a line about the finished cell, with the estimated remaining time. Remaining cells are assumed
    to take as long as those of this call, which took `elapsed` seconds together; cells without training do
    not count."""
    ended = sum(one.key in done and one.cell.trained for one in pending)
    num_left = sum(one.key not in done and one.cell.trained for one in pending)
    eta = f"; about {max(1, round(elapsed / ended * num_left / 60))} min left" if ended and num_left else ""
    return (
        f"[{num_ended}/{len(pending)}] {job.cell.label}: {sum(line['seconds'].values()):,.0f} s, "
        f"{time.strftime('%H:%M')}{eta}"
    )
