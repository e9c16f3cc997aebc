"""Questions with options whose texts are scored by likelihood, as lm-evaluation-harness 0.4 scores them.

`acc` of that harness is our accuracy: the option with the highest log-probability is the answer. `acc_norm`
stands beside it: the highest log-probability per character of the option. Each option follows the prompt
after one space, which does not count as a character. Of equal options the first is the answer. Options are
compared with the target as texts, so an option that repeats the right one counts as right, unlike there.

Exemplars are drawn as there: for each question in order, `random.Random(1234).sample` of the train split's
rows. They depend on the order of the questions alone, so every model gets the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from openflan.errors import InputError
from openflan.evaluation.benchmark import Benchmark, BenchmarkTask, Example, OptionLikelihoods, exactly

MAX_TOKENS = 128
"""Tokens that a prompt leaves free for its options."""

_EXEMPLAR_SEED = 1234
"""The default of lm-evaluation-harness."""


@dataclass(frozen=True, slots=True)
class OptionQuestion:
    """A question as the prompt shows it, its options, and the index of the right one."""

    prompt: str
    options: tuple[str, ...]
    answer: int

    @property
    def solved(self) -> str:
        """The question with its right option, as an exemplar."""
        return f"{self.prompt} {self.options[self.answer]}"


def option_benchmark(
    name: str,
    questions: Callable[[], Sequence[OptionQuestion]],
    exemplar_rows: Callable[[], Sequence[OptionQuestion]],
    *,
    num_questions: int,
    chance: float,
    shots: int | None,
    split: str = "",
) -> Benchmark:
    """The benchmark `name`, one task of the same name, answered by likelihood.

    `questions()` and `exemplar_rows()` read the rows that are scored and those of the train split, when
    prompts are made. `shots` exemplars are in each prompt, none if None. `split` is empty for the usual one.
    Raises InputError for negative `shots`.
    """
    num_shots = shots or 0
    if num_shots < 0:
        raise InputError(f"`--shots {num_shots}` is below 0: expected 0 or more exemplars")
    return Benchmark(
        name=name,
        mode="direct",
        tasks={name: BenchmarkTask(num_questions, chance)},
        examples=partial(_examples, questions, exemplar_rows, num_shots),
        extract=_extract,
        compare=exactly,
        averages={"average": (name,)},
        max_tokens=MAX_TOKENS,
        prompt_version=f"{name}-direct-{num_shots}-shot-1",
        split=split,
        shots=num_shots,
        usual_shots=0,
        by_likelihood=True,
        option_metrics={"acc_norm": acc_norm},
    )


def acc_norm(likelihoods: OptionLikelihoods, target: str) -> float:
    """1.0 if the option with the highest log-probability per character is the target, else 0.0."""
    texts = [option.removeprefix(" ") for option in likelihoods.options]
    per_character = [
        value / max(len(text), 1) for value, text in zip(likelihoods.log_probabilities, texts, strict=True)
    ]
    best = max(range(len(texts)), key=per_character.__getitem__)
    return float(texts[best].strip() == target)


def _examples(
    questions: Callable[[], Sequence[OptionQuestion]],
    exemplar_rows: Callable[[], Sequence[OptionQuestion]],
    shots: int,
    task: str,
) -> Sequence[Example]:
    rows = questions()
    solved = [row.solved for row in exemplar_rows()] if shots else []
    if shots > len(solved):
        raise InputError(
            f"{task} has {len(solved)} rows to take exemplars from: `--shots {shots}` needs more"
        )
    draws = random.Random(_EXEMPLAR_SEED)  # noqa: S311 - repeats another program's draws
    examples = []
    for index, row in enumerate(rows):
        prompt = partial(_prompt, tuple(draws.sample(solved, shots)), row.prompt)
        examples.append(
            Example(
                task,
                index,
                prompt(shots),
                row.options[row.answer].strip(),
                shots,
                fewer=prompt,
                options=tuple(f" {option}" for option in row.options),
            )
        )
    return examples


def _prompt(exemplars: tuple[str, ...], question: str, num_exemplars: int) -> str:
    return "\n\n".join([*exemplars[:num_exemplars], question])


def _extract(task: str, generation: str) -> str | None:
    return generation.strip() or None
