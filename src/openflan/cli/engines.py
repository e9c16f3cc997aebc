"""What `evaluate` is given to ask: local weights or a server, and how it is to decode."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from openflan.embedded import EMBEDDED
from openflan.errors import InputError
from openflan.evaluation.decoding import Decoding
from openflan.evaluation.process_shares import SINGLE_PROCESS, Processes
from openflan.inference.http import HttpEngine, is_address
from openflan.models.folder import check_model_name
from openflan.models.locate import Located, locate_model

if TYPE_CHECKING:
    from openflan.inference.huggingface import HuggingFaceEngine

SAMPLED = Decoding(temperature=0.7, top_k=40)
"""The paper's self-consistency: 40 samples at temperature 0.7 from the 40 likeliest tokens (Wang et al.
2022)."""


def decoding_of(
    samples: int,
    temperature: float | None,
    top_k: int | None,
    seed: int,
    *,
    likelihood: bool,
    normalized: bool,
) -> Decoding:
    """What the options mean together: more than one sample is drawn as in the paper unless told otherwise.

    Raises InputError for options that contradict each other.
    """
    if normalized and not likelihood:
        raise InputError(
            "`--normalized` goes with `--likelihood`: it compares options by their log-probability a token"
        )
    drawn = samples > 1 or temperature is not None or top_k is not None
    if likelihood and drawn:
        raise InputError(
            "`--likelihood` chooses among options and draws nothing: leave `--samples`, `--temperature` "
            "and `--top-k` out"
        )
    if likelihood:
        return Decoding(likelihood="mean" if normalized else "sum")
    if not drawn:
        return Decoding()
    heat = SAMPLED.temperature if temperature is None else temperature
    if heat == 0 and samples > 1:
        raise InputError(
            f"{samples} samples at `--temperature 0` would all be the same: leave `--samples` out, or "
            "give a temperature such as 0.7"
        )
    if heat == 0 and top_k is not None:
        raise InputError("`--top-k` needs a temperature above 0")
    return Decoding(samples, heat, SAMPLED.top_k if top_k is None else top_k, seed if heat else 0)


def locate(model: str, checkpoint: str | None, model_name: str | None) -> Located:
    """Where a model is, a server's address included. Raises InputError for options that do not go with it."""
    if not is_address(model):
        if model_name is not None:
            raise InputError(
                f"`--model-name` names one of a server's models, and {model} is no address (http://...)"
            )
        located = locate_model(model, checkpoint)
        check_model_name(located.name)
        return located
    if checkpoint is not None:
        raise InputError(
            f"--checkpoint chooses among the checkpoints of a run, and {model} is a server: name its "
            "model with `--model-name`"
        )
    if not model_name:
        raise InputError(f"{model} is a server: which of its models? Name one with `--model-name`")
    return Located(model, "final", None)


def open_engine(
    located: Located,
    *,
    model_name: str | None,
    chat: bool,
    context: int | None,
    dtype: str | None,
    parallel: int,
    per_minute: float,
) -> HttpEngine | HuggingFaceEngine:
    """The engine; local weights are loaded."""
    if is_address(located.name):
        if context is not None or dtype is not None:
            raise InputError(
                "`--context` and `--dtype` are the server's own affair: set them where it is started"
            )
        return HttpEngine(located.name, model_name or "", chat=chat, parallel=parallel, per_minute=per_minute)
    from openflan.inference.huggingface import HuggingFaceEngine

    return HuggingFaceEngine.load(located.name, context=context, chat=chat, dtype=dtype)


def folder_name(model: str, model_name: str | None) -> str:
    """What a model's folder in runs/ is called."""
    if is_address(model):
        return (model_name or model).rstrip("/").rpartition("/")[2]
    return Path(model).name.removeprefix(EMBEDDED)


@contextmanager
def processes() -> Iterator[Processes]:
    """Those that torchrun started, to share the requests for as long as the context lasts; without torchrun
    this one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield SINGLE_PROCESS
        return
    from openflan.training.distributed import join_request_sharing, leave_distributed

    try:
        yield join_request_sharing()
    finally:
        leave_distributed()
