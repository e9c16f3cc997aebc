"""Where a model computes: a CUDA GPU, Apple's MPS, or the CPU.

Decision: a recipe names no device, so that it means the same on every machine. A command chooses one,
`--device` or the environment variable `OPENFLAN_DEVICE` names another. Under torchrun each process has a GPU
of its own.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

from openflan.errors import InputError

if TYPE_CHECKING:
    import torch

VARIABLE = "OPENFLAN_DEVICE"
"""The environment variable that names the device of commands without `--device`."""

HELP = (
    "The device to compute on: `cuda`, `cuda:N`, `mps` or `cpu`. Default: a CUDA GPU if there is one, else "
    "Apple's MPS, else the CPU."
)
"""What `--device` says in the help of commands."""

_NAME = re.compile(r"(cpu|mps|cuda(:\d+)?)", re.ASCII)


def check_device_name(name: str | None) -> None:
    """Raises InputError for a name that no device has, without looking for the device."""
    if name is not None and not _NAME.fullmatch(name):
        raise InputError(f"device is {name!r}; expected cpu, cuda, cuda:N (a GPU's number, from 0) or mps")


def choose_device(name: str | None = None) -> torch.device:
    """The device that `name` stands for; None: that of OPENFLAN_DEVICE, else the best one there is.

    Raises InputError for a name that no device has, and for a device that this machine or this build of torch
    does not have.
    """
    named = name or os.environ.get(VARIABLE) or None
    check_device_name(named)
    if named is not None and ":" in named and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            f"device is {named!r}, and under torchrun each process has a GPU of its own: name `cuda`"
        )
    import torch

    if named is None:
        return torch.device(available()[0])
    kind, _, number = named.partition(":")
    if kind not in available():
        raise InputError(
            f"there is no device {named} here (torch {torch.__version__} finds {', '.join(available())}): "
            f"leave `--device` and {VARIABLE} out, or install the build of torch for your hardware"
        )
    if number and int(number) >= torch.cuda.device_count():
        raise InputError(
            f"there is no device {named} here: torch finds {torch.cuda.device_count()} GPUs, numbered from 0"
        )
    return torch.device(named)


def name_of(device: torch.device) -> str:
    """The maker's name of a CUDA GPU, such as `NVIDIA H100`, or of the processor; for MPS its kind."""
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return processor_name() if device.type == "cpu" else device.type


def processor_name() -> str:
    """The name of the machine's processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def available() -> list[str]:
    """The kinds of device that torch finds here, the fastest first; the CPU is always the last."""
    import torch

    has_mps = torch.backends.mps.is_available()
    return [*(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if has_mps else []), "cpu"]
