"""Bits per byte of the right answer."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.evaluation.bits_per_byte import bits_per_byte, gold_text
from openflan.evaluation.comparison import comparison
from openflan.evaluation.decoding import Decoding, decoding_of_variant
from openflan.evaluation.decoding_options import decoding_from_options
from openflan.evaluation.generations import read_generations
from openflan.evaluation.held_out import held_out_benchmark
from openflan.evaluation.record import evaluate_into
from openflan.evaluation.score_record import EvaluationScore, read_scores
from openflan.inference.protocol import LikelihoodRequest, OptionScores
from openflan.reports.gather import gather
from openflan.reports.tables import all_tables
from openflan.run_folder import Run
from openflan.tasks.task import Row, Task

ROWS: list[Row] = [{"inputs": "Colour of snow?", "targets": "white"}, {"inputs": "Café?", "targets": "né"}]


class _Ready:
    def __init__(self, row: Row) -> None:
        self.inputs, self.answer = str(row["inputs"]), str(row["targets"])


class _Engine:
    """Gives a text `nats` natural units for each byte, and records what it was asked."""

    fingerprint = "engine"

    def __init__(self, nats: float) -> None:
        self.nats, self.asked = nats, list[LikelihoodRequest]()

    def generate(self, requests):  # type: ignore[no-untyped-def]
        raise AssertionError("nothing is generated")

    def loglikelihood(self, requests):  # type: ignore[no-untyped-def]
        self.asked += requests
        for index, request in enumerate(requests):
            counts = [len(option.strip().encode()) for option in request.options]
            yield index, OptionScores(tuple(-self.nats * count for count in counts), tuple(counts))


def _benchmark():  # type: ignore[no-untyped-def]
    task = Task("mine/quiz", ROWS, frozenset(ROWS[0]), "toy", "toy")
    return held_out_benchmark(
        {"mine/quiz": task}, lambda task, index: _Ready(task.rows[index]), name="mine-quiz"
    )


def _evaluate(folder: Path, nats: float) -> tuple[EvaluationScore, _Engine]:
    engine = _Engine(nats)
    score = evaluate_into(
        Run(folder),
        "final",
        _benchmark(),
        engine,
        decoding=Decoding(likelihood="gold"),  # type: ignore[arg-type]
    )
    return score, engine


def test_bits_are_counted_by_byte_and_nothing_has_an_accuracy(tmp_path: Path) -> None:
    """`né` has three bytes; 2 ln 2 nats a byte are two bits."""
    score, engine = _evaluate(tmp_path / "a", 2 * math.log(2))
    assert [request.options for request in engine.asked] == [(" white",), (" né",)]
    assert score.gold is not None
    assert score.gold.averages["average"].value == pytest.approx(2.0)
    assert (score.gold.tasks["mine/quiz"].n, score.average, dict(score.tasks)) == (2, None, {})
    assert read_scores(tmp_path / "a" / "scores.json")[0] == score
    (path,) = (tmp_path / "a" / "generations").glob("*.jsonl")
    assert path.name == "final-mine-quiz-direct-gold.jsonl"
    assert {one.generation for _, one in read_generations(path)} == {""}


def test_two_models_differ_in_bits_and_the_report_has_its_own_table(tmp_path: Path) -> None:
    _evaluate(tmp_path / "a", 2 * math.log(2))
    _evaluate(tmp_path / "b", 1 * math.log(2))
    (result,) = comparison(str(tmp_path / "a"), str(tmp_path / "b"))["benchmarks"]
    assert result["unit"] == "bits_per_byte"
    figures = result["averages"]["average"]
    assert (figures["a"], figures["b"], figures["difference"]) == pytest.approx((2.0, 1.0, -1.0))
    tables = {table.name: table for table in all_tables(gather(Run(tmp_path / "a")))}
    assert not {"results", "mine-quiz direct gold"} & set(tables), "they would show an accuracy of 0"
    assert tables["bits per byte"].rows[0][:4] == (
        "final",
        "mine-quiz direct 0-shot gold",
        2,
        pytest.approx(2.0),
    )


def test_likelihoods_of_options_have_the_right_answers_bits_too(tmp_path: Path) -> None:
    line = {"task": "t", "index": 0, "generation": "no", "target": "yes", "options": [" no", " yes"]}
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({**line, "log_probabilities": [-1.0, -3 * math.log(2)]}) + "\n")
    ((_, generation),) = read_generations(path)
    assert bits_per_byte(generation) == pytest.approx(1.0)
    path.write_text(json.dumps(line) + "\n")
    ((_, without),) = read_generations(path)
    assert bits_per_byte(without) is None


TEXTS = st.text("aé \n\t雪", max_size=8)


@given(TEXTS, st.lists(TEXTS.filter(bool), min_size=1, max_size=3))
def test_the_first_right_answer_follows_after_white_space(prompt: str, targets: list[str]) -> None:
    text = gold_text(prompt, tuple(targets))
    assert text.endswith(targets[0])
    assert (text == targets[0]) == prompt[-1:].isspace()


def test_options_that_contradict() -> None:
    assert decoding_of_variant("-gold") == Decoding(likelihood="gold")
    with pytest.raises(InputError, match="leave out `--likelihood`"):
        decoding_from_options(1, None, None, 0, likelihood=True, normalized=False, bits_per_byte=True)
