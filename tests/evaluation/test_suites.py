"""Which benchmarks and suites there are."""

import pytest

from openflan.benchmark_data.registry import PAPER
from openflan.errors import InputError
from openflan.evaluation.averages import COMPONENTS
from openflan.evaluation.known_benchmarks import MODES, SUITES, find_benchmark, find_suite


def test_the_flan_suite_is_what_the_papers_average_needs() -> None:
    assert tuple(f"{name}-{mode}" for name, mode in SUITES["flan"]) == COMPONENTS


def test_all_is_every_benchmark_of_the_paper_in_both_modes() -> None:
    assert set(SUITES["all"]) == {(name, mode) for name in PAPER for mode in MODES}
    assert {mode for _, mode in SUITES["reasoning"]} == {"cot"}


@pytest.mark.parametrize(("name", "mode"), SUITES["all"])
def test_what_scoring_needs_is_known_without_files(name: str, mode: str) -> None:
    benchmark = find_benchmark(name, mode)
    assert (benchmark.name, benchmark.mode) == (name, mode)
    assert set(benchmark.averages["average"]) <= set(benchmark.tasks)
    assert all(0 <= task.chance < 100 and task.size > 0 for task in benchmark.tasks.values())
    assert benchmark.prompt_version.startswith(f"{name}-{mode}-")
    zero = find_benchmark(name, mode, shots=0)
    assert zero.prompt_version == f"{name}-{mode}-0-shot-1"


def test_sizes_are_those_of_the_published_files() -> None:
    counts = {
        name: sum(task.size for task in find_benchmark(name, "direct").tasks.values()) for name in PAPER
    }
    assert counts == {"mmlu": 1_531, "bbh": 6_511, "tydiqa": 5_077, "mgsm": 2_750, "gsm8k": 1_319}


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean `reasoning`"):
        find_suite("reason")
    with pytest.raises(InputError, match="did you mean `tydiqa`"):
        find_benchmark("tydqa", "direct")
    with pytest.raises(InputError, match="did you mean `cot`"):
        find_benchmark("mmlu", "cott")
