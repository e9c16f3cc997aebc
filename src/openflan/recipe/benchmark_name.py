"""The type of a benchmark's name in a recipe (`mixture.held_out`)."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, WithJsonSchema

from openflan.benchmark_data.registry import benchmark_names, built_in_benchmarks
from openflan.errors import did_you_mean


def _known_benchmark(name: str) -> str:
    names = benchmark_names()
    if name not in names:
        raise ValueError(
            f"there is no benchmark `{name}`{did_you_mean(name, names) or '; there are ' + ', '.join(names)}"
        )
    return name


BenchmarkName: TypeAlias = Annotated[
    str,
    AfterValidator(_known_benchmark),
    WithJsonSchema({"anyOf": [{"enum": list(built_in_benchmarks())}, {"type": "string"}]}),
]
"""The name of a built-in benchmark, or of one that another package adds. The JSON schema names the built-in
ones, for completion in editors, and allows any other text."""
