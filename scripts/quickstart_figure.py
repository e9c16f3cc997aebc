"""Prints the table of quickstarts of several seeds, with the mean gain, and draws their figure, as the README
shows them.

openflan quickstart; openflan quickstart --seed 1 --run runs/quickstart-1; openflan quickstart --seed 2 --run
runs/quickstart-2 python scripts/quickstart_figure.py runs/quickstart runs/quickstart-1 runs/quickstart-2
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from openflan.microflan.quickstart_figure import as_markdown, draw_groups
from openflan.studies.statistics import over_seeds

FIGURE = Path(__file__).resolve().parent.parent / "docs" / "figures" / "quickstart.svg"


def main(runs: list[str]) -> None:
    summaries = [json.loads((Path(run) / "summary.json").read_text(encoding="utf-8")) for run in runs]
    print(as_markdown(summaries))
    gains = [one["gain"]["normalized"] for one in summaries]
    ends = over_seeds(gains)
    print(
        "\ngain:",
        ", ".join(f"{gain:+.1f}" for gain in gains),
        f"mean {sum(gains) / len(gains):+.1f}",
        "" if ends is None else f"({ends[0]:.1f} to {ends[1]:.1f} over seeds)",
    )
    draw_groups(summaries, FIGURE)


if __name__ == "__main__":
    main(sys.argv[1:])
