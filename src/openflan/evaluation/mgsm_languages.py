"""MGSM's eleven languages: what stands before a question and an answer, and how an answer is announced.

Prefixes are those the published exemplars start with. Phrases are the last sentences of those exemplars and
similar forms, as regular expressions for NFC text. German has `Die Antwort ist` and `Die Antwort lautet`,
Japanese `答えは` before any counter word. The English phrase counts in every language: instruction-tuned
models often answer in English, and it states an answer as clearly.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """`question` and `step` are prefixes as in the exemplars, with the space that follows them there;
    `answer` is ours, for answers without rationale.

    `phrases` are the language's own; `answer_phrases` adds the English ones. `decimal_comma`: `2.125` is two
    thousand.
    """

    question: str
    step: str
    answer: str
    phrases: tuple[str, ...]
    decimal_comma: bool = False

    @property
    def answer_phrases(self) -> tuple[str, ...]:
        return (*self.phrases, *ENGLISH)


ENGLISH = (r"\bthe\s+(?:(?:final|correct)\s+)?answer\s+is\b\s*:?", r"\banswer\s*[:：]")

LANGUAGES: dict[str, Language] = {
    "bn": Language("প্রশ্ন: ", "ধাপে ধাপে উত্তর: ", "উত্তর: ", (r"উত্তর\s*(?:হলো|হল|হচ্ছে|[:：])\s*:?",)),
    "de": Language(
        "Frage: ",
        "Schritt-für-Schritt-Antwort: ",
        "Antwort: ",
        (r"\bantwort\s+(?:ist|lautet|beträgt)(?:\s+daher|\s+also)?\b\s*:?", r"\bantwort\s*[:：]"),
        True,
    ),
    "en": Language("Question: ", "Step-by-Step Answer: ", "Answer: ", ()),
    "es": Language(
        "Pregunta: ",
        "Respuesta paso a paso: ",
        "Respuesta: ",
        (r"\brespuesta\s+(?:(?:final|correcta)\s+)?es\b\s*:?", r"\brespuesta\s*[:：]"),
        True,
    ),
    "fr": Language(
        "Question : ",
        "Réponse étape par étape : ",
        "Réponse : ",
        (r"\bréponse\s+(?:finale\s+)?est\b\s*:?", r"\bréponse\s*[:：]"),
        True,
    ),
    "ja": Language("問題：", "ステップごとの答え：", "答え：", (r"答え\s*(?:は|[:：])\s*[:：、]?",)),
    "ru": Language("Задача: ", "Пошаговое решение: ", "Ответ: ", (r"\bответ\s*(?:[—–:：]|-(?=\s))",), True),
    "sw": Language(
        "Swali: ", "Jibu la Hatua kwa Hatua: ", "Jibu: ", (r"\bjibu\s+ni\b\s*:?", r"\bjibu\s*[:：]")
    ),
    "te": Language("ప్రశ్న: ", "దశలవారీగా సమాధానం: ", "సమాధానం: ", (r"సమాధానం\s*[:：]?",)),
    "th": Language("โจทย์: ", "คำตอบทีละขั้นตอน: ", "คำตอบ: ", (r"คำตอบ\s*(?:คือ|[:：])\s*:?",)),
    "zh": Language("问题：", "逐步解答：", "答案：", (r"答案\s*(?:是|为|為|[:：])\s*[:：]?",)),
}

AVERAGED = tuple(code for code in LANGUAGES if code != "en")
"""The paper's average leaves English out (Table 21)."""
