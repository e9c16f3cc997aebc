"""The progress of training on standard error: one line that is rewritten, or a few lines if the output is a
file."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from tqdm import tqdm

_LOGGER = logging.getLogger("openflan.training")


class Progress:
    """Progress on standard error: step, loss, real tokens per second, fill, time left. Without a `label` the
    lines go to the logger `openflan.training` instead, at the level INFO, and nothing is printed."""

    def __init__(self, first: int, total: int, *, label: str, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._total, self._label, self._every = total, label, max(1, total // 10)
        self._first, self._began = first, time.monotonic()
        self._bar: Any = None
        if label and self._stream.isatty():
            self._bar = tqdm(
                total=total, initial=first, desc=label, unit="step", file=self._stream, dynamic_ncols=True
            )

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Shows the step that is done; `metrics` has loss, tokens_per_second and fill."""
        text = (
            f"loss {metrics['loss']:.4f}, {metrics['tokens_per_second']:,.0f} tokens/s, fill "
            f"{metrics['fill']:.0%}"
        )
        if self._bar is not None:
            self._bar.set_postfix_str(text)
            self._bar.update(step - self._bar.n)
        elif step % self._every == 0 or step == self._total:
            left = (time.monotonic() - self._began) / (step - self._first) * (self._total - step)
            line = f"step {step:,} of {self._total:,}, {text}, {left:.0f} s left"
            if self._label:
                print(f"{self._label}: {line}", file=self._stream, flush=True)
            elif os.environ.get("RANK", "0") == "0":
                _LOGGER.info(line)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def announce(line: str, label: str) -> None:
    """Writes a line to standard error behind `label`, or to the logger if there is no label."""
    if label:
        print(f"{label}: {line}", file=sys.stderr, flush=True)
    else:
        _LOGGER.info(line)
