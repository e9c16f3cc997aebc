"""The file `metrics.jsonl` of a run: one line per logged step. Training appends to it and repairs it where
that is possible."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from openflan.errors import InputError
from openflan.run_folder import Lines, read_jsonl, replacing

_NUMBERS = (
    "learning_rate",
    "gradient_norm",
    "router_loss",
    "validation_loss",
    "tokens",
    "target_tokens",
    "examples",
    "fill",
    "tokens_per_second",
    "seconds",
    "waiting_seconds",
)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines of `metrics.jsonl`; an absent file has none. Each line has `step` (int) and `loss`
    (float), and further numbers where they were logged.

    Raises InputError with file and line for a line that is not one of metrics.
    """
    lines = read_jsonl(path)
    for line_number, line in enumerate(lines, start=1):
        _check(line, f"{path}: line {line_number}")
    return lines


def _check(line: Mapping[str, Any], location: str) -> None:
    step = line.get("step")
    if not isinstance(step, int) or isinstance(step, bool) or step < 1:
        raise InputError(
            f"{location}: `step` is {step!r:.80}, expected a whole number from 1; delete that line"
        )
    for name in ("loss", *(name for name in _NUMBERS if name in line)):
        if not _is_number(line.get(name)):
            raise InputError(
                f"{location}: `{name}` is {line.get(name)!r:.80}, expected a number; delete that line"
            )
    scores = line.get("scores", {})
    if not isinstance(scores, dict) or not all(map(_is_number, scores.values())):
        raise InputError(
            f"{location}: `scores` is {scores!r:.80}, expected numbers by name; delete that line"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Metrics:
    """Writes `metrics.jsonl` during training.

    If another process removes, truncates or changes the file, `sync` repairs it as far as possible; a warning
    names the steps whose lines are lost.
    """

    def __init__(self, path: Path, step: int) -> None:
        """Remove the lines of steps after `step`, which will run again, and warn of earlier steps without a
        line.

        Raises InputError for a line that is not one of metrics, SetupError if the file cannot be written.
        """
        self._path = path
        self._recent: dict[int, str] = {}
        kept_lines = {
            int(line["step"]): json.dumps(line) for line in read_metrics(path) if line["step"] <= step
        }
        self._synced = step
        self._rewrite(kept_lines)
        _warn_of_gaps(path, kept_lines, step)

    def __enter__(self) -> Metrics:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.__exit__()

    def write(self, line: Mapping[str, Any]) -> None:
        """Append the line of a step. Raises SetupError on a full disk."""
        text = json.dumps(line)
        self._recent[line["step"]] = text
        self._lines.write(text)
        self._size += len(text) + 1

    def sync(self) -> None:
        """Write all lines to the disk. Lines that were lost from the file since the last call are written
        again."""
        held = self._lines.written()
        if len(held) == self._size and self._lines.in_place():
            self._lines.sync()
        else:
            text_by_step = {
                step: text
                for line in held.split(b"\n")
                if (step := _step(line)) and step <= self._synced
                for text in [line.decode()]
            }
            self._lines.__exit__()
            self._rewrite(text_by_step | self._recent)
            warnings.warn(
                f"{self._path}: was removed, truncated or changed during training; it was written again",
                stacklevel=3,
            )
            _warn_of_gaps(
                self._path, text_by_step.keys() | self._recent.keys(), max(self._recent, default=self._synced)
            )
        self._synced = max(self._recent, default=self._synced)
        self._recent = {}

    def _rewrite(self, lines: Mapping[int, str]) -> None:
        data = "".join(f"{lines[step]}\n" for step in sorted(lines)).encode()
        with replacing(self._path) as temporary:
            temporary.write_bytes(data)
        self._lines, self._size = Lines(self._path), len(data)


def _step(line: bytes) -> int | None:
    """Return the step of a line, or None for a broken line."""
    try:
        value = json.loads(line)
        _check(value, "")
    except (ValueError, AttributeError, RecursionError, InputError):
        return None
    return int(value["step"])


def _warn_of_gaps(path: Path, known: Collection[int], last: int) -> None:
    missing = [step for step in range(1, last + 1) if step not in known]
    if missing:
        spans = (
            f"{missing[0]:,}"
            if len(missing) == 1
            else f"{len(missing):,} steps from {missing[0]:,} to {missing[-1]:,}"
        )
        warnings.warn(
            f"{path}: has no line of {'step ' if len(missing) == 1 else ''}{spans}, as lines were "
            "removed; the curve of the report lacks them",
            stacklevel=4,
        )
