"""A run at Weights & Biases.

WANDB_MODE, WANDB_PROJECT, WANDB_ENTITY and WANDB_DIR mean what they always do; without them the project is
`openflan` and the files lie in `RUN/wandb`. A run that resumes continues the same run there. Without
credentials, or if the server does not answer, the values are kept in `RUN/wandb`, from where `wandb sync`
uploads them. Nothing that a terminal shows is recorded, and no code.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import wandb

from openflan.errors import shortened
from openflan.reachable import why_unreachable
from openflan.tracking.protocol import TrackedRun

PROJECT = "openflan"
STEP = "train/global_step"
"""The axis of all curves. Steps that a resumed run repeats are shown at their own place, while the service
drops values of its own step counter that do not grow."""

SETTINGS: dict[str, Any] = {
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "disable_job_creation": True,
}
"""What is not recorded: output of the terminal, git, code."""

_LIMITS = {"init_timeout": 30.0, "finish_timeout": 60.0}
"""Seconds that a start waits for the server, and an end for the upload of what is left."""

_OFFLINE = ("offline", "dryrun", "disabled")


class WandbRun:
    """Logs to one run of wandb, which a process of its own uploads."""

    def __init__(self, run: TrackedRun) -> None:
        settings = wandb.setup().settings
        chosen_offline = settings.mode in _OFFLINE
        offline_because = None
        if not chosen_offline:
            offline_because = why_unreachable(settings.base_url) or _missing_credentials()
        try:
            self._run = _init(run, None if offline_because is None else "offline")
        except Exception as error:
            if chosen_offline or offline_because is not None or wandb.run is not None:
                raise
            offline_because = shortened(" ".join(str(error).split()))
            # The process that wandb started keeps the run's id as one in use.
            wandb.teardown()
            self._run = _init(run, "offline")
        if offline_because is not None:
            warnings.warn(
                f"wandb: {offline_because}; this run is recorded offline: `wandb sync "
                f"{os.path.dirname(self._run.dir)}` uploads it later",
                stacklevel=2,
            )
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({**values, STEP: step})

    def close(self, exit_code: int) -> None:
        self._run.finish(exit_code=exit_code)


def start(run: TrackedRun) -> WandbRun:
    """The tracker of a run. Raises what wandb raises."""
    return WandbRun(run)


def _missing_credentials() -> str | None:
    """Why nothing can be uploaded; None if there are credentials. It never asks for a key, as nobody may be
    at the terminal."""
    if wandb.login(prompt=False, verify=False):
        return None
    return "no API key (`wandb login`, or WANDB_API_KEY)"


def _init(run: TrackedRun, mode: Any) -> Any:
    # What the user set in the environment stays.
    limits = {name: value for name, value in _LIMITS.items() if f"WANDB_{name.upper()}" not in os.environ}
    return wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=os.environ.get("WANDB_NAME", run.name),
        id=os.environ.get("WANDB_RUN_ID", run.id_at("wandb")),
        dir=os.environ.get("WANDB_DIR", str(run.folder)),
        config=dict(run.recipe),
        mode=mode,
        resume="allow",
        allow_val_change=True,
        reinit="create_new",
        settings=wandb.Settings(**SETTINGS, **limits, **({"silent": True} if run.quiet else {})),
    )
