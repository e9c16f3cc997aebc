"""The command line that repeats an evaluation, from what its score says of how it was recorded."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from openflan.evaluation.decoding import Decoding
from openflan.evaluation.embedded_benchmarks import rows_are_embedded
from openflan.evaluation.known_benchmarks import BENCHMARKS, has_splits
from openflan.evaluation.score_record import VARIANT, EvaluationScore


def evaluation_command(score: EvaluationScore, model: str, more_options: Sequence[str] = ()) -> str:
    """Return the `openflan evaluate` command with every option that mattered. `model` is the evaluated model,
    `more_options` are added at the end.

    What no option sets stands behind a `#`: the device, and that only a part of the questions was answered if
    no recorded option says which part.
    """
    key, recorded = score.key, score.options
    benchmark = recorded.benchmark or key.benchmark
    # The user's own rows are no benchmark that has a name: they are given by their file alone.
    is_named = recorded.benchmark is not None or benchmark in BENCHMARKS or rows_are_embedded(benchmark)
    checkpoint, _, label = key.model.partition(VARIANT)
    options: dict[str, object] = {
        "--benchmark": benchmark if is_named else None,
        "--mode": key.mode,
        "--shots": None if score.at_usual_shots else key.shots,
        "--split": key.split if has_splits(key.benchmark) and key.split else None,
        **_decoding_options(key.decoding),
        "--metric": recorded.metric,
        "--wordings": recorded.wordings,
        "--limit": recorded.limit,
        "--subset": ",".join(recorded.subset) if recorded.subset else None,
        "--max-tokens": recorded.max_tokens,
        "--thinking-tokens": recorded.thinking_tokens,
        "--context": recorded.context,
        "--chat": "" if recorded.chat else None,
        "--dtype": recorded.dtype,
        "--data": "DATA"
        if not is_named or benchmark in BENCHMARKS or ("/" in benchmark and not rows_are_embedded(benchmark))
        else None,
        "--checkpoint": None if checkpoint == "final" else checkpoint.removeprefix("step-"),
        "--label": label or None,
    }
    arguments = [
        word for name, value in options.items() if value is not None for word in (name, str(value)) if word
    ]
    unsaid = [f"on {recorded.device}"] if recorded.device else []
    if score.partial and recorded.limit is None and recorded.subset is None:
        unsaid.append("a part of the questions: --limit or --subset was given")
    command = shlex.join(["openflan", "evaluate", model, *arguments, *more_options])
    return f"{command}   # {'; '.join(unsaid)}" if unsaid else command


def _decoding_options(decoding: Decoding) -> dict[str, object]:
    if decoding.likelihood == "gold":
        return {"--bits-per-byte": ""}
    if decoding.likelihood:
        return {"--likelihood": "", "--normalized": "" if decoding.likelihood == "mean" else None}
    passes: dict[str, object] = {"--extract": "second-pass"} if decoding.second_pass else {}
    if decoding.kind == "greedy":
        return passes
    drawn: dict[str, object] = {**passes, "--samples": decoding.samples}
    if decoding.temperature:
        drawn |= {
            "--temperature": f"{decoding.temperature:g}",
            "--top-k": decoding.top_k,
            "--seed": decoding.seed or None,
        }
    return drawn
