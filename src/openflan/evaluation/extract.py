"""From what a model wrote to the answer it gave.

Pure functions over text, with one rule: an answer is what follows the last answer phrase, and without a phrase there is none. "The last number in
the text" would let anything written after the answer win, and partial credit would turn failures to parse into scores. Price: a model that never
learned to say "the answer is" scores zero, as in the paper (Table 5, base T5 with rationales).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_COLON = "[:：]"


def cut_at_next_question(text: str, markers: Sequence[str] = ("Q:",)) -> str:
    """`text` up to a new line that starts with one of `markers`.

    The first line is never such a line: it continues the prompt. Spaces before a colon and its width do not matter (`Question :`, `问题:`); anything
    inside a line is text, so that option `(Q)` can be answered.
    """
    found = _line_starts(tuple(markers)).search(text)
    return text[: found.start()] if found else text


def without_labels(text: str, labels: Sequence[str]) -> str:
    """`text` without `labels` (a step-by-step prefix that the model repeats): some hold the same word as the phrase before the answer."""
    return _anywhere(tuple(labels)).sub(" ", text) if labels else text


def after_last_phrase(text: str, phrases: Sequence[str]) -> str | None:
    """What follows the last match of `phrases` (regular expressions; case is ignored), stripped; None without a match or with nothing after it."""
    last = None
    for last in _compiled(tuple(phrases)).finditer(text):  # noqa: B007 - the last match is what the loop is for
        pass
    return (text[last.end() :].strip() or None) if last else None


def phrase_pattern(phrase: str) -> str:
    """Plain words as a pattern for `after_last_phrase`: any white space between them, whole words, a colon may follow."""
    words = r"\s+".join(re.escape(word) for word in phrase.split())
    before, after = (r"\b" if mark.isalnum() and mark.isascii() else "" for mark in (phrase.strip()[:1], phrase.strip()[-1:]))
    return rf"{before}{words}{after}\s*{_COLON}?"


def plain(text: str) -> str | None:
    """`text` stripped, without one final period; None if nothing is left."""
    text = text.strip()
    return text.removesuffix(".").rstrip() or None


def first_line(text: str) -> str | None:
    """The first line that is not blank, stripped; None without one."""
    return text.strip().split("\n", 1)[0].strip() or None


def leading_letter(text: str, letters: str) -> str | None:
    """The option that `text` starts with, as a capital: `(B)`, `B`, `b)`, `**(B)** because ...`; None if it starts otherwise or with several.

    A bare letter counts where it cannot be a word: before punctuation, at the end of a line, or as a capital other than "A" before a word.
    """
    found = _label(letters).match(text)
    if found is None or _ANOTHER_LABEL.match(text, found.end()):
        return None
    letter = found["closed"] or found["bare"]
    return str(letter).upper()


def concluded_letter(text: str, phrases: Sequence[str], letters: str) -> str | None:
    """The option after the last of `phrases` that one follows: `The answer is (B). I am sure this answer is right.` concludes with B."""
    for found in reversed(list(_compiled(tuple(phrases)).finditer(text))):
        if letter := leading_letter(text[found.end() :], letters):
            return letter
    return None


def starts_with_number(text: str) -> bool:
    """Whether nothing but signs, brackets, currency and marks of emphasis stand before the first digit."""
    return _BEFORE_NUMBER.match(text) is not None


def first_sentence(text: str) -> str:
    """`text` up to the end of its first line or sentence; a period inside a number or an abbreviation glued to its word ends nothing."""
    line = text.strip().split("\n", 1)[0]
    end = re.search(r"[.!?](?=\s|$)|[。।！？]", line)
    return line[: end.start()] if end else line


_BEFORE_NUMBER = re.compile(r"(?:[\s=≈~:：(\[*_`\"'“$€£¥₹৳฿₽￥＋+−–-]|US\$|\\\(|\\\[|\\boxed\{|\\[dt]?frac\{)*[.．]?(?:\d|[¼-¾⅐-⅞])")
_LEADING = r"[\s*_`\"'“]*(?:(?i:option|choice|letter)\s+)?[\s*_`\"'“]*"
_LABEL_ENDS = r"(?:\)|[.:*_,;!\"”'’`](?!\w)|\s*$|[^\S\n]*\n)"
_REASON = r"(?:because|since|as|which|due|by|for)\b"
_ANOTHER_LABEL = re.compile(r"[\s*_]*(?:,|/|&|\band\b|\bor\b)\s*(?:(?:and|or)\s+)?\(?[A-Z]\)?(?![\w'’])")


@lru_cache(maxsize=64)
def _label(letters: str) -> re.Pattern[str]:
    """An option's label at the start of a text, in brackets (`closed`) or not (`bare`)."""
    any_case, capitals, never_words = (re.escape(marks) for marks in (letters.upper() + letters.lower(), letters.upper(), letters.upper().replace("A", "")))
    bare = [rf"[{any_case}](?={_LABEL_ENDS})", rf"[{capitals}](?=\s+{_REASON})"]
    if never_words:
        bare.append(rf"[{never_words}](?=\s+[a-z(])")
    return re.compile(rf"{_LEADING}(?:[(\[]\s*(?P<closed>[{any_case}])\s*[)\]]|(?P<bare>{'|'.join(bare)}))")


@lru_cache(maxsize=64)
def _line_starts(markers: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(r"\n[ \t]*(?:" + "|".join(_loosely(marker) for marker in markers) + ")")


@lru_cache(maxsize=64)
def _anywhere(labels: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_loosely(label) for label in labels), re.IGNORECASE)


@lru_cache(maxsize=64)
def _compiled(phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{phrase})" for phrase in phrases), re.IGNORECASE)


def _loosely(label: str) -> str:
    """A label as a pattern: any white space between words, none or some before a colon of either width."""
    words = re.sub(_COLON, " ", label).split()
    colon = rf"\s*{_COLON}" if re.search(_COLON, label) else ""
    return r"\s+".join(re.escape(word) for word in words) + colon
