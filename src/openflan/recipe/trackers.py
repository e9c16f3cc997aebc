"""The key `track:` of a recipe: which trackers get the values of a run."""

from __future__ import annotations

from typing import Literal, TypeAlias

TrackerName: TypeAlias = Literal["tensorboard", "wandb"]

TRACK_HELP = (
    "Trackers that get the values of metrics.jsonl during training: tensorboard (files in RUN/tensorboard), "
    "wandb, or both (extras `tensorboard` and `wandb`)."
)
