"""The data of the benchmarks: files, readers, splits, tasks and chance, one module a benchmark.

Evaluation, the overlap report and the recipe's `held_out` read this room. It does not depend on any of them:
prompts, extraction and metrics are in `openflan.evaluation`.
"""
