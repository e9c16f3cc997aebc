"""The number that a sentence states: a quantity, or the result of the equation that it opens.

Decision: no number is better than a guess. A range (`15-20`), alternatives, several quantities (`5 cats and 3
dogs`), a date and a time of day are no number. Neither are a sum without its result and an equation with an
unknown (`6x = 30`). Price: an answer in two units (`5 hours and 30 minutes`) is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from openflan.evaluation.number_words import AND, EQUALS, IS, OPERATOR, OR, RANGE
from openflan.evaluation.quantities import after_units, canonical, first_number, number_at, prepared, quantity

__all__ = ["canonical", "number"]

_TIME = re.compile(r":\d")
_SUM_MARKS = ("+", "×", "÷")
"""Marks that are nothing but operators: a word may stand between them and their number, as units stand first
in Thai and Swahili."""
_MOST_TERMS = 100
"""The most sides of an equation; a longer one is no number."""
_RANGE_WORDS = 2
"""Words between a number and the `to` of a range; after more of them `to` has another sense."""
_UNKNOWN = re.compile(r"(?:\d\s?|[-–−+*/×·]\s*)[xyzXYZ](?=\s*(?:[-–−+*/×·=),.;]|$))")
"""A letter that stands for a number (`6x = 30`); between two numbers `x` is the sign of a product."""
_COMMA = re.compile(r"[,،]\s+|、")


def number(text: str, *, decimal_comma: bool = False) -> Decimal | None:
    """The value of the first number in `text`, or None.

    Signs, currency before or after, units, percent signs, thousands separators and the decimal digits of any
    script are read. So are fractions (`1/2`, `1 1/2`, `1½`, LaTeX's) and exponents (`1e3`). Powers of ten can
    be words (`1.5 million`, `3万`, `2 crore`), and so can halves (`3 and a half`). If the number opens an
    equation (`5 cats + 6 dogs = 11 animals`), its result is meant. `decimal_comma`: a comma is the language's
    decimal mark. Takes time in proportion to the length of the text.
    """
    text = prepared(text)
    match = first_number(text, decimal_comma)
    return _stated(text, match, decimal_comma) if match else None


def _stated(text: str, match: re.Match[str], decimal_comma: bool) -> Decimal | None:
    """The value of the sentence that begins with the number `match`. It may be an equation, whose sides are
    quantities or sums of several."""
    first = latest = quantity(text, match, decimal_comma)
    if _TIME.match(text, latest.end):
        return None
    sides, is_sum, first_is_sum = 1, False, False
    for _ in range(_MOST_TERMS):
        places = after_units(text, latest.end)
        equals = (EQUALS, IS) if is_sum and sides == 1 else (EQUALS,)
        if following := _joined(text, places, (OPERATOR, AND), decimal_comma) or _bracketed(
            text, latest.end, decimal_comma
        ):
            is_sum = True
        elif following := _joined(text, places, equals, decimal_comma, over_units=True):
            first_is_sum = is_sum if sides == 1 else first_is_sum
            sides, is_sum = sides + 1, False
        else:
            break
        latest = quantity(text, following, decimal_comma)
    else:
        return None
    if _joined(text, after_units(text, latest.end, _RANGE_WORDS), (RANGE, OR), decimal_comma) or _is_list(
        text, places[-1], decimal_comma
    ):
        return None
    if sides > 1 and _UNKNOWN.search(text, match.start(), latest.end + 2):
        return None
    if not is_sum:
        return latest.value
    return first.value if sides > 1 and not first_is_sum else None


def _joined(
    text: str,
    places: Sequence[int],
    connectors: Sequence[re.Pattern[str]],
    decimal_comma: bool,
    *,
    over_units: bool = False,
) -> re.Match[str] | None:
    """The number that follows one of `connectors` at one of `places`, at once or, with `over_units`, after a
    few words."""
    for position in places:
        for connector in connectors:
            if mark := connector.match(text, position):
                reaches_over = over_units or mark[0].strip() in _SUM_MARKS
                starts = after_units(text, mark.end()) if reaches_over else [mark.end()]
                if number_there := next(
                    filter(None, (number_at(text, start, decimal_comma) for start in starts)), None
                ):
                    return number_there
    return None


def _bracketed(text: str, position: int, decimal_comma: bool) -> re.Match[str] | None:
    """The number in a bracket that stands right behind another, as a factor does: `2(3 + 4) = 14`."""
    return number_at(text, position, decimal_comma) if text.startswith("(", position) else None


def _is_list(text: str, position: int, decimal_comma: bool) -> bool:
    """True if more numbers follow after commas, the last of them after `and` or `or`: `5, 6 and 7`."""
    last, items = position, 0
    while (comma := _COMMA.match(text, position)) and (match := number_at(text, comma.end(), decimal_comma)):
        last, items = match.end(), items + 1
        position = after_units(text, last)[-1]
    return items > 0 and _joined(text, after_units(text, last), (AND, OR), decimal_comma) is not None
