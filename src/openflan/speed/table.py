"""The table of measurements, in Markdown, so that it can be pasted into a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from openflan.speed.measure import Machine, Row

_COLUMNS = ("shape", "arm", "weights", "tokens/s", "step, s", "MFU", "peak GB", "estimate GB", "note")


def table_of(machine: Machine, rows: Sequence[Row]) -> str:
    """Lines about the machine and a Markdown table with a line for each row. `-` stands for what was not
    measured or is not known."""
    memory = "" if machine.memory is None else f", {machine.memory / 1e9:.0f} GB"
    threads = "" if machine.threads is None else f", {machine.threads} threads, seconds of CPU time"
    peak = "not known" if machine.peak is None else f"{machine.peak / 1e12:g} TFLOP/s (dense bfloat16)"
    lines = [
        f"device: {machine.device}{memory}{threads}; peak: {peak}",
        "versions: " + ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
        "",
        f"| {' | '.join(_COLUMNS)} |",
        f"|{' --- |' * len(_COLUMNS)}",
        *(f"| {' | '.join(_cells(row))} |" for row in rows),
    ]
    return "\n".join(lines)


def as_json(machine: Machine, rows: Sequence[Row]) -> dict[str, Any]:
    """The same as JSON values, with bytes and FLOP/s instead of gigabytes and TFLOP/s."""
    return {"machine": asdict(machine), "rows": [asdict(row) for row in rows]}


def _cells(row: Row) -> list[str]:
    return [
        row.shape,
        row.arm,
        row.weights,
        "-" if row.tokens_per_second is None else f"{row.tokens_per_second:,.0f}",
        "-" if row.step_seconds is None else f"{row.step_seconds:.3g}",
        "-" if row.mfu is None else f"{row.mfu:.1%}",
        _gigabytes(row.peak_bytes),
        _gigabytes(row.estimated_bytes),
        row.note.replace("|", "/"),
    ]


def _gigabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e9:.3g}"
