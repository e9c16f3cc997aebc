"""Compares two models, or a model and the paper, from the files in their run folders."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.bits_per_byte import BITS_PER_BYTE, GOLD, gold_questions
from openflan.evaluation.changed_request import differing_options
from openflan.evaluation.compare import against_paper, compare_models
from openflan.evaluation.corpus_scores import references
from openflan.evaluation.paper import PaperFigures, paper_model
from openflan.evaluation.saved_models import (
    GenerationsFile,
    SavedModel,
    benchmark_of,
    component_of,
    saved_model,
)
from openflan.evaluation.score_record import VARIANT, EvaluationScore, ScoreKey
from openflan.evaluation.score_saved import Saved, judge_all, read_saved, score_file
from openflan.evaluation.selected_on import is_selected_on
from openflan.evaluation.statistics import QuestionScore
from openflan.run_folder import Run

PAPER = "paper:"

_GOLD = f"-{GOLD}"
"""The variant of files that hold the right answers' log-probabilities alone."""


def comparison(
    a: str,
    b: str,
    custom_benchmarks: Sequence[Benchmark] = (),
    *,
    seed: int = 0,
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """`{"a", "b", "names": {"a", "b"}, "benchmarks": [...], "left_out": [...]}`, every difference the second
    minus the first.

    `a` and `b` are run folders, FOLDER:LABEL or files of generations, `b` also `paper:NAME`, against which
    the difference is the model's minus the paper's. `custom_benchmarks` are benchmarks
    that are known neither by name nor from the files. `only` keeps components such as `bbh-cot`. Raises
    InputError if the two have no benchmark in common.
    """
    if a.startswith(PAPER):
        raise InputError(
            f"`{a}` has printed figures only: give your own model first, as in `openflan compare "
            f"runs/mine {a}`"
        )
    first = saved_model(a, custom_benchmarks)
    if b.startswith(PAPER):
        return _with_paper(a, b, first, custom_benchmarks, only)
    second = saved_model(b, custom_benchmarks)
    names = model_names(first, second)
    pairs = {
        name: (saved_file, second.files[name])
        for name, saved_file in first.files.items()
        if name in second.files and (only is None or name in only)
    }
    if VARIANT in first.label + second.label:
        pairs |= _pairs_of_variants(first, second, pairs, only)
    if not pairs:
        listed = "; ".join(
            f"{model.name} has {', '.join(model.files) or 'none'}" for model in (first, second)
        )
        raise InputError(f"{a} and {b} have no benchmark in common: {listed}")
    results = [
        {
            "benchmark": name,
            **_compared(*pair, custom_benchmarks, names, seed),
            **_selected_on({"a": (first, pair[0]), "b": (second, pair[1])}),
        }
        for name, pair in pairs.items()
    ]
    paired = {saved_file.component for pair in pairs.values() for saved_file in pair}
    apart = [
        name
        for name in (*first.files, *second.files)
        if name not in paired and (only is None or name in only)
    ]
    unknown = [str(path) for path in (*first.unknown, *second.unknown)] if only is None else []
    return {
        "a": a,
        "b": b,
        "names": dict(zip("ab", names, strict=True)),
        "benchmarks": results,
        "left_out": list(dict.fromkeys([*apart, *unknown])),
    }


def _pairs_of_variants(
    first: SavedModel,
    second: SavedModel,
    paired: Collection[str],
    only: Collection[str] | None,
) -> dict[str, tuple[GenerationsFile, GenerationsFile]]:
    """Files of one benchmark, mode and split that differ in exemplars or decoding, where a user gave such a
    variant a name: he wants to compare them. Only where each side has one."""
    pairs = {}
    rest = [[one for one in model.files.values() if one.component not in paired] for model in (first, second)]
    for saved_file in rest[0]:
        name = component_of(saved_file.benchmark, saved_file.mode, None, "", saved_file.split)
        alike = [
            [one for one in files if component_of(one.benchmark, one.mode, None, "", one.split) == name]
            for files in rest
        ]
        if [len(files) for files in alike] != [1, 1]:
            continue
        pair = (alike[0][0], alike[1][0])
        if (pair[0].variant == _GOLD) != (pair[1].variant == _GOLD):
            # Bits per byte and answers have no common measure.
            continue
        if only is None or any(one.component in only for one in pair):
            pairs[name] = pair
    return pairs


def check_side(name: str) -> None:
    """Raises InputError if a side of a comparison does not exist, before anything is computed for the
    other."""
    if name.startswith(PAPER):
        paper_model(name.removeprefix(PAPER))
    else:
        saved_model(name)


def model_names(first: SavedModel, second: SavedModel) -> tuple[str, str]:
    """The shortest names that distinguish two models, for tables and verdicts."""
    if first.label and second.label and first.folder.resolve() == second.folder.resolve():
        short = (first.label, second.label)
    else:
        short = (_short(first), _short(second))
    if short[0] != short[1]:
        return short
    full_names = [f"{one.folder}:{one.label}" if one.label else one.name for one in (first, second)]
    return full_names[0], full_names[1]


def _short(model: SavedModel) -> str:
    name = model.folder.resolve().name
    return f"{name}:{model.label}" if model.label else name


def _compared(
    first: GenerationsFile,
    second: GenerationsFile,
    custom_benchmarks: Sequence[Benchmark],
    names: tuple[str, str],
    seed: int,
) -> dict[str, Any]:
    rule = benchmark_of((first, second), custom_benchmarks)
    saved = [read_saved(saved_file.path, rule) for saved_file in (first, second)]
    is_gold = first.variant == _GOLD
    ours, theirs = (
        gold_questions(side.questions) if is_gold else {key: one for key, (_, one) in judge_all(side).items()}
        for side in saved
    )
    # A name does not say which rows a file of the user had when it was asked: a question is one that has one
    # answer.
    changed_questions = _other_targets(*saved) if rule.rules else set()
    compared = compare_models(
        _without(ours, changed_questions),
        _without(theirs, changed_questions),
        rule.averages,
        names=names,
        seed=seed,
    ).as_json()
    no_rule = first.has_own_rules and not any(
        generation.rule for side in saved for of in side.questions.values() for generation in of
    )
    return {
        **compared,
        "other_targets": len(changed_questions),
        "compared_as_texts": no_rule and not is_gold,
        "other_options": _other_options((first, second), saved),
        **({"unit": BITS_PER_BYTE} if is_gold else {}),
    }


def _other_options(files: Sequence[GenerationsFile], saved: Sequence[Saved]) -> list[dict[str, Any]]:
    """The options in which two files of answers differ, as `{"option", "a", "b"}`: the exemplars, the
    decoding, and what the lines themselves say of their requests."""
    listed: list[tuple[str, Any, Any]] = []
    first, second = files
    if first.shots != second.shots:
        listed.append(("--shots", first.shots, second.shots))
    if first.variant != second.variant:
        a, b = (one.variant.removeprefix("-") or "greedy" for one in (first, second))
        listed.append(("decoding", a, b))
    settings = [next(iter(side.questions.values()))[0].settings for side in saved]
    if settings[0] is not None and settings[1] is not None:
        listed += differing_options(settings[0], settings[1])
    return [{"option": option, "a": a, "b": b} for option, a, b in listed]


def _other_targets(first: Saved, second: Saved) -> set[tuple[str, int]]:
    """Questions that both have answered, and whose right answers are not the same."""
    common = first.questions.keys() & second.questions.keys()
    return {
        key
        for key in common
        if set(references(first.questions[key][0].target)) != set(references(second.questions[key][0].target))
    }


def _without(
    scores: Mapping[tuple[str, int], QuestionScore], left_out: Collection[tuple[str, int]]
) -> dict[tuple[str, int], QuestionScore]:
    return {key: one for key, one in scores.items() if key not in left_out}


def _selected_on(sides: Mapping[str, tuple[SavedModel, GenerationsFile]]) -> dict[str, list[str]]:
    """`{"selected_on": [...]}` with the sides whose checkpoint was chosen by its score on the benchmark;
    nothing if there is none."""
    marked = [
        side
        for side, (model, saved_file) in sides.items()
        if model.label
        and is_selected_on(
            Run(model.folder),
            ScoreKey(model.label, saved_file.benchmark, saved_file.mode, saved_file.split),
        )
    ]
    return {"selected_on": marked} if marked else {}


_NOT_GENERATED = ("-likelihood", _GOLD)


def _why_nothing(score: EvaluationScore, figures: PaperFigures) -> str:
    """Why no figure of the paper stands beside a score, although it prints some for the benchmark."""
    if set(figures.averages) == {"test"} and score.key.split != "test":
        return "the paper's figure is of the test split: evaluate with `--split test`"
    if score.partial:
        return "only a part of the questions was answered, and the paper prints their mean alone"
    return "the paper prints no figure for this split"


def _with_paper(
    a: str, b: str, first: SavedModel, custom_benchmarks: Sequence[Benchmark], only: Collection[str] | None
) -> dict[str, Any]:
    model = paper_model(b.removeprefix(PAPER))
    chosen = {name: saved_file for name, saved_file in first.files.items() if only is None or name in only}
    results, left_out = [], []
    for name, saved_file in chosen.items():
        figures = model.components.get(f"{saved_file.benchmark}-{saved_file.mode}")
        # The printed figures are of generated answers to prompts with the usual exemplars.
        if figures is None or saved_file.shots is not None or saved_file.variant.startswith(_NOT_GENERATED):
            left_out.append(name)
            continue
        score = score_file(saved_file.path, benchmark_of((saved_file,), custom_benchmarks), partial=True)
        result = against_paper(score, figures)
        if result["averages"] or result["tasks"]:
            marks = _selected_on({"a": (first, saved_file)})
            results.append({"benchmark": name, **result, "sources": list(figures.sources), **marks})
        else:
            left_out.append(f"{name} ({_why_nothing(score, figures)})")
    if not results:
        raise InputError(f"{a} and {b} have no benchmark in common: {a} has {', '.join(left_out) or 'none'}")
    names = {"a": _short(first), "b": b.removeprefix(PAPER)}
    unknown = [str(path) for path in first.unknown]
    return {"a": a, "b": b, "names": names, "benchmarks": results, "left_out": [*left_out, *unknown]}
