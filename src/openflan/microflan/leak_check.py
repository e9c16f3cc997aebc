"""Checks rendered examples of the world: training shows nothing that is held out, and no wording gives an
answer away.

Every training task is rendered with each of its wordings, with exemplars and without, as a run would; plain
text is read as it is replayed. Price: rows are sampled, so a leak in one row of thousands may pass; the tests
read more of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from openflan.microflan.world import microflan_tasks, text_tasks, world
from openflan.microflan.world.leaks import Leaks, facts_in
from openflan.microflan.world.ordinary import ordinary_sentence
from openflan.randomness import Draws, shuffled
from openflan.tasks.task import Row, Task
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import WordingSet, packaged_wordings, wordings_for

EVERYDAY = frozenset({"a", "i", "one"})
"""Answers (letters, a number word) that no wording can do without."""

VERDICTS = frozenset({"yes", "no", "not known"})

ROWS = 2
"""Rows of a training task that each wording is tried on."""

TEXTS = 600
"""Rows of a kind of plain text that are read, and ordinary sentences."""

_ANSWERS = 40


def split_complaints(
    seed: int = 0,
    *,
    tasks: Mapping[str, Task] | None = None,
    texts: Mapping[str, Task] | None = None,
    sets: Sequence[WordingSet] | None = None,
    rows: int = ROWS,
    max_texts: int = TEXTS,
) -> list[str]:
    """A line for each held-out item in an instruction, its exemplars or its rationale, and for each
    instruction in replayed text; empty if there is none.

    `tasks`, `texts` and `sets` of wordings replace those that come with openflan.
    """
    worded, leaks = packaged_wordings() if sets is None else sets, Leaks.of(world(seed))
    tasks = microflan_tasks(seed) if tasks is None else tasks
    held_out_phrases = _phrases(worded, [task for task in tasks.values() if task.held_out == "wording"])
    complaints = []
    for task in tasks.values():
        if task.held_out is None:
            for location, text in _examples(task, wordings_for(task.name, task.fields, worded), seed, rows):
                problems = leaks.in_instruction(text) + [
                    f"`{phrase}` is a held-out wording" for phrase in held_out_phrases if phrase in text
                ]
                complaints += [f"{location}: {complaint}, in: {text}" for complaint in problems]
    phrases = _phrases(worded, list(tasks.values()))
    for task in (text_tasks(seed) if texts is None else texts).values():
        for row in sampled(task, max_texts):
            text = f"{row['inputs']} {row['targets']}"
            problems = leaks.in_plain_text(text) + [
                f"`{phrase}` is how an instruction is worded" for phrase in phrases if phrase in text
            ]
            complaints += [f"{task.name}: {complaint}, in: {text}" for complaint in problems]
    for index in range(max_texts):
        text = ordinary_sentence(Draws(seed, "check", index))
        complaints += [
            f"ordinary text: {complaint}, in: {text}" for complaint in facts_in(text, world(seed).functions)
        ]
    prompts = {
        split: _prompts([task for task in tasks.values() if task.split == split], worded)
        for split in ("dev", "test")
    }
    return complaints + [
        f"both dev and test ask: {prompt}" for prompt in sorted(prompts["dev"] & prompts["test"])
    ]


def wording_complaints(sets: Sequence[WordingSet], tasks: Mapping[str, Task]) -> list[str]:
    """Wordings that give an answer away to the tasks they cover: they show it, or name one answer and not the
    others that there may be."""
    complaints = []
    for wording_set in sets:
        covered = [
            task for name, task in tasks.items() if wording_set.covers(name) and "answer" in task.fields
        ]
        answers = {answer for task in covered for row in sampled(task, _ANSWERS) for answer in _answers(row)}
        for wording in wording_set.wordings if covered else ():
            fields_in_inputs = (
                {"answer", "rationale"} & set(wording.inputs.fields) if not wording.inverted else set[str]()
            )
            literal_text = _plain(" ".join(wording.inputs.literals))
            named = {answer for answer in answers if _plain(answer) in literal_text} - EVERYDAY
            # Naming every verdict that there may be gives none away.
            named -= VERDICTS if answers & VERDICTS <= named else frozenset()
            location = f"{wording.source}: wording `{wording.id}` gives away the answer"
            complaints += [f"{location}: its inputs show `{{{name}}}`" for name in sorted(fields_in_inputs)]
            complaints += [f"{location}: it says `{answer}`" for answer in sorted(named)]
    return complaints


def sampled(task: Task, max_rows: int) -> Iterator[Row]:
    """At most `max_rows` rows, spread over the whole task but not in step with anything in it."""
    size = len(task.rows)
    indices = range(size) if size <= max_rows else Draws("sampled", task.name).distinct(max_rows, size)
    return (task.rows[place] for place in indices)


def _examples(task: Task, wordings: WordingSet, seed: int, rows: int) -> Iterator[tuple[str, str]]:
    """Training examples in every wording, and where each comes from; the first of a wording has exemplars if
    it can, all others if they must."""
    rows_of_task = shuffled(len(task.rows), seed, "check", task.name)[:rows].tolist()
    for wording in wordings.wordings:
        renderer = Renderer(task, WordingSet(wordings.tasks, wordings.fields, (wording,), wordings.source))
        for position, row in enumerate(rows_of_task):
            few_shot = wording.shots == "few" or (wording.shots == "any" and position == 0)
            example = renderer.render(
                row, Style(few_shot, wording.rationale, wording.options), seed, position
            )
            yield f"{task.name}, wording `{wording.id}`", f"{example.inputs} {example.targets}"


def _phrases(sets: Sequence[WordingSet], tasks: Sequence[Task]) -> list[str]:
    """The texts of the wordings of some tasks beside their fields, where they have more than one word."""
    covering = [wording_set for wording_set in sets if any(wording_set.covers(task.name) for task in tasks)]
    literals = {
        literal.strip()
        for wording_set in covering
        for wording in wording_set.wordings
        for literal in wording.inputs.literals
    }
    return sorted(literal for literal in literals if len(re.findall(r"\w+", literal)) > 1)


def _prompts(tasks: Sequence[Task], sets: Sequence[WordingSet]) -> set[str]:
    """The inputs of zero-shot examples of some tasks."""
    prompts = set()
    for task in tasks:
        wordings = [
            wording
            for wording in wordings_for(task.name, task.fields, sets).wordings
            if wording.shots != "few"
        ]
        for row in sampled(task, _ANSWERS):
            values = {
                name: value if isinstance(value, str) else ", ".join(value) for name, value in row.items()
            }
            prompts |= {wording.inputs.fill(values) for wording in wordings}
    return prompts


def _answers(row: Row) -> list[str]:
    """An answer in lower case and, if it is a whole sentence, its last word."""
    answer = str(row["answer"]).lower()
    return [answer, answer[:-1].split()[-1]] if answer.endswith(".") else [answer]


def _plain(text: str) -> str:
    """Words alone, each between blanks."""
    words = " ".join(re.findall(r"[^\W_]+", text.lower()))
    return f" {words} "
