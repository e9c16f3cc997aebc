"""A run folder with made-up but realistic contents, and a reader of the page made from it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from openflan.run_folder import Run

RECIPE = """name: toy
model:
  base: org/toy-base
mixture:
  submixtures:
    own:
      tasks: ['own/*']  # <any & all>
training:
  steps: 40
"""

LEDGER = {
    "examples": 400,
    "submixtures": [{"submixture": "own", "tasks": 2, "rows": 30, "share": 1.0}],
    "tasks": [
        {
            "task": "own/a",
            "submixture": "own",
            "category": "sums",
            "rows": 10,
            "cap": None,
            "weight": 10,
            "share": 0.25,
            "epochs": 10.0,
        },
        {
            "task": "own/b",
            "submixture": "own",
            "category": "words <i>",
            "rows": 20,
            "cap": 15,
            "weight": 15,
            "share": 0.75,
            "epochs": 15.0,
        },
    ],
    "measured": {
        "examples": 200,
        "counts": {"examples": 200, "truncated": 0, "pruned exemplars": 12, "dropped: targets too long": 3},
        "formats": {"few-shot": 150, "zero-shot": 50},
    },
}

PROVENANCE = {"openflan": "0.1.0", "python": "3.11.7", "data": {"own/a": "ab" * 32}, "tokenizer": None}


def score(model: str, accuracies: Mapping[str, float], n: int = 50, **changes: Any) -> dict[str, Any]:
    """A score as `evaluate` writes it; the average is the plain mean."""
    average = sum(accuracies.values()) / len(accuracies)
    tasks = {
        task: {
            "accuracy": value,
            "stderr": 3.0,
            "ci95": [value - 6, value + 6],
            "extracted": 100.0,
            "n": n,
            "too_long": 1,
            "truncated": 2,
            "chance": 25.0,
        }
        for task, value in accuracies.items()
    }
    fields = {
        "model": model,
        "benchmark": "bbh",
        "mode": "cot",
        "average": average,
        "normalized": average - 30,
        "partial": False,
    }
    return {**fields, "prompt_version": "bbh-cot-3-shot-1", "tasks": tasks, **changes}


def generation(task: str, index: int, text: str, target: Any, **changes: Any) -> dict[str, Any]:
    return {
        "benchmark": "bbh",
        "mode": "cot",
        "task": task,
        "index": index,
        "sample": 0,
        "generation": text,
        "target": target,
        "finish": "eos",
        **changes,
    }


def metrics(steps: int) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "loss": 4.0 - step / 20,
            "tokens": 100,
            "target_tokens": 20,
            "examples": 10,
            "fill": 0.9,
            "seconds": 0.5,
            "waiting_seconds": 0.05,
        }
        for step in range(1, steps + 1)
    ]


def write_run(folder: Path, **parts: Any) -> Run:
    """Writes a run folder; every part but the recipe is left out unless given."""
    run = Run(folder)
    run.generations.mkdir(parents=True)
    run.recipe.write_text(parts.get("recipe", RECIPE))
    for part in ("ledger", "provenance"):
        if part in parts:
            getattr(run, part).write_text(json.dumps(parts[part]))
    if "scores" in parts:
        run.scores.write_text(json.dumps({"scores": parts["scores"]}))
    if "metrics" in parts:
        run.metrics.write_text("".join(json.dumps(line) + "\n" for line in parts["metrics"]))
    for stem, lines in parts.get("generations", {}).items():
        (run.generations / f"{stem}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def full_run(folder: Path, **changes: Any) -> Run:
    """A run with every part."""
    answers = [
        generation("snarks", index, f"So the answer is ({'AB'[index % 2]}).", "(A)") for index in range(20)
    ]
    scores = [
        score("base", {"snarks": 50.0, "navigate": 40.0}),
        score("final", {"snarks": 60.0, "navigate": 36.0}),
    ]
    parts = {
        "ledger": LEDGER,
        "provenance": PROVENANCE,
        "metrics": metrics(40),
        "scores": scores,
        "generations": {"final-bbh-cot": answers},
    }
    return write_run(folder, **{**parts, **changes})


VOID = {"meta", "link", "br", "hr", "img", "input", "wbr", "col", "source", "base"}


@dataclass
class Page(HTMLParser):
    """What a browser would see: elements, attributes and the text of every `<pre>`; `faults` are tags that do
    not match."""

    elements: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str | None]] = field(default_factory=list)
    pre: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs
        if tag == "pre":
            self.pre.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if "pre" in self.open:
            self.pre[-1] += data


def parse(text: str) -> Page:
    """The page of some HTML; a first line end inside `<pre>` does not count, as in browsers."""
    page = Page()
    page.feed(text)
    page.close()
    page.pre = [inner.removeprefix("\n") for inner in page.pre]
    page.faults += [f"<{tag}> is never closed" for tag in page.open]
    return page
