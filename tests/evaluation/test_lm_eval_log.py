"""Our generations in lm-eval's log shape."""

import hashlib
import json
from pathlib import Path

import pytest

from openflan.errors import InputError
from openflan.evaluation import Benchmark, BenchmarkTask, Example, score_file
from openflan.evaluation.benchmark import exactly
from openflan.evaluation.lm_eval_log import write_lm_eval_log

KEYS = {
    "doc_id",
    "doc",
    "target",
    "arguments",
    "resps",
    "filtered_resps",
    "filter",
    "metrics",
    "doc_hash",
    "prompt_hash",
    "target_hash",
    "exact_match",
}
"""What lm-eval 0.4 writes for every sample of a task scored by exact match."""

TOY = Benchmark(
    name="toy",
    mode="cot",
    tasks={"x": BenchmarkTask(2, 0.0, ("\nQ:",)), "y": BenchmarkTask(1)},
    examples=lambda task: [
        Example(task, index, f"Q: {task} {index}\nA:", "a", 0) for index in range(2 if task == "x" else 1)
    ],
    extract=lambda task, generation: None if generation == "?" else generation.strip(),
    compare=exactly,
    averages={"average": ("x", "y")},
    max_tokens=7,
    prompt_version="toy-1",
    metrics={"first": lambda answer, target: float(answer[0] == target[0])},
)


def _file(path: Path, rows: list[tuple[str, int, int, str, object]]) -> Path:
    lines = [
        {"task": task, "index": index, "sample": sample, "generation": text, "target": target}
        for task, index, sample, text, target in rows
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def _log(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def test_a_line_a_question_with_the_keys_of_lm_eval(tmp_path: Path) -> None:
    saved = _file(
        tmp_path / "g.jsonl",
        [("y", 0, 0, "a\u2028", "a"), ("x", 1, 0, "?", "a"), ("x", 0, 0, " ab", ["b", "ab"])],
    )
    out = tmp_path / "deep/log.jsonl"
    assert write_lm_eval_log(out, saved, TOY, prompts=True) == 3
    log = _log(out)
    assert all(set(line) >= KEYS for line in log)
    assert [(line["task"], line["doc_id"], line["exact_match"], line["first"]) for line in log] == [
        ("toy_cot_x", 0, 1.0, 1.0),
        ("toy_cot_x", 1, 0.0, 0.0),
        ("toy_cot_y", 0, 1.0, 1.0),
    ]
    first, unanswered, _ = log
    assert (first["resps"], first["filtered_resps"], first["filter"], first["metrics"]) == (
        [[" ab"]],
        ["ab"],
        "none",
        ["exact_match", "first"],
    )
    assert first["target"] == '["b", "ab"]'
    assert first["arguments"] == {
        "gen_args_0": {"arg_0": "Q: x 0\nA:", "arg_1": {"until": ["\nQ:"], "max_gen_toks": 7}}
    }
    assert first["prompt_hash"] == hashlib.sha256(b"Q: x 0\nA:").hexdigest()
    assert unanswered["filtered_resps"] == ["[invalid]"]
    average = score_file(saved, TOY).tasks["x"].accuracy
    assert 100 * sum(float(str(line["exact_match"])) for line in log[:2]) / 2 == average


def test_samples_are_listed_and_the_majority_is_the_filtered_one(tmp_path: Path) -> None:
    saved = _file(
        tmp_path / "g.jsonl", [("x", 0, sample, text, "a") for sample, text in ((2, "a"), (0, "b"), (1, "a"))]
    )
    write_lm_eval_log(tmp_path / "log.jsonl", saved, TOY)
    (line,) = _log(tmp_path / "log.jsonl")
    assert (line["resps"], line["filtered_resps"], line["filter"], line["exact_match"]) == (
        [["b", "a", "a"]],
        ["a"],
        "maj@3",
        1.0,
    )
    assert line["arguments"]["gen_args_0"]["arg_0"] == ""  # type: ignore[index]


def test_files_of_other_benchmarks_write_nothing(tmp_path: Path) -> None:
    saved = _file(tmp_path / "g.jsonl", [("z", 0, 0, "a", "a")])
    with pytest.raises(InputError, match="toy has no task `z`"):
        write_lm_eval_log(tmp_path / "log.jsonl", saved, TOY)
    assert not (tmp_path / "log.jsonl").exists()
