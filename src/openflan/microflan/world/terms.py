"""What does not depend on the world's seed: how words are spelt, days and months, units, and names of
numbers. All enumerated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from openflan.microflan.world.forms import FORMS, Form, Item, Skill, phrase_item
from openflan.microflan.world.numbers import near
from openflan.microflan.world.splits import split_of_skill
from openflan.microflan.world.world_facts import NOUNS, OPPOSITES
from openflan.randomness import Draws

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
SEASONS = ("winter", "spring", "summer", "autumn")
NUMBER_WORDS = (
    *(
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
SPELT = (*NOUNS, *(word for pair in OPPOSITES for word in pair))
"""Words whose letters plain text states."""

_WHOLE: tuple[Form, ...] = ("qa", "mc", "fill", "state")


@dataclass(frozen=True, slots=True)
class _Table:
    """A value for each of some arguments, named by `phrase`."""

    name: str
    category: str
    phrase: str
    values: Mapping[str, str]
    forms: tuple[Form, ...] = FORMS
    number: bool = False


def term_skills() -> Iterator[Skill]:
    """One skill for each table, then the earlier of two months."""
    for table in _tables():
        yield Skill(
            table.name,
            table.category,
            len(table.values),
            partial(_entry, table),
            table.forms,
            split_of_skill(table.name),
        )
    pairs = len(MONTHS) * (len(MONTHS) - 1)
    yield Skill("compare_earlier", "comparison", pairs, _earlier, split=split_of_skill("compare_earlier"))


def spelled(word: str) -> str:
    return ", ".join(word)


def _tables() -> Iterator[_Table]:
    yield _Table("spell_first", "spelling", "the first letter of {}", {word: word[0] for word in SPELT})
    yield _Table("spell_second", "spelling", "the second letter of {}", {word: word[1] for word in SPELT})
    yield _Table("spell_last", "spelling", "the last letter of {}", {word: word[-1] for word in SPELT})
    yield _Table(
        "spell_length",
        "spelling",
        "the number of letters of {}",
        {word: str(len(word)) for word in SPELT},
        number=True,
    )
    yield _Table(
        "spell_out", "spelling", "the spelling of {}", {word: spelled(word) for word in SPELT}, _WHOLE
    )
    yield _Table(
        "day_after",
        "dates",
        "the day after {}",
        {day: DAYS[(number + 1) % 7] for number, day in enumerate(DAYS)},
    )
    yield _Table(
        "day_before", "dates", "the day before {}", {day: DAYS[number - 1] for number, day in enumerate(DAYS)}
    )
    yield _Table(
        "month_after",
        "dates",
        "the month after {}",
        {month: MONTHS[(number + 1) % 12] for number, month in enumerate(MONTHS)},
    )
    yield _Table(
        "month_before",
        "dates",
        "the month before {}",
        {month: MONTHS[number - 1] for number, month in enumerate(MONTHS)},
    )
    yield _Table(
        "month_season",
        "dates",
        "the season of {}",
        {month: SEASONS[(number + 1) % 12 // 3] for number, month in enumerate(MONTHS)},
    )
    yield _Table(
        "month_number",
        "dates",
        "the place of {} in the year",
        {month: str(number + 1) for number, month in enumerate(MONTHS)},
        number=True,
    )
    for name, small, large, size in (
        ("unit_weeks", "days", "weeks", 7),
        ("unit_years", "months", "years", 12),
        ("unit_metres", "centimetres", "metres", 100),
        ("unit_dozens", "pieces", "dozens", 12),
        ("unit_hours", "minutes", "hours", 60),
    ):
        values = {str(count): str(size * count) for count in range(2, 10)}
        yield _Table(name, "units", f"the number of {small} in {{}} {large}", values)
    yield _Table(
        "number_word",
        "number words",
        "the word for the number {}",
        {str(number): word for number, word in enumerate(NUMBER_WORDS)},
    )
    yield _Table(
        "number_digits",
        "number words",
        "the number {} in digits",
        {word: str(number) for number, word in enumerate(NUMBER_WORDS)},
        number=True,
    )


def _entry(table: _Table, index: int, draws: Draws) -> Item:
    argument, value = list(table.values.items())[index]
    words = tuple(dict.fromkeys(other for other in table.values.values() if other not in (value, argument)))
    return phrase_item(table.phrase.format(argument), value, near(int(value)) if table.number else words)


def _earlier(index: int, _: Draws) -> Item:
    first, remainder = divmod(index, len(MONTHS) - 1)
    second = remainder + (remainder >= first)
    answer, later = MONTHS[min(first, second)], MONTHS[max(first, second)]
    return phrase_item(f"the earlier month of {MONTHS[first]} and {MONTHS[second]}", answer, (later,))
