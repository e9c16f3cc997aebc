"""A small folder of benchmarks in their true layouts; every text is ours."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

BBH = [
    (
        "A lamp hangs above each of seven doors, and only the fourth lamp is lit. Which door may the "
        "guard open?\nOptions:\n(A) the first\n(B) the fourth"
    )
]
MMLU = [
    "Which organ of the river crab stores the sand grains that tell it, while it swims, which way is up?",
    "What do lantern beetles eat in winter?",
]
MMLU_OPTIONS = [
    "a small chamber at the base of its first antennae that is emptied whenever the animal sheds its shell",
    "ash",
    "moss",
    "nothing",
]
MGSM = {
    "en": (
        "Orla's bakery sells 1,250 rolls a day, packed in bags of 5; how many bags does she need for 3 days?"
    ),
    "zh": "奥拉的面包店每天卖出一千二百五十个小面包，每袋装五个，请问她三天一共需要多少个袋子才够用？",
    "th": ("ร้านเบเกอรี่ของออร์ลาขายขนมปังก้อนเล็กวันละหลายร้อยก้อนโดยบรรจุถุงละห้าก้อนเธอต้องใช้ถุงทั้งหมดกี่ใบสำหรับสามวัน"),
    "bn": (
        "ওরলার বেকারি প্রতিদিন ১২৫০টি রুটি বিক্রি করে আর প্রতিটি থলেতে পাঁচটি করে রুটি রাখে তাহলে তিন "
        "দিনে তার মোট কতগুলো থলে লাগবে?"
    ),
    "ru": (
        "Пекарня Орлы продаёт 1250 булочек в день и кладёт их по 5 в пакет, сколько же пакетов ей нужно "
        "на три дня?"
    ),
}
GSM8K = [
    (
        "Tomas stacks 14 crates on each of 6 carts, drops half of all the crates in the lane, and sells "
        "the others for $3. What does he earn?"
    )
]
PASSAGE = (
    "The tower of Vellmark was raised in four summers by masons from the coast, who left their marks "
    "on every stone that faces the sea."
)
FINNISH_PASSAGE = (
    "Torni nousi neljässä kesässä ja sen muurasivat rannikolta tulleet mestarit, jotka jättivät "
    "merkkinsä jokaiseen merelle katsovaan kiveen."
)
TYDIQA = {
    "english": ["Who raised the tower of Vellmark?", "Where is Vell?"],
    "finnish": ["Kuka muurasi Vellmarkin tornin?"],
}


def write_benchmarks(folder: Path) -> Path:
    """Writes all five; returns the folder."""
    _write(
        folder / "bbh/doors.json",
        json.dumps({"canary": "none", "examples": [{"input": text, "target": "(B)"} for text in BBH]}),
    )
    for split in ("dev", "val", "test"):
        rows = io.StringIO()
        writer = csv.writer(rows)
        for index, question in enumerate(MMLU):
            writer.writerow(
                [
                    question if split == "test" else f"{split} {index}",
                    *(MMLU_OPTIONS if (split, index) == ("test", 0) else "wxyz"),
                    "A",
                ]
            )
        _write(folder / f"mmlu/{split}/zoology_{split}.csv", rows.getvalue())
    for language, question in MGSM.items():
        _write(folder / f"mgsm/mgsm_{language}.tsv", f"{question}\t750\n")
    _write(
        folder / "gsm8k/test.jsonl",
        "".join(json.dumps({"question": text, "answer": "#### 126"}) + "\n" for text in GSM8K),
    )
    for language, questions in TYDIQA.items():
        asked = [
            {"question": text, "id": f"{language}-{index}", "answers": [{"text": "masons"}]}
            for index, text in enumerate(questions)
        ]
        passage = PASSAGE if language == "english" else FINNISH_PASSAGE
        _write(
            folder / f"tydiqa/dev/{language}.json",
            json.dumps({"data": [{"paragraphs": [{"context": passage, "qas": asked}]}]}),
        )
    return folder


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
