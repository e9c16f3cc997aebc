"""Silences progress bars and advice of transformers; openflan reports what matters."""

from __future__ import annotations

import os

from openflan.models.device import choose_device


def quiet_libraries() -> None:
    """Silences transformers in this process."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def one_thread() -> None:
    """Limits this process to one core where there is no GPU, so that processes beside it have cores of
    their own."""
    import torch

    quiet_libraries()
    if choose_device().type == "cpu":
        torch.set_num_threads(1)
