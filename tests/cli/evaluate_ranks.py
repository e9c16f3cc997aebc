"""As a program: `openflan` as so many ranks, as a launcher would start them, but importing once; prints their
exit codes in a last line.

Environment: DIE is `RANK,NUMBER`, the rank that is killed when it has so many answers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch

# Imported before the fork, which then is cheap.
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration  # noqa: F401

import openflan.training.distributed  # noqa: F401
from openflan.cli.main import main
from openflan.inference import huggingface
from openflan.inference.huggingface import HuggingFaceEngine

CHUNKS = {"cpu": 16}
"""Of all runs here: small benchmarks have several chunks too."""


def mortal(name: str, answers_left: int) -> None:
    """Lets a method of the engine answer so many times."""
    asked = getattr(HuggingFaceEngine, name)

    def answer(self: HuggingFaceEngine, requests: Sequence[Any]) -> Iterator[Any]:
        nonlocal answers_left
        for item in asked(self, requests):
            if answers_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            answers_left -= 1
            yield item

    setattr(HuggingFaceEngine, name, answer)


def rank_main(rank: int, size: int, arguments: Sequence[str]) -> int:
    torch.set_num_threads(1)
    huggingface._CHUNK = CHUNKS
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
    }
    dying, _, num_answers = os.environ.get("DIE", "-1,0").partition(",")
    if int(dying) == rank:
        for name in ("generate", "loglikelihood"):
            mortal(name, int(num_answers))
    sys.argv = ["openflan", *arguments]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def forked(size: int, arguments: Sequence[str]) -> list[int]:
    children = []
    for rank in range(size):
        child = os.fork()
        if child == 0:
            sys.exit(rank_main(rank, size, arguments))
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    print(json.dumps(forked(int(sys.argv[1]), sys.argv[2:])))
