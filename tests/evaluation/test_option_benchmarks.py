"""ARC and HellaSwag: prompts as lm-evaluation-harness 0.4 makes them, and scores worked by hand."""

import json
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_choices import ARC, ARC_TRAIN, HELLASWAG, make_arc, make_hellaswag

from openflan.errors import InputError
from openflan.evaluation import find_benchmark, score_file
from openflan.evaluation.benchmark import OptionLikelihoods
from openflan.evaluation.decoding import Decoding
from openflan.evaluation.option_choice import acc_norm
from openflan.evaluation.record import evaluate_into
from openflan.inference import Completion, LikelihoodRequest, OptionScores, Request
from openflan.run_folder import Run


class LengthEngine:
    """Scores an option by its number of characters: the shortest is the most likely."""

    fingerprint = "l" * 16

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        raise AssertionError("these benchmarks are answered by likelihood")

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> Iterator[tuple[int, OptionScores]]:
        for index, request in enumerate(requests):
            lengths = tuple(len(option) for option in request.options)
            yield index, OptionScores(tuple(-float(length) for length in lengths), lengths)


@pytest.mark.parametrize("hub", [False, True])
@pytest.mark.parametrize("name", ["arc_easy", "arc_challenge"])
def test_arc_shows_the_question_and_scores_the_texts_of_its_options(
    name: str, hub: bool, tmp_path: Path
) -> None:
    benchmark = find_benchmark(name, "direct", make_arc(tmp_path, hub=hub))
    first, second = benchmark.examples(name)
    assert first.prompt == "Question: What melts first?\nAnswer:"
    assert (first.options, first.target) == ((" ice", " iron", " a stone"), "ice")
    assert (second.options, second.target) == ((" dog", " fern", " rock", " sea"), "fern")
    assert benchmark.by_likelihood
    (only,) = find_benchmark(name, "direct", tmp_path / "arc", split="validation").examples(name)
    assert only.prompt == first.prompt
    sizes = {"arc_easy": (2376, 570), "arc_challenge": (1172, 299)}[name]
    assert (
        find_benchmark(name, "direct").tasks[name].size,
        find_benchmark(name, "direct", split="validation").tasks[name].size,
    ) == sizes


def test_exemplars_are_drawn_as_there(tmp_path: Path) -> None:
    """For each question in order `random.Random(1234).sample` of the train split's rows."""
    benchmark = find_benchmark("arc_easy", "direct", make_arc(tmp_path), shots=3)
    draws = random.Random(1234)
    for example, row in zip(benchmark.examples("arc_easy"), ARC, strict=True):
        exemplars = [
            f"Question: {other['question']}\nAnswer: {other['texts']['AB'.index(other['key'])]}\n\n"
            for other in draws.sample(ARC_TRAIN, 3)
        ]
        assert example.prompt == "".join(exemplars) + f"Question: {row['question']}\nAnswer:"
        assert example.fewer is not None
        assert example.fewer(1) == exemplars[0] + f"Question: {row['question']}\nAnswer:"
    with pytest.raises(InputError, match="arc_easy has 6 rows .* `--shots 7` needs more"):
        find_benchmark("arc_easy", "direct", tmp_path, shots=7).examples("arc_easy")


@pytest.mark.parametrize("hub", [False, True])
def test_hellaswag_removes_brackets_and_capitalises_the_begun_sentence(hub: bool, tmp_path: Path) -> None:
    first, second = find_benchmark("hellaswag", "direct", make_hellaswag(tmp_path, hub=hub)).examples(
        "hellaswag"
    )
    assert first.prompt == "Making tea: A man fills a kettle. The man"
    assert first.options[:2] == (" waits until it boils.", " eats the kettle.")
    assert first.target == "waits until it boils."
    # "[header]" leaves two spaces, which become one; " [title]" becomes ". ", also behind no full stop.
    assert second.prompt == "Home and Garden: How to plant a fern. Dig a hole. Use a spade."
    # A mark at the start leaves its space: the option has two.
    assert second.options == ("  Cook it.", " Put the fern in. Water it.", " Sell it.", " Sleep.")
    assert second.target == "Put the fern in. Water it."
    one_shot = find_benchmark("hellaswag", "direct", tmp_path, shots=1).examples("hellaswag")[0].prompt
    assert one_shot.endswith("\n\nMaking tea: A man fills a kettle. The man")


def _line(index: int, log_probabilities: list[float], **more: object) -> str:
    row = ARC[index]
    options = [f" {text}" for text in row["texts"]]
    best = max(range(len(options)), key=log_probabilities.__getitem__)
    fields: dict[str, object] = {
        "task": "arc_easy",
        "index": index,
        "generation": options[best].strip(),
        "target": row["texts"][row["labels"].index(row["key"])],
        "options": options,
        "log_probabilities": log_probabilities,
        "likelihood": "sum",
    }
    return json.dumps(fields | more)


def test_saved_likelihoods_score_as_by_hand() -> None:
    """Question 0: `ice` has the highest sum (-6.0), so acc is 1. Per character `ice` has -6.0/3 = -2.0,
    `iron` -8.0/4 = -2.0 and `a stone` -7.7/7 = -1.1, so acc_norm is 0.

    Question 1: `dog` has the highest sum (-3.0), so acc is 0. Per character `dog` has -1.0, `fern`
    -3.6/4 = -0.9, `rock` and `sea` less than -2, so acc_norm is 1.
    """
    lines = [_line(0, [-6.0, -8.0, -7.7]), _line(1, [-3.0, -3.6, -9.0, -9.0])]
    score = score_file(lines, find_benchmark("arc_easy", "direct"), partial=True)
    assert (score.average, score.averages["acc_norm"]) == (50.0, 50.0)
    (first,) = (score_file([line], find_benchmark("arc_easy", "direct"), partial=True) for line in lines[:1])
    assert (first.average, first.averages["acc_norm"]) == (100.0, 0.0)
    second = score_file(lines[1:], find_benchmark("arc_easy", "direct"), partial=True)
    assert (second.average, second.averages["acc_norm"]) == (0.0, 100.0)


def test_a_line_without_likelihoods_is_refused_and_a_prompt_that_is_too_long_is_wrong() -> None:
    benchmark = find_benchmark("arc_easy", "direct")
    broken = json.loads(_line(0, [-1.0, -2.0, -3.0]))
    for change in ({"log_probabilities": [-1.0]}, {"options": "ice"}, {"log_probabilities": [1, None, 2]}):
        with pytest.raises(InputError, match="line 1: arc_easy is scored by likelihoods"):
            score_file([json.dumps(broken | change)], benchmark, partial=True)
    too_long = {key: broken[key] for key in ("task", "index", "target")} | {
        "generation": "",
        "finish": "too-long",
    }
    score = score_file([json.dumps(too_long)], benchmark, partial=True)
    assert (score.average, score.averages["acc_norm"]) == (0.0, 0.0)


@given(
    st.lists(
        st.tuples(st.text("abc é", min_size=1, max_size=9), st.floats(-50, -0.1)), min_size=2, max_size=5
    ),
    st.integers(0, 4),
)
def test_acc_norm_is_the_best_log_probability_per_character(
    scored: list[tuple[str, float]], gold: int
) -> None:
    target = scored[gold % len(scored)][0].strip()
    best_text, best_value = "", -math.inf
    for text, value in scored:
        if value / len(text) > best_value:
            best_text, best_value = text, value / len(text)
    likelihoods = OptionLikelihoods(
        tuple(f" {text}" for text, _ in scored), tuple(value for _, value in scored)
    )
    assert acc_norm(likelihoods, target) == float(best_text.strip() == target)


@pytest.mark.parametrize(("name", "make"), [("arc_challenge", make_arc), ("hellaswag", make_hellaswag)])
def test_an_evaluation_uses_likelihoods_without_being_told(name: str, make: Any, tmp_path: Path) -> None:
    """The shortest option wins: of ARC `ice` (right) and `dog`, of HellaSwag `swims.` and `Sleep.`."""
    run = Run(tmp_path / "run")
    score = evaluate_into(run, "final", find_benchmark(name, "direct", make(tmp_path)), LengthEngine())
    assert score.key.decoding == Decoding(likelihood="sum")
    assert score.averages["average"] == {"arc_challenge": 50.0, "hellaswag": 0.0}[name]
    # An option of n characters has the log-probability -(n + 1), so per character the longest option wins:
    # `a stone` (wrong), `fern` (right, the first of two), and both right endings of HellaSwag.
    assert score.averages["acc_norm"] == {"arc_challenge": 50.0, "hellaswag": 100.0}[name]
    assert (run.generations / f"final-{name}-direct-likelihood.jsonl").is_file()
    with pytest.raises(InputError, match=f"{name} is answered by the likelihoods of its options"):
        evaluate_into(
            run, "final", find_benchmark(name, "direct", tmp_path), LengthEngine(), decoding=Decoding(2, 0.7)
        )


def test_what_these_benchmarks_do_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="arc_easy has no mode `cot`: use `--mode direct`"):
        find_benchmark("arc_easy", "cot")
    with pytest.raises(InputError, match="arc_easy has no split `tests`; did you mean `test`"):
        find_benchmark("arc_easy", "direct", split="tests")
    with pytest.raises(InputError, match="hellaswag has one split"):
        find_benchmark("hellaswag", "direct", split="test")
    with pytest.raises(InputError, match="no file for the test split of arc_easy: expected one of ARC-Easy/"):
        find_benchmark("arc_easy", "direct", tmp_path).examples("arc_easy")


@pytest.mark.parametrize(
    ("file", "row", "message"),
    [
        ("arc/ARC-Easy/ARC-Easy-Test.jsonl", {"answerKey": "A"}, r"Test\.jsonl:1 is no question of ARC"),
        (
            "arc/ARC-Easy/ARC-Easy-Test.jsonl",
            {"question": {"stem": "q", "choices": [{"label": "A", "text": "a"}]}, "answerKey": "E"},
            r"Test\.jsonl:1: `answerKey` is 'E', expected one of the labels \['A'\]",
        ),
        ("hellaswag/hellaswag_val.jsonl", HELLASWAG[0] | {"label": ""}, r"val\.jsonl:1: `label` is ''"),
        ("hellaswag/hellaswag_val.jsonl", HELLASWAG[0] | {"endings": ["a"]}, r"val\.jsonl:1: `endings` is"),
        ("hellaswag/hellaswag_val.jsonl", HELLASWAG[0] | {"ctx_a": 3}, r"val\.jsonl:1: `ctx_a` is 3"),
    ],
)
def test_damaged_rows_are_named(file: str, row: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    name = "arc_easy" if "ARC" in file else "hellaswag"
    with pytest.raises(InputError, match=message):
        find_benchmark(name, "direct", tmp_path).examples(name)


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "arc/ARC-Easy/test-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(InputError, match=r"test-00000-of-00001\.parquet is no Parquet file"):
        find_benchmark("arc_easy", "direct", tmp_path).examples("arc_easy")
