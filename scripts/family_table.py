"""Tries whether each architecture of the auto classes packs, and writes the table of docs/models.md.

    python scripts/family_table.py --results FILE [--only NAME ...] [--again] [--write]

Each architecture is tried in a process of its own, with a limit on memory and time: its configuration with
default settings (or those below) is copied small, with random weights, as before every training
(`openflan.models.probe`), and the check of training (`openflan.models.packing_check`) says how it packs. FILE
gets one line of JSON for each, and a second call continues where the first one stopped. `--write` writes the
table.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import signal
import time
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

from openflan.errors import InputError
from openflan.models.json_file import one_line
from openflan.models.packing_check import chosen_packing
from openflan.models.probe import probe_of
from openflan.models.read_model import build, configuration_of, refuse_encoder

MOST_USED = (
    *("t5", "mt5", "umt5", "t5gemma", "t5gemma2", "bart", "mbart", "pegasus", "marian", "m2m_100"),
    *(
        "llama",
        "mistral",
        "mixtral",
        "ministral",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_moe",
        "gemma",
        "gemma2",
    ),
    *("gemma3_text", "phi", "phi3", "olmo2", "olmo3", "smollm3", "gpt_oss", "gpt2", "gpt_neox", "gptj"),
    *("opt", "bloom", "falcon", "starcoder2", "stablelm", "cohere", "cohere2", "granite", "deepseek_v3"),
    "llama4_text",
)
"""`model_type` of the 40 most used architectures, each of which must pack."""

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "bloom": {"n_layer": 4, "hidden_size": 256, "n_head": 4},
    "ministral": {"head_dim": 128},
    "lfm2": {"num_hidden_layers": 16, "layer_types": ["conv", "full_attention"] * 8},
    "deepseek_v2": {"num_experts_per_tok": 4},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
}
"""What a default configuration lacks, by `model_type`."""

_DOCS = Path(__file__).parents[1] / "docs" / "models.md"
_BEGIN, _END = "<!-- family table: scripts/family_table.py -->", "<!-- end of family table -->"
_SECONDS = 90
_CPU_SECONDS = 40
_BYTES = 6 * 2**30
_HOW = {"flat": "flat", "dense": "dense", "none": "padded"}


def architectures() -> dict[str, Any]:
    """The name of the class of each `model_type` in transformers' auto classes for writing text."""
    return dict(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) | dict(MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)


def tried(kind: str) -> dict[str, str]:
    """How an architecture packs (`outcome`), and why not otherwise (`reason`)."""
    try:
        config = configuration_of(kind, dict(SETTINGS.get(kind, {})))
        refuse_encoder(config, Path(kind))
        with torch.device("meta"):
            model = build(config, torch.float32)
        probe = probe_of(model, device=torch.device("cpu"))
    except InputError as error:
        return {"outcome": "refused", "reason": str(error).partition(": ")[2]}
    except Exception as error:
        return {"outcome": "not tried", "reason": f"{type(error).__name__}: {one_line(error, 120)}"}
    try:
        chosen = chosen_packing(probe)
    except InputError as error:
        return {"outcome": "refused", "reason": str(error)}
    except Exception as error:
        return {"outcome": "not tried", "reason": f"{type(error).__name__}: {one_line(error, 120)}"}
    reason = chosen.reasons[-1] if chosen.packing == "none" else ""
    return {"outcome": _HOW[chosen.packing], "reason": reason}


def in_a_process(kind: str) -> dict[str, str]:
    """`tried` in a process of its own; `not tried` where it ends early or takes too long."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            resource.setrlimit(resource.RLIMIT_DATA, (_BYTES, _BYTES))
            resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
            found = tried(kind)
        except BaseException as error:
            found = {"outcome": "not tried", "reason": f"{type(error).__name__}: {one_line(error, 120)}"}
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as results:
        ready, _, _ = select.select([results], [], [], _SECONDS)
        if not ready:
            os.kill(process, signal.SIGKILL)
        content = results.read()
    os.waitpid(process, 0)
    if not content:
        return {"outcome": "not tried", "reason": "takes too much time or memory"}
    result: dict[str, str] = json.loads(content)
    return result


def table(results: Mapping[str, Mapping[str, str]]) -> str:
    """The results as Markdown: the most used by outcome, then all others."""
    lines = [
        f"transformers {transformers.__version__}: {len(results)} architectures, by `model_type`. "
        "**Bold**: the 40 most used.",
        "",
        "| result | architectures |",
        "| --- | --- |",
    ]
    lines += [
        f"| {outcome} | {_named(kind for kind in results if results[kind]['outcome'] == outcome)} |"
        for outcome in ("flat", "dense")
    ]
    for outcome in ("padded", "refused", "not tried"):
        by_reason: dict[str, list[str]] = {}
        for kind, result in results.items():
            if result["outcome"] == outcome:
                by_reason.setdefault(_general(kind, result["reason"]), []).append(kind)
        lines += [
            f"| {outcome}: {reason.replace('|', '/')} | {_named(kinds)} |"
            for reason, kinds in sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
        ]
    return "\n".join(lines)


def _named(kinds: Iterable[str]) -> str:
    return ", ".join(f"**{kind}**" if kind in MOST_USED else kind for kind in sorted(kinds))


def _general(kind: str, reason: str) -> str:
    """A reason without what differs from model to model."""
    for known in (
        "carry state from one document into the next",
        "is an encoder",
        "attention window",
        "where others stand beside it",
        "when another document changes",
        "Unrecognized configuration class",
        "other gradients",
    ):
        if known in reason:
            return _GENERAL[known]
    return reason.removeprefix(f"a model of type {kind} cannot be packed: ").replace("`", "")


_GENERAL = {
    "carry state from one document into the next": "layers carry state from token to token",
    "is an encoder": "an encoder: a token sees those after it",
    "attention window": "attention windows that neither layout keeps",
    "where others stand beside it": "losses differ from those of a document alone",
    "when another document changes": "losses change when another document changes",
    "Unrecognized configuration class": "reads more than text",
    "other gradients": "gradients differ from those of documents alone",
}


def write(results: Mapping[str, Mapping[str, str]], docs: Path = _DOCS) -> None:
    """Writes the table between its two marks in a page."""
    text = docs.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    docs.write_text(f"{before}{_BEGIN}\n\n{table(results)}\n\n{_END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--results", type=Path, required=True, help="file that gets a line for each architecture"
    )
    parser.add_argument("--only", nargs="+", default=[], help="try these only")
    parser.add_argument("--again", action="store_true", help="try those that FILE has once more")
    parser.add_argument("--write", action="store_true", help="write the table into docs/models.md")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    torch.set_num_threads(1)
    results: dict[str, dict[str, str]] = {}
    if arguments.results.exists():
        lines = arguments.results.read_text(encoding="utf-8").splitlines()
        results = {(line := json.loads(each)).pop("model_type"): line for each in lines}
    for kind in arguments.only or [*MOST_USED, *sorted(set(architectures()) - set(MOST_USED))]:
        if kind in results and not arguments.again:
            continue
        began = time.monotonic()
        results[kind] = in_a_process(kind)
        print(
            f"{kind}: {results[kind]['outcome']} {results[kind]['reason']} ({time.monotonic() - began:.1f} s)"
        )
        with arguments.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"model_type": kind} | results[kind]) + "\n")
    if arguments.write:
        write({kind: result for kind, result in results.items() if kind in architectures()})


if __name__ == "__main__":
    main()
