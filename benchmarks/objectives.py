"""How fast documents become packed rows under each objective, and how full the rows are, on one core.

    python benchmarks/objectives.py --data FOLDER --tokenizer FOLDER     # .txt (a paragraph is a document),
    .jsonl, .parquet or .arrow

Everything between the file and the batch: reading, tokenising, cutting, corrupting and packing. Seconds of
one process, the best of three runs over the same windows.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from openflan.models.load_model import tokenizer_of
from openflan.objectives.denoisers import OBJECTIVES
from openflan.recipe.pretraining import PretrainRecipe
from openflan.training.pretraining_data import prepare_documents

RUNS = 3
WINDOWS = 4


def measured(data: Path, tokenizer: str, objective: str, *, joint: bool) -> str:
    values = {
        "name": "benchmark",
        "model": {"base": tokenizer},
        "pretraining": {"data": str(data), "objective": objective, "documents": "paragraph"},
        "packing": {"inputs": 1_024, "targets": 1_024} if joint else {"inputs": 512, "targets": 512},
        "training": {"steps": 1},
    }
    prepared = prepare_documents(PretrainRecipe.model_validate(values), tokenizer_of(tokenizer), joint=joint)
    seconds = []
    for _ in range(RUNS):
        plan = prepared.plan()
        began = time.perf_counter()
        windows = [plan.window(number) for number in range(WINDOWS)]
        seconds.append(time.perf_counter() - began)
    tokens = sum(window.counts()["tokens"] for window in windows)
    pieces, rows = sum(len(window.encoded) for window in windows), sum(len(window) for window in windows)
    filled = sum(len(one.input_ids) + len(one.target_ids) for window in windows for one in window.encoded)
    fill = filled / (rows * (prepared.setting.limits.inputs + prepared.setting.limits.targets))
    kind = "causal" if joint else "seq2seq"
    return (
        f"{kind:8} {objective:16} {tokens:10,} {pieces:8,} {rows:6,} "
        f"{max(prepared.setting.lengths.values()):7,} {fill:7.1%} {tokens / min(seconds):12,.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tokenizer", required=True)
    chosen = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    print(
        f"{'model':8} {'objective':16} {'tokens':>10} {'pieces':>8} {'rows':>6} {'longest':>7} "
        f"{'fill':>7} {'tokens/s':>12}"
    )
    for joint in (False, True):
        for objective in OBJECTIVES:
            print(measured(chosen.data, chosen.tokenizer, objective, joint=joint))


if __name__ == "__main__":
    main()
