"""From options of a user to the hardware that an estimate of time is made for."""

from __future__ import annotations

import math
from dataclasses import replace

from openflan.errors import InputError
from openflan.models.device import check_device_name
from openflan.models.estimate import DEVICES, MFU, Device, Hardware, device_named


def hardware_from_options(device: str | None, tflops: float | None, devices: int, mfu: float) -> Hardware:
    """The hardware that the options describe: the name of a device, its peak in TFLOP/s, the number of
    devices, and the share of the peak that training reaches.

    Raises InputError for an unknown device, and for numbers that are out of range.
    """
    if not 0 < mfu <= 1:
        raise InputError(f"--mfu {mfu:g}: expected a share of the peak, above 0 and up to 1")
    if tflops is not None and not 0 < tflops < math.inf:
        raise InputError(f"--device-tflops {tflops:g}: expected a number above 0, such as 989 for an H100")
    known = None if device is None else device_named(device)
    if tflops is not None:
        known = Device("device", tflops, None) if known is None else replace(known, tflops=tflops)
    return Hardware(known, devices, mfu)


def check_device_options(
    device: str | None, tflops: float | None, devices: int, mfu: float, where: str
) -> None:
    """The same for a command whose `--device` otherwise names the device to compute on: raises InputError for
    a name that no such device has."""
    of_estimate = device if device in DEVICES and device != "cpu" else None
    check_no_hardware_options(of_estimate, tflops, devices, mfu, where)
    check_device_name(device)


def check_no_hardware_options(
    device: str | None, tflops: float | None, devices: int, mfu: float, where: str
) -> None:
    """Raises InputError if an option of an estimate was given where no estimate is made. `where` says where
    one is made, such as `with --plan`."""
    options = {
        "--device": device,
        "--device-tflops": tflops,
        "--devices": None if devices == 1 else devices,
        "--mfu": None if mfu == MFU else mfu,
    }
    name = next((name for name, value in options.items() if value is not None), None)
    if name is not None:
        raise InputError(
            f"{name} is for the estimate of time and memory, which is made {where}; leave it out. Models "
            "run on the GPU if there is one (the environment variable OPENFLAN_DEVICE names another device)"
        )
