"""Works out what the embedded world's sentences and questions say, from their text alone.

Shares nothing with the generators but the tables of facts: calendar, spelling, units, lists and rules are
done again here, in other words.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable

Tables = dict[str, dict[str, str]]

COMPASS = ("north", "east", "south", "west")
THING_WORDS = ("owner", "material", "shape", "room")
DAYS, MONTHS = list(calendar.day_name), list(calendar.month_name)[1:]
SEASONS = {"winter": (12, 1, 2), "spring": (3, 4, 5), "summer": (6, 7, 8), "autumn": (9, 10, 11)}
IN_ONE = {
    ("days", "weeks"): 7,
    ("months", "years"): 12,
    ("centimetres", "metres"): 100,
    ("pieces", "dozens"): 12,
    ("minutes", "hours"): 60,
}
NUMBER_WORDS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *(
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ),
]
CONTEXT = re.compile(
    r"\w+ is in the \w+|\w+ has (?:a|the) \w+|The \w+ is \w+|\w+ goes to the \w+|\w+ gives the \w+ "
    r"to \w+|Points: .+|(?!.*\brule\b).+ becomes .+"
)
TOLD = re.compile(r"(?:We know that|It is true that|I think that|So|\w+ told me that) ")
SAID = re.compile(
    r"(?P<begun>(?:the place|what|the one|by this rule) .+ (?:is the|is a|now is|becomes)|.+ is) "
    r"(?P<value>.+)"
)
OWN = (
    (r"(?P<x>\w+)'s (?P<f>\w+) is (?P<v>\w+)", ""),
    (r"(?:For|In|As for the) (?P<x>\w+), the (?P<f>\w+) is (?P<v>\w+)", ""),
    (r"(?:The )?(?P<x>\w+) has a (?P<f>\w+)(?:, and it is| named) (?P<v>\w+)", ""),
    (r"In (?P<f>\w+), the word for (?P<x>\w+) is (?P<v>\w+)", ""),
    (r"People who speak (?P<f>\w+) say (?P<v>\w+) for (?P<x>\w+)", ""),
    (r"Things that are not (?P<x>\w+) are (?P<v>\w+)", "opposite"),
    (r"The word (?P<x>\w+) belongs to the group (?P<v>\w+)", "group"),
    (r"If we sort words, (?P<x>\w+) goes to the group (?P<v>\w+)", "group"),
)


def sentences(text: str) -> list[str]:
    """Without their full stops."""
    return text.removesuffix(".").split(". ")


def lower_first(text: str) -> str:
    """As it would stand within a sentence."""
    return text[0].lower() + text[1:] if re.match(r"(?:The|What|Double|Half|By|Left|Right)\b", text) else text


def completed(begun: str, context: str, tables: Tables) -> str | None:
    """What makes the sentence that begins so (`the boss of Dan is`, `by this rule 3 becomes`) true after the
    context; None if nothing is known to."""
    if match := re.fullmatch(r"by this rule (.+) becomes", begun):
        return _by_rule(match[1], context, tables)
    if context:
        return _read(begun, context)
    return value_of(begun.removesuffix(" is"), tables) if begun.endswith(" is") else None


def value_of(phrase: str, tables: Tables) -> str | None:
    """What a noun phrase such as `the boss of Dan` or `3 plus 4` stands for; None if it stands for
    nothing."""
    for known in (_fact, _number, _term, _of_lists, _format):
        value = known(phrase, tables)
        if value is not None:
            return value
    return None


def _fact(phrase: str, tables: Tables) -> str | None:
    if match := re.fullmatch(r"the (\w+) of (the \w+ of .+)", phrase):
        middle = _fact(match[2], tables)
        return tables.get(match[1], {}).get(middle or "")
    if match := re.fullmatch(r"the (\w+) (word for|of|of the) (\w+)", phrase):
        right = "word for" if match[1][0].isupper() else "of the" if match[1] in THING_WORDS else "of"
        return tables.get(match[1], {}).get(match[3]) if match[2] == right else None
    return None


def _number(phrase: str, _: Tables) -> str | None:
    forms: tuple[tuple[str, Callable[..., int]], ...] = (
        (r"(\d+) plus (\d+)", lambda a, b: a + b),
        (r"(\d+) minus (\d+)", lambda a, b: a - b),
        (r"(\d+) up (\d+)", lambda a, b: a + b),
        (r"(\d+) down (\d+)", lambda a, b: a - b),
        (r"double (\d+)", lambda a: a + a),
        (r"half of (\d+)", lambda a: next(b for b in range(a + 1) if b + b == a)),
        (r"the number after (\d+)", lambda a: a + 1),
        (r"the number before (\d+)", lambda a: a - 1),
        (r"the next even number after (\d+)", lambda a: next(b for b in (a + 1, a + 2) if not b & 1)),
        (r"the larger of (\d+) and (\d+)", max),
        (r"the smaller of (\d+) and (\d+)", min),
    )
    match = next(
        ((match, compute) for pattern, compute in forms if (match := re.fullmatch(pattern, phrase))), None
    )
    return str(match[1](*map(int, match[0].groups()))) if match else None


def _term(phrase: str, _: Tables) -> str | None:
    """Letters, calendar, units, names of numbers, turns."""
    if match := re.fullmatch(r"the (first|second|last) letter of ([a-z]+)", phrase):
        return {"first": match[2][:1], "second": match[2][1:2], "last": match[2][-1:]}[match[1]]
    if match := re.fullmatch(r"the number of letters of ([a-z]+)", phrase):
        return str(len(match[1]))
    if match := re.fullmatch(r"the spelling of ([a-z]+)", phrase):
        return ", ".join(match[1])
    if match := re.fullmatch(r"the (day|month) (after|before) (\w+)", phrase):
        names = DAYS if match[1] == "day" else MONTHS
        return names[(names.index(match[3]) + (1 if match[2] == "after" else -1)) % len(names)]
    if match := re.fullmatch(r"the season of (\w+)", phrase):
        return next(season for season, numbers in SEASONS.items() if MONTHS.index(match[1]) + 1 in numbers)
    if match := re.fullmatch(r"the place of (\w+) in the year", phrase):
        return str(MONTHS.index(match[1]) + 1)
    if match := re.fullmatch(r"the earlier month of (\w+) and (\w+)", phrase):
        return min(match[1], match[2], key=MONTHS.index)
    if match := re.fullmatch(r"the number of (\w+) in (\d+) (\w+)", phrase):
        return str(IN_ONE[match[1], match[3]] * int(match[2]))
    if match := re.fullmatch(r"the word for the number (\d+)", phrase):
        return NUMBER_WORDS[int(match[1])]
    if match := re.fullmatch(r"the number ([a-z]+) in digits", phrase):
        return str(NUMBER_WORDS.index(match[1]))
    if match := re.fullmatch(r"(left|right) of (\w+)", phrase):
        return COMPASS[(COMPASS.index(match[2]) + (1 if match[1] == "right" else -1)) % 4]
    return None


def _of_lists(phrase: str, _: Tables) -> str | None:
    if match := re.fullmatch(r"the word that is both in the list (.+) and in the list (.+)", phrase):
        return _only([word for word in match[1].split(", ") if word in match[2].split(", ")])
    if match := re.fullmatch(r"the word that is in the list (.+) but not in the list (.+)", phrase):
        return _only([word for word in match[1].split(", ") if word not in match[2].split(", ")])
    if match := re.fullmatch(r"the list of all words in (.+) or in (.+), each once", phrase):
        return ", ".join(dict.fromkeys(f"{match[1]}, {match[2]}".split(", ")))
    if match := re.fullmatch(r"the list (\w+), (.+) without its first word", phrase):
        return match[2]
    if match := re.fullmatch(r"the number of times that (\w+) stands in the list (.+)", phrase):
        return str(match[2].split(", ").count(match[1]))
    if match := re.fullmatch(r"the (.+?) (?:in|of) the list ([\w, ]+)", phrase):
        return value_in_list(match[1], match[2].split(", "))
    return None


def value_in_list(what: str, items: list[str]) -> str | None:
    if what == "longest word":
        return _only([item for item in items if len(item) == max(map(len, items))])
    forms: dict[str, Callable[[], str]] = {
        "first word": lambda: items[0],
        "second word": lambda: items[1],
        "last word": lambda: items[-1],
        "reverse": lambda: ", ".join(reversed(items)),
        "sorted form": lambda: ", ".join(sorted(items, key=int)),
        "largest number": lambda: max(items, key=int),
        "smallest number": lambda: min(items, key=int),
        "number of words": lambda: str(len(items)),
        "first word in the reverse": lambda: items[-1],
    }
    return forms[what]() if what in forms else None


def _format(phrase: str, _: Tables) -> str | None:
    if match := re.fullmatch(r"the list (.+) written with (and|dashes)", phrase):
        return match[1].replace(", ", " and " if match[2] == "and" else " - ")
    if match := re.fullmatch(r"the pair (\w+) (\w+) written with labels", phrase):
        return f"name {match[1]}, colour {match[2]}"
    if match := re.fullmatch(r"the date (\d+) (\w+) with the month first", phrase):
        return f"{match[2]} {match[1]}" if match[2] in MONTHS else None
    return None


def _only(candidates: list[str]) -> str | None:
    return candidates[0] if len(candidates) == 1 else None


def _read(begun: str, context: str) -> str | None:
    """By looking it up in the sentences before."""
    said = sentences(context)
    spots, holder, points = dict[str, str](), dict[str, str](), dict[str, str]()
    for sentence in said:
        if match := re.fullmatch(r"(\w+) (?:is in|goes to) the (\w+)", sentence):
            spots[match[1]] = match[2]
        elif match := re.fullmatch(r"(\w+) has (?:a|the) (\w+)", sentence):
            holder[match[2]] = match[1]
        elif match := re.fullmatch(r"\w+ gives the (\w+) to (\w+)", sentence):
            holder[match[1]] = match[2]
        elif sentence.startswith("Points: "):
            points = dict(re.findall(r"(\w+) (\d+)", sentence))
    if match := re.fullmatch(r"the place (?:of|where) (\w+)(?: is now)? is the", begun):
        return spots.get(match[1])
    if match := re.fullmatch(r"what (\w+) has is a", begun):
        return _only([thing for thing, person in holder.items() if person == match[1]])
    if match := re.fullmatch(r"the (\w+) here is", begun):
        return _only(
            [sentence.split()[-1] for sentence in said if sentence.startswith(f"The {match[1]} is ")]
        )
    if match := re.fullmatch(r"the person in the (\w+) is", begun):
        return _only([person for person, spot in spots.items() if spot == match[1]])
    if match := re.fullmatch(r"the one who has the (\w+) now is", begun):
        return holder.get(match[1])
    if match := re.fullmatch(r"the number of points of (\w+) is", begun):
        return points.get(match[1])
    if match := re.fullmatch(r"the holder of (\d+) points is", begun):
        return _only([person for person, number in points.items() if number == match[1]])
    if match := re.fullmatch(r"the person with the (most|fewest) points is", begun):
        extreme = (max if match[1] == "most" else min)(map(int, points.values()))
        return _only([person for person, number in points.items() if int(number) == extreme])
    return None


def _by_rule(argument: str, context: str, tables: Tables) -> str | None:
    """By the rules that fit all examples, if they agree."""
    rules: list[Callable[[str], str | None]] = [facts.get for facts in tables.values()]
    rules += [lambda x, by=by: str(int(x) + by) if x.isdigit() else None for by in (1, -1, 10)]
    rules.append(lambda x: str(int(x) * 2) if x.isdigit() else None)
    rules += [
        lambda x: x.split(", ")[0],
        lambda x: x.split(", ")[-1],
        lambda x: ", ".join(x.split(", ")[::-1]),
    ]
    shown = [sentence.split(" becomes ") for sentence in sentences(context)]
    fitting = {rule(argument) for rule in rules if all(rule(one) == other for one, other in shown)}
    return fitting.pop() if len(fitting) == 1 else None


def read(statement: str, tables: Tables, context: str = "") -> tuple[str | None, str]:
    """The value that a plain sentence should state, and the one it does; the former is None if the sentence
    is not understood."""
    statement = (
        lower_first(TOLD.sub("", statement, count=1)) if TOLD.match(statement) else lower_first(statement)
    )
    if match := re.fullmatch(r"(\d+) is a number that is (even|odd)", statement):
        return "even" if match[1][-1] in "02468" else "odd", match[2]
    if match := re.fullmatch(r"(\w+) has the same (\w+) as (\w+)", statement):
        same = [
            person
            for person, value in tables[match[2]].items()
            if value == tables[match[2]][match[1]] and person != match[1]
        ]
        return _only(same), match[3]
    for pattern, function in OWN:
        if match := re.fullmatch(pattern, statement) or re.fullmatch(
            pattern, statement[0].upper() + statement[1:]
        ):
            return tables.get(function or match["f"], {}).get(match["x"]), match["v"]
    match = SAID.fullmatch(statement)
    return (completed(match["begun"], context, tables), match["value"]) if match else (None, "")


def holds(statement: str, tables: Tables, context: str = "") -> bool:
    """Whether a plain sentence, without its full stop, is true after the context."""
    expected, claim = read(statement, tables, context)
    return expected is not None and expected == claim
