"""What is wrong with a row or a document of the embedded world, as complaints, so that each check can be
shown to fail."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from microflan_solver import (
    COMPASS,
    CONTEXT,
    Tables,
    completed,
    holds,
    lower_first,
    read,
    sentences,
    value_in_list,
)

from openflan.randomness import shuffled
from openflan.tasks.task import Row, Task

BEGUN = (
    (r"Where is (\w+)\?", "the place of {} is the"),
    (r"Where is (\w+) now\?", "the place where {} is now is the"),
    (r"What does (\w+) have\?", "what {} has is a"),
    (r"What is the (\w+) like\?", "the {} here is"),
    (r"Who is in the (\w+)\?", "the person in the {} is"),
    (r"Who has the (\w+) now\?", "the one who has the {} now is"),
    (r"What does (.+) become\?", "by this rule {} becomes"),
    (r"(?:What|Who) is (.+)\?", "{} is"),
)
CLAIMS = (
    r"Is it true that (?P<said>.+)\?",
    r"Is (?P<phrase>.+) equal to (?P<value>\d+)\?",
    r"Is (?P<value>\w+) (?P<phrase>the .+)\?",
)
UNORDERED = re.compile(r"each once|with labels")
"""Questions whose answers are the same in any order."""

YES_NO, VERDICTS = ["yes", "no"], ["yes", "no", "not known"]


def sampled(task: Task, limit: int) -> Iterator[Row]:
    """At most `limit` rows, spread over the whole task but not in step with yes and no."""
    size = len(task.rows)
    places = range(size) if size <= limit else shuffled(size, 1, task.name)[:limit]
    return (task.rows[int(place)] for place in places)


def form_of(task: Task) -> str:
    return task.name.rpartition("-")[2]


def row_complaints(task: Task, row: Row, tables: Tables) -> list[str]:
    """What is wrong with one instruction row: its fields, its answer, its options, its rationale."""
    form, question, answer = form_of(task), str(row["question"]), str(row["answer"])
    complaints = [] if set(row) == task.fields else [f"fields {sorted(row)}"]
    expected = _solved(form, question, tables)
    if expected is None or expected != answer:
        complaints.append(f"{question} is {expected}, not {answer}")
    if "options" in row:
        complaints += _option_complaints(form, question, answer, list(row["options"]))
    if form == "correct" and holds(_apart(question)[1].removesuffix("."), tables, _apart(question)[0]):
        complaints.append(f"true, yet to be corrected: {question}")
    if (
        form == "correct"
        and read(_apart(question)[1].removesuffix("."), tables, _apart(question)[0])[1] == answer
    ):
        complaints.append(f"shows the answer {answer}: {question}")
    if "rationale" in row:
        complaints += _rationale_complaints(question, str(row["rationale"]), answer, tables)
    return complaints


def document_complaints(document: Mapping[str, Any], tables: Tables) -> list[str]:
    """What is wrong with a document of plain text: what it says, and where it says that its value stands."""
    text = str(document["text"])
    context, said = "", [""]
    if " Again: " in text:
        return _recall_complaints(text, document["salient"])
    complaints = []
    for said_now in sentences(text):
        if CONTEXT.fullmatch(said_now):
            context = f"{context} {said_now}.".lstrip()
            continue
        said = said_now.split()
        if not holds(said_now, tables, context):
            complaints.append(f"untrue: {said_now} (after: {context})")
    if said == [""]:
        complaints.append(f"says nothing: {text}")
    value = read(sentences(text)[-1], tables, context)[1]
    begin, end = document["salient"]
    if text[begin:end] != value or begin != text.rindex(value):
        complaints.append(f"{text[begin:end]} is marked, not {value}: {text}")
    return complaints


def _recall_complaints(text: str, marked: Any) -> list[str]:
    """Every part that is told again was told; the mark is on the second of the two things in the first such
    part."""
    pairs, again = (
        [_content(part) for part in re.split(r"[.,] ?", side) if part] for side in text.split(" Again: ")
    )
    # What becomes what has a direction; who has what may be told the other way round.
    known = pairs if " becomes " in text else [*pairs, *(part[::-1] for part in pairs)]
    complaints = [f"not told: {part} in {text}" for part in again if part not in known]
    begin, end = marked
    if (
        text[begin:end] != again[0][1]
        or begin < text.index(" Again: ")
        or text[end : end + 1] not in (".", ",", " ")
    ):
        complaints.append(f"{text[begin:end]} is marked, not {again[0][1]}: {text}")
    return complaints


def _content(part: str) -> tuple[str, ...]:
    """The two things that a part is about."""
    return tuple(
        word
        for word in part.split()
        if word not in ("is", "in", "the", "has", "a", "becomes", "belongs", "to")
    )


def _solved(form: str, question: str, tables: Tables) -> str | None:
    """The answer to a question of that form."""
    context, last = _apart(question)
    if form == "judge" or question.endswith("Do the two say the same?"):
        return _judged(question)
    if form == "verify":
        truth = _claimed(last, context, tables)
        return None if truth is None else "yes" if truth else "no"
    if form == "steps":
        return told(question) or _asked(last, context, tables)
    if form == "correct":
        begun = lower_first(
            last.removesuffix(f"{read(last.removesuffix('.'), tables, context)[1]}.").rstrip()
        )
        return completed(begun, context, tables)
    if form == "fill":
        return completed(lower_first(last), context, tables)
    if form == "echo":
        return (
            completed(lower_first(last.removesuffix(" what?")), context, tables)
            if last.endswith(" what?")
            else None
        )
    if form == "either":
        match = re.fullmatch(r"(.+), (\S+) or (\S+)\?", last)
        value = _asked(f"{match[1]}?", context, tables) if match else None
        return value if match and match[2] != match[3] and value in (match[2], match[3]) else None
    if form == "state":
        begun, value = _begun(last), _asked(last, context, tables)
        return None if begun is None or value is None else f"{begun[0].upper()}{begun[1:]} {value}."
    return _asked(last, context, tables)


def _apart(question: str) -> tuple[str, str]:
    """What is to be read first, and the question."""
    *before, last = re.split(r"(?<=\.) ", question)
    return " ".join(before), last


def _begun(question: str) -> str | None:
    """The beginning of the sentence that answers a question."""
    match = next(
        ((match, begun) for pattern, begun in BEGUN if (match := re.fullmatch(pattern, question))), None
    )
    return match[1].format(match[0][1]) if match else None


def _asked(question: str, context: str, tables: Tables) -> str | None:
    begun = _begun(question)
    value = completed(begun, context, tables) if begun else None
    of_fact = re.match(r"(?:What|Who) is the (\w+) of ", question)
    if value is None or (
        of_fact and of_fact[1] in tables and question.startswith("Who") != (value in tables["boss"])
    ):
        return None  # a person is asked for with "who", anything else with "what"
    return value


def _claimed(question: str, context: str, tables: Tables) -> bool | None:
    """Whether what a yes-or-no question asks is so."""
    if match := re.fullmatch(r"Do (\w+) and (\w+) have the same (\w+)\?", question):
        return match[1] != match[2] and tables[match[3]][match[1]] == tables[match[3]][match[2]]
    if match := re.fullmatch(r"Is (\d+) an even number\?", question):
        return match[1][-1] in "02468"
    for pattern in CLAIMS:
        if match := re.fullmatch(pattern, question):
            said = match.groupdict().get("said") or f"{match['phrase']} is {match['value']}"
            expected, claim = read(said, tables, context)
            return None if expected is None else expected == claim
    return None


def _judged(question: str) -> str | None:
    """Whether something follows, or two sentences say the same."""
    if match := re.fullmatch(r"(.+)\. (.+)\. Do the two say the same\?", question):
        first, other = _canonical(match[1]), _canonical(match[2])
        return None if first is None or other is None else "yes" if first == other else "no"
    if match := re.fullmatch(r"Nobody is in the (\w+)\. Does it follow that \w+ is in the (\w+)\?", question):
        return "no" if match[1] == match[2] else "not known"
    if match := re.fullmatch(
        r"(\w+) is in the (\w+)\. Does it follow that (\w+) is in the (\w+)\?", question
    ):
        return "not known" if match[1] != match[3] else "yes" if match[2] == match[4] else "no"
    if match := re.fullmatch(
        r"(\w+) and (?!\1)\w+ have a (\w+) and a (\w+)\. Does it follow that they have a (\w+)\?", question
    ):
        return "yes" if match[4] in (match[2], match[3]) else "not known"
    return None


def _canonical(sentence: str) -> tuple[str, ...] | None:
    """What a sentence says, whatever its words."""
    if match := re.fullmatch(r"The sum is (\d+) plus (\d+)", sentence):
        return ("sum", *sorted((match[1], match[2])))
    if match := re.fullmatch(r"(\w+) is in the (\w+)", sentence) or re.fullmatch(
        r"The place of (\w+) is the (\w+)", sentence
    ):
        return ("place", match[1], match[2])
    if match := re.fullmatch(r"The (\w+) of (\w+) is (\w+)", sentence):
        return (match[1], match[2], match[3].lower())
    if match := re.fullmatch(r"(\w+)'s (\w+) is (\w+)", sentence):
        return (match[2], match[1], match[3].lower())
    if match := re.fullmatch(r"(\w+) is the (\w+) of (\w+)", sentence):
        return (match[2], match[3], match[1].lower())
    return None


def told(question: str) -> str | None:
    """The outcome of a small story, by acting it out."""
    if match := re.fullmatch(r"Start with (\d+), (.+)\. What is the result\?", question):
        total = int(match[1])
        for step in match[2].replace("then ", "").split(", "):
            amount = int(step.split()[-1]) if step[-1].isdigit() else 0
            total = (
                total * 2
                if step == "double it"
                else total + amount
                if step.startswith("add")
                else total - amount
            )
        return str(total)
    if match := re.fullmatch(r"(\w+) starts at (\d+), goes (.+)\. Where is (\w+)\?", question):
        moves = re.findall(r"(up|down) (\d+)", match[3])
        return (
            str(int(match[2]) + sum(int(by) if way == "up" else -int(by) for way, by in moves))
            if match[1] == match[4]
            else None
        )
    if match := re.fullmatch(r"(\w+) looks (\w+), (.+)\. Which way does \1 look\?", question):
        turns = re.findall(r"turns (left|right)", match[3])
        return COMPASS[(COMPASS.index(match[2]) + turns.count("right") - turns.count("left")) % 4]
    if match := re.fullmatch(
        r"(\w+) has (\d+) (\w+?)s?\. (\w+) gives \1 (\d+) more, then \1 eats (\d+)\. How many \3s does "
        r"\1 have\?",
        question,
    ):
        return str(int(match[2]) + int(match[5]) - int(match[6])) if match[1] != match[4] else None
    if match := re.fullmatch(
        r"(\w+) has (\d+) (\w+?)s?\. (\w+) has (\d+) more than \1\. How many \3s do they have in all\?",
        question,
    ):
        return str(2 * int(match[2]) + int(match[5])) if match[1] != match[4] else None
    return None


def _option_complaints(form: str, question: str, answer: str, options: list[str]) -> list[str]:
    """The right option stands among the others once, and no other is as right."""
    fixed = {"verify": [YES_NO], "judge": [YES_NO if question.endswith("say the same?") else VERDICTS]}.get(
        form
    )
    complaints = []
    if (
        len(set(options)) != len(options)
        or options.count(answer) != 1
        or (options not in fixed if fixed else not 2 <= len(options) <= 4)
    ):
        complaints.append(f"{question}: options {options}")
    if UNORDERED.search(question):
        alike = [option for option in options if sorted(option.split(", ")) == sorted(answer.split(", "))]
        complaints += [f"{question}: as right as {answer}: {alike}"] if len(alike) > 1 else []
    return complaints


def _rationale_complaints(question: str, rationale: str, answer: str, tables: Tables) -> list[str]:
    """Every sentence is true, and the last one holds the answer."""
    listed, reverse = question.partition("the list ")[2].removesuffix("?"), ""
    complaints = (
        [] if rationale.endswith(f" {answer}.") else [f"the rationale does not end in {answer}: {rationale}"]
    )
    for statement in sentences(rationale):
        if match := re.fullmatch(r"The reverse of the list is (.+)", statement):
            reverse = match[1]
            true = reverse == value_in_list("reverse", listed.split(", "))
        elif match := re.fullmatch(r"The first word is (\w+)", statement):
            true = match[1] == reverse.split(", ")[0]
        else:
            true = holds(statement, tables)
        complaints += [] if true else [f"untrue: {statement}"]
    return complaints
