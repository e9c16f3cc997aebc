"""Options of the estimate of time and memory, given where no estimate is made."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from openflan.cli.main import app


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["pretrain", "lm-adapt-t5", "--device", "h100"], "with --plan"),
        (["pretrain", "lm-adapt-t5", "--devices", "8"], "with --plan"),
        (["mixture", "flan-2022", "--device", "h100"], "where the recipe's data are there"),
        (["mixture", "flan-2022", "--show", "1", "--mfu", "0.5"], "without --export and --show"),
        (["study", "formats", "--device-tflops", "300"], "with --plan"),
    ],
)
def test_a_device_is_not_ignored_without_a_word(arguments: list[str], where: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code != 0
    said = " ".join((done.output or "").split()) + str(done.exception or "")
    assert f"is for the estimate of time and memory, which is made {where}" in said
