"""The page of a study: its question, what became of the stated directions, tables of all scores, and how they
came about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from openflan.studies.cell_scores import Scores
from openflan.studies.directions import FAILED, HELD, UNCLEAR
from openflan.studies.study_schema import Study

RULE = (
    "Scores are normalized: 0 is chance, 100 all right; the plain mean over tasks. **Over seeds**: "
    "95 % interval of Student's t over the values of the seeds. "
    "**Over items**: 95 % percentile bootstrap of the mean over seeds, questions redrawn within each "
    "task, both sides of a difference under the same draws. "
    f"A direction *{HELD}* if both intervals of its difference lie above its margin, *{FAILED}* if "
    f"both lie below it; otherwise it *{UNCLEAR}*. "
    "A side that was not trained has no interval over seeds. Directions were stated in `study.yaml` "
    "before the runs, and each is decided by itself."
)


def page(
    study: Study, scores: Scores, results: Mapping[str, Any], figures: Sequence[str], command: str
) -> str:
    """Markdown; `figures` are the names of the SVG files that lie beside it."""
    parts = [
        f"# {study.name}",
        study.question,
        *([study.note] if study.note else []),
        "## Directions stated beforehand",
        _directions(results),
        RULE,
    ]
    for figure in study.figures:
        if figure.name in figures:
            parts += [f"![{figure.title}]({figure.name}.svg)"]
    if missing := [label for label in scores.cells if label not in scores.lines]:
        parts.append(
            f"**Not finished:** {len(missing)} of {len(scores.cells)} cells have not run "
            f"({', '.join(missing[:5])}{', ...' if missing[5:] else ''})."
        )
    parts.append("## Scores")
    for evaluation in [*scores.layouts, *scores.averages]:
        parts += [
            f"### {evaluation}",
            _asked(scores, study, evaluation),
            _table(results, evaluation, scores.groups(evaluation)),
        ]
    parts += ["## How it was made", _made(scores, command)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _directions(results: Mapping[str, Any]) -> str:
    rows = [
        [
            result["says"],
            f"{result['evaluation']}, {result['group']}",
            f"> {result['by']:g}",
            _number(result["difference"], signed=True),
            _interval(result["ci95_seeds"]),
            _interval(result["ci95_items"]),
            f"**{result['verdict']}**",
        ]
        for result in results["directions"]
    ]
    return (
        _markdown(["direction", "of", "margin", "difference", "over seeds", "over items", ""], rows)
        if rows
        else "None were stated."
    )


def _table(results: Mapping[str, Any], evaluation: str, groups: Sequence[str]) -> str:
    """Means with intervals over seeds, of untrained cells over items."""
    rows = []
    for cell in results["cells"]:
        scores_by_group = cell["scores"].get(evaluation, {})
        seeds = max((len(one["seeds"]) for one in scores_by_group.values()), default=0)
        named = [*cell["values"].values(), cell["control"] or "", seeds if cell["trained"] else "not trained"]
        rows.append([*named, *(_cell(scores_by_group.get(group)) for group in groups)])
    axes = list(results["cells"][0]["values"]) if results["cells"] else []
    return _markdown([*axes, "control", "seeds", *groups], rows) if rows else "Nothing has run yet."


def _cell(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return "-"
    interval, kind = (
        (score["ci95_seeds"], "") if score["ci95_seeds"] else (score["ci95_items"], " over items")
    )
    return f"{_number(score['mean'])} {_interval(interval)}{kind}"


def _asked(scores: Scores, study: Study, evaluation: str) -> str:
    if evaluation in scores.averages:
        return f"The plain mean of {', '.join(scores.averages[evaluation])}."
    ask, layout = study.evaluations[evaluation], scores.layouts[evaluation]
    how = (
        "by likelihood over the options"
        if ask.likelihood
        else "with a chain of thought"
        if ask.mode == "cot"
        else "answered directly"
    )
    shots = "" if ask.shots is None else f", {ask.shots} exemplars" if ask.shots else ", zero-shot"
    size = f"{sum(layout.sizes.values()):,} questions of {len(layout.sizes)} tasks"
    return f"`{ask.benchmark}`, {how}{shots}: {size}. Brackets: 95 % over seeds, where not said otherwise."


def _made(scores: Scores, command: str) -> str:
    lines = list(scores.lines.values())
    seconds = sum(sum(line["seconds"].values()) for line in lines)
    trained = [line for line in lines if line["seed"] is not None]
    each = sum(line["seconds"]["training"] for line in trained) / len(trained) if trained else 0
    seeds = sorted({line["seed"] for line in trained})
    facts = [
        f"Command: `{command}`",
        f"Seeds: {', '.join(map(str, seeds)) or 'none'}",
        f"Steps a cell: {_counts(line['steps'] for line in trained)}",
        (
            f"Time: {seconds / 3600:,.1f} hours of single processes over {len(lines)} cells; training "
            f"{each:,.0f} s a cell on average"
        ),
        *(f"Hardware: {one}" for one in dict.fromkeys(line["machine"] for line in lines)),
        (
            "Files: `study.yaml` (the study), `cells.jsonl` (every answer), `evaluations.json` (which "
            "answer "
            "is which), `results.json`, `results.csv`"
        ),
    ]
    return "\n".join(f"- {fact}" for fact in facts)


def _counts(values: Iterable[int]) -> str:
    return ", ".join(f"{value:,}" for value in sorted(set(values))) or "-"


def _number(value: float | None, *, signed: bool = False) -> str:
    return "-" if value is None else f"{value:+.1f}" if signed else f"{value:.1f}"


def _interval(ends: Sequence[float] | None) -> str:
    return "-" if ends is None else f"[{ends[0]:.1f}, {ends[1]:.1f}]"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )
