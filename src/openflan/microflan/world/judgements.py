"""Pairs of sentences to be judged: what follows from a premise, and what says the same in other words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from openflan.microflan.world.forms import OPEN_ENDED, make_task, sentence_case, yes_no_row
from openflan.microflan.world.reading import CARRIED, SPOTS
from openflan.microflan.world.world_facts import PEOPLE, Function, World
from openflan.randomness import Draws
from openflan.tasks.task import Row, Task

VERDICTS = ("yes", "no", "not known")
"""The verdicts on a claim, given a premise."""


def judgement_tasks(world: World) -> Iterator[Task]:
    """Entailment with three verdicts, and paraphrase with two; all with `options`."""
    makers: list[tuple[str, str, Callable[[int, Draws], Row]]] = [
        ("entail_place-judge", "entailment", _place),
        ("entail_both-judge", "entailment", _both),
        ("entail_none-judge", "entailment", _nobody),
    ]
    makers += [
        (f"paraphrase_{function.word}-verify", "paraphrase", partial(_same_fact, function))
        for function in world.functions
        if _worded(function)
    ]
    makers += [
        ("paraphrase_sum-verify", "paraphrase", _same_sum),
        ("paraphrase_place-verify", "paraphrase", _same_place),
    ]
    for name, category, make in makers:
        yield make_task(f"microflan/{name}", world.seed, OPEN_ENDED, make, category, frozenset({"options"}))


def _worded(function: Function) -> bool:
    return function.split == "train" and function.kind in ("relation", "attribute")


def _verdict(premise: str, claim: str, verdict: str) -> Row:
    return {
        "question": f"{premise} Does it follow that {claim}?",
        "answer": verdict,
        "options": list(VERDICTS),
    }


def _place(_: int, draws: Draws) -> Row:
    person, other_person = _two(PEOPLE, draws)
    spot, elsewhere = _two(SPOTS, draws)
    verdict = draws.choice(VERDICTS)
    subject = other_person if verdict == "not known" else person
    claim = f"{subject} is in the {elsewhere if verdict == 'no' else spot}"
    return _verdict(f"{person} is in the {spot}.", claim, verdict)


def _both(_: int, draws: Draws) -> Row:
    person, other_person = _two(PEOPLE, draws)
    first, second = _two(CARRIED, draws)
    verdict = ("yes", "not known")[draws.below(2)]
    held = (
        draws.choice((first, second))
        if verdict == "yes"
        else draws.choice([item for item in CARRIED if item not in (first, second)])
    )
    return _verdict(
        f"{person} and {other_person} have a {first} and a {second}.", f"they have a {held}", verdict
    )


def _nobody(_: int, draws: Draws) -> Row:
    person = draws.choice(PEOPLE)
    spot, elsewhere = _two(SPOTS, draws)
    verdict = ("no", "not known")[draws.below(2)]
    return _verdict(
        f"Nobody is in the {spot}.", f"{person} is in the {spot if verdict == 'no' else elsewhere}", verdict
    )


def _same(first: str, second: str, truth: bool) -> Row:
    return yes_no_row(f"{sentence_case(first)}. {sentence_case(second)}. Do the two say the same?", truth)


def _same_fact(function: Function, index: int, draws: Draws) -> Row:
    argument, value = function.facts[draws.below(len(function.facts))]
    truth = index % 2 == 0
    named_value = (
        value
        if truth
        else draws.choice([other for other in function.values if other not in (value, argument)])
    )
    phrase = function.phrase.format(x=argument)
    first, second = (
        f"{phrase} is {value}",
        f"{argument}'s {function.word} is {named_value}" if draws.below(2) else f"{named_value} is {phrase}",
    )
    return _same(first, second, truth)


def _same_sum(index: int, draws: Draws) -> Row:
    first, second, third = draws.distinct(3, 11)
    truth = index % 2 == 0
    return _same(
        f"the sum is {first} plus {second}", f"the sum is {second} plus {first if truth else third}", truth
    )


def _same_place(index: int, draws: Draws) -> Row:
    person, other_person = _two(PEOPLE, draws)
    spot, elsewhere = _two(SPOTS, draws)
    truth = index % 2 == 0
    swapped = draws.below(2) == 0
    named_person, named_spot = (
        (person, spot) if truth else (other_person, spot) if swapped else (person, elsewhere)
    )
    return _same(f"{person} is in the {spot}", f"the place of {named_person} is the {named_spot}", truth)


def _two(items: tuple[str, ...], draws: Draws) -> tuple[str, str]:
    first, second = draws.distinct(2, len(items))
    return items[first], items[second]
