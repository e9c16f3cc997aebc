"""Build the catalogue that comes with openflan: `python scripts/build_catalogue.py CATALOGUE_CSV`.

CATALOGUE_CSV is a table of facts collected from public lists: the collection's own list of tasks and its
constants (google-research/FLAN), the task files of allenai/natural-instructions, promptsource's template
names, hub ids. Columns: submixture, dataset, task_category, task_name, hf_hub_id, language
(`English;French`), notes. Notes are `; `-separated; the first is `kind=`base, inverted, excluded_mmlu or
metadata_only, the others are facts such as `n=6500`, `tfds=glue/mnli:2.0.0`, `train=train[:-200]`.

The same CSV gives the same bytes (no time stamp, fixed order).
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from openflan.tasks import catalogue
from openflan.tasks.catalogue.entry import SUBMIXTURES
from openflan.tasks.catalogue.table import FILE
from openflan.tasks.cot import DATASETS

OUT = Path(catalogue.__file__).parent / FILE
COLUMNS = (
    "name",
    "part",
    "dataset",
    "category",
    "source",
    "link",
    "hub",
    "languages",
    "licence",
    "options",
    "rows",
    "held_out",
    "variants",
)
FLAN = "https://raw.githubusercontent.com/google-research/FLAN/main/flan/v2/cot_data"

MOVED = {"Helsinki-NLP/opus_paracrawl": "ParaCrawl/para_crawl"}
"""Ids of the table of facts that lead to another data set than the collection's, and the right ones: the
first has no English-Spanish pair."""

# What each dataset's publication states, and where it was read: its own repository or page, else its card on
# the hub (as kept there or in github huggingface/datasets). They cover the dataset, not the texts that it may
# quote. Unknown stays what says nothing that we could read (COPA, WiC), has terms without a name, is
# contradicted by another of its pages, or is told of a part alone: of the code that generates it
# (math_dataset), or of the original schemas and not of SuperGLUE's rows (WSC).
LICENCES = {
    "gsm8k": ("MIT", "card openai/gsm8k"),
    "strategyqa": ("MIT", "github eladsegal/strategyqa, LICENSE"),
    "aqua": ("Apache 2.0", "card deepmind/aqua_rat, which has the notice of github deepmind/AQuA"),
    "ecqa": ("CDLA-Sharing 1.0", "github dair-iitd/ECQA-Dataset, ReadMe, later version"),
    "qed": ("CC BY-SA 3.0", "github google-research-datasets/QED, README, of its input texts"),
    "sensemaking": (
        "CC BY-SA 4.0",
        "github wangcunxiang/SemEval2020-Task4-Commonsense-Validation-and-Explanation, README",
    ),
    "qasc": ("CC BY 4.0", "card allenai/qasc"),
    "snli": ("CC BY-SA 4.0", "card stanfordnlp/snli, text"),
    "anli_r1": ("CC BY-NC 4.0", "github facebookresearch/anli, README, and card facebook/anli"),
    "anli_r2": ("CC BY-NC 4.0", "github facebookresearch/anli, README, and card facebook/anli"),
    "anli_r3": ("CC BY-NC 4.0", "github facebookresearch/anli, README, and card facebook/anli"),
    "arc_challenge": ("CC BY-SA 4.0", "card allenai/ai2_arc"),
    "arc_easy": ("CC BY-SA 4.0", "card allenai/ai2_arc"),
    "bool_q": ("CC BY-SA 3.0", "github google-research-datasets/boolean-questions, README"),
    "cosmos_qa": ("CC BY 4.0", "card allenai/cosmos_qa, from an author's mail"),
    "dart": ("MIT", "card Yale-LILY/dart, of github Yale-LILY/dart, LICENSE"),
    "drop": ("CC BY-SA 4.0", "card ucinlp/drop"),
    "e2e_nlg": ("CC BY-SA 4.0", "github tuetschek/e2e-dataset, README"),
    "hellaswag": ("MIT", "card Rowan/hellaswag, of github rowanz/hellaswag, LICENSE"),
    "lambada": ("CC BY 4.0", "card cimec/lambada"),
    "natural_questions": ("CC BY-SA 3.0", "github google-research-datasets/natural-questions, README"),
    "samsum": ("CC BY-NC-ND 4.0", "card samsum"),
    "squad_v1": ("CC BY-SA 4.0", "rajpurkar.github.io/SQuAD-explorer"),
    "squad_v2": ("CC BY-SA 4.0", "rajpurkar.github.io/SQuAD-explorer"),
    "web_nlg_en": ("CC BY-NC-SA 4.0", "card web_nlg, by the curator"),
    "qrecc": ("CC BY-SA 3.0", "github apple/ml-qrecc, README"),
    "task_master": ("CC BY 4.0", "github google-research-datasets/Taskmaster, TM-1-2019/README"),
    "dmcc_python": ("CC BY 4.0", "github google-deepmind/code_contests, README"),
    "duorc": ("MIT", "card duorc, of github duorc/duorc, LICENSE"),
    "quail": ("CC BY-NC-SA 4.0", "card quail"),
    "quartz": ("CC BY 4.0", "card allenai/quartz"),
    "quoref": ("CC BY 4.0", "card allenai/quoref"),
    "ropes": ("CC BY 4.0", "card allenai/ropes"),
    "sciq": ("CC BY-NC 3.0", "card allenai/sciq"),
    "wiki_bio": ("CC BY-SA 3.0", "github DavidGrangier/wikipedia-biography-dataset, LICENSE"),
    "wiki_hop": ("CC BY-SA 3.0", "card wiki_hop"),
}
# The labels of natural instructions are not always those of the datasets, and their files name licences
# themselves.
LICENSED = {"muffin", "t0_sf", "cot"}

# A target word of its own is not a list of options.
NO_OPTIONS = {"squad_v2"}
BY_HAND = "manual download"


def main() -> None:
    """Read the CSV named on the command line and write the package's file."""
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/build_catalogue.py CATALOGUE_CSV")
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as file:
        content = built(list(csv.DictReader(file)))
    OUT.write_bytes(content)
    print(f"{OUT}: {len(content):,} bytes")


def built(lines: list[dict[str, str]]) -> bytes:
    """The compressed document."""
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        kind, _, rest = line["notes"].partition("; ")
        notes = rest.split("; ") if rest else []
        facts = {key: value for key, mark, value in (note.partition("=") for note in notes) if mark}
        kinds[kind.removeprefix("kind=")].append({**line, "notes": notes, "facts": facts})
    respelled = {line["task_name"]: line["task_name"].replace("-", "_") for line in kinds["metadata_only"]}
    files = {real: other for other, real in respelled.items()}
    variants: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in kinds["inverted"]:
        variants[line["submixture"], _base_name(line)].append(_label(line["task_category"]))
    entries = [_entry(line, files, variants, None) for line in kinds["base"]] + [
        _entry(line, files, variants, "mmlu") for line in kinds["excluded_mmlu"]
    ]
    names = {entry["name"] for entry in entries}
    if len(names) != len(entries):
        raise SystemExit("two tasks have the same name")
    if unknown := [real for real in respelled.values() if f"niv2/{real}" not in names]:
        raise SystemExit(f"spellings of tasks that are not listed: {unknown}")
    if lost := variants.keys() - {(line["submixture"], _base_name(line)) for line in kinds["base"]}:
        raise SystemExit(f"inverted forms of tasks that are not listed: {sorted(lost)}")
    order = list(SUBMIXTURES)
    entries.sort(
        key=lambda entry: (
            order.index(entry["name"].partition("/")[0]),
            entry["held_out"] is not None,
            entry["part"] or "",
            entry["name"],
        )
    )
    document = {
        "columns": COLUMNS,
        "rows": [[entry[column] for column in COLUMNS] for entry in entries],
        "aliases": {f"niv2/{other}": f"niv2/{real}" for other, real in sorted(respelled.items())},
    }
    return gzip.compress(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), mtime=0)


def _base_name(line: dict[str, Any]) -> str:
    """The task that a line is about, for an inverted form the one it inverts."""
    name = str(line["task_name"]).partition("__")[0].replace("_input_inversion", "")
    return str(line["dataset"]) if line["submixture"] == "cot" else name


def _entry(
    line: dict[str, Any],
    files: dict[str, str],
    variants: dict[tuple[str, str], list[str]],
    held_out: str | None,
) -> dict[str, Any]:
    part = line["submixture"]
    submixture = part if part in SUBMIXTURES else "muffin"
    bare = _base_name(line) if submixture == "cot" else line["task_name"]
    source, link = _source(line, submixture, bare, files)
    return {
        "name": f"{submixture}/{bare}",
        "part": part if submixture == "muffin" else None,
        "dataset": line["dataset"].rstrip(".,").lower(),
        "category": DATASETS[bare]
        if submixture == "cot"
        else _label(line["task_category"]) or "question answering",
        "source": source,
        "link": link,
        "hub": (MOVED.get(line["hf_hub_id"], line["hf_hub_id"]) or None) if submixture != "niv2" else None,
        "languages": line["language"].split(";"),
        "licence": LICENCES[line["dataset"]][0]
        if submixture in LICENSED and line["dataset"] in LICENCES
        else None,
        "options": _options(line, submixture),
        "rows": _rows(line),
        "held_out": held_out,
        "variants": variants.get((part, _base_name(line)), []),
    }


def _source(line: dict[str, Any], submixture: str, bare: str, files: dict[str, str]) -> tuple[str, str]:
    """Where the rows are published, in words, and the address."""
    hub, facts = MOVED.get(line["hf_hub_id"], line["hf_hub_id"]), line["facts"]
    if submixture == "cot":
        return f"{bare}_train.tsv of a FLAN checkout, folder flan/v2/cot_data", f"{FLAN}/{bare}_train.tsv"
    if submixture == "niv2":
        return (
            f"tasks/{files.get(bare, bare)}.json of a natural-instructions checkout",
            "https://github.com/allenai/natural-instructions",
        )
    if submixture == "t0_sf":
        return (
            f"config {bare} of the hub dataset bigscience/P3, made from {hub}",
            "https://huggingface.co/datasets/bigscience/P3",
        )
    github = next(
        (
            note.removeprefix("GitHub ").partition(",")[0]
            for note in line["notes"]
            if note.startswith("GitHub ")
        ),
        None,
    )
    tfds = facts.get("tfds", "").partition(" ")[0]
    messages = [f"TFDS {tfds}"] if tfds else []
    messages += [f"split {facts['train']}"] if "train" in facts else []
    messages += ["downloaded by hand"] if BY_HAND in line["notes"] else []
    if hub:
        where, link = f"hub dataset {hub}", f"https://huggingface.co/datasets/{hub}"
    elif github:
        where, link = f"GitHub {github}", f"https://github.com/{github}"
    else:
        where, link = (
            messages.pop(0),
            f"https://www.tensorflow.org/datasets/catalog/{re.split('[/:]', tfds)[0]}",
        )
    return where + (f" ({', '.join(messages)})" if messages else ""), link


def _options(line: dict[str, Any], submixture: str) -> bool | None:
    if submixture == "t0_sf":
        return bool(line["facts"]["task_type"] == "t0_multiple_choice_separated_options")
    if line["submixture"] != "flan2021":
        return False
    if "tfds" not in line["facts"]:
        return None
    return "options" in line["facts"] and line["task_name"] not in NO_OPTIONS


def _rows(line: dict[str, Any]) -> int | None:
    """Lines or instances where they are published, or the examples of the zero-shot form."""
    facts = line["facts"]
    for key in ("lines", "n", "train"):
        if facts.get(key, "").isdigit():
            return int(facts[key])
    cases = facts.get("cases zs/x/five")
    return int(cases.partition("/")[0]) if cases else None


def _label(text: str) -> str:
    return text.replace(" -- ", ", ").lower()


if __name__ == "__main__":
    main()
