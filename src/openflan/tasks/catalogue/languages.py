"""Languages of the collection's tasks: the names that the public lists use, their ISO codes, and other names
in use."""

from __future__ import annotations

from collections.abc import Mapping

from openflan.errors import InputError, did_you_mean

LANGUAGES: Mapping[str, str] = {
    "ar": "Arabic",
    "as": "Assamese",
    "bn": "Bengali",
    "bg": "Bulgarian",
    "my": "Burmese",
    "ca": "Catalan",
    "km": "Central Khmer",
    "zh": "Chinese",
    "hr": "Croatian",
    "cs": "Czech",
    "nl": "Dutch",
    "en": "English",
    "et": "Estonian",
    "fil": "Filipino",
    "fi": "Finnish",
    "fr": "French",
    "gl": "Galician",
    "de": "German",
    "el": "Greek",
    "gu": "Gujarati",
    "ht": "Haitian",
    "he": "Hebrew",
    "hi": "Hindi",
    "ig": "Igbo",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "kn": "Kannada",
    "ko": "Korean",
    "ku": "Kurdish",
    "lo": "Lao",
    "lt": "Lithuanian",
    "ms": "Malay",
    "ml": "Malayalam",
    "mr": "Marathi",
    "ne": "Nepali",
    "no": "Norwegian",
    "or": "Oriya",
    "pa": "Panjabi",
    "fa": "Persian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "si": "Sinhala",
    "sk": "Slovak",
    "so": "Somali",
    "es": "Spanish",
    "sw": "Swahili",
    "sv": "Swedish",
    "tl": "Tagalog",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tr": "Turkish",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "xh": "Xhosa",
    "yo": "Yoruba",
    "za": "Zhuang",
}
"""ISO 639-1 code (639-3 for Filipino) to name; the 60 names of the catalogue."""

_OTHER_NAMES: Mapping[str, str] = {
    "farsi": "Persian",
    "haitian creole": "Haitian",
    "khmer": "Central Khmer",
    "kiswahili": "Swahili",
    "mandarin": "Chinese",
    "odia": "Oriya",
    "punjabi": "Panjabi",
}


def language(text: str) -> str:
    """The catalogue's name for a language given by ISO code or name, in any case.

    Raises InputError for one that no task is in, with the nearest name.
    """
    folded_name = text.strip().lower()
    known = {**LANGUAGES, **{name.lower(): name for name in LANGUAGES.values()}, **_OTHER_NAMES}
    if folded_name not in known:
        hint = did_you_mean(folded_name, known) or "; give an ISO code such as sw, or an English name"
        raise InputError(f"no task of the collection is in `{text}`{hint}")
    return known[folded_name]
