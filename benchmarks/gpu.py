"""What a GPU does, in one run of under ten minutes: training and generation at the shapes of T5-XL and
Llama-8B.

    python benchmarks/gpu.py                    # on a machine with a CUDA GPU of 80 GB or more
    python benchmarks/gpu.py --shape t5-base    # for less memory; also llama-1b
    python benchmarks/gpu.py --tiny             # tiny shapes on a CPU: whether every path works

It prints the table of `openflan bench` for each shape: flat buffers against batches grouped by length and
against packed rows as trainers have them without flash attention (transformers' own packed sdpa; for T5 rows
under dense masks), weights in bfloat16 and in float32 under autocast, LoRA of rank 64, generated tokens per
second, MFU, and peak memory beside the estimate. How it is measured: `openflan.speed.measure`. `--arm` takes
further ways, such as 'flat, by documents'.
"""

from __future__ import annotations

import argparse

from openflan.models.quiet import quiet_libraries
from openflan.speed.arms import ARMS
from openflan.speed.measure import Plan, measure
from openflan.speed.shapes import SHAPES
from openflan.speed.table import table_of

LARGE, TINY = ("t5-xl", "llama-8b"), ("tiny-t5", "tiny-llama")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, action="append", help="may be repeated")
    parser.add_argument("--arm", choices=ARMS, action="append", help="may be repeated")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes on the CPU, one step of one round")
    parser.add_argument("--device", help="cuda, cuda:N, mps or cpu")
    parser.add_argument("--peak", type=float, help="of the device, in dense bfloat16 TFLOP/s")
    parser.add_argument("--precision", choices=["bf16", "float32"], help="default: bf16, on a CPU float32")
    parser.add_argument("--rounds", type=int, default=2, help="measured rounds of each arm")
    parser.add_argument("--steps", type=int, default=3, help="measured steps of a round")
    parser.add_argument("--minutes", type=float, default=9.0, help="after this time no further round begins")
    arguments = parser.parse_args()
    quiet_libraries()
    tiny = arguments.tiny
    plan = Plan(
        tuple(arguments.shape or (TINY if tiny else LARGE)),
        tuple(arguments.arm or ()),
        rounds=0 if tiny else arguments.rounds,
        steps=1 if tiny else arguments.steps,
        minutes=arguments.minutes,
        peak=arguments.peak,
        precision=arguments.precision,
    )
    machine, rows = measure(
        plan, arguments.device or ("cpu" if tiny else None), lambda text: print(text, flush=True)
    )
    print(table_of(machine, rows))


if __name__ == "__main__":
    main()
