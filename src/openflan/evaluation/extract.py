"""From what a model wrote to the answer it gave.

Pure functions over text, with one rule: an answer is what follows the last answer phrase, and without a
phrase there is none. "The last number in the text" would let anything written after the answer win, and
partial credit would turn failures to parse into scores. Price: a model that never learned to say "the answer
is" scores zero, as in the paper (Table 5, base T5 with rationales).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from openflan.evaluation.number_words import BEFORE, LETTERS_AND_MARKS

_COLON = "[:：]"


def cut_at_next_question(text: str, markers: Sequence[str] = ("Q:",)) -> str:
    """`text` up to the first of `markers`, at the start of a new line or inside one: models go on with a next
    question where they should end.

    Spaces before a colon and its width do not matter (`Question :`, `问题:`). A marker with which the text
    begins is none: the text continues the prompt. Inside a line a marker is none either where it is part of a
    word (`この問題：`), or follows an article (`Die Frage: wie viele?`). Option `(Q)` has no colon and can be
    answered.
    """
    next_marker = next(
        (
            match
            for match in _markers(tuple(markers)).finditer(text)
            if match[0].startswith("\n") or _is_inside(text, match.start())
        ),
        None,
    )
    return text[: next_marker.start()].rstrip() if next_marker else text


def without_leading_labels(text: str, labels: Sequence[str]) -> str:
    """`text` without those of `labels` that it begins with: a model repeats the `A:` that its prompt ends
    with, once or several times.

    Spaces before a colon, its width, case and marks of emphasis (`**Answer:**`) do not matter.
    """
    return text[match.end() :] if labels and (match := _leading_labels(tuple(labels)).match(text)) else text


def composed(text: str) -> str:
    """`text` with letters and their marks in one form (NFC); as it is, if more than 30 marks stand in a row,
    which no language writes.

    Putting such a run in order takes time that grows with the square of its length.
    """
    if text.isascii():
        return text
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > _MOST_MARKS:
            return text
    return unicodedata.normalize("NFC", text)


def without_labels(text: str, labels: Sequence[str]) -> str:
    """`text` without `labels` (a step-by-step prefix that the model repeats): some hold the same word as the
    phrase before the answer."""
    return _anywhere(tuple(labels)).sub(" ", text) if labels else text


def after_last_phrase(text: str, phrases: Sequence[str]) -> str | None:
    """The text after the last match of `phrases` (regular expressions; case is ignored), stripped; None
    without a match or with nothing after it."""
    last = None
    # The loop is for its last match.
    for last in _compiled(tuple(phrases)).finditer(text):  # noqa: B007
        pass
    return (text[last.end() :].strip() or None) if last else None


def phrase_pattern(phrase: str) -> str:
    """Plain words as a pattern for `after_last_phrase`: any white space between them, whole words, a colon
    may follow."""
    words = r"\s+".join(re.escape(word) for word in phrase.split())
    before, after = (
        r"\b" if mark.isalnum() and mark.isascii() else ""
        for mark in (phrase.strip()[:1], phrase.strip()[-1:])
    )
    return rf"{before}{words}{after}\s*{_COLON}?"


def plain(text: str) -> str | None:
    """`text` stripped, without one final period; None if nothing is left."""
    text = text.strip()
    return text.removesuffix(".").rstrip() or None


def first_line(text: str) -> str | None:
    """The first line that is not blank, stripped; None without one."""
    return text.strip().split("\n", 1)[0].strip() or None


def leading_letter(text: str, letters: str) -> str | None:
    """The option that `text` starts with, as a capital: `(B)`, `B`, `b)`, `**(B)** because ...`; None if it
    starts otherwise or with several.

    A bare letter counts where it cannot be a word: before punctuation, at the end of a line, or as a capital
    other than "A" before a word.
    """
    return _letter_at(text, 0, letters)


def labelled_letter(text: str, letters: str, labels: Sequence[str]) -> str | None:
    """The option letter at the start of a text that may begin with `labels`: `A: (C)` is C, and `A: Pleural`
    is A where `A:` is both a label and an option. None without a letter."""
    return leading_letter(without_leading_labels(text, labels), letters) or leading_letter(text, letters)


def concluded_letter(text: str, phrases: Sequence[str], letters: str) -> str | None:
    """The option after the last of `phrases` that one follows: `The answer is (B). I am sure this answer is
    right.` concludes with B."""
    for phrase in reversed(list(_compiled(tuple(phrases)).finditer(text))):
        if letter := _letter_at(text, phrase.end(), letters):
            return letter
    return None


def _letter_at(text: str, position: int, letters: str) -> str | None:
    match = _label(letters).match(text, position)
    if match is None or _ANOTHER_LABEL.match(text, match.end()):
        return None
    return str(match["closed"] or match["bare"]).upper()


def starts_with_number(text: str) -> bool:
    """True if only signs, brackets, currency and marks of emphasis stand before the first digit."""
    return _BEFORE_NUMBER.match(text) is not None


def first_sentence(text: str) -> str:
    """`text` up to the end of its first line or sentence; a period inside a number or an abbreviation glued
    to its word ends nothing."""
    line = text.strip().split("\n", 1)[0]
    end = re.search(r"[.!?](?=\s|$)|[。।！？]", line)
    return line[: end.start()] if end else line


_BEFORE_NUMBER = re.compile(
    rf"(?:{BEFORE.pattern})?"
    r"(?:[\s=≈~:：(\[*_`\"'“$€£¥₹৳฿₽￥＋+−–-]|US\$|\\\(|\\\[|\\boxed\{|\\[dt]?frac\{)*[.．]?(?:\d|[¼-¾⅐-⅞])",
    re.IGNORECASE,
)
# Possessive, as two runs of the same marks in a row would be tried in every division of the text among them.
_LEADING = r"[\s*_`\"'“]*+(?:(?i:option|choice|letter|answer)(?:\s*[:：]|\s)[\s*_`\"'“]*+)?"
_MOST_MARKS = 30
_THAI_MARKS = r"\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
_ARTICLE_REACH = 16
_ARTICLE_BEFORE = re.compile(
    r"(?<![^\W\d_])(?:the|this|that|a|my|our|der|die|das|diese[rs]?|eine?r?|zur|la|esta|una|mi|cette|une|ma|"
    r"эта|эту|наша|эй|এই|একটি|এ|ఈ|ఒక)[ \t]+$",
    re.IGNORECASE,
)
"""Words after which a marker such as `Question:` is a noun of the sentence."""
_LABEL_ENDS = r"(?:\)|[.:*_,;!\"”'’`](?!\w)|\s*$|[^\S\n]*\n)"
_REASON = r"(?:because|since|as|which|due|by|for)\b"
_ANOTHER_LABEL = re.compile(r"[\s*_]*(?:,|/|&|\band\b|\bor\b)\s*(?:(?:and|or)\s+)?\(?[A-Z]\)?(?![\w'’])")


@lru_cache(maxsize=64)
def _label(letters: str) -> re.Pattern[str]:
    """An option's label at the start of a text, in brackets (`closed`) or not (`bare`)."""
    any_case, capitals, never_words = (
        re.escape(marks)
        for marks in (letters.upper() + letters.lower(), letters.upper(), letters.upper().replace("A", ""))
    )
    bare = [rf"[{any_case}](?={_LABEL_ENDS})", rf"[{capitals}](?=\s+{_REASON})"]
    if never_words:
        bare.append(rf"[{never_words}](?=\s+[a-z(])")
    return re.compile(rf"{_LEADING}(?:[(\[]\s*(?P<closed>[{any_case}])\s*[)\]]|(?P<bare>{'|'.join(bare)}))")


@lru_cache(maxsize=64)
def _markers(markers: tuple[str, ...]) -> re.Pattern[str]:
    """A marker at the start of a line, with what stands before it there, or inside one where no letter or
    combining mark precedes it."""
    marker = "|".join(_loosely(marker) for marker in markers)
    return re.compile(
        rf"\n[ \t]*(?:{marker})|(?<![^\W\d_])(?<![{LETTERS_AND_MARKS}{_THAI_MARKS}])(?:{marker})"
    )


def _is_inside(text: str, position: int) -> bool:
    """True if a marker stands inside a line, after neither an article or similar word nor the blanks that
    begin the text."""
    before = text[max(0, position - _ARTICLE_REACH) : position]
    starts_text = not before.strip() and not text[:position].strip()
    return not starts_text and _ARTICLE_BEFORE.search(before) is None


@lru_cache(maxsize=64)
def _leading_labels(labels: tuple[str, ...]) -> re.Pattern[str]:
    label = "|".join(_loosely(label) for label in sorted(labels, key=len, reverse=True))
    return re.compile(rf"(?:[\s*_]*+(?:{label}))+[\s*_]*+", re.IGNORECASE)


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
