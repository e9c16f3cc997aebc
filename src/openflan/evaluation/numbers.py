"""The first number in a sentence, however it is written.

Thousands and decimals look alike across languages: `2.125` is two thousand in German and two and an eighth in English. Decision: a single comma
before three digits groups (all MGSM files write `2,125`), a single period before three digits groups only in languages with a decimal comma, and
what fits no reading (`1,2,3`, a date, a time of day) is no number rather than a guess.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_MINUS = "[-−]"  # hyphen, minus sign
_CURRENCY = r"(?:US\$|[$€£¥₹৳฿₽￥])\s?"
_NARROW = "\u00a0\u2009\u202f"
"""No-break, thin and narrow no-break space: they group digits in any language, plain spaces only where the decimal mark is a comma."""

_SAME_MARKS = str.maketrans("，．＋－／：٫٬⁄", ",.+-/:.,/")
"""Full-width marks, the decimal and the thousands mark of Arabic digits, and the fraction slash."""
_BODY = rf"\d+(?:[.,'’{_NARROW}]\d+)*|(?<![\d.,])\.\d+"
_SPACED_BODY = rf"\d{{1,3}}(?:[ {_NARROW}]\d{{3}})+(?!\d)(?:[.,]\d+)?|{_BODY}"
_OPERATOR = r"\s*[-+*/×÷−xX·]\s*"
_NO_PLAIN_NUMBER = re.compile(r":\d|/\d+/\d|\s?\^")
"""A time, a date, a power: their first number is not their value."""
_FRACTION = re.compile(r"\s?/\s?(?P<below>\d+)(?![.,]?\d)")
_MIXED = re.compile(r"\s(?P<above>\d+)\s?/\s?(?P<below>\d+)(?![.,/]?\d)")
_EXPONENT = re.compile(r"[eE](?P<power>[+-]?\d{1,3})(?!\w)")
_WRITTEN_FRACTION = re.compile(r"(?P<whole>(?<=\d))?(?:\\[dt]?frac\{(?P<above>\d+)\}\{(?P<below>\d+)\}|(?P<vulgar>[¼-¾⅐-⅞]))")


def number(text: str, *, decimal_comma: bool = False) -> Decimal | None:
    """The value of the first number in `text`, or None.

    Signs, currency before or after, units, percent signs, thousands separators, fractions (`1/2`, `1 1/2`, `1½`, LaTeX's), exponents (`1e3`) and the
    decimal digits of any script are understood. Where the number opens an equation (`5 + 6 = 11`), its result is meant. `decimal_comma`: a comma is the
    language's decimal mark.
    """
    text = _WRITTEN_FRACTION.sub(_spelled_fraction, text).translate(_SAME_MARKS)
    body = _SPACED_BODY if decimal_comma else _BODY
    found = re.search(rf"(?P<sign>(?<![A-Za-z)\d]){_MINUS})?(?:{_CURRENCY}(?P<inner>{_MINUS})?)?(?P<body>{body})", text)
    if found is None or _NO_PLAIN_NUMBER.match(text, found.end()):
        return None
    term = rf"{_MINUS}?(?:{_CURRENCY}{_MINUS}?)?(?:{body})"
    if equation := re.compile(rf"(?:{_OPERATOR}\(?{term}\)?)+\s*=\s*(?P<result>{term})").match(text, found.end()):
        return number(equation["result"], decimal_comma=decimal_comma)
    value = _value(found["body"], decimal_comma)
    if value is not None and (fraction := _FRACTION.match(text, found.end())):
        value = _quotient(value, Decimal(int(fraction["below"])))
    elif value is not None and found["body"].isdecimal() and (mixed := _MIXED.match(text, found.end())):
        part = _quotient(Decimal(int(mixed["above"])), Decimal(int(mixed["below"])))
        value = None if part is None else value + part
    elif value is not None and (exponent := _EXPONENT.match(text, found.end())):
        value = value.scaleb(int(exponent["power"]))
    return -value if value is not None and (found["sign"] or found["inner"]) else value


def _quotient(above: Decimal, below: Decimal) -> Decimal | None:
    return above / below if below else None


def _spelled_fraction(found: re.Match[str]) -> str:
    """`½` as `1/2`, set off from a digit before it, so that `1½` is `1 1/2`."""
    fraction = unicodedata.normalize("NFKC", found["vulgar"]) if found["vulgar"] else f"{found['above']}/{found['below']}"
    return fraction if found["whole"] is None else f" {fraction}"


def canonical(value: Decimal) -> str:
    """One spelling a value: no exponent, no trailing zeros, no negative zero."""
    return format(value.normalize() if value else Decimal(0), "f")


def _value(body: str, decimal_comma: bool) -> Decimal | None:
    """A run of digits and separators, without sign; None if the separators make no sense together."""
    digits = "".join(str(int(mark)) if mark.isdecimal() else "'" if mark in f"'’ {_NARROW}" else mark for mark in body)
    decimal, groups = _marks(digits, decimal_comma)
    whole, _, fraction = digits.partition(decimal) if decimal else (digits, "", "")
    if groups:
        parts = whole.split(groups)
        if not _grouped(parts):
            return None
        whole = "".join(parts)
    readable = (whole.isdecimal() or not whole) and (fraction.isdecimal() or not decimal)
    return Decimal(f"{whole or '0'}.{fraction or '0'}") if readable else None


def _marks(digits: str, decimal_comma: bool) -> tuple[str, str]:
    """Which mark is the decimal one and which groups digits; empty where there is none."""
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
    """Whether the parts are groups of thousands, in threes or, as in India, in twos before the last three."""
    head, *middle, last = parts if len(parts) > 1 else [*parts, ""]
    if not all(part.isdecimal() for part in (head, *middle)) or head.startswith("0") or not (len(last) == 3 and last.isdecimal()):
        return len(parts) == 1
    return (len(head) <= 3 and all(len(part) == 3 for part in middle)) or (len(head) <= 2 and bool(middle) and all(len(part) == 2 for part in middle))
