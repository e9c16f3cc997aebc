"""The processes that share one evaluation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from openflan.evaluation.process_shares import SINGLE_PROCESS, Processes


@contextmanager
def request_sharing() -> Iterator[Processes]:
    """The processes that `torchrun` started share the requests inside this context; without `torchrun` it
    yields a single process."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield SINGLE_PROCESS
        return
    from openflan.training.distributed import join_request_sharing, leave_distributed

    try:
        yield join_request_sharing()
    finally:
        leave_distributed()
