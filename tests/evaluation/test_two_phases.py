"""Generate, be killed, resume, score: with an engine that answers from a table."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.evaluation import (
    Benchmark,
    BenchmarkTask,
    Example,
    bbh_benchmark,
    generate_to,
    mgsm_benchmark,
    score_file,
)
from openflan.evaluation.benchmark import exactly
from openflan.evaluation.extract import plain
from openflan.evaluation.record import evaluate_into
from openflan.evaluation.statistics import QuestionScore, task_score
from openflan.inference import Completion, Request
from openflan.lock import locked
from openflan.run_folder import Run, read_json, write_json


class Killed(BaseException):
    pass


@dataclass
class TableEngine:
    """Repeats the last word of a prompt; `kill_after` completions it dies; the order is reversed, as an
    engine may choose."""

    fingerprint: str = "a" * 16
    kill_after: int | None = None
    asked: list[Request] = field(default_factory=list)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        for done, index in enumerate(reversed(range(len(requests)))):
            if done == self.kill_after:
                raise Killed
            self.asked.append(requests[index])
            word = requests[index].prompt.split()[-1]
            yield (
                index,
                Completion("", 0, "too-long") if word == "long" else Completion(word + "\u2028.", 2, "eos"),
            )


def _benchmark(prompts: dict[str, list[tuple[str, str]]], **changes: object) -> Benchmark:
    fields: dict[str, object] = {
        "name": "toy",
        "mode": "direct",
        "tasks": {task: BenchmarkTask(len(rows), 50.0, ("\nQ:",)) for task, rows in prompts.items()},
        "examples": lambda task: [
            Example(task, index, prompt, target, 0) for index, (prompt, target) in enumerate(prompts[task])
        ],
        "extract": lambda task, generation: (
            None if generation.startswith("none") else (plain(generation) or "").rstrip("\u2028")
        ),
        "compare": exactly,
        "averages": {"average": tuple(prompts), "first": tuple(prompts)[:1]},
        "max_tokens": 7,
        "prompt_version": "toy-1",
    }
    return Benchmark(**{**fields, **changes})  # type: ignore[arg-type]


TOY = _benchmark(
    {
        "colours": [("say red", "red"), ("say blue", "green"), ("say none", "x"), ("say long", "long")],
        "sizes": [("say big", "big")],
    }
)


def test_scores_of_a_toy_run(tmp_path: Path) -> None:
    path = tmp_path / "deep/toy.jsonl"
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        assert path.read_bytes().count(b"\n") == done  # a line is on disk before the next question is asked
        seen.append((done, total))

    result = generate_to(path, TOY, TableEngine(), progress=progress)
    assert (result.new, result.found, result.too_long) == (5, 0, 1)
    assert seen == [(done, 5) for done in range(6)]
    first = json.loads(path.read_text().split("\n")[0])
    assert set(first) >= {
        "benchmark",
        "mode",
        "task",
        "index",
        "sample",
        "generation",
        "target",
        "finish",
        "tokens",
        "exemplars",
        "request",
    }
    scores = score_file(path, TOY)
    assert (scores.key.benchmark, scores.key.mode, scores.average, scores.averages["first"]) == (
        "toy",
        "direct",
        62.5,
        25.0,
    )
    assert scores.normalized == pytest.approx((-50 + 100) / 2)
    colours = scores.tasks["colours"].as_json()
    assert colours["ci95"] == pytest.approx([4.56, 69.94], abs=0.01)  # Wilson's interval of 1 in 4
    colours.pop("ci95")
    assert colours == {
        "accuracy": 25.0,
        "stderr": pytest.approx(21.6506, abs=1e-3),
        "extracted": 50.0,
        "n": 4,
        "too_long": 1,
        "truncated": 0,
        "truncation": 0.0,
        "chance": 50.0,
        "normalized": -50.0,
    }


@settings(max_examples=30, deadline=None)
@given(kill=st.integers(0, 5), torn=st.integers(0, 40))
def test_a_killed_run_resumes_to_the_same_scores(
    tmp_path_factory: pytest.TempPathFactory, kill: int, torn: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    uninterrupted, broken = folder / "whole.jsonl", folder / "broken.jsonl"
    generate_to(uninterrupted, TOY, TableEngine())
    engine = TableEngine(kill_after=kill)
    if kill < 5:
        with pytest.raises(Killed):
            generate_to(broken, TOY, engine)
    else:
        generate_to(broken, TOY, engine)
    kept = broken.read_bytes()
    lines = kept.count(b"\n")
    assert lines == kill
    broken.write_bytes(kept + uninterrupted.read_bytes().split(b"\n")[min(kill, 4)][:torn])
    again = TableEngine()
    result = generate_to(broken, TOY, again)
    assert (result.found, len(again.asked)) == (kill, 5 - kill)
    assert json.dumps(score_file(broken, TOY).to_json()) == json.dumps(
        score_file(uninterrupted, TOY).to_json()
    )
    assert broken.read_bytes() == uninterrupted.read_bytes()


def test_other_weights_prompts_or_settings_are_never_mixed(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    generate_to(path, TOY, TableEngine(), limit=1)
    before = path.read_bytes()
    other_prompt = _benchmark({"colours": [("please say red", "red")], "sizes": [("say big", "big")]})
    for benchmark, engine, tokens, changed in (
        (TOY, TableEngine("b" * 16), None, "the model's weights"),
        (TOY, TableEngine(), 8, "`--max-tokens` 7, now 8"),
        (other_prompt, TableEngine(), None, "the prompt"),
    ):
        with pytest.raises(InputError, match=rf"colours 0 from another request.*{changed}.*--restart"):
            generate_to(path, benchmark, engine, max_tokens=tokens)
    with pytest.raises(InputError, match="is of mode 'direct', expected 'cot'"):
        generate_to(
            path, _benchmark({"colours": [("say red", "red")], "sizes": []}, mode="cot"), TableEngine()
        )
    assert path.read_bytes() == before


def test_limit_and_subset(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    assert generate_to(path, TOY, TableEngine(), limit=2, subset=["colours"]).new == 2
    with pytest.raises(
        InputError, match=r"lacks 3 of 5 generations \(colours 2, colours 3, sizes 0\).*--partial"
    ):
        score_file(path, TOY)
    scores = score_file(path, TOY, partial=True)
    assert (scores.average, scores.partial, list(scores.tasks)) == (50.0, True, ["colours"])
    assert generate_to(path, TOY, TableEngine(), limit=2).new == 1
    for wrong in ({"subset": ["colour"]}, {"subset": []}, {"limit": 0}):
        with pytest.raises(InputError, match=r"did you mean `colours`|leaves nothing"):
            generate_to(path, TOY, TableEngine(), **wrong)  # type: ignore[arg-type]


def _line(**changes: object) -> str:
    return json.dumps({"task": "colours", "index": 0, "generation": "red", "target": "red", **changes})


def test_strangers_files_are_scored(tmp_path: Path) -> None:
    rows = [
        _line(),
        _line(index=1, target=["blue", "red"]),
        _line(index=2, target=7, generation="7"),
        _line(index=3, generation=" red.\n"),
        "",
    ]
    scores = score_file([*rows, _line(task="sizes", extra={"a": 1})], TOY)
    assert scores.average == 100.0
    packed = tmp_path / "others.jsonl.gz"
    packed.write_bytes(gzip.compress("\n".join([*rows, _line(task="sizes")]).encode()))
    assert score_file(packed, TOY).tasks == scores.tasks
    packed.write_bytes(packed.read_bytes()[:-12])
    with pytest.raises(InputError, match="not a whole gzip file"):
        score_file(packed, TOY)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not valid JSON"),
        ("[]", "line 2 holds a list"),
        ('{"task": "colours"}', "line 2 has no `index`"),
        (_line(index="0"), "line 2: `index` is '0', expected a whole number"),
        (_line(index=True), "line 2: `index` is True"),
        (_line(generation=None), "line 2: `generation` is None"),
        (_line(target={}), "line 2: `target` is {}"),
        (_line(target=[]), "line 2: `target` is \\[\\]"),
        (_line(task="colour"), "line 2: toy has no task `colour`; did you mean `colours`"),
        (_line(index=4), "line 2: index 4 of colours is not between 0 and 3"),
        (_line(index=-1), "line 2: index -1"),
        (_line(index=1, sample=-1), "line 2: sample -1 of colours 1"),
        (_line(index=1, benchmark="bbh"), "line 2 is of benchmark 'bbh', expected 'toy'"),
    ],
)
def test_bad_lines_are_named(line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_file([_line(), line], TOY, partial=True)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no generations at"):
        score_file(tmp_path / "absent.jsonl", TOY)
    with pytest.raises(InputError, match="holds no generation of toy"):
        score_file([], TOY, partial=True)
    with pytest.raises(InputError, match=r"plain \.jsonl"):
        generate_to(tmp_path / "x.jsonl.gz", TOY, TableEngine())


def test_a_last_line_without_line_end_counts_if_whole(tmp_path: Path) -> None:
    path = tmp_path / "others.jsonl"
    path.write_text(_line() + "\n" + _line(index=1))
    assert score_file(path, TOY, partial=True).tasks["colours"].n == 2
    path.write_text(_line() + "\n" + _line(index=1)[:-3])
    assert score_file(path, TOY, partial=True).tasks["colours"].n == 1
    path.write_text(_line()[:-3] + "\n" + _line(index=1) + "\n")
    with pytest.raises(InputError, match=r"others\.jsonl:1: not valid JSON"):
        score_file(path, TOY, partial=True)


def test_bbh_average_is_over_files_and_needs_no_data() -> None:
    benchmark = bbh_benchmark("cot")
    lines = []
    for name, task in benchmark.tasks.items():
        right = 100 if name == "snarks" else 25
        for index in range(task.size):
            said = "So the answer is (A)." if index < right else "I do not know."
            lines.append(json.dumps({"task": name, "index": index, "generation": said, "target": "(A)"}))
    scores = score_file(reversed(lines), benchmark)
    by_file = {
        name: 100 * (100 if name == "snarks" else 25) / task.size for name, task in benchmark.tasks.items()
    }
    assert scores.average == pytest.approx(sum(by_file.values()) / 27)
    assert scores.averages["algorithmic"] == pytest.approx(10.0)
    assert scores.averages["nlp"] == pytest.approx((27 * (scores.average or 0.0) - 150) / 12)
    assert scores.tasks["snarks"].extracted == pytest.approx(100 * 100 / 178)


def test_mgsm_average_leaves_english_out() -> None:
    benchmark = mgsm_benchmark()
    lines = [
        json.dumps(
            {
                "task": code,
                "index": index,
                "generation": f"The answer is {'5,600' if code == 'en' or index < 50 else 1}.",
                "target": "5,600",
            }
        )
        for code in benchmark.tasks
        for index in range(250)
    ]
    scores = score_file(lines, benchmark)
    assert scores.average == pytest.approx(20.0)
    assert scores.tasks["en"].accuracy == 100.0
    english = score_file([line for line in lines if '"en"' in line], benchmark, partial=True)
    assert english.average is None


@given(
    st.lists(
        st.tuples(st.booleans(), st.booleans(), st.sampled_from(["eos", "length", "too-long"])),
        min_size=1,
        max_size=60,
    ),
    st.floats(0, 90),
)
def test_scores_by_brute_force(rows: list[tuple[bool, bool, str]], chance: float) -> None:
    score = task_score(
        [QuestionScore(extracted, extracted and correct, finish) for extracted, correct, finish in rows],
        chance,
    )
    values = [100.0 if extracted and correct else 0.0 for extracted, correct, _ in rows]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    assert score.accuracy == pytest.approx(mean)
    assert score.stderr == pytest.approx((variance / len(values)) ** 0.5, abs=1e-9)
    assert score.n == len(rows)
    assert score.extracted == pytest.approx(100 * sum(extracted for extracted, _, _ in rows) / len(rows))
    assert score.too_long == sum(finish == "too-long" for _, _, finish in rows)
    assert score.truncated == sum(finish == "length" for _, _, finish in rows)
    assert score.normalized == pytest.approx((mean - chance) / (100 - chance) * 100)
    low, high = score.ci95
    assert 0 <= low <= mean + 1e-9
    assert mean - 1e-9 <= high <= 100
    # The ends are the shares whose own z test just rejects the mean: the interval's definition.
    for end in (low, high):
        if 0 < end < 100 and end not in (mean,):
            assert abs(mean - end) == pytest.approx(
                1.959964 * (end * (100 - end) / len(rows)) ** 0.5, rel=1e-4
            )


def test_evaluations_that_end_together_keep_each_others_scores(tmp_path: Path) -> None:
    """The second has read nothing of `scores.json` while another writes it."""
    run, other = Run(tmp_path), {"model": "base", "benchmark": "other", "mode": "direct", "average": 50.0}
    second = Thread(target=evaluate_into, args=(run, "base", TOY, TableEngine()))
    with locked(run.locks / "scores.json"):
        second.start()
        second.join(1.0)
        assert second.is_alive()
        write_json(run.scores, {"scores": [other]})
    second.join()
    assert [score["benchmark"] for score in read_json(run.scores)["scores"]] == ["other", "toy"]


def test_two_evaluations_do_not_write_to_one_file(tmp_path: Path) -> None:
    run = Run(tmp_path)
    tried: list[str] = []

    def try_second(done: int, total: int) -> None:
        if done == 1 and not tried:
            with pytest.raises(InputError) as caught:
                evaluate_into(run, "base", TOY, TableEngine())
            tried.append(str(caught.value))

    evaluate_into(run, "base", TOY, TableEngine(), progress=try_second)
    assert "another evaluation is at work there; wait for it, or name another folder with --run" in tried[0]
    assert len(run.scores.read_text().split('"model"')) == 2
