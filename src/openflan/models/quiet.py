"""transformers, without its progress bars and advice: what matters is said by openflan."""

from __future__ import annotations

import os


def quiet_libraries() -> None:
    """Silences transformers in this process."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def one_thread() -> None:
    """This process computes on one core, where there is no GPU: for those that have a neighbour on the
    other."""
    import torch

    quiet_libraries()
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
