"""Questions that take several steps, with the steps written out as a rationale.

A rationale is the statements one after another, the last of which holds the answer; wordings add the closing
sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from openflan.microflan.world.forms import OPEN_ENDED, make_task, sentence_case
from openflan.microflan.world.lists import words_drawn
from openflan.microflan.world.splits import Split
from openflan.microflan.world.world_facts import GROUPS, PEOPLE, Function, World
from openflan.randomness import Draws
from openflan.tasks.task import Row, Task

_LARGEST = 40
_FRUITS = GROUPS["fruit"]
_DIRECTIONS = ("north", "east", "south", "west")
_RATIONALE = frozenset({"rationale"})


def multistep_tasks(world: World) -> Iterator[Task]:
    """Two-hop facts, with a task for each pair of an attribute and a function whose values are people. After
    them chains, walks, stories and a list taken twice."""
    splits: tuple[Split, ...] = ("train", "dev", "test")
    for split in splits:
        for outer, attribute in world.pairs(split):
            name, kind = (
                f"microflan/hop_{outer.word}_{attribute.word}-steps",
                None if split == "train" else "composition",
            )
            make = partial(_two_hops, outer, attribute)
            yield make_task(
                name, world.seed, len(outer.facts), make, "two-hop facts", _RATIONALE, kind, split
            )
    for skill, category, size, made in _OTHERS:
        yield make_task(f"microflan/{skill}-steps", world.seed, size, made, category, _RATIONALE)


def two_hops(outer: Function, attribute: Function, index: int) -> tuple[str, str, str]:
    """The question's noun phrase, the two sentences that lead to its value, and the value."""
    argument, middle = outer.facts[index]
    value = dict(attribute.facts)[middle]
    phrase = outer.phrase.format(x=argument)
    return (
        f"the {attribute.word} of {phrase}",
        f"{sentence_case(phrase)} is {middle}. The {attribute.word} of {middle} is {value}.",
        value,
    )


def _two_hops(outer: Function, attribute: Function, index: int, _: Draws) -> Row:
    phrase, steps, value = two_hops(outer, attribute, index)
    return {"question": f"What is {phrase}?", "rationale": steps, "answer": value}


def chain(steps: int, _: int, draws: Draws) -> Row:
    """Arithmetic in `steps` steps on whole numbers from 0 to 40."""
    start = total = 1 + draws.below(30)
    instructions, sentences = [f"Start with {start}"], []
    for step in range(steps):
        then = "then " if step == steps - 1 else ""
        sort, by = draws.below(5), 1 + draws.below(9)
        before = total
        if sort == 0 and 2 * total <= _LARGEST:
            total *= 2
            instructions.append(f"{then}double it")
            sentences.append(f"Double {before} is {total}.")
        elif (sort <= 2 or total < by) and total + by <= _LARGEST:
            total += by
            instructions.append(f"{then}add {by}")
            sentences.append(f"{before} plus {by} is {total}.")
        else:
            total -= by
            instructions.append(f"{then}take away {by}")
            sentences.append(f"{before} minus {by} is {total}.")
    return {
        "question": f"{', '.join(instructions)}. What is the result?",
        "rationale": " ".join(sentences),
        "answer": str(total),
    }


def walk_line(_: int, draws: Draws) -> Row:
    """Two or three moves up and down a line of numbers, never below 0."""
    person, start = draws.choice(PEOPLE), draws.below(11)
    position, moves, sentences = start, [], []
    for _step in range(2 + draws.below(2)):
        by, before = 1 + draws.below(5), position
        way = "up" if position < by or draws.below(2) else "down"
        position += by if way == "up" else -by
        moves.append(f"{way} {by}")
        sentences.append(f"{before} {way} {by} is {position}.")
    return {
        "question": f"{person} starts at {start}, goes {', then '.join(moves)}. Where is {person}?",
        "rationale": " ".join(sentences),
        "answer": str(position),
    }


def walk_turn(index: int, _: Draws) -> Row:
    """Two or three turns; every person, first direction and turns once (768 rows)."""
    remainder, person = divmod(index, len(PEOPLE))
    turns, first = divmod(remainder, len(_DIRECTIONS))
    count = 2 if turns < 4 else 3
    direction, moves, sentences = first, [], []
    for step in range(count):
        turn = "right" if (turns if count == 2 else turns - 4) >> step & 1 else "left"
        before, direction = direction, (direction + (1 if turn == "right" else -1)) % 4
        moves.append(f"turns {turn}")
        sentences.append(f"{turn.capitalize()} of {_DIRECTIONS[before]} is {_DIRECTIONS[direction]}.")
    name = PEOPLE[person]
    question = f"{name} looks {_DIRECTIONS[first]}, {', then '.join(moves)}. Which way does {name} look?"
    return {"question": question, "rationale": " ".join(sentences), "answer": _DIRECTIONS[direction]}


def _story_gift(_: int, draws: Draws) -> Row:
    owner, giver = (PEOPLE[place] for place in draws.distinct(2, len(PEOPLE)))
    fruit, had, more = draws.choice(_FRUITS), 1 + draws.below(9), 1 + draws.below(9)
    eaten = 1 + draws.below(min(9, had + more))
    return {
        "question": (
            f"{owner} has {_some(had, fruit)}. {giver} gives {owner} {more} more, then {owner} eats {eaten}. "
            f"How many {fruit}s does {owner} have?"
        ),
        "rationale": (
            f"{had} plus {more} is {had + more}. {had + more} minus {eaten} is {had + more - eaten}."
        ),
        "answer": str(had + more - eaten),
    }


def _story_both(_: int, draws: Draws) -> Row:
    person, other_person = (PEOPLE[place] for place in draws.distinct(2, len(PEOPLE)))
    fruit, had, more = draws.choice(_FRUITS), 1 + draws.below(9), 1 + draws.below(9)
    return {
        "question": (
            f"{person} has {_some(had, fruit)}. {other_person} has {more} more than {person}. "
            f"How many {fruit}s do they "
            "have in all?"
        ),
        "rationale": f"{had} plus {more} is {had + more}. {had} plus {had + more} is {2 * had + more}.",
        "answer": str(2 * had + more),
    }


def _first_of_reverse(_: int, draws: Draws) -> Row:
    words = words_drawn(draws)
    return {
        "question": f"What is the first word in the reverse of the list {', '.join(words)}?",
        "rationale": f"The reverse of the list is {', '.join(words[::-1])}. The first word is {words[-1]}.",
        "answer": words[-1],
    }


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


_OTHERS: tuple[tuple[str, str, int, Callable[[int, Draws], Row]], ...] = (
    ("chain_two", "chained arithmetic", 1_000, partial(chain, 2)),
    ("chain_three", "chained arithmetic", OPEN_ENDED, partial(chain, 3)),
    ("walk_line", "walks", OPEN_ENDED, walk_line),
    ("walk_turn", "walks", 768, walk_turn),
    ("story_gift", "short stories", OPEN_ENDED, _story_gift),
    ("story_both", "short stories", OPEN_ENDED, _story_both),
    ("list_reverse_first", "list operations", OPEN_ENDED, _first_of_reverse),
)
