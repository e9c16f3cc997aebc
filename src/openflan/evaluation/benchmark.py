"""A benchmark as data and plain functions.

Decision: what scoring needs (task names, sizes, chance, extraction, comparison) is known without any data
file, so that saved generations can be scored anywhere; only `examples` opens files. Variants (direct, with
rationales, zero-shot) are values of this one class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from openflan.errors import InputError, did_you_mean

Target: TypeAlias = str | tuple[str, ...]
"""The right answer, or several of which any one counts."""


@dataclass(frozen=True, slots=True)
class Example:
    """One question as it is sent: the whole prompt, the right answer, and the number of exemplars in the
    prompt. `index` counts from 0.

    `cluster` names what it shares with other questions (a passage), where only the data tells. `fewer(count)`
    is the prompt with the first `count` exemplars only; without it the prompt cannot be shortened.
    `exemplar_split` is where the exemplars come from, if that changes which rows are asked;
    `exemplars_dropped` counts those left out because the prompt would not have fitted. `options` are the
    texts that may follow the prompt where there are such, with the white space between them and the prompt:
    what is scored by likelihood.
    """

    task: str
    index: int
    prompt: str
    target: Target
    exemplars: int
    cluster: str | None = None
    fewer: Callable[[int], str] | None = field(default=None, compare=False, repr=False)
    exemplar_split: str | None = None
    exemplars_dropped: int = 0
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OptionLikelihoods:
    """The options of a question as they follow the prompt, and the natural logarithms of their probabilities,
    in the same order."""

    options: tuple[str, ...]
    log_probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BenchmarkTask:
    """What is known of a task without its file: number of examples, chance accuracy in percent, strings that
    end a generation.

    `exemplar_row` is the one index that a complete run may lack, because its row was shown as the exemplar.
    `metric` names the task's own measure: `accuracy`, or one of its benchmark's `metrics`.
    """

    size: int
    chance: float = 0.0
    stop: tuple[str, ...] = ()
    exemplar_row: int | None = None
    metric: str = "accuracy"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A named set of tasks in one mode (`direct` or `cot`).

    `examples(task)` are all examples of a task, in the order of its file. `extract(task, generation)` is the
    answer or None, `compare(answer, target)` decides. `averages` names means and the tasks they run over;
    `average` is the headline. `max_tokens` is the default for a generation. `prompt_version` names wording
    and number of exemplars: results of different versions are not comparable. `metrics` stand beside
    accuracy, by name: `metric(answer, target)` is in 0..1, the best over several references counts, and no
    answer is 0. `split` is empty unless another part of the data than the usual one is asked.
    `over_questions` asks for the mean over all questions beside the mean over tasks, which other harnesses
    report. `shots` is the number of exemplars that a prompt is to have, `usual_shots` the benchmark's own;
    None where it is not known. `rules` says, as JSON and by task, how answers are judged, for a benchmark
    that no name alone brings back (`rules.py`). `requested_name` is the name that the command line takes where it
    is not `name`: a file's, or a pattern of tasks. `cluster(task, index)` names the source of a question that
    stands in several tasks: questions of one name are no independent evidence. `by_likelihood` says that
    questions are answered by the most likely of their options and never by generated text. `option_metrics`
    are metrics of the likelihoods of all options, by name: `metric(likelihoods, target)` is in 0..1.
    """

    name: str
    mode: str
    tasks: Mapping[str, BenchmarkTask]
    examples: Callable[[str], Sequence[Example]]
    extract: Callable[[str, str], str | None]
    compare: Callable[[str, str], bool]
    averages: Mapping[str, tuple[str, ...]]
    max_tokens: int
    prompt_version: str
    metrics: Mapping[str, Callable[[str, str], float]] = field(default_factory=dict)
    cluster: Callable[[str, int], str] | None = None
    split: str = ""
    over_questions: bool = False
    shots: int | None = None
    usual_shots: int | None = None
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    requested_name: str = ""
    by_likelihood: bool = False
    option_metrics: Mapping[str, Callable[[OptionLikelihoods, str], float]] = field(default_factory=dict)

    @property
    def shots_variant(self) -> str:
        """What a file's name has behind the mode: nothing for the usual number of exemplars, such as
        `-0-shot` for another."""
        return "" if self.shots == self.usual_shots else f"-{self.shots}-shot"

    def task(self, name: str) -> BenchmarkTask:
        """Raises InputError for an unknown name, with the nearest one."""
        if name not in self.tasks:
            raise InputError(
                f"{self.name} has no task "
                f"`{name}`{did_you_mean(name, self.tasks) or '; it has ' + ', '.join(self.tasks)}"
            )
        return self.tasks[name]

    def correct(self, task: str, generation: str, target: Target) -> bool:
        answer = self.extract(task, generation)
        return answer is not None and any(
            self.compare(answer, one) for one in ((target,) if isinstance(target, str) else target)
        )


def exactly(answer: str, target: str) -> bool:
    return answer == target


def number_of_shots(name: str, shots: int | None, most: int) -> int:
    """`shots`, or all exemplars there are; InputError outside 0..most."""
    if shots is None:
        return most
    if not 0 <= shots <= most:
        raise InputError(f"{name} has {most} exemplars: `--shots {shots}` is not between 0 and {most}")
    return shots
