"""Texts as units that can be compared: words, or single characters where a script has no spaces.

Case, width, compatibility forms, punctuation and the script of digits do not count; numbers do. Apostrophes
are left out of words, and commas that group thousands out of numbers. Every other mark ends a word, so
`well-known` is two words. All texts of a batch are turned at once: code points to 64-bit values by a table,
values to units by prefix sums. Words and 13-grams then take a third of the time of Python's own words and
tuples, and every further length next to none (docs/contamination.md).

Prefix sums S[i] = sum of v[j] B^j for j < i, modulo 2^64, give the hash of any stretch [a, b): it is (S[b] -
S[a]) B^-a, because multiplying by an odd B can be undone modulo 2^64. A stretch of any length then costs the
same.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Hashes: TypeAlias = NDArray[np.uint64]
Places: TypeAlias = NDArray[np.int64]

SEPARATOR, WORD, HAN_KANA, UNSPACED, IGNORED = range(5)
"""Kinds of characters. A run of WORD characters is one unit; each HAN_KANA or UNSPACED (Thai, Lao, Khmer,
Burmese) character is one."""

LENGTHS = {WORD: 13, HAN_KANA: 24, UNSPACED: 55}
"""Units of an n-gram. 13 words are the usual length (Brown et al. 2020, appendix C). The others are as long
in meaning: in the 250 parallel questions of MGSM, 13 English words stand beside 19 Chinese, 28 Japanese and
55 Thai characters. A mixed n-gram has the length of its longest kind."""

# No letter has a code point from here on; variation selectors, tags and private characters are ignored.
_CODES = 0x40000
_HAN_KANA = (
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x3100, 0x312F),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x1A20, 0x1AAF),
    (0xA9E0, 0xA9FF),
    (0xAA60, 0xAA7F),
)
_APOSTROPHES = "'\u2019\u2018\u02bc\u02bb`"
_COMMA = ord(",")
_BASE = 0x9E3779B97F4A7C15  # odd; 2^64 over the golden ratio


@dataclass(frozen=True, slots=True)
class Units:
    """The units of some texts (U of T texts), one after the other.

    `hashes` and `kinds` (U,); unit u is `folded[begins[u]:ends[u]]`; those of text t are [starts[t], starts[t
    + 1]).
    """

    folded: str
    hashes: Hashes
    kinds: NDArray[np.uint8]
    begins: Places
    ends: Places
    starts: Places

    def text(self, first: int, last: int) -> str:
        """Units [first, last) as they stand in the folded text, with the marks between them."""
        return self.folded[self.begins[first] : self.ends[last - 1]]


def split(texts: Sequence[str]) -> Units:
    """The units of each text; none reaches over the end of its text."""
    folded = [fold(text) for text in texts]
    # Blanks on both sides, so that the neighbours of a comma can be looked at.
    joined = "\n".join(["", *folded, "     "])
    offsets = np.cumsum([1, *(len(text) + 1 for text in folded)], dtype=np.int64)
    codes = np.minimum(
        np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32), _CODES - 1
    )
    kinds_of, values_of, digits = _table()
    kinds = kinds_of[codes]
    ignored = kinds == IGNORED
    commas = np.flatnonzero(codes == _COMMA)
    if len(commas):
        near = digits[codes[commas[:, None] + np.array([-1, 1, 2, 3, 4])]]
        ignored[commas[near[:, :4].all(axis=1) & ~near[:, 4]]] = True
    places = np.flatnonzero(~ignored) if ignored.any() else None
    if places is not None:
        codes, kinds = codes[places], kinds[places]
    alone = (kinds == HAN_KANA) | (kinds == UNSPACED)
    word = kinds == WORD
    begin, end = alone | word, alone | word
    begin[1:] &= alone[1:] | ~word[:-1]
    end[:-1] &= alone[:-1] | ~word[1:]
    begins, ends = np.flatnonzero(begin), np.flatnonzero(end) + 1
    hashes = mixed(stretches(prefix_sums(values_of[codes]), begins, ends))
    unit_kinds = kinds[begins]
    if places is not None:
        begins, ends = places[begins], places[ends - 1] + 1
    return Units(joined, hashes, unit_kinds, begins, ends, np.searchsorted(begins, offsets))


def fold(text: str) -> str:
    """Return the text without case, width and compatibility forms."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def prefix_sums(values: Hashes) -> Hashes:
    """Return the prefix sums S (N + 1,) of values (N,) that the module's docstring defines."""
    sums = np.zeros(len(values) + 1, dtype=np.uint64)
    np.cumsum(values * powers(len(values))[0], out=sums[1:])
    return sums


def stretches(sums: Hashes, begins: Places, ends: Places) -> Hashes:
    """The hashes of the stretches [begin, end)."""
    return (sums[ends] - sums[begins]) * powers(len(sums))[1][begins]


def windows(sums: Hashes, length: int) -> Hashes:
    """The hashes of all stretches of one length, by where they begin; none if there are fewer values."""
    count = max(0, len(sums) - length)
    return (sums[length:] - sums[:count]) * powers(count)[1]


def powers(count: int) -> tuple[Hashes, Hashes]:
    """B^i and B^-i modulo 2^64 for i < count."""
    up, down = _powers(1 << max(18, (count - 1).bit_length()))
    return up[:count], down[:count]


@lru_cache(maxsize=2)
def _powers(count: int) -> tuple[Hashes, Hashes]:
    def of(base: int) -> Hashes:
        factors = np.full(count, base, dtype=np.uint64)
        factors[0] = 1
        return np.cumprod(factors)

    return of(_BASE), of(pow(_BASE, -1, 1 << 64))


def mixed(values: Hashes) -> Hashes:
    """Every bit of a value spread over all 64: the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@lru_cache(maxsize=1)
def _table() -> tuple[NDArray[np.uint8], Hashes, NDArray[np.bool_]]:
    """Kind, value and whether it is a digit, by code point; a digit of any script has the value of 0 to 9."""
    kinds = np.zeros(_CODES, dtype=np.uint8)
    letters = np.arange(_CODES, dtype=np.uint64)
    for code in range(_CODES):
        character = chr(code)
        category = unicodedata.category(character)
        if category in ("Cf", "Cs") or "\ufe00" <= character <= "\ufe0f" or character in _APOSTROPHES:
            kinds[code] = IGNORED
        elif category == "Nd":
            kinds[code] = WORD
            letters[code] = ord("0") + unicodedata.decimal(character)
        elif category[0] in "LMN":  # The vowel signs of Indic scripts are marks (M), and parts of words.
            kinds[code] = WORD
    for kind, ranges in ((HAN_KANA, _HAN_KANA), (UNSPACED, _UNSPACED)):
        for first, last in ranges:
            part = kinds[first : last + 1]
            part[(part == WORD) & (letters[first : last + 1] >= first)] = kind
    kinds[_CODES - 1] = IGNORED
    digits = (letters >= ord("0")) & (letters <= ord("9"))
    return kinds, mixed(letters + np.uint64(1)), digits
