"""Saved generations scored: the second phase of an evaluation, which touches no model.

Lines may come in any order and from any program. Several samples of a question are decided by majority
(`votes.py`). Missing and repeated lines are counted, and such a file has no average unless `partial` is set:
then the lines that exist count, and of a repeated sample the first line. Trade-off: a file to which two runs
were appended can be scored with `partial` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark
from openflan.evaluation.bits_per_byte import GOLD, gold_likelihood
from openflan.evaluation.corpus_scores import corpus_metrics, references, signatures
from openflan.evaluation.decoding import Decoding
from openflan.evaluation.fit_exemplars import count_exemplars, shots_of
from openflan.evaluation.generations import Generation, checked_generations
from openflan.evaluation.saved_answers import answer_of, decoding_of_lines, final_passes, thinking_counts
from openflan.evaluation.score_record import EvaluationScore, Interval, ScoreKey
from openflan.evaluation.statistics import QuestionScore, average_score, mean_over, task_score
from openflan.evaluation.votes import UNPARSED, Vote, majority, majority_curve
from openflan.evaluation.wording_sensitivity import wording_sensitivity

_NAMED = 5

OVER_QUESTIONS = "average_over_questions"
"""The mean over all questions of the headline's tasks, as lm-eval's `acc` of a group; `average` is the mean
over tasks."""


@dataclass(frozen=True)
class Saved:
    """A file's generations by (task, index), each question's samples in the order of their numbers.

    `duplicates` names samples that are there again, `named` is the file as messages call it.
    """

    benchmark: Benchmark
    questions: Mapping[tuple[str, int], Sequence[Generation]]
    duplicates: Sequence[str]
    named: str

    @cached_property
    def samples(self) -> int:
        """The most samples of a question."""
        return max(map(len, self.questions.values()))

    @cached_property
    def missing(self) -> list[tuple[str, int]]:
        """Questions with no sample, or fewer than others. Rows that were not scored because they are the
        exemplar do not count."""
        questions = [
            (name, index) for name, task in self.benchmark.tasks.items() for index in range(task.size)
        ]
        shown_rows = {(name, self.benchmark.tasks[name].exemplar_row) for name in self.exemplar_from_dev}
        return [
            question
            for question in questions
            if len(self.questions.get(question, ())) < self.samples and question not in shown_rows
        ]

    @cached_property
    def exemplar_from_dev(self) -> list[str]:
        """Tasks one row of which is the exemplar of the others and has no answer. Lines without this
        information, of other programs, are taken to have such a row."""
        may_be_from_dev = {
            samples[0].task: samples[0].exemplar_split == "dev" or samples[0].exemplars is None
            for samples in self.questions.values()
        }
        tasks = self.benchmark.tasks
        rows = {name: task.exemplar_row for name, task in tasks.items() if may_be_from_dev.get(name)}
        return [name for name, row in rows.items() if row is not None and (name, row) not in self.questions]


def score_file(
    source: Path | Iterable[str],
    benchmark: Benchmark,
    *,
    partial: bool = False,
    model: str = "",
    decoding: Decoding | None = None,
) -> EvaluationScore:
    """Return the score of saved generations, a file or lines. `model` and `decoding` enter its key; without
    `decoding` it is read from the lines.

    `partial` averages over the questions that are present. Otherwise every question of every task must be
    present once, with the same number of samples. A mean over tasks none of which is present is None. Raises
    InputError for unknown tasks, and for indices that are missing, repeated or out of range. It is also
    raised for lines that are no generations of this benchmark.
    """
    saved = read_saved(source, benchmark)
    if not partial:
        _refuse_incomplete(saved)
    decoding = decoding or decoding_of_lines(_lines_of(saved))
    if decoding.likelihood == GOLD:
        return _gold_score(saved, model, decoding)
    votes = judge_all(saved)
    scores_by_task = {
        task: list(questions.values())
        for task, questions in _by_task(benchmark, {key: one for key, (_, one) in votes.items()}).items()
    }
    scores = {
        name: task_score(scores_by_task[name], benchmark.tasks[name].chance)
        for name in benchmark.tasks
        if name in scores_by_task
    }
    present = {
        name: tuple(task for task in tasks if task in scores) for name, tasks in benchmark.averages.items()
    }
    intervals = {
        name: average_score({task: scores_by_task[task] for task in tasks})
        for name, tasks in present.items()
        if tasks
    }
    headline = benchmark.averages["average"]
    means = dict(benchmark.question_averages)
    if benchmark.over_questions:
        means[OVER_QUESTIONS] = headline
    for name, over in means.items():
        if pooled := [one for task in over for one in scores_by_task.get(task, ())]:
            intervals[name] = average_score({"": pooled})
    corpus = corpus_metrics(benchmark, {key: vote for key, (vote, _) in votes.items()}, saved.questions)
    scores = {
        name: replace(one, metrics={**one.metrics, **corpus.get(name, {})}) for name, one in scores.items()
    }
    return replace(
        _unscored(saved, model, decoding),
        averages={
            **{
                name: intervals[name].value if name in intervals else None
                for name in (*benchmark.averages, *means)
            },
            **{
                name: mean_over(headline, {task: score.metrics.get(name) for task, score in scores.items()})
                for name in (*benchmark.metrics, *benchmark.option_metrics, *benchmark.corpus_metrics)
            },
        },
        tasks=scores,
        normalized=mean_over(headline, {name: score.normalized for name, score in scores.items()}),
        intervals={
            name: Interval(one.ci95, one.n, one.stderr, one.clusters) for name, one in intervals.items()
        },
        agreement=mean_over(headline, {task: score.agreement for task, score in scores.items()})
        if saved.samples > 1
        else None,
        curve=_curve(saved, votes) if saved.samples > 1 else {},
        signatures=signatures(benchmark, saved.questions),
        gold=gold_likelihood(saved.questions, benchmark.averages),
        wordings=wording_sensitivity({key: one for key, (_, one) in votes.items()}, benchmark.wordings),
    )


def _gold_score(saved: Saved, model: str, decoding: Decoding) -> EvaluationScore:
    """The score of a file that holds the right answers' log-probabilities alone: nothing was answered, so
    that it has no accuracy."""
    return replace(
        _unscored(saved, model, decoding),
        averages={"average": None},
        gold=gold_likelihood(saved.questions, saved.benchmark.averages),
    )


def _unscored(saved: Saved, model: str, decoding: Decoding) -> EvaluationScore:
    """What a score says beside its figures: its key, what is missing, and the prompts."""
    benchmark = saved.benchmark
    versions = {samples[0].prompt_version for samples in saved.questions.values()}
    lines = _lines_of(saved)
    exemplars = count_exemplars(lines)
    shots = shots_of(samples[0] for samples in saved.questions.values())
    how = replace(decoding, samples=saved.samples)
    return EvaluationScore(
        key=ScoreKey(model, benchmark.name, benchmark.mode, benchmark.split, shots, how),
        averages={},
        partial=bool(saved.missing or saved.duplicates),
        missing=len(saved.missing),
        duplicates=len(saved.duplicates),
        exemplars=exemplars.mean,
        exemplars_dropped=exemplars.dropped,
        prompts_shortened=exemplars.shortened,
        exemplar_from_dev=tuple(saved.exemplar_from_dev),
        prompt_version=versions.pop() if len(versions) == 1 else None,
        prompt_hash=exemplars.prompts,
        usual_shots=benchmark.usual_shots,
        thinking=thinking_counts(lines),
    )


def _lines_of(saved: Saved) -> list[Generation]:
    """All samples of all questions."""
    return [one for samples in saved.questions.values() for one in samples]


def read_saved(source: Path | Iterable[str], benchmark: Benchmark) -> Saved:
    """The generations of a file, checked to be of this benchmark; raises InputError if there are none."""
    named = str(source) if isinstance(source, Path) else "the generations"
    samples: dict[tuple[str, int], dict[int, Generation]] = {}
    duplicates = []
    for position, generation in final_passes(checked_generations(source, benchmark)):
        question = samples.setdefault((generation.task, generation.index), {})
        if generation.sample in question:
            duplicates.append(
                f"{position}: {generation.task} {generation.index}"
                + (f" sample {generation.sample}" if generation.sample else "")
            )
        else:
            question[generation.sample] = generation
    if not samples:
        raise InputError(f"{named} holds no generation of {benchmark.name}")
    return Saved(
        benchmark,
        {key: tuple(of[number] for number in sorted(of)) for key, of in samples.items()},
        duplicates,
        named,
    )


def judge_all(saved: Saved) -> dict[tuple[str, int], tuple[Vote, QuestionScore]]:
    """Every question that is there, in the benchmark's order of tasks and by index."""
    order = {task: position for position, task in enumerate(saved.benchmark.tasks)}
    questions = sorted(saved.questions, key=lambda question: (order[question[0]], question[1]))
    return {question: judge_question(saved.benchmark, saved.questions[question]) for question in questions}


def judge_question(benchmark: Benchmark, samples: Sequence[Generation]) -> tuple[Vote, QuestionScore]:
    """The vote over the samples of one question, and what it is worth; the target is that of the first
    sample."""
    vote = majority([answer_of(benchmark, one) for one in samples], benchmark.compare)
    first = samples[0]
    # A passage is one task's; only the benchmark itself knows of questions that stand in several.
    cluster = None if first.cluster is None else f"{first.task}/{first.cluster}"
    if cluster is None and benchmark.cluster:
        cluster = benchmark.cluster(first.task, first.index)
    return vote, QuestionScore(
        extracted=vote.answer is not None,
        correct=vote.answer is not None
        and any(benchmark.compare(vote.answer, one) for one in references(first.target)),
        finish=first.finish,
        others=tuple(one.finish for one in samples[1:]),
        agreement=vote.agreement,
        metrics={
            name: 0.0
            if vote.answer is None
            else max(metric(vote.answer, one) for one in references(first.target))
            for name, metric in benchmark.metrics.items()
        }
        | {
            name: 0.0
            if first.option_likelihoods is None
            else max(metric(first.option_likelihoods, target) for target in references(first.target))
            for name, metric in benchmark.option_metrics.items()
        },
        cluster=cluster,
        metric=benchmark.tasks[first.task].metric,
    )


def _refuse_incomplete(saved: Saved) -> None:
    """Raises InputError that counts missing and repeated generations."""
    total = sum(task.size for task in saved.benchmark.tasks.values())
    remedies, faults = [], []
    if saved.missing:
        listed = ", ".join(f"{task} {index}" for task, index in saved.missing[:_NAMED]) + (
            ", ..." if len(saved.missing) > _NAMED else ""
        )
        of = f" with {saved.samples} samples each" if saved.samples > 1 else ""
        faults.append(f"lacks {len(saved.missing):,} of {total:,} generations{of} ({listed})")
        remedies.append("finish the run")
    if saved.duplicates:
        listed = ", ".join(saved.duplicates[:_NAMED]) + (", ..." if len(saved.duplicates) > _NAMED else "")
        faults.append(f"holds {len(saved.duplicates):,} again ({listed}: there twice)")
        remedies.append("keep one line of each")
    if faults:
        raise InputError(
            f"{saved.named} {' and '.join(faults)}: {' and '.join(remedies)}, or score what is there "
            "with `--partial`"
        )


def _by_task(
    benchmark: Benchmark, scores: Mapping[tuple[str, int], QuestionScore]
) -> dict[str, dict[int, QuestionScore]]:
    by_task: dict[str, dict[int, QuestionScore]] = {}
    for (task, index), question_score in scores.items():
        by_task.setdefault(task, {})[index] = question_score
    return by_task


def _curve(
    saved: Saved, votes: Mapping[tuple[str, int], tuple[Vote, QuestionScore]]
) -> dict[str, float | None]:
    """Accuracy as a function of the number of samples, over the tasks of the headline; it runs over questions
    with all their samples, each task's by itself."""
    headline = saved.benchmark.averages["average"]
    curves: dict[str, Mapping[int, float]] = {}
    for task in headline:
        complete = [key for key in votes if key[0] == task and len(saved.questions[key]) == saved.samples]
        if complete:
            groups_NK = np.array([votes[key][0].groups for key in complete], dtype=np.int64)
            right_NK = np.array(
                [_right_groups(saved, key, votes[key][0]) for key in complete], dtype=np.bool_
            )
            curves[task] = majority_curve(groups_NK, right_NK, name=f"{saved.benchmark.name} {task}")
    return {
        str(k): mean_over(headline, {task: curve[k] for task, curve in curves.items()})
        for k in next(iter(curves.values()), {})
    }


def _right_groups(saved: Saved, question: tuple[str, int], vote: Vote) -> list[bool]:
    """For each sample whether its answer is right; the first answer of a group of equal answers is judged, as
    in the vote."""
    samples = saved.questions[question]
    targets = references(samples[0].target)
    right: dict[int, bool] = {UNPARSED: False}
    for group, generation in zip(vote.groups, samples, strict=True):
        if group not in right:
            answer = answer_of(saved.benchmark, generation)
            right[group] = answer is not None and any(
                saved.benchmark.compare(answer, target) for target in targets
            )
    return [right[group] for group in vote.groups]
