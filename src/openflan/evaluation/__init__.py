"""Benchmarks as the paper ran them: prompts, answers, scores. Needs no model library; models come in as an
`openflan.inference.Engine`."""

from openflan.benchmark_data.files import locate
from openflan.evaluation.bbh import bbh_benchmark
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example
from openflan.evaluation.custom_benchmark import custom_benchmark
from openflan.evaluation.generate import Generated, generate_to
from openflan.evaluation.gsm8k import gsm8k_benchmark
from openflan.evaluation.held_out import held_out_benchmark
from openflan.evaluation.known_benchmarks import BENCHMARKS, SUITES, find_benchmark, find_suite
from openflan.evaluation.mgsm import mgsm_benchmark
from openflan.evaluation.mmlu import mmlu_benchmark
from openflan.evaluation.score_saved import score_file
from openflan.evaluation.task_benchmark import task_benchmark
from openflan.evaluation.tydiqa import tydiqa_benchmark

__all__ = [
    "BENCHMARKS",
    "SUITES",
    "Benchmark",
    "BenchmarkTask",
    "Example",
    "Generated",
    "bbh_benchmark",
    "custom_benchmark",
    "find_benchmark",
    "find_suite",
    "generate_to",
    "gsm8k_benchmark",
    "held_out_benchmark",
    "locate",
    "mgsm_benchmark",
    "mmlu_benchmark",
    "score_file",
    "task_benchmark",
    "tydiqa_benchmark",
]
