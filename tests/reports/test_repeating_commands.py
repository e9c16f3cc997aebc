"""A report's command repeats an evaluation: own rows, named variants, second passes."""

from __future__ import annotations

import pytest

from openflan.evaluation.decoding import Decoding
from openflan.evaluation.score_record import EvaluationScore, RecordedOptions, ScoreKey
from openflan.reports.commands import evaluation_command


@pytest.mark.parametrize(
    ("key", "options", "command"),
    [
        (
            ScoreKey("final", "own-quiz", "direct"),
            RecordedOptions(max_tokens=4),
            "--mode direct --max-tokens 4 --data DATA",
        ),
        (
            ScoreKey("step-20@short", "gsm8k", "cot"),
            RecordedOptions(thinking_tokens=9),
            "--benchmark gsm8k --mode cot --thinking-tokens 9 --data DATA --checkpoint 20 --label short",
        ),
        (
            ScoreKey("final@two", "gsm8k", "cot", shots=0, decoding=Decoding(second_pass=True)),
            RecordedOptions(),
            "--benchmark gsm8k --mode cot --shots 0 --extract second-pass --data DATA --label two",
        ),
        (
            ScoreKey("base", "microflan", "cot", decoding=Decoding(2, 0.7, 40, second_pass=True)),
            RecordedOptions(),
            "--benchmark microflan --mode cot --extract second-pass --samples 2 --temperature 0.7 "
            "--top-k 40 --checkpoint base",
        ),
    ],
)
def test_the_command_names_what_was_asked_for(key: ScoreKey, options: RecordedOptions, command: str) -> None:
    score = EvaluationScore(key, {"average": None}, usual_shots=8, options=options)
    assert evaluation_command(score, "runs/x") == f"openflan evaluate runs/x {command}"
