"""Training position to packed row: the same rows whatever the batch split, and after a restart without
looking back."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.errors import InputError
from openflan.packing.encode import Encoded, Encoder, Limits
from openflan.packing.example_windows import ExampleStream, packed_examples
from openflan.randomness import Draws
from openflan.templates.render import Rendered
from openflan.templates.style import Style

LIMITS = Limits(inputs=60, targets=20, joint=False)
WINDOW = 50


class Words:
    """Examples of seeded lengths, whose words say their position; `asked` is the spy."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    token_budget = None

    def unpruned(self, position: int) -> Rendered:
        return self[position]

    def __getitem__(self, position: int) -> Rendered:
        self.asked.append(position)
        draws = Draws(5, "lengths", position)
        inputs, targets = (
            " ".join([f"in{position}"] * (1 + draws.below(70))),
            " ".join([f"out{position}"] * (1 + draws.below(22))),
        )
        return Rendered(
            inputs,
            targets,
            answer="",
            task="own/words",
            row=position,
            style=Style(),
            wording="any",
            pruned=draws.below(2),
        )


class Lettered:
    """A tokenizer by hand: a word is the number in it; 0 is EOS."""

    eos_token_id = 0
    bos_token_id = None
    name_or_path = "lettered"

    def __len__(self) -> int:
        return 1_000

    def __call__(
        self, text: str | list[str], add_special_tokens: bool = True
    ) -> dict[str, list[int] | list[list[int]]]:
        return {"input_ids": self._ids(text) if isinstance(text, str) else [self._ids(one) for one in text]}

    @staticmethod
    def _ids(text: str) -> list[int]:
        return [1 + int(word.lstrip("inout") or 0) for word in text.split() if word != "a"]


def _plan(
    sequences_per_window: Sequence[int] = (),
    examples: Words | None = None,
    limits: Limits = LIMITS,
    policy: str = "truncate-inputs",
) -> ExampleStream:
    return packed_examples(
        examples or Words(), Encoder(Lettered(), limits, policy), sequences_per_window, window=WINDOW
    )  # type: ignore[arg-type]


def _listed(rows: list[list[Encoded]]) -> list[list[tuple[list[int], list[int]]]]:
    return [[(example.input_ids.tolist(), example.target_ids.tolist()) for example in row] for row in rows]


EXPECTED = _listed(_plan().sequences(0, 120))


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_rows_do_not_depend_on_the_batch_split(sizes: list[int]) -> None:
    plan, sequences, at = _plan(), [], 0
    for size in sizes:
        size = min(size, len(EXPECTED) - at)
        sequences += _listed(plan.sequences(at, size))
        at += size
    assert sequences == EXPECTED[:at]


def test_rows_can_be_asked_in_any_order() -> None:
    plan = _plan()
    for position in np.random.default_rng(0).permutation(len(EXPECTED))[:30]:
        assert _listed(plan.sequences(int(position), 1)) == [EXPECTED[position]]


@pytest.mark.parametrize("limits", [LIMITS, Limits(60, 20, joint=True)])
def test_rows_fit_and_hold_every_kept_example_once(limits: Limits) -> None:
    plan = _plan(limits=limits)
    rows = plan.sequences(0, 120)
    for row in rows:
        inputs, targets = (
            sum(len(example.input_ids) for example in row),
            sum(len(example.target_ids) for example in row),
        )
        assert inputs + targets <= 80 if limits.joint else (inputs <= 60 and targets <= 20)
    full_windows = plan.index()[:-1]
    seen = Counter(int(example.input_ids[0]) - 1 for row in rows[: sum(full_windows)] for example in row)
    kept = {
        position
        for position in range(len(full_windows) * WINDOW)
        if len(Words()[position].targets.split()) < 20
    }
    assert seen == Counter(kept)


def test_examples_are_those_of_the_stream() -> None:
    """An oracle by hand: each packed example is the truncated words of its position, EOS at both ends."""
    plan = _plan()
    for row in plan.sequences(0, 40):
        for example in row:
            position = int(example.input_ids[0]) - 1
            rendered = Words()[position]
            assert example.input_ids.tolist() == [
                *([position + 1] * min(len(rendered.inputs.split()), 59)),
                0,
            ]
            assert example.target_ids.tolist() == [*([position + 1] * len(rendered.targets.split())), 0]


def test_sources_align_with_rows() -> None:
    plan = _plan()
    origins = [window.origins(number) for window, number in plan.locate(3, 60)]
    for encoded, sources in zip(plan.sequences(3, 60), origins, strict=True):
        assert [int(example.input_ids[0]) - 1 for example in encoded] == [source.row for source in sources]


def test_the_index_counts_the_rows_of_each_window() -> None:
    plan = _plan()
    assert plan.index() == []
    plan.sequences(0, 120)
    assert plan.index() == [len(_plan().window(number)) for number in range(len(plan.index()))]
    assert sum(plan.index()[:-1]) < 120 <= sum(plan.index())


def test_a_plan_from_an_index_gives_the_same_rows_without_earlier_windows() -> None:
    first = _plan()
    first.sequences(0, 110)
    examples = Words()
    restored = _plan(first.index(), examples)
    assert _listed(restored.sequences(110, 10)) == EXPECTED[110:120]
    in_window = next(number for number in range(len(first.index())) if sum(first.index()[: number + 1]) > 110)
    assert in_window >= 2
    assert min(examples.asked) == in_window * WINDOW
    assert restored.index() == _index_after(120)


def test_without_an_index_earlier_windows_are_made() -> None:
    """The spy can see: the check above is one that could fail."""
    examples = Words()
    _plan((), examples).sequences(110, 1)
    assert min(examples.asked) == 0


def _index_after(rows: int) -> list[int]:
    plan = _plan()
    plan.sequences(0, rows)
    return plan.index()


def test_counts_say_what_became_of_a_window() -> None:
    rendered = [Words()[position] for position in range(WINDOW)]
    long_targets = [len(example.targets.split()) + 1 > 20 for example in rendered]
    long_inputs = [len(example.inputs.split()) + 1 > 60 for example in rendered]
    either = list(zip(long_inputs, long_targets, strict=True))
    counts = _plan().window(0).counts()
    assert counts["examples"] == WINDOW
    assert counts["truncated"] == sum(inputs and not targets for inputs, targets in either) > 0
    assert counts["dropped: targets too long"] == sum(long_targets) > 0
    assert counts["pruned exemplars"] == sum(example.pruned for example in rendered) > 0
    counts = _plan(policy="drop").window(0).counts()
    assert counts["truncated"] == 0
    assert counts["dropped: inputs too long"] == sum(inputs and not targets for inputs, targets in either)


def test_nothing_that_fits_is_an_error_not_an_endless_loop() -> None:
    with pytest.raises(
        InputError, match="none of 50 examples fits 60 input and 1 target tokens .*set packing"
    ):
        _plan(limits=Limits(60, 1, joint=False)).sequences(0, 1)


def test_few_windows_are_held_in_memory() -> None:
    """Going on reads on: a long run must not keep what it has seen."""
    examples = Words()
    plan = _plan((), examples)
    for first in range(0, 120, 10):
        plan.sequences(first, 10)
    made = len(plan.index())
    assert made > 2
    assert len(examples.asked) == made * WINDOW, "a window was made twice"
    plan.sequences(0, 1)
    assert len(examples.asked) == (made + 1) * WINDOW, "the first window was still held"
