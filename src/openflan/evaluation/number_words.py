"""Words and marks that change what a number in a sentence is worth, in the languages of the benchmarks:
MGSM's eleven and TyDi QA's.

Powers of ten (`million`, `万`, `কোটি`), marks and words between two numbers (`plus`, `bis`, `หรือ`) and words
for one half. Decision: `billion` and `trillion` have two values where the decimal mark is a comma (a German
Billion is 10^12), and are worth none there. A dozen stays a unit, as GSM8K asks "how many dozen". Price: so
is a million no unit, where a question asks how many millions.
"""

from __future__ import annotations

import re

LETTERS_AND_MARKS = r"\u0980-\u09e5\u09f0-\u09ff\u0c00-\u0c65\u0c70-\u0c7f\u0610-\u065f\u066e-\u06ef"
"""Combining marks of Bengali, Telugu and Arabic for a character class: `re` does not count them as word
characters."""

_MORE_OF_A_WORD = rf"(?![^\W\d_]|[{LETTERS_AND_MARKS}])"
_INDIC = rf"[{LETTERS_AND_MARKS}]*"
_YYA = r"(?:\u09af\u09bc|\u09df)"

_POWERS: tuple[tuple[str, int], ...] = (
    # Words of scripts that set words apart, whole; a point may follow an abbreviation.
    (r"(?:hundreds?|hundert|сот(?:ня|ни|ен)|ratus|sataa?|مائة|مئة)" + _MORE_OF_A_WORD, 2),
    (r"(?:thousands?|tausend|tsd|mille|тысяч(?:а|и|у|е|ей|ам|ами|ах)?|тыс|elfu|ribu|"
     r"tuhat(?:ta)?|tuhannen|ألفا?|آلاف|الف)\b\.?" + _MORE_OF_A_WORD, 3),
    (r"(?:lakhs?|lacs?|laki)" + _MORE_OF_A_WORD, 5),
    (r"(?:millions?|millionen|mio|mln|mill[oó]n(?:es)?|миллион(?:а|ов|у|ам|ами|ах|ом|е|ы)?|млн|milioni|"
     r"juta|miljoonaa?|ملايين|مليونا?)\b\.?"
     + _MORE_OF_A_WORD, 6),
    (r"crores?" + _MORE_OF_A_WORD, 7),
    (r"(?:milliarden?|mrd|milliards?|mds?|"
     r"миллиард(?:а|ов|у|ам|ами|ах|ом|е|ы)?|млрд|bilioni|mil[iy]ar|miljardia?|مليارا?|مليارات)\b\.?"
     + _MORE_OF_A_WORD, 9),
    (r"(?:billionen|bill[oó]n(?:es)|billón|"
     r"триллион(?:а|ов|у|ам|ами|ах|ом|е|ы)?|трлн|trilioni|triliun|biljoonaa?|تريليون)\b\.?"
     + _MORE_OF_A_WORD, 12),
    # Scripts whose words take endings or follow each other without a space.
    (rf"(?:(?:শত|শো){_MORE_OF_A_WORD}|వంద(?!న){_INDIC}|百(?![分货貨科])|백|ร้อย(?!ละ))", 2),
    (rf"(?:হাজার{_INDIC}|వేల(?!్){_INDIC}|వెయ్యి|千(?![克米瓦卡帕焦赫伏]|字[节節])|천|พัน(?!ธ))", 3),
    (r"(?:[万萬]|만|หมื่น)", 4),
    (rf"(?:লাখ{_INDIC}|লক্ষ(?!্){_INDIC}|లక్ష(?!్){_INDIC}|แสน)", 5),
    (rf"(?:মিলি{_YYA}ন{_INDIC}|మిలియన్{_INDIC}|ล้าน)", 6),
    (rf"(?:কোটি{_INDIC}|కోట[ిు్]{_INDIC})", 7),
    (r"(?:[億亿]|억)", 8),
    (rf"(?:বিলি{_YYA}ন{_INDIC}|బిలియన్{_INDIC})", 9),
    (rf"(?:ট্রিলি{_YYA}ন{_INDIC}|ట్రిలియన్{_INDIC}|兆|조(?!각))", 12),
    (r"(?:十|십|สิบ)", 1),
)  # fmt: skip
_AMBIGUOUS = (("bn", 9), (r"tn", 12), (r"billions?", 9), (r"trillions?", 12))
_LETTERS = ((r"k", 3), (r"K", 3), (r"M", 6))
_LETTERS_OF_MONEY = ((r"m", 6), (r"B", 9), (r"b", 9), (r"T", 12))


def _table(entries: tuple[tuple[str, int], ...], flags: int) -> tuple[tuple[re.Pattern[str], int], ...]:
    return tuple((re.compile(rf"[\s-]*(?:{pattern})", flags), power) for pattern, power in entries)


_WORDS = _table(_POWERS, re.IGNORECASE)
_ANY_WORD = re.compile(
    rf"[\s-]*(?:{'|'.join(pattern for pattern, _ in (*_POWERS, *_AMBIGUOUS))}|mil\b)", re.IGNORECASE
)
_TWO_VALUES = _table(tuple((rf"{pattern}\b", power) for pattern, power in _AMBIGUOUS), re.IGNORECASE)
_SPANISH_THOUSAND = re.compile(r"[\s-]*mil\b", re.IGNORECASE)
_GLUED = tuple((re.compile(rf"{pattern}(?![^\W_])"), power) for pattern, power in _LETTERS)
_GLUED_TO_MONEY = tuple((re.compile(rf"{pattern}(?![^\W_])"), power) for pattern, power in _LETTERS_OF_MONEY)
_MONEY_FOLLOWS = tuple((re.compile(rf"\s?{pattern}(?=\s?[$€£¥₹₽])"), power) for pattern, power in _LETTERS)
_ANY_LETTER = re.compile(r"\s?[kKMmBbT]")

BEFORE = re.compile(
    r"(?:\b(?P<one>elfu|laki|milioni|bilioni|trilioni|mia)\s+)(?:(?P<two>elfu|laki|milioni|bilioni|mia)\s+)?",
    re.IGNORECASE,
)
"""Swahili names the power first: `milioni 3`."""
_BEFORE_POWERS = {"mia": 2, "elfu": 3, "laki": 5, "milioni": 6, "bilioni": 9, "trilioni": 12}


def power_before(match: re.Match[str] | None) -> int:
    """The power of ten of what `BEFORE` matched; 0 for None."""
    return sum(_BEFORE_POWERS[word.lower()] for word in (match["one"], match["two"]) if word) if match else 0


def power_after(text: str, position: int, *, decimal_comma: bool, money: bool) -> tuple[int | None, int]:
    """The power of ten that follows a number which ends at `position`, and where it ends: (0, position)
    without any, None for one of two values.

    Words in a row are multiplied: `5 hundred thousand`, `千万`. `money`: a currency stands before the number,
    so that `5m` is no length.
    """
    if _ANY_LETTER.match(text, position):
        glued = (*_GLUED, *(_GLUED_TO_MONEY if money else ()), *_MONEY_FOLLOWS)
        for pattern, letter_power in glued:
            if match := pattern.match(text, position):
                return letter_power, match.end()
    total = 0
    for _ in range(_MOST_WORDS):
        if not _ANY_WORD.match(text, position):
            break
        power, end = _one_power(text, position, decimal_comma)
        if power is None:
            return None, end
        if power == 0:
            break
        total, position = total + power, end
    return total, position


_MOST_WORDS = 3


def _one_power(text: str, position: int, decimal_comma: bool) -> tuple[int | None, int]:
    for pattern, power in _TWO_VALUES:
        if match := pattern.match(text, position):
            return (None if decimal_comma else power), match.end()
    if match := _SPANISH_THOUSAND.match(text, position):
        return (3 if decimal_comma else None), match.end()
    for pattern, power in _WORDS:
        if match := pattern.match(text, position):
            return power, match.end()
    return 0, position


def _between(marks: str, words: str, unspaced: str) -> re.Pattern[str]:
    """Marks, whole words of spaced scripts, words of scripts without spaces."""
    return re.compile(
        rf"\s*(?:{marks}|(?<![^\W\d_])(?<![{LETTERS_AND_MARKS}])(?:{words})(?![^\W_]|"
        rf"[{LETTERS_AND_MARKS}])|(?:{unspaced}))",
        re.IGNORECASE,
    )


OPERATOR = _between(
    r"\*\*|[-–+*/×÷−·⋅∗∙^]|\\times|\\cdot|\\div|(?<![^\W\d_])[xX](?![^\W\d_])|(?:(?<=%)|(?<=%\s)|"
    r"(?<=percent\s))(?:of|von|de|от)\b",
    r"plus|minus|times|multiplied\s+by|divided\s+by|mal|geteilt\s+durch|fois|moins|divis[ée]e?s?\s+par|"
    r"multipli[ée]e?s?\s+par|m[áa]s|menos|por|"
    r"dividido\s+(?:por|entre)|плюс|минус|умножить\s+на|разделить\s+на|jumlisha|kujumlisha|toa|kutoa|"
    r"mara|gawanya\s+kwa|যোগ|বিয়োগ|গুণ|ভাগ|kali|dikali|dibagi|tambah|"
    r"kurang|ప్లస్|మైనస్|زائد|ناقص|ضرب|miinus|kertaa|jaettuna",
    r"[加减減乘除]以?|足す|たす|引く|ひく|掛ける|かける|割る|わる|บวก|ลบ|คูณ|หาร|더하기|빼기|곱하기|나누기",
)
EQUALS = _between(
    r"=+>?|≈|≃|≅|→|⇒|⟹",
    r"equals?|is\s+equal\s+to|(?:ist\s+)?gleich|ergibt|[ée]gale?s?(?:\s+[àa])?|es\s+igual\s+a|igual\s+a|"
    r"равно|равен|равна|равняется|ni\s+sawa\s+na|sawa\s+na|সমান|సమానం|"
    r"sama\s+dengan|on\s+yht[äa]\s+kuin|يساوي",
    r"等于|等於|イコール|เท่ากับ",
)
IS = _between(
    r"(?!)",
    r"is|are|makes?|gives?|ist|sind|macht|est|sont|fait|font|es|son|hace|это|будет|ni|হয়|হ\u09df|হবে|"
    r"adalah|on",
    r"は|是|得到?|คือ",
)
"""Words that mean equality only after a sum of several numbers."""
RANGE = _between(
    r"[–~〜～∼∿]|(?<=\S)—(?=\S)|\.{2,3}|…",
    r"to|through|thru|till|until|bis|à|(?<=\d\s)a|hasta|до|по|hadi|mpaka|থেকে|నుండి|నుంచి|sampai|hingga|إلى",
    r"から|ถึง|到|至|에서|부터",
)
OR = _between(
    r"(?!)", r"or|oder|ou|o|u|или|либо|au|বা|অথবা|లేదా|tai|atau|أو", r"หรือ|或者?|または|もしくは|か|또는"
)
AND = _between(r"&", r"and|und|et|y|e|и|na|এবং|ও|আর|మరియు|ja|dan|و", r"และ|กับ|和|与|與|及|と|와|과|하고")

HALF = _between(
    r"(?!)",
    r"and\s+(?:a|one)\s+half|et\s+demie?|y\s+medi[ao]|с\s+половиной|na\s+nusu|ja\s+puoli|dan\s+setengah|"
    r"ونصف|অর্ধ",
    r"半(?![径徑年分数數月夜天額额])|ครึ่ง|반(?![가-힣])",
)
"""`3 and a half`."""
HALF_BEFORE = re.compile(r"সা(?:\u09a1\u09bc|\u09dc)ে\s*$")

UNIT = re.compile(
    r"\s*(?:\*{1,2}|[%°‰\])}_\"”’'`$€£¥₹৳฿₽￥]"
    r"|[\u0e00-\u0e4f\u0e5a-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
    rf"|(?:/\s?)?[^\W\d_]+(?:[-'’.][^\W\d_]+)*[{LETTERS_AND_MARKS}]*)"
)
"""One step over what stands between a number and what is done with it: a word, a character of a script
without spaces, or a closing mark."""
