"""Prompts that are too long: exemplars are dropped last to first, counted and reported."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_data import make_all, make_mmlu, make_tydiqa

from openflan.benchmark_data.registry import PAPER
from openflan.evaluation import (
    Benchmark,
    BenchmarkTask,
    Example,
    find_benchmark,
    generate_to,
    score_file,
)
from openflan.evaluation.benchmark import exactly
from openflan.evaluation.fit_exemplars import count_exemplars, with_fitting_exemplars
from openflan.evaluation.generations import read_generations
from openflan.evaluation.record import evaluate_into
from openflan.evaluation.tydiqa import tydiqa_benchmark
from openflan.inference import Completion, Request
from openflan.run_folder import Run


@dataclass
class ShortEngine:
    """Takes prompts of at most `room` characters, `max_tokens` included, and repeats their last word."""

    room: int
    fingerprint: str = "s" * 16
    asked: list[str] = field(default_factory=list)

    def fits(self, prompt: str, max_tokens: int) -> bool:
        return len(prompt) + max_tokens <= self.room

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        for index, request in enumerate(requests):
            self.asked.append(request.prompt)
            fits = self.fits(request.prompt, request.max_tokens)
            yield (
                index,
                Completion(request.prompt.split()[-1], 1, "eos") if fits else Completion("", 0, "too-long"),
            )


class DeafEngine(ShortEngine):
    """Cannot tell beforehand what fits."""

    fits = None  # type: ignore[assignment]

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        for index, request in enumerate(requests):
            self.asked.append(request.prompt)
            yield index, Completion(request.prompt.split()[-1], 1, "eos")


SHOWN = ["one 1", "two 2", "three 3"]


def _prompt(question: str, count: int) -> str:
    return "\n".join([*SHOWN[:count], question])


def _example(index: int, question: str) -> Example:
    return Example(
        "toy",
        index,
        _prompt(question, 3),
        question.split()[-1],
        3,
        fewer=lambda count: _prompt(question, count),
    )


QUESTIONS = [
    "short q",
    "a question of medium length",
    "a question that is too long for the model whatever is left out of its prompt",
]

TOY = Benchmark(
    name="toy",
    mode="direct",
    tasks={"toy": BenchmarkTask(3)},
    examples=lambda task: [_example(index, question) for index, question in enumerate(QUESTIONS)],
    extract=lambda task, generation: generation or None,
    compare=exactly,
    averages={"average": ("toy",)},
    max_tokens=2,
    prompt_version="toy-1",
)


def test_exemplars_are_dropped_last_to_first_and_counted(tmp_path: Path) -> None:
    engine = ShortEngine(room=36)
    result = generate_to(tmp_path / "toy.jsonl", TOY, engine)
    assert (result.new, result.too_long, result.tokens) == (3, 1, 2)
    assert engine.asked == [
        "one 1\ntwo 2\nthree 3\nshort q",
        "one 1\na question of medium length",
        _prompt(QUESTIONS[2], 3),
    ]
    lines = [json.loads(line) for line in (tmp_path / "toy.jsonl").read_text().splitlines()]
    assert [(line["exemplars"], line["exemplars_dropped"], line["finish"]) for line in lines] == [
        (3, 0, "eos"),
        (1, 2, "eos"),
        (3, 0, "too-long"),
    ]
    counts = count_exemplars(one for _, one in read_generations(tmp_path / "toy.jsonl"))
    assert counts.as_json() == {
        "exemplars": 2.0,
        "exemplars_dropped": 2,
        "prompts_shortened": 1,
        "prompt_hash": counts.prompts,
    }
    assert [line["prompt_hash"] for line in lines] == [
        hashlib.sha256(prompt.encode()).hexdigest()[:16] for prompt in engine.asked
    ]
    reordered = [json.dumps(line) for line in reversed(lines)]
    assert counts.prompts == count_exemplars(one for _, one in read_generations(reordered)).prompts
    reworded = [json.dumps({**line, "prompt_hash": "0" * 16}) for line in lines]
    assert counts.prompts != count_exemplars(one for _, one in read_generations(reworded)).prompts
    again = generate_to(tmp_path / "toy.jsonl", TOY, engine)
    assert (again.new, again.found) == (0, 3)


def test_an_engine_that_cannot_tell_is_sent_the_whole_prompt(tmp_path: Path) -> None:
    engine = DeafEngine(room=1)
    generate_to(tmp_path / "toy.jsonl", TOY, engine)
    assert engine.asked == [_prompt(question, 3) for question in QUESTIONS]


@given(room=st.integers(1, 120), question=st.text(min_size=1, max_size=60))
def test_as_many_exemplars_as_fit_and_no_fewer(room: int, question: str) -> None:
    example = Example("toy", 0, _prompt(question, 3), "x", 3, fewer=lambda count: _prompt(question, count))
    engine = ShortEngine(room)
    kept = with_fitting_exemplars(example, engine, 5)
    num_fitting = max((count for count in range(4) if engine.fits(_prompt(question, count), 5)), default=None)
    if num_fitting is None:
        assert kept is example  # the engine answers that it is too long
    else:
        assert (kept.prompt, kept.exemplars, kept.exemplars_dropped) == (
            _prompt(question, num_fitting),
            num_fitting,
            3 - num_fitting,
        )


def test_lines_of_earlier_runs_and_others_are_read(tmp_path: Path) -> None:
    rows = [{"exemplars": 3}, {}, {"exemplars": "many", "exemplars_dropped": None}]
    lines = [
        json.dumps({"task": "toy", "index": index, "generation": "q", "target": "q", **row})
        for index, row in enumerate(rows)
    ]
    counts = count_exemplars(one for _, one in read_generations(lines))
    assert (counts.mean, counts.dropped, counts.shortened, counts.from_dev, counts.prompts) == (
        3.0,
        0,
        0,
        (),
        None,
    )
    assert score_file(lines, TOY).average == 100.0


@pytest.mark.parametrize("mode", ["direct", "cot"])
@pytest.mark.parametrize("name", PAPER)
def test_every_benchmark_can_be_shortened(tmp_path: Path, name: str, mode: str) -> None:
    benchmark = find_benchmark(name, mode, make_all(tmp_path))
    zero_shot = find_benchmark(name, mode, tmp_path, shots=0)
    for task in benchmark.tasks:
        bare = {example.index: example.prompt for example in zero_shot.examples(task)}
        for example in benchmark.examples(task):
            assert example.fewer is not None
            lengths = [len(example.fewer(count)) for count in range(example.exemplars + 1)]
            assert lengths == sorted(set(lengths))
            assert (example.fewer(example.exemplars), example.fewer(0)) == (
                example.prompt,
                bare[example.index],
            )


def test_the_record_says_what_became_of_exemplars(tmp_path: Path) -> None:
    benchmark = tydiqa_benchmark("direct", make_tydiqa(tmp_path / "data"), shots=1)
    run = Run(tmp_path / "run")
    score = evaluate_into(run, "final", benchmark, ShortEngine(room=10**4), subset=["english", "finnish"])
    assert (score.exemplars, score.exemplars_dropped, score.exemplar_from_dev) == (1.0, 0, ("finnish",))
    assert (score.tasks["english"].n, score.tasks["finnish"].n) == (3, 2)
    assert (score.key.split, score.key.shots) == ("", 1)
    line = json.loads((run.generations / "final-tydiqa-direct.jsonl").read_text().splitlines()[0])
    assert (line["cluster"], line["exemplar_split"], line["target"]) == ("0", "train", ["in B", "B"])
    short = ShortEngine(room=len("Passage: A lies in B.\nQuestion: What lies in B?\nAnswer:") + 192)
    score = evaluate_into(run, "base", benchmark, short, subset=["finnish"])
    assert (score.exemplars, score.exemplars_dropped, score.prompts_shortened) == (0.0, 2, 2)


def test_another_split_is_kept_apart(tmp_path: Path) -> None:
    make_mmlu(tmp_path)
    run = Run(tmp_path / "run")
    for split in ("validation", "test"):
        new_score = evaluate_into(
            run,
            "final",
            find_benchmark("mmlu", "direct", tmp_path, split=split),
            ShortEngine(room=10**4),
            subset=["virology"],
        )
        assert new_score.tasks["virology"].n == (2 if split == "validation" else 3)
    assert sorted(str(path.relative_to(run.generations)) for path in run.generations.rglob("*.jsonl")) == [
        "final-mmlu-direct.jsonl",
        "test/final-mmlu-direct.jsonl",
    ]
    assert [score["split"] for score in json.loads(run.scores.read_text())["scores"]] == ["", "test"]
