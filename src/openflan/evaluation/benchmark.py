"""A benchmark as data and plain functions.

Decision: everything that scoring needs (task names, sizes, chance, extraction, comparison) is known without
any data file, so saved generations can be scored anywhere; only `examples` opens files. Variants (direct,
with rationales, zero-shot) are values of this one class.
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
    """One question as it is sent to the model.

    `prompt` is the whole prompt and `target` the right answer. `exemplars` is the number of exemplars in the
    prompt, `index` the number of the question in its task, from 0. `cluster` names what the question shares
    with others (a passage), where only the data tells. `fewer(count)` is the prompt with the first `count`
    exemplars; without it the prompt cannot be shortened. `exemplars_dropped` counts exemplars that were left
    out because the prompt would not have fitted. `exemplar_split` is the split of the exemplars, if it
    decides which rows are scored. `options` are the texts that may follow the prompt, with the white space
    between; their likelihood is scored. `conversation` is the text of the conversation that the prompt writes
    readably, for models that are asked in a chat template (`inference.protocol.Request`).
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
    conversation: str | None = None


@dataclass(frozen=True, slots=True)
class OptionLikelihoods:
    """The options of a question as they follow the prompt, and the natural logarithms of their probabilities,
    in the same order."""

    options: tuple[str, ...]
    log_probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BenchmarkTask:
    """What is known of a task without its file.

    `size` is the number of examples, `chance` the accuracy of guessing in percent, `stop` the strings that
    end a generation. `exemplar_row` is the one index that a complete run may lack, because its row is the
    exemplar. `metric` names the task's own measure: `accuracy`, or one of its benchmark's `metrics`.
    """

    size: int
    chance: float = 0.0
    stop: tuple[str, ...] = ()
    exemplar_row: int | None = None
    metric: str = "accuracy"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A named set of tasks in one mode (`direct` or `cot`).

    Prompts: `examples(task)` are all examples of a task, in the order of its file. `max_tokens` is the
    default limit of a generation. `prompt_version` names the wording and the number of exemplars; results of
    different versions are not comparable. `shots` is the number of exemplars in a prompt, `usual_shots` the
    benchmark's own number; None where it is not known. `split` is empty for the usual split of the data.

    Scoring: `extract(task, generation)` is the answer, or None. `compare(answer, target)` says whether it is
    right. `averages` names means and the tasks that they run over; `average` is the headline.
    `over_questions` adds the mean over all questions, which other harnesses report. `question_averages` are
    further means, by name, in which every question of the tasks weighs the same. `metrics` stand beside
    the accuracy, by name: `metric(answer, target)` is in 0..1, the best over several references counts, and
    no answer is 0. `corpus_metrics` are of all answers of a task whose own measure is `corpus_of`, in
    percent; no answer is an empty one. `cluster(task, index)` names the source of a question that stands
    in several tasks: questions of one source are not independent.

    Likelihood: with `by_likelihood` questions are answered by the most likely of their options, never by
    generated text. `option_metrics` are metrics of the likelihoods of all options, by name:
    `metric(likelihoods, target)` is in 0..1.

    Wordings: `wordings` gives the task and the wording of each task that asks the questions of another one
    with one of its wordings.

    `rules` says by task, as JSON, how answers are judged; only a benchmark that is not known by name needs it
    (`rules.py`). `requested_name` is the name that the command line takes (a file, a pattern of tasks) where
    it is not `name`.
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
    question_averages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    corpus_metrics: Mapping[str, Callable[[Sequence[str], Sequence[tuple[str, ...]]], float]] = field(
        default_factory=dict
    )
    corpus_of: str = ""
    wordings: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def shots_variant(self) -> str:
        """The part of a file's name after the mode: empty for the usual number of exemplars, such as
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
            self.compare(answer, reference)
            for reference in ((target,) if isinstance(target, str) else target)
        )


def exactly(answer: str, target: str) -> bool:
    return answer == target


def number_of_shots(name: str, shots: int | None, num_exemplars: int) -> int:
    """Return `shots`, or `num_exemplars` if it is None. Raises InputError outside 0 to `num_exemplars`."""
    if shots is None:
        return num_exemplars
    if not 0 <= shots <= num_exemplars:
        raise InputError(
            f"{name} has {num_exemplars} exemplars: `--shots {shots}` is not between 0 and {num_exemplars}"
        )
    return shots
