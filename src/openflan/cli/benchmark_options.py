"""Options that several commands about benchmarks share."""

from __future__ import annotations

from pathlib import Path

import typer

from openflan.benchmark_data.items import built_in_folders

MODE: str = typer.Option(
    "direct",
    help=(
        "`direct` asks for the answer, `cot` for a chain of thought first. `--mode cot --shots 0` adds the "
        "trigger phrase."
    ),
)
DATA: Path | None = typer.Option(
    None,
    help=(
        f"The folder that contains the benchmarks' folders ({', '.join(built_in_folders())}), or one of "
        "these folders. For tasks: the file or folder with their rows."
    ),
)
SHOTS: int | None = typer.Option(
    None, min=0, help="The number of exemplars in a prompt. Default: the published number."
)
SPLIT: str | None = typer.Option(
    None,
    help=(
        "For mmlu: `validation` (the default, as in the paper's Table 5) or `test`. For arc_easy and "
        "arc_challenge: `test` (the default) or `validation`. For tasks of --data: `validation` or `test`, "
        "the "
        "rows that lie beside their training rows."
    ),
)
METRIC: str | None = typer.Option(
    None,
    help=(
        "For tasks: another metric than their own, one of exact_match, accuracy, numeric, squad, rouge_l, "
        "rouge_l_stemmed and translation. The last two need the extra `metrics`."
    ),
)
WORDINGS: str | None = typer.Option(
    None,
    metavar="all",
    help=(
        "For tasks: `all` asks every question once with each wording, and prints mean, spread, and the worst "
        "wording."
    ),
)
JSON: bool = typer.Option(False, "--json", help="Print one JSON value on standard output.")
