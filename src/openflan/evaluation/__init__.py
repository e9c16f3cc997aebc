"""Benchmarks as the paper ran them: prompts, answers, scores. Needs no model library; models come in as an `openflan.inference.Engine`."""

from openflan.evaluation.bbh import bbh_benchmark
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example
from openflan.evaluation.catalogue import BENCHMARKS, find_benchmark
from openflan.evaluation.held_out import held_out_benchmark
from openflan.evaluation.local_files import locate
from openflan.evaluation.mgsm import mgsm_benchmark
from openflan.evaluation.run import Generated, generate_to, score_file

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "BenchmarkTask",
    "Example",
    "Generated",
    "bbh_benchmark",
    "find_benchmark",
    "generate_to",
    "held_out_benchmark",
    "locate",
    "mgsm_benchmark",
    "score_file",
]
