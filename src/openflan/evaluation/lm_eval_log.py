"""Generations in the shape in which lm-evaluation-harness logs samples (`--log_samples`), for tools that read
such logs.

One line a question, all tasks in one file and told apart by `task`, which lm-eval keeps in file names
instead. `filtered_resps` holds the answer that was scored: for several samples the majority's, as after a
filter. A question without an answer has `[invalid]` there, as lm-eval's own filters write. The log has our
verdict in `exact_match`, and the benchmark's other metrics under their names. Prompts are in it where the
benchmark's files are at hand; saved generations alone do not hold them, and then `arg_0` is empty and
`prompt_hash` is that of no text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.score_saved import Saved, judge_all, read_saved
from openflan.hashes import sha256_of
from openflan.run_folder import replacing

INVALID = "[invalid]"


def write_lm_eval_log(out: Path, generations: Path, benchmark: Benchmark, *, prompts: bool = False) -> int:
    """Writes the log of a file of generations and returns its number of lines.

    `prompts` reads the benchmark's files for them. Raises InputError for a file that is not of this
    benchmark, SetupError if `out` cannot be written.
    """
    saved = read_saved(generations, benchmark)
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        lines = 0
        for line in lm_eval_lines(saved, prompts=prompts):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            lines += 1
    return lines


def lm_eval_lines(saved: Saved, *, prompts: bool = False) -> Iterator[dict[str, Any]]:
    """The lines, tasks in the benchmark's order and questions by index."""
    benchmark = saved.benchmark
    sent: dict[str, dict[int, str]] = {}
    for (task, index), (vote, question_score) in judge_all(saved).items():
        samples = saved.questions[task, index]
        if prompts and task not in sent:
            sent[task] = {example.index: example.prompt for example in benchmark.examples(task)}
        prompt = sent[task].get(index, "") if prompts else ""
        target = (
            samples[0].target
            if isinstance(samples[0].target, str)
            else json.dumps(samples[0].target, ensure_ascii=False)
        )
        doc = {"task": task, "index": index, "prompt": prompt, "target": samples[0].target}
        settings = {"until": list(benchmark.tasks[task].stop), "max_gen_toks": benchmark.max_tokens}
        yield {
            "task": f"{benchmark.name}_{benchmark.mode}_{task}",
            "doc_id": index,
            "doc": doc,
            "target": target,
            "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": settings}},
            "resps": [[one.generation for one in samples]],
            "filtered_resps": [INVALID if vote.answer is None else vote.answer],
            "filter": "none" if len(samples) == 1 else f"maj@{len(samples)}",
            "metrics": ["exact_match", *question_score.metrics],
            "doc_hash": sha256_of(json.dumps(doc, ensure_ascii=False, sort_keys=True)),
            "prompt_hash": sha256_of(prompt),
            "target_hash": sha256_of(target),
            "exact_match": float(question_score.correct),
            **question_score.metrics,
        }
