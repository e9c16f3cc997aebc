"""Curves for TensorBoard, where it is installed: `tensorboard --logdir RUN/tensorboard`. metrics.jsonl has
the same numbers either way."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_CURVES = ("loss", "validation_loss", "learning_rate", "gradient_norm", "tokens_per_second", "fill")


class Track:
    """Writes curves for TensorBoard; nothing if it is not installed, or if `enabled` is false."""

    def __init__(self, folder: Path, first: int, *, enabled: bool) -> None:
        """`first` steps are done already; the curves of an earlier process beyond them are hidden."""
        self._writer: Any = None
        if enabled and find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=first + 1)

    def __enter__(self) -> Track:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, line: Mapping[str, Any]) -> None:
        """One line of metrics.jsonl."""
        if self._writer is None:
            return
        for name in _CURVES:
            if name in line:
                self._writer.add_scalar(name, line[name], line["step"])
        for name, score in line.get("scores", {}).items():
            self._writer.add_scalar(f"held-out/{name}", score, line["step"])
