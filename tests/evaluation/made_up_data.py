"""Tiny files in the layouts of the public ones; every text is invented."""

import csv
import json
from pathlib import Path

from openflan.benchmark_data.bbh import BBH_TASKS
from openflan.benchmark_data.mmlu import SUBJECTS
from openflan.benchmark_data.tydiqa import TYDIQA_LANGUAGES
from openflan.evaluation.mgsm_languages import LANGUAGES

HEADER = "The following are multiple choice questions (with answers) about {}."


def mmlu_row(index: int) -> list[str]:
    """A question with a line end, a quotation, and options that pandas reads as missing."""
    return [
        f'What is "{index}"?\nChoose, please. ',
        "None",
        "NA",
        f" {index}, at most",
        "null",
        "ABCD"[index % 4],
    ]


def make_mmlu(folder: Path, questions: int = 2) -> Path:
    root = folder / "mmlu"
    for split, count in (("dev", 5), ("val", questions), ("test", questions + 1)):
        (root / split).mkdir(parents=True)
        for subject in SUBJECTS:
            with (root / split / f"{subject}_{split}.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(mmlu_row(number) for number in range(count))
    prompts = {subject: mmlu_prompt(subject, 4 if subject == "formal_logic" else 5) for subject in SUBJECTS}
    prompts["conceptual_physics"] = "\n" + prompts["conceptual_physics"]
    (root / "mmlu-cot.json").write_text(json.dumps(prompts), encoding="utf-8")
    return root


def mmlu_prompt(subject: str, exemplars: int) -> str:
    blocks = [
        (
            f"Q: Is {index} odd?\n(A) yes (B) no (C) so (D) nay\nA: Let's think step by step. It is. The "
            "answer is (A)."
        )
        for index in range(exemplars)
    ]
    return "\n\n".join([HEADER.format(subject.replace("_", " ")), *blocks])


def squad(rows: list[tuple[str, str, str, list[str]]]) -> dict[str, object]:
    """Of (id, passage, question, answers), each with a passage of its own, as TyDi QA's files have them."""
    asked = [
        {
            "context": passage,
            "qas": [
                {
                    "id": id_,
                    "question": question,
                    "answers": [{"text": text, "answer_start": 0} for text in answers],
                }
            ],
        }
        for id_, passage, question, answers in rows
    ]
    return {"data": [{"title": "made up", "paragraphs": [one]} for one in asked]}


def make_tydiqa(folder: Path, train: tuple[str, ...] = ("english",)) -> Path:
    root = folder / "tydiqa"
    (root / "dev").mkdir(parents=True)
    (root / "train").mkdir()
    for language in TYDIQA_LANGUAGES:
        rows = [
            (f"{language}-2", "A lies in B. ", "Where is A?", ["in B", "B"]),
            (f"{language}--1", "C lies in D.", "Where is C?", ["D"]),
            (f"{language}-3", "A lies in B. ", "What lies in B?", ["A"]),
        ]
        (root / "dev" / f"{language}.json").write_text(json.dumps(squad(rows)), encoding="utf-8")
        if language in train:
            shown = [
                (f"{language}-9", "Y", "Not this?", ["no"]),
                (f"{language}-8", "X is red.", "What is red?", ["X"]),
            ]
            (root / "train" / f"{language}.json").write_text(json.dumps(squad(shown)), encoding="utf-8")
    return root


def make_gsm8k(folder: Path, exemplars: int | None = 8) -> Path:
    root = folder / "gsm8k"
    root.mkdir(parents=True)
    rows = [
        {"question": "How many? ", "answer": "2+3=<<2+3=5>>5\n#### 5"},
        {"question": "How much\u2028now?", "answer": "It is so.\n#### 1,200"},
    ]
    (root / "test.jsonl").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    if exemplars is not None:
        shown = [
            {"question": f"What is {index} + 1?", "answer": f"One more. The answer is {index + 1}."}
            for index in range(exemplars)
        ]
        (root / "exemplars.json").write_text(json.dumps(shown), encoding="utf-8")
    return root


def make_bbh(folder: Path) -> Path:
    root = folder / "bbh"
    (root / "cot-prompts").mkdir(parents=True)
    shown = "".join(
        f"\n\nQ: Is {number} odd?\nA: Let's think step by step.\nIt is. So the answer is Yes."
        for number in range(3)
    )
    for task in BBH_TASKS:
        (root / f"{task}.json").write_text(
            json.dumps(
                {
                    "canary": "c",
                    "examples": [{"input": f"Is {number} odd?", "target": "Yes"} for number in (5, 7)],
                }
            )
        )
        (root / "cot-prompts" / f"{task}.txt").write_text(f"canary\n-----\nSay if a number is odd.{shown}")
    return root


def make_mgsm(folder: Path) -> Path:
    root = folder / "mgsm"
    root.mkdir(parents=True)
    exemplars = {}
    for code, language in LANGUAGES.items():
        (root / f"mgsm_{code}.tsv").write_text("How many?\t5\nHow much?\t1,200\n", encoding="utf-8")
        exemplars[code] = {
            str(index): {"q": f"{language.question}one ?", "a": f"{language.step}The answer is {index}."}
            for index in range(1, 9)
        }
    (root / "exemplars.json").write_text(
        json.dumps({"mgsm_exemplars": exemplars, "exemplar_number_answers": list(range(1, 9))}),
        encoding="utf-8",
    )
    return root


def make_all(folder: Path) -> Path:
    """All five, in a folder as `--data` takes it."""
    for make in (make_mmlu, make_bbh, make_tydiqa, make_mgsm, make_gsm8k):
        make(folder)
    return folder
