"""A model's saved answers, found in a run folder by the name that a command gets: `runs/x`, `runs/x:LABEL`,
or a file of generations.

Benchmark, mode and number of exemplars are read from the lines, or from the file's name
(`LABEL-BENCHMARK-MODE[-N-shot][-DECODING].jsonl`) if lines do not say them. Another split than the usual one
has its own folder within the run's generations. Answers to rows and files of the user are judged by the rule
in their lines (`rules.py`). Files that say neither benchmark nor mode are listed, and nothing is guessed
about them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openflan.embedded import EMBEDDED_BENCHMARKS, parse_benchmark
from openflan.errors import InputError, did_you_mean
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.embedded_benchmarks import open_embedded_benchmark
from openflan.evaluation.fit_exemplars import shots_of
from openflan.evaluation.generations import Generation, read_generations
from openflan.evaluation.known_benchmarks import BENCHMARKS, MODES, find_benchmark, find_mode, usual_shots
from openflan.evaluation.rules import AnswerRules, benchmark_of_rules, have_same_rules
from openflan.evaluation.score_record import VARIANT, EvaluationScore, read_scores
from openflan.evaluation.scores_0_1 import FEW_SHOT
from openflan.run_folder import Run

_SUFFIXES = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True, slots=True)
class GenerationsFile:
    """A file of one benchmark. `variant` is the part of its name after the mode and the number of exemplars.
    `split` is empty for the usual one. `shots` is None if it is unknown or usual. `has_own_rules`: the
    benchmark is not known by name, so lines say how they are judged."""

    path: Path
    benchmark: str
    mode: str
    variant: str
    split: str
    shots: int | None = None
    has_own_rules: bool = False

    @property
    def component(self) -> str:
        return component_of(self.benchmark, self.mode, self.shots, self.variant, self.split)


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A model's files by component (`bbh-cot`); `label` is which model of a run it is, empty for a file by
    itself; `unknown` are files that do not say what they answer."""

    name: str
    folder: Path
    label: str
    files: Mapping[str, GenerationsFile]
    unknown: Sequence[Path]


def component_of(benchmark: str, mode: str, shots: int | None, variant: str, split: str) -> str:
    """The component of a file, as one word: `bbh-cot`, `bbh-cot-0-shot-likelihood`, `mmlu-direct-test`. Only
    files of one component are compared."""
    return (
        f"{benchmark}-{mode}"
        + ("" if shots is None else f"-{shots}-shot")
        + variant
        + (f"-{split}" if split else "")
    )


def component_of_score(score: EvaluationScore) -> str:
    """The component of a score's answers."""
    key = score.key
    return component_of(
        key.benchmark, key.mode, None if score.at_usual_shots else key.shots, key.decoding.variant, key.split
    )


def saved_model(name: str, custom_benchmarks: Sequence[Benchmark] = ()) -> SavedModel:
    """The files of `FOLDER[:LABEL]` or of one file; without a label the most trained model that has any.
    `custom_benchmarks` are benchmarks beside the catalogue's.

    Raises InputError if there is no such folder, label or generation.
    """
    names = dict.fromkeys((*BENCHMARKS, *EMBEDDED_BENCHMARKS, *(one.name for one in custom_benchmarks)))
    path, label = (
        (Path(name), None)
        if Path(name).exists() or ":" not in name
        else (Path(name.rpartition(":")[0]), name.rpartition(":")[2])
    )
    if path.is_file():
        saved_file = _generations_file(path, names)[1]
        if saved_file is None:
            listed = ", ".join(names)
            raise InputError(
                f"{path} is of no known benchmark: give its lines `benchmark` and `mode`, or name it "
                f"LABEL-BENCHMARK-MODE.jsonl ({listed})"
            )
        return SavedModel(name, path, "", {saved_file.component: saved_file}, [])
    if not path.is_dir():
        raise InputError(
            f"{path} is neither a run folder nor a file of generations; `paper:NAME` names a model of "
            "the paper"
        )
    by_label: dict[str, list[tuple[Path, GenerationsFile | None]]] = {}
    generations = Run(path).generations
    for file in sorted([*generations.glob("*.jsonl*"), *generations.glob("*/*.jsonl*")]):
        if file.name.endswith(_SUFFIXES):
            its_label, saved_file = _generations_file(file, names)
            by_label.setdefault(its_label, []).append((file, saved_file))
    if not by_label:
        where = "" if Run(path).recipe.is_file() else ", and name the folder that this prints"
        raise InputError(
            f"{path} holds no generations: evaluate its model with `openflan evaluate {path}`{where}"
        )
    if label is not None and label not in by_label:
        raise InputError(
            f"{path} holds no generations of "
            f"`{label}`{did_you_mean(label, by_label) or '; it has ' + ', '.join(by_label)}"
        )
    answered = [
        its_label
        for its_label, files in by_label.items()
        if any(saved_file is not None for _, saved_file in files)
    ]
    label = max(answered or by_label, key=_trained) if label is None else label
    known = {saved_file.component: saved_file for _, saved_file in by_label[label] if saved_file is not None}
    # The name of a file that does not say what it answers begins with a model's label none the less.
    unknown = [
        file
        for files in by_label.values()
        for file, saved_file in files
        if saved_file is None and file.name.startswith((f"{label}-", f"{label}."))
    ]
    return SavedModel(name, path, label, known, unknown)


def benchmark_of(
    saved_files: Sequence[GenerationsFile], custom_benchmarks: Sequence[Benchmark] = ()
) -> Benchmark:
    """The rule by which files of one component are judged.

    Raises InputError where their lines name different rules.
    """
    saved_file, mode = saved_files[0], find_mode(saved_files[0].mode)
    for benchmark in custom_benchmarks:
        if (benchmark.name, benchmark.mode, benchmark.split) == (
            saved_file.benchmark,
            saved_file.mode,
            saved_file.split,
        ):
            return benchmark
    if saved_file.has_own_rules:
        rules = [_answer_rules(saved_file) for saved_file in saved_files]
        if not have_same_rules(rules):
            raise InputError(
                f"{' and '.join(str(file.path) for file in saved_files)}: their answers are judged by "
                "different rules, so they do not compare"
            )
        return benchmark_of_rules(saved_file.benchmark, mode, rules, saved_file.split)
    if embedded := open_embedded_benchmark(saved_file.benchmark, mode, with_chance=False):
        return embedded
    return find_benchmark(saved_file.benchmark, saved_file.mode, split=saved_file.split or None)


def _answer_rules(saved_file: GenerationsFile) -> AnswerRules:
    """The rules in a file. If it has none, as those of version 0.1, the run's scores say the measure of each
    task."""
    held = AnswerRules.of(one for _, one in read_generations(saved_file.path))
    if held.rules:
        return held
    folder = (
        saved_file.path.parent.parent
        if saved_file.path.parent.name == "generations"
        else saved_file.path.parent.parent.parent
    )
    scores = [
        score
        for score in read_scores(Run(folder).scores)
        if (score.key.benchmark, score.key.mode) == (saved_file.benchmark, saved_file.mode)
    ]
    rules = {
        task: {"metric": measure}
        for score in scores
        for task, task_score in score.tasks.items()
        if (measure := _MEASURES.get(frozenset(task_score.metrics)))
    }
    return replace(held, rules={task: rule for task, rule in rules.items() if task in held.sizes})


_MEASURES = {frozenset({"rouge_l"}): "rouge_l", frozenset({"f1"}): "squad"}
"""Metrics by what they put beside the accuracy."""


def _generations_file(path: Path, names: Iterable[str]) -> tuple[str, GenerationsFile | None]:
    """Label, and where the file belongs; None for a file that does not say its benchmark and mode."""
    split = path.parent.name if path.parent.parent.name == "generations" else ""
    first = next((one for _, one in read_generations(path)), None)
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl")
    if first is None:
        return stem, None
    stated_names = [first.benchmark] if first.benchmark else []
    for benchmark in dict.fromkeys([*stated_names, *names]):
        for mode in MODES:
            if first.benchmark not in (None, benchmark) or first.mode not in (None, mode):
                continue
            label, named, behind = stem.rpartition(f"{benchmark}-{mode}")
            if named or (first.mode == mode and stated_names):
                behind = behind if named else ""
                has_own_rules = benchmark not in names and parse_benchmark(benchmark) is None
                # Version 0.1 called the quickstart's questions with exemplars a split.
                saved_file = GenerationsFile(
                    path,
                    benchmark,
                    mode,
                    _SHOTS.sub("", behind, count=1),
                    "" if split == FEW_SHOT else split,
                    has_own_rules=has_own_rules,
                )
                return label.removesuffix("-") if named else stem, replace(
                    saved_file, shots=_shots(saved_file, first, behind)
                )
    return stem, None


_SHOTS = re.compile(r"^-(\d+)-shot(?=-|$)")


def _shots(saved_file: GenerationsFile, first: Generation, behind: str) -> int | None:
    """The number of exemplars that was requested, from the lines or the file's name; None for the benchmark's
    own number."""
    stated_shots = shots_of([first])
    in_name = _SHOTS.match(behind)
    shots = int(in_name[1]) if stated_shots is None and in_name else stated_shots
    if saved_file.benchmark in BENCHMARKS:
        usual = usual_shots(saved_file.benchmark, saved_file.mode)
    elif parse_benchmark(saved_file.benchmark) or (first.prompt_version or "").endswith("-shot-1"):
        usual = 0  # of embedded sources, and of tasks
    else:
        # A benchmark's own file sets its usual number, and a file of generations names any other.
        return shots if in_name else None
    return None if shots == usual else shots


def _trained(label: str) -> tuple[int, int, bool]:
    """Orders labels by how far their models are trained: the final one, steps, others, then untrained
    ones; of one model the evaluation that has no name of its own comes first."""
    model, _, variant = label.partition(VARIANT)
    return (*_trained_model(model), not variant)


def _trained_model(label: str) -> tuple[int, int]:
    step = label.removeprefix("step-")
    if label == "final":
        return 3, 0
    if step != label and step.isdigit():
        return 2, int(step)
    return (0 if label in ("base", "random-init") else 1), int(label == "base")
