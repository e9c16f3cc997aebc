"""What a build costs beside tokenising: rendering, tokenising, packing and writing, against the fastest raw
tokenizer call on the same texts.

    python benchmarks/build.py --data FOLDER --tokenizer FOLDER     # *_train.tsv, half zero-shot, half with
    two to five exemplars
    python benchmarks/build.py                                      # the embedded world, with a tokenizer of
    whole words

Raw is `encode_batch_fast` over all inputs and targets as training sees them, its ids read once as lists: as
one call, and in calls of 128 texts; the ratios are to the faster of the two in the same turn. The other two
arms are `packing.build` on texts that lie rendered in memory, and on the recipe itself, which renders every
text and prunes exemplars that do not fit. One core each (TOKENIZERS_PARALLELISM=false), the arms by turns,
CPU seconds, medians of three. Then `openflan build` as a command with one and two workers, wall-clock
seconds, of which starting the workers is a part; its one process uses one core here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from openflan.mixture.open_mixture import open_tasks
from openflan.models.load_model import load_tokenizer
from openflan.packing.build_ahead import build
from openflan.packing.pack import WINDOW
from openflan.packing.store import WINDOWS
from openflan.packing.tokens import Tokenize, tokens_at
from openflan.recipe.load_recipe import load_recipe
from openflan.recipe.schema import Recipe
from openflan.templates.render import Rendered
from openflan.training.prepare import parts_of, prepare

RUNS = 3
CAPACITY = ("packing.inputs=1024", "packing.targets=256")


@dataclass(frozen=True)
class InMemory:
    """Examples that are rendered already, and fit."""

    examples: Sequence[Rendered]
    room: None = None

    def __getitem__(self, position: int) -> Rendered:
        return self.examples[position]

    def unpruned(self, position: int) -> Rendered:
        return self.examples[position]


def write_word_tokenizer(folder: Path) -> None:
    """Whole words and characters of the embedded world."""
    recipe = load_recipe("microflan", [])
    words = {
        word
        for task in open_tasks(recipe.mixture).values()
        for index in range(len(task.rows))
        for word in str(task.rows[index]).split()
    }
    vocabulary = {name: number for number, name in enumerate(["<pad>", "</s>", "<unk>", *sorted(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


def raw(tokenizer: Any, texts: Sequence[str], size: int) -> int:
    """Tokens, by calls of `size` texts."""
    encode = tokenizer.backend_tokenizer.encode_batch_fast
    return sum(
        len(encoding.ids)
        for first in range(0, len(texts), size)
        for encoding in encode(list(texts[first : first + size]), add_special_tokens=False)
    )


def cpu_seconds(arms: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Of each arm, by turns."""
    results: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(RUNS):
        for name, do in arms.items():
            began = time.process_time()
            do()
            results[name].append(time.process_time() - began)
    return results


def report_arms(recipe: Recipe, windows: int, scratch: Path) -> None:
    tasks, tokenizer = open_tasks(recipe.mixture), load_tokenizer(recipe.model)
    stream, encoder = prepare(recipe, tasks, tokenizer, joint=False)
    parts = parts_of(recipe, tasks, encoder, tokenizer)
    rendered, tokens = tokens_at(stream, 0, windows * WINDOW, Tokenize(tokenizer))
    texts = [text for one in rendered for text in (one.inputs, one.targets)]
    for side, tokens_N in zip(("inputs", "targets"), tokens.lengths_N2.T, strict=True):
        print(
            f"  {side}: mean {tokens_N.mean():.0f}, median {np.median(tokens_N):.0f}, p99 "
            f"{np.percentile(tokens_N, 99):.0f}, max {tokens_N.max()}"
        )
    places = iter(range(1_000))

    def built(examples: Any) -> object:
        return build(scratch / f"arm{next(places)}", examples, encoder, parts, windows)

    seconds = cpu_seconds(
        {
            "raw, one call": lambda: raw(tokenizer, texts, len(texts)),
            "raw, 128 texts a call": lambda: raw(tokenizer, texts, 128),
            "build of rendered text": lambda: built(InMemory(rendered)),
            "build from the recipe": lambda: built(stream),
        }
    )
    base = [
        min(pair) for pair in zip(seconds["raw, one call"], seconds["raw, 128 texts a call"], strict=True)
    ]
    for name, runs in seconds.items():
        median, ratios = statistics.median(runs), [one / other for one, other in zip(base, runs, strict=True)]
        print(
            f"  {name}: {median:.2f} s, {len(tokens.ids) / median / 1e6:.2f} million tokens/s (runs: "
            f"{', '.join(f'{one:.2f}' for one in runs)})"
        )
        print(
            f"    {statistics.median(ratios):.3f} of raw (runs: "
            f"{', '.join(f'{ratio:.3f}' for ratio in ratios)})"
        )


def report_workers(arguments: Sequence[str], windows: int, scratch: Path) -> None:
    contents, seconds = set(), dict[int, list[float]]()
    for run in range(RUNS):
        for workers in (1, 2):
            options = [
                "--to",
                str(scratch / f"workers{workers}-{run}"),
                "--examples",
                str(windows * WINDOW),
                "--workers",
                str(workers),
                "--json",
            ]
            done = subprocess.run(
                [sys.executable, "-m", "openflan", "build", *arguments, *options],
                capture_output=True,
                text=True,
                check=True,
            )
            printed = json.loads(done.stdout)
            contents.add(printed["content"])
            seconds.setdefault(workers, []).append(printed["seconds"])
    for workers, runs in seconds.items():
        print(
            f"  {workers} workers: {statistics.median(runs):.1f} s wall-clock (runs: "
            f"{', '.join(f'{one:.1f}' for one in runs)})"
        )
    print(
        f"  {statistics.median(seconds[1]) / statistics.median(seconds[2]):.2f} times as fast with two; "
        f"contents {'equal' if len(contents) == 1 else 'DIFFER'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with *_train.tsv")
    parser.add_argument("--tokenizer", type=Path, help="folder of a tokenizer, such as Flan-T5's")
    parser.add_argument("--windows", type=int, default=WINDOWS, help=f"windows of {WINDOW:,} examples")
    parser.add_argument("--only", choices=("arms", "workers"), help="one of the two")
    options = parser.parse_args()
    if bool(options.data) != bool(options.tokenizer):
        parser.error("--data needs --tokenizer, and the other way round")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, tokenizers "
        f"{tokenizers.__version__}, transformers {transformers.__version__}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        words = Path(scratch, "words")
        if options.data:
            arguments = [
                "tiny-t5-cot",
                f"mixture.submixtures.cot.data={options.data}",
                f"model.tokenizer={options.tokenizer}",
                *CAPACITY,
            ]
        else:
            write_word_tokenizer(words)
            model = (
                f"model={{base: null, config: {{model_type: t5, vocab_size: 32128, d_model: 64}}, "
                f"tokenizer: {words}}}"
            )
            arguments = ["microflan", model, *CAPACITY]
        print(f"{options.windows * WINDOW:,} examples")
        if options.only != "workers":
            report_arms(load_recipe(arguments[0], arguments[1:]), options.windows, Path(scratch))
        if options.only != "arms":
            report_workers(arguments, options.windows, Path(scratch))


if __name__ == "__main__":
    main()
