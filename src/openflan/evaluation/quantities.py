"""One quantity in a text: a number with its sign, its fraction and its power of ten, however it is written.

Thousands and decimals look alike across languages: `2.125` is two thousand in German and two and an eighth in
English. Decision: a single comma before three digits groups (all MGSM files write `2,125`). A single period
before three digits groups only in languages with a decimal comma. Text that fits neither (`1,2,3`) is no
number rather than a guess.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

from openflan.evaluation.number_words import AND, BEFORE, HALF, HALF_BEFORE, UNIT, power_after, power_before

LONGEST = 1_000
"""Digits of a number; a longer run of them is none. No question has such an answer, and arithmetic on a
million digits takes minutes."""

_MINUS = "[-−]"  # hyphen, minus sign
_CURRENCY = r"(?:US\$|[$€£¥₹৳฿₽￥])\s?"
_NARROW = "\u00a0\u2009\u202f"
"""No-break, thin and narrow no-break space: they group digits in any language, plain spaces only where the
decimal mark is a comma."""

_SAME_MARKS = str.maketrans("，．＋－／：＝＊％（）٫٬⁄", ",.+-/:=*%().,/")
"""Full-width marks, the decimal and the thousands mark of Arabic digits, and the fraction slash."""
_BODY = rf"\d+(?:[.,'’{_NARROW}]\d+)*|(?<![\d.,])\.\d+"
_SPACED_BODY = rf"\d{{1,3}}(?:[ {_NARROW}]\d{{3}})+(?!\d)(?:[.,]\d+)?|{_BODY}"
_FRACTION = re.compile(r"\s?/\s?(?P<below>\d+)(?![.,]?\d)")
_MIXED = re.compile(r"\s(?P<above>\d+)\s?/\s?(?P<below>\d+)(?![.,/]?\d)")
_EXPONENT = re.compile(r"[eE](?P<power>[+-]?\d{1,3})(?!\w)")
_WRITTEN_FRACTION = re.compile(
    r"(?P<whole>(?<=\d))?(?:\\[dt]?frac\{(?P<above>\d+)\}\{(?P<below>\d+)\}|(?P<vulgar>[¼-¾⅐-⅞]))"
)
_CALCULATION = re.compile(r"<<[^<>]*>>")
"""GSM8K's rationales write a sum a second time between these marks."""
_OPENING = re.compile(r"(?:[\s(\[{*_`\"'“~≈]|\\boxed\{|\\\(|\\text\{)*")
_WRITTEN_NUMERAL = re.compile(r"[一二三四五六七八九十百千两]")
_ZERO = re.compile(r"[零〇]")
_UNIT_STEPS, _UNIT_WORDS = 12, 4
_NEAR = 12
"""Characters before a number in which `HALF_BEFORE` is looked for."""
_HALF = Decimal("0.5")
_DIVISION = Context(prec=28, Emax=10**6, Emin=-(10**6))
_EXACT = Context(prec=8 * LONGEST, Emax=10**6, Emin=-(10**6))
"""Room for the longest number times the highest power, to every digit."""


def _pattern(sign: str, decimal_comma: bool) -> re.Pattern[str]:
    body = _SPACED_BODY if decimal_comma else _BODY
    return re.compile(
        rf"(?:{BEFORE.pattern})?(?P<sign>{sign})?(?P<money>{_CURRENCY}(?P<inner>{_MINUS})?)?(?P<body>{body})",
        re.IGNORECASE,
    )


_FIRST = {
    decimal_comma: _pattern(rf"(?<![A-Za-z)\d]){_MINUS}", decimal_comma) for decimal_comma in (False, True)
}
_LATER = {decimal_comma: _pattern("[-−+]", decimal_comma) for decimal_comma in (False, True)}
"""After an operator or an equals sign a minus is a sign, whatever character stands before it."""
_REST = {
    decimal_comma: re.compile(rf"(?:{BEFORE.pattern})?(?P<body>{_SPACED_BODY if decimal_comma else _BODY})")
    for decimal_comma in (False, True)
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value, None where it cannot be read, and where its text ends."""

    value: Decimal | None
    end: int


def prepared(text: str) -> str:
    """The text with one form of each mark, and fractions as `1/2`: what the other functions read."""
    return _WRITTEN_FRACTION.sub(_spelled_fraction, _CALCULATION.sub("", text)).translate(_SAME_MARKS)


def first_number(text: str, decimal_comma: bool) -> re.Match[str] | None:
    return _FIRST[decimal_comma].search(text)


def number_at(text: str, position: int, decimal_comma: bool) -> re.Match[str] | None:
    """The number at `position`, brackets and marks of emphasis before it or not."""
    opening = _OPENING.match(text, position)
    return _LATER[decimal_comma].match(text, opening.end() if opening else position)


def after_units(text: str, position: int, most_words: int = _UNIT_WORDS) -> list[int]:
    """`position`, and the places after the first unit that stands there, the second, and so on, up to
    `most_words`."""
    places, words = [position], 0
    while len(places) <= _UNIT_STEPS and words < most_words and (step := UNIT.match(text, places[-1])):
        words += len(step[0].strip()) > 1
        places.append(step.end())
    return places


def quantity(text: str, match: re.Match[str], decimal_comma: bool) -> Quantity:
    """The number `match` with the fraction, the exponent, the powers of ten and the half that belong to
    it."""
    value, end = (
        (_value(match["body"], decimal_comma) if len(match["body"]) <= LONGEST else None),
        match.end(),
    )
    if value is None:
        return Quantity(None, end)
    is_whole = match["body"].isdecimal()
    joint = AND.match(text, end) if is_whole else None
    if fraction := _FRACTION.match(text, end):
        value, end = _quotient(value, fraction["below"]), fraction.end()
    elif is_whole and (
        mixed := _MIXED.match(text, end) or (_MIXED.match(text, joint.end()) if joint else None)
    ):
        value, end = _sum(value, _quotient(_whole(mixed["above"]), mixed["below"])), mixed.end()
    elif exponent := _EXPONENT.match(text, end):
        value, end = value.scaleb(int(exponent["power"]), _EXACT), exponent.end()
    if HALF_BEFORE.search(text, max(0, match.start() - _NEAR), match.start()):
        value = _sum(value, _HALF)
    value, end = _with_half(text, value, [end], end)
    value, end = _with_powers(text, match, value, end, decimal_comma)
    value, end = _with_half(text, value, after_units(text, end)[1:_UNIT_WORDS], end)
    is_negative = match["sign"] in ("-", "−") or match["inner"]
    return Quantity(value.copy_negate() if value is not None and is_negative else value, end)


def canonical(value: Decimal) -> str:
    """One spelling a value: no exponent, no trailing zeros, no negative zero."""
    text = format(value, "f")
    text = text.rstrip("0").removesuffix(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _with_half(
    text: str, value: Decimal | None, places: Sequence[int], end: int
) -> tuple[Decimal | None, int]:
    """The value plus one half, if a word for that stands at one of `places`; otherwise the value itself."""
    half = next(filter(None, (HALF.match(text, place) for place in places)), None)
    return (_sum(value, _HALF), half.end()) if half else (value, end)


def _with_powers(
    text: str, match: re.Match[str], value: Decimal | None, end: int, decimal_comma: bool
) -> tuple[Decimal | None, int]:
    """The value times the powers of ten beside it, and lower parts after it (`1億2000万`, `2 lakh 50
    thousand`); None where they fit no reading."""
    before = power_before(match)
    power, end = (
        (before, end)
        if before
        else power_after(text, end, decimal_comma=decimal_comma, money=bool(match["money"]))
    )
    if value is None or power is None:
        return None, end
    if not power:
        return value, end
    total, unit = value.scaleb(power, _EXACT), power
    while unit:
        if _WRITTEN_NUMERAL.match(text, end):
            return None, end
        joint = _ZERO.match(text, end) or AND.match(text, end)
        start = joint.end() if joint else end
        begin = start + len(text[start : start + 2]) - len(text[start : start + 2].lstrip())
        second = _REST[decimal_comma].match(text, begin)
        if not second:
            break
        part = _value(second["body"], decimal_comma) if len(second["body"]) <= LONGEST else None
        before = power_before(second)
        lower, after = (
            (before, second.end())
            if before
            else power_after(text, second.end(), decimal_comma=decimal_comma, money=False)
        )
        if part is None or lower is None or lower >= unit:
            return None, after
        if not lower and part < _SMALLEST_REST:
            return (None, after) if begin == end else (total, end)
        part = part.scaleb(lower, _EXACT)
        if part >= Decimal(1).scaleb(unit, _EXACT):
            return None, after
        total, end, unit = _EXACT.add(total, part), after, lower
    return total, end


_SMALLEST_REST = 10
"""`3万2` is short for 32,000 in Chinese, so that a single digit after a power is no number of ones."""


def _quotient(above: Decimal, below: str) -> Decimal | None:
    divisor = _whole(below) if len(below) <= LONGEST else None
    return _DIVISION.divide(above, divisor) if divisor else None


def _sum(first: Decimal | None, second: Decimal | None) -> Decimal | None:
    return None if first is None or second is None else _EXACT.add(first, second)


def _whole(digits: str) -> Decimal:
    return Decimal(digits[: LONGEST + 1])


def _spelled_fraction(match: re.Match[str]) -> str:
    """`½` as `1/2`, set off from a digit before it, so that `1½` is `1 1/2`."""
    fraction = (
        unicodedata.normalize("NFKC", match["vulgar"])
        if match["vulgar"]
        else f"{match['above']}/{match['below']}"
    )
    return fraction if match["whole"] is None else f" {fraction}"


def _value(body: str, decimal_comma: bool) -> Decimal | None:
    """A run of digits and separators, without sign; None if the separators make no sense together."""
    digits = "".join(
        str(int(mark)) if mark.isdecimal() else "'" if mark in f"'’ {_NARROW}" else mark for mark in body
    )
    decimal, groups = _marks(digits, decimal_comma)
    integer, _, fraction = digits.partition(decimal) if decimal else (digits, "", "")
    if groups:
        parts = integer.split(groups)
        if not _grouped(parts):
            return None
        integer = "".join(parts)
    readable = (integer.isdecimal() or not integer) and (fraction.isdecimal() or not decimal)
    return Decimal(f"{integer or '0'}.{fraction or '0'}") if readable else None


def _marks(digits: str, decimal_comma: bool) -> tuple[str, str]:
    """The decimal mark and the mark that groups digits; empty if there is none."""
    spaced = "'" if "'" in digits else ""
    marks = [mark for mark in ".," if mark in digits]
    if len(marks) == 2:
        last = max(marks, key=digits.rfind)
        return last, "," if last == "." else "."
    if not marks:
        return "", spaced
    parts = digits.split(marks[0])
    if _grouped(parts) and (marks[0] == "," or decimal_comma or len(parts) > 2):
        return "", marks[0]
    return marks[0], spaced


def _grouped(parts: list[str]) -> bool:
    """True if the parts are groups of thousands: of three digits, or, as in India, of two before the last
    three."""
    head, *middle, last = parts if len(parts) > 1 else [*parts, ""]
    if (
        not all(part.isdecimal() for part in (head, *middle))
        or head.startswith("0")
        or not (len(last) == 3 and last.isdecimal())
    ):
        return len(parts) == 1
    return (len(head) <= 3 and all(len(part) == 3 for part in middle)) or (
        len(head) <= 2 and bool(middle) and all(len(part) == 2 for part in middle)
    )
