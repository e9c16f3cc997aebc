"""Scores of saved generations, and comparisons of models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.comparison import comparison
from openflan.evaluation.custom_benchmark import custom_benchmark
from openflan.evaluation.known_benchmarks import find_mode
from openflan.evaluation.score_record import EvaluationScore
from openflan.evaluation.score_saved import score_file
from openflan.evaluation.selection import open_benchmark
from openflan.frames import frame_of

if TYPE_CHECKING:
    from pandas import DataFrame


def score(
    benchmark: str,
    generations: Path | str,
    *,
    mode: str = "direct",
    data: Path | str | None = None,
    split: str | None = None,
    partial: bool = False,
    metric: str | None = None,
    wordings: str | None = None,
) -> EvaluationScore:
    """Scores saved generations of a benchmark, without a model.

    `generations` is a `.jsonl` or `.jsonl.gz` file; several samples of a question are decided by majority.
    `benchmark` and `mode` are those of `evaluate`; tasks need `data`. `partial` averages over the questions
    that the file has; otherwise InputError is raised if questions are missing or there twice. `metric` and
    `wordings` are those of `EvaluateOptions`. InputError is also raised for an unknown benchmark, and for
    lines that are not generations of it; SetupError for a metric whose library is not installed.
    """
    opened = benchmark_to_score(benchmark, mode, data, split, metric, all_wordings=wordings == "all")
    return score_file(Path(generations), opened, partial=partial)


def benchmark_to_score(
    name: str,
    mode: str,
    data: Path | str | None = None,
    split: str | None = None,
    metric: str | None = None,
    *,
    all_wordings: bool = False,
) -> Benchmark:
    """The benchmark that judges saved generations. Raises InputError if there is none of that name."""
    return open_benchmark(
        name,
        find_mode(mode),
        None if data is None else Path(data),
        split=split,
        scored=True,
        metric=metric,
        all_wordings=all_wordings,
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models, or a model and the paper, benchmark by benchmark; `value` has the keys that `openflan
    compare --json` prints. Differences are the second minus the first, in percentage points."""

    value: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The JSON value of `openflan compare --json`."""
        return dict(self.value)

    def to_frame(self) -> DataFrame:
        """One line for each average (`kind` is `average`) and each task (`kind` is `task`) of each benchmark:
        both figures, the difference, its 95 % interval (`ci95_low`, `ci95_high`), `n` and the verdict.

        Raises SetupError if pandas is not installed.
        """
        return frame_of(list(self._lines()))

    def _lines(self) -> Iterator[dict[str, Any]]:
        for benchmark in self.value["benchmarks"]:
            for kind, group in (("average", "averages"), ("task", "tasks")):
                for name, cells in benchmark[group].items():
                    low, high = cells["ci95"]
                    figures = {key: value for key, value in cells.items() if key != "ci95"}
                    yield {
                        "benchmark": benchmark["benchmark"],
                        "kind": kind,
                        "name": name,
                        **figures,
                        "ci95_low": low,
                        "ci95_high": high,
                    }


def compare(
    first: str | Path, second: str | Path, benchmarks: Sequence[Path | str] = (), *, seed: int = 0
) -> Comparison:
    """Compares two models question by question, or a model with the paper's printed figures.

    Both are a run folder, `FOLDER:LABEL` (`base`, `final`, `step-N`), or a file of generations; `second` may
    also be `paper:NAME`, such as `paper:flan-t5-base`. `benchmarks` are YAML files of your own benchmarks.
    `seed` is that of the bootstrap. Raises InputError if the two have no benchmark in common.
    """
    custom = [benchmark for path in benchmarks for benchmark in _in_both_modes(Path(path))]
    return Comparison(comparison(str(first), str(second), custom, seed=seed))


def _in_both_modes(path: Path) -> list[Benchmark]:
    """A custom benchmark in the modes `direct` and `cot`. Its exemplars do not matter for judging."""
    return [custom_benchmark(path, mode, shots=0) for mode in ("direct", "cot")]
