"""CPU seconds of what a command costs before its work begins: the median of five, with compiled bytecode.

python benchmarks/start_up.py
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys

COMMANDS = (["--version"], ["--help"], ["finetune", "--help"], ["finetune", "tiny-t5-cot", "trainin.steps=5"])
REPEATS = 5


def main() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for command in COMMANDS:
        measure(command, environment)  # compiles
        seconds = statistics.median(measure(command, environment) for _ in range(REPEATS))
        print(f"{seconds:.2f} CPU s  openflan {' '.join(command)}")


def measure(command: list[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "openflan", *command],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


main()
