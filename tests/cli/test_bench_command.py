"""`openflan bench` prints a table that can be pasted, or JSON."""

from __future__ import annotations

import json

import pytest
from commands import openflan

QUICK = ["--device", "cpu", "--minutes", 0.01, "--arm", "flat", "--shape", "tiny-llama", "--no-generation"]


def test_it_prints_a_table_or_json() -> None:
    done = openflan("bench", *QUICK, "--rounds", 1, "--steps", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("device: ")
    assert "| tiny-llama | flat | float32 |" in done.stdout
    # Progress is no part of the table.
    assert "round 0 of 1" in done.stderr
    values = json.loads(openflan("bench", *QUICK, "--json").stdout)
    assert values["rows"][0]["shape"] == "tiny-llama"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shape", "tiny-lama"], "--shape tiny-lama: not known; did you mean `tiny-llama`?"),
        (["--arm", "flatt"], "--arm flatt: not known"),
        (["--peak", 0], "--peak 0: expected a number above 0"),
        (["--device", "tpu"], "device is 'tpu'; expected cpu, cuda"),
        (["--device", "cuda:99"], "there is no device cuda:99 here"),
    ],
)
def test_wrong_options_end_in_one_line(arguments: list[object], message: str) -> None:
    done = openflan("bench", *arguments)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert message in done.stderr
