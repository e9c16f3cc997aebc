"""The whole collection in miniature behind a hub: every repository of the plan, with the names, folders and
columns that the real ones have, and made-up rows."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from flan_release import OF_2021, RELEASE
from hub_server import CONVERTED, Hub, archive
from muffin_answering_records import KEPT
from muffin_classification_records import RECORDS as CLASSIFIED
from muffin_generation_records import RECORDS as GENERATED

from openflan.collection.plan import Piece, Source, plan
from openflan.tasks.catalogue import catalogue
from openflan.tasks.ready_made import STYLES

MUFFIN: dict[str, dict[str, Any]] = {
    **GENERATED,
    **{name: raw for name, (raw, _) in CLASSIFIED.items()},
    **{name: raw for name, raw, _ in reversed(KEPT)},
}
ROWS = 4
_COT = "".join(
    f'"{name}": [("{{question}} Now think:", "{{chain_of_thought}} So {{answer}}")],\n    '
    for name in (
        "cot_creak",
        "cot_ecqa",
        "cot_esnli",
        "cot_qasc",
        "cot_sensemaking",
        "cot_strategyqa",
        "stream_qed",
    )
)
IN_SOURCES = {"flan2021": "Flan2021", "t0": "P3", "niv2": "NIv2", "cot": "CoT", "dialog": "Dialog"}


def parquet(rows: list[dict[str, Any]], group: int = 1000) -> bytes:
    packed = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), packed, row_group_size=group)
    return packed.getvalue()


def fill(hub: Hub, parts: tuple[str, ...] = (), rows: int = ROWS, muffin: tuple[str, ...] = ()) -> None:
    """Puts the repositories of some parts (those of the default plan if none) behind the hub; of Muffin's
    data sets only `muffin` if any are named."""
    for source in plan(parts).sources:
        if source.kind == "github":
            hub.archives[source.repository] = archive(f"{source.repository[-4:]}-c", _repository(source))
            continue
        for piece in source.pieces:
            name = piece.folders[0].partition("/")[2]
            if source.part == "muffin":
                wanted = [folder for folder in piece.folders if not muffin or folder in muffin]
                if wanted:
                    raw = MUFFIN[wanted[0].partition("/")[2]]
                    if source.repository == "ParaCrawl/para_crawl":
                        raw = {"translation": {"en": "Tea, please!", "es": "Té.", "da": "Te."}}
                    _converted(hub, source, piece, [raw] * rows)
            elif source.part == "t0_sf":
                _published(hub, source, piece, [_p3(name, number) for number in range(rows)])
            elif source.part == "ready-made":
                kind = re.sub("_submix.*", "", name)
                _published(hub, source, piece, [_ready_made(kind, number) for number in range(8 * rows)])
            else:
                _converted(
                    hub, source, piece, [{"question": f"What is {n}?", "answer": str(n)} for n in range(rows)]
                )


def _converted(hub: Hub, source: Source, piece: Piece, rows: list[dict[str, Any]]) -> None:
    """On the conversion branch, in two files, with another split beside it."""
    folder = f"{piece.config or 'default'}/{piece.split}"
    half = max(len(rows) // 2, 1)
    files = {f"{folder}/0000.parquet": parquet(rows[:half]), f"{folder}/0001.parquet": parquet(rows[half:])}
    files[f"{piece.config or 'default'}/test/0000.parquet"] = parquet(rows[:1])
    hub.put(source.repository, CONVERTED, files, licence="cc-by-4.0")
    hub.put(source.repository, "main", {"README.md": b"---\nlicense: cc-by-4.0\n---\n"})


def _published(hub: Hub, source: Source, piece: Piece, rows: list[dict[str, Any]]) -> None:
    """As Parquet on the main branch."""
    folder = piece.config or "data"
    suffix = "" if piece.config else "-0123456789abcdef"
    files = {f"{folder}/train-00000-of-00001{suffix}.parquet": parquet(rows)}
    if piece.config:
        files[f"{folder}/validation-00000-of-00001.parquet"] = parquet(rows[:1])
    hub.put(source.repository, "main", files, licence="apache-2.0")


def _p3(name: str, number: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "inputs": [1, 2],
        "inputs_pretokenized": f"Is {number} a number? (task {name})",
        "targets": [3],
        "targets_pretokenized": "\nYes",
    }
    return row | ({"answer_choices": ["Yes", "No"]} if catalogue()[f"t0_sf/{name.strip()}"].options else {})


def _ready_made(kind: str, number: int) -> dict[str, Any]:
    styles = STYLES if kind in ("flan2021", "t0") else ("zs_opt", "fs_opt")
    return {
        "inputs": f"{kind} asks for {number}.",
        "targets": f"{number}",
        "task_source": IN_SOURCES[kind],
        "task_name": f"{kind}_{number % 3}",
        "template_type": styles[number % len(styles)],
    }


def _repository(source: Source) -> dict[str, str]:
    if source.part == "niv2":
        return {
            "README.md": "Read me.",
            "LICENSE": "A licence.",
            "src/reorder.py": "print()",
            "splits/default/train_tasks.txt": "task001_quiz_answer\n",
            **{
                f"tasks/{name}.json": _instructions(name)
                for name in (
                    "task001_quoref_question_generation",
                    "task190_snli_classification",
                    "task685_mmmlu_answer_generation_abstract_algebra",
                )
            },
            "tasks/README.md": "Tasks.",
        }
    if source.part == "cot":
        line = "Two and two?\t4\tTwo and two make four.\n"
        names = ("aqua", "creak", "ecqa", "esnli", "gsm8k", "qasc", "qed", "sensemaking", "strategyqa")
        return {
            "LICENSE": "A licence.",
            "flan/templates.py": "PATTERNS = {}\n",
            "flan/v2/templates.py": RELEASE.replace('"cot_gsm8k": [', _COT + '"cot_gsm8k": ['),
            "flan/v2/flan_templates_branched.py": OF_2021,
            "flan/v2/mixtures.py": "",
            **{f"flan/v2/cot_data/{name}_train.tsv": line * ROWS for name in names},
        }
    template = """  id1: !Template
    answer_choices: "{{ answer }} ||| other"
    id: id1
    jinja: "Say {{ question }} ||| {{ answer }}"
    name: Direct Question
    reference: ''
    metadata: !TemplateMetadata
      choices_in_prompt: false
"""
    return {
        "promptsource/templates/sciq/templates.yaml": f"dataset: sciq\ntemplates:\n{template}",
        "promptsource/app.py": "",
        "README.md": "Read me.",
    }


def _instructions(name: str) -> str:
    instances = [{"id": f"{name}-{n}", "input": f"{n}+{n}?", "output": [str(2 * n)]} for n in range(ROWS)]
    return json.dumps(
        {
            "Definition": ["Answer."],
            "Categories": ["Question Answering"],
            "Source": ["quiz"],
            "Input_language": ["English"],
            "Output_language": ["English"],
            "Positive Examples": [{"input": "1+1?", "output": "2", "explanation": "A sum."}],
            "Negative Examples": [],
            "Instances": instances,
            "Instance License": ["MIT"],
        }
    )
