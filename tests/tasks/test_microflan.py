"""The embedded world: every answer is worked out again here from the text of its question.

The solver shares nothing with the generator but the tables of facts.

All checks return complaints, so that each can be shown to fail on a row made wrong on purpose.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openflan.randomness import shuffled
from openflan.tasks.microflan import HELD_OUT, microflan_tasks, plain_sentences, text_tasks, world
from openflan.tasks.task import Row, Task, select
from openflan.templates.render import Renderer
from openflan.templates.style import Style
from openflan.templates.wording import READY_MADE, WordingSet, packaged_wordings, wordings_for

Tables = dict[str, dict[str, str]]

TASKS = microflan_tasks(0)
TEXTS = text_tasks(0)
TABLES = world(0).tables()
TRAINABLE = {name: task for name, task in TASKS.items() if task.held_out is None}
COMPASS = ["north", "east", "south", "west"]
CLAIMS = (
    r"Is it true that (?P<phrase>.+) is (?P<value>.+)\?",
    r"Is (?P<phrase>.+) equal to (?P<value>\d+)\?",
    r"Is (?P<value>\w+) (?P<phrase>the .+)\?",
)
NO_SENTENCE = '?!:\n"()[]_'
INSTRUCTING = re.compile(r"\b(?:answer\w*|options?|questions?|choose|complete|yes|no|please|tell|write|finish)\b", re.IGNORECASE)
FORM_FIELDS = {
    "qa": {"question", "answer"},
    "fill": {"question", "answer"},
    "mc": {"question", "answer", "options"},
    "verify": {"question", "answer", "options"},
    "steps": {"question", "answer", "rationale"},
}


# The solver: the value of a phrase, the truth of a statement, the answer to a question.


def value_of(phrase: str, tables: Tables) -> str | None:
    """What a noun phrase such as `the boss of Dan` or `3 plus 4` stands for; None if it stands for nothing."""
    if found := re.fullmatch(r"the (\w+) of the (\w+) of (\w+)", phrase):
        return tables[found[1]][tables[found[2]][found[3]]]
    if found := re.fullmatch(r"the (\w+) (?:word for|of) (\w+)", phrase):
        return tables[found[1]][found[2]]
    if found := re.fullmatch(r"(\d+) (plus|minus) (\d+)", phrase):
        return str(int(found[1]) + int(found[3]) * (1 if found[2] == "plus" else -1))
    if found := re.fullmatch(r"double (\d+)", phrase):
        return str(int(found[1]) * 2)
    if found := re.fullmatch(r"the number after (\d+)", phrase):
        return str(int(found[1]) + 1)
    if found := re.fullmatch(r"the next even number after (\d+)", phrase):
        return next(str(number) for number in range(int(found[1]) + 1, 99) if number % 2 == 0)
    if found := re.fullmatch(r"the (.+?) (?:in|of) the list (.+)", phrase):
        return value_in_list(found[1], found[2].split(", "))
    return None


def value_in_list(what: str, items: list[str]) -> str | None:
    if what == "longest word":
        longest = [item for item in items if all(len(other) < len(item) for other in items if other is not item)]
        return longest[0] if len(longest) == 1 else None
    if found := re.fullmatch(r"number of times that (\w+) stands", what):
        return str(sum(item == found[1] for item in items))
    whole: dict[str, Callable[[], str]] = {
        "first word": lambda: items[0],
        "last word": lambda: items[-1],
        "reverse": lambda: ", ".join(reversed(items)),
        "sorted form": lambda: ", ".join(sorted(items, key=int)),
        "largest number": lambda: max(items, key=int),
        "number of words": lambda: str(len(items)),
        "first word in the reverse": lambda: items[-1],
    }
    return whole[what]() if what in whole else None


def claimed(question: str, tables: Tables) -> bool | None:
    """Whether what a yes-or-no question asks is so."""
    if found := re.fullmatch(r"Do (\w+) and (\w+) have the same (\w+)\?", question):
        return found[1] != found[2] and tables[found[3]][found[1]] == tables[found[3]][found[2]]
    if found := re.fullmatch(r"Is (\d+) an even number\?", question):
        return found[1][-1] in "02468"
    if found := re.fullmatch(r"Is (\d+) larger than (\d+)\?", question):
        return int(found[1]) > int(found[2])
    for pattern in CLAIMS:
        if found := re.fullmatch(pattern, question):
            value = value_of(found["phrase"], tables)
            return None if value is None else value == found["value"]
    return None


def told(question: str) -> str | None:
    """The outcome of a small story, by acting it out."""
    if found := re.fullmatch(r"Start with (\d+), (.+)\. What is the result\?", question):
        total = int(found[1])
        for step in found[2].replace("then ", "").split(", "):
            number = int(step.split()[-1]) if step[-1].isdigit() else 0
            total = total * 2 if step == "double it" else total + number if step.startswith("add") else total - number
        return str(total)
    if found := re.fullmatch(r"(\w+) starts at (\d+), goes (.+)\. Where is (\w+)\?", question):
        moves = re.findall(r"(up|down) (\d+)", found[3])
        return str(int(found[2]) + sum(int(by) if way == "up" else -int(by) for way, by in moves)) if found[1] == found[4] else None
    if found := re.fullmatch(r"(\w+) looks (\w+), (.+)\. Which way does \1 look\?", question):
        turns = re.findall(r"turns (left|right)", found[3])
        return COMPASS[(COMPASS.index(found[2]) + turns.count("right") - turns.count("left")) % 4]
    if found := re.fullmatch(r"(\w+) has (\d+) (\w+?)s?\. (\w+) gives \1 (\d+) more, then \1 eats (\d+)\. How many \3s does \1 have\?", question):
        return str(int(found[2]) + int(found[5]) - int(found[6])) if found[1] != found[4] else None
    if found := re.fullmatch(r"(\w+) has (\d+) (\w+?)s?\. (\w+) has (\d+) more than \1\. How many \3s do they have in all\?", question):
        return str(2 * int(found[2]) + int(found[5])) if found[1] != found[4] else None
    return None


def solve(question: str, tables: Tables) -> str | None:
    if question.startswith(("Is ", "Do ")):
        truth = claimed(question, tables)
        return None if truth is None else "yes" if truth else "no"
    if found := re.fullmatch(r"(What|Who) is (.+)\?", question):
        asks_person = re.match(r"the (\w+) of", found[2]) is not None and value_of(found[2], tables) in tables["boss"]
        return value_of(found[2], tables) if (found[1] == "Who") == asks_person else None
    if found := re.fullmatch(r"(.+) is", question):
        return value_of(found[1][0].lower() + found[1][1:], tables)
    if found := re.fullmatch(r"Which is larger, (\d+) or (\d+)\?", question):
        return str(max(int(found[1]), int(found[2])))
    return told(question)


def holds(statement: str, tables: Tables, listed: str = "") -> bool:
    """Whether a plain statement, without its full stop, is true. `listed`: the list that a question was about."""
    statement = re.sub(r"^(We know that|It is true that|I think that|\w+ told me that) ", "", statement)
    statement = statement[0].lower() + statement[1:] if statement.startswith(("The ", "Double ")) else statement
    if found := re.fullmatch(r"the reverse of the list is (.+)", statement):
        return found[1] == value_in_list("reverse", listed.split(", "))
    if found := re.fullmatch(r"the first word is (.+)", statement):
        return found[1] == listed.split(", ")[-1]
    if found := re.fullmatch(r"(\d+) (up|down) (\d+) is (\d+)", statement):
        return int(found[4]) - int(found[1]) == (int(found[3]) if found[2] == "up" else -int(found[3]))
    if found := re.fullmatch(r"(Left|Right) of (\w+) is (\w+)", statement):
        return (COMPASS.index(found[3]) - COMPASS.index(found[2])) % 4 == (1 if found[1] == "Right" else 3)
    if found := re.fullmatch(r"(\d+) is (larger|smaller) than (\d+)", statement):
        return int(found[1]) != int(found[3]) and (int(found[1]) > int(found[3])) == (found[2] == "larger")
    if found := re.fullmatch(r"(\d+) is an (even|odd) number", statement):
        return int(found[1]) % 2 == (found[2] == "odd")
    if found := re.fullmatch(r"(\w+) has the same (\w+) as (\w+)", statement):
        return found[1] != found[3] and tables[found[2]][found[1]] == tables[found[2]][found[3]]
    own = (
        (r"(?P<x>\w+)'s (?P<f>\w+) is (?P<v>\w+)", ""),
        (r"For (?P<x>\w+), the (?P<f>\w+) is (?P<v>\w+)", ""),
        (r"(?P<x>\w+) has a (?P<f>\w+)(?:, and it is| named) (?P<v>\w+)", ""),
        (r"In (?P<f>\w+), the word for (?P<x>\w+) is (?P<v>\w+)", ""),
        (r"People who speak (?P<f>\w+) say (?P<v>\w+) for (?P<x>\w+)", ""),
        (r"Things that are not (?P<x>\w+) are (?P<v>\w+)", "opposite"),
        (r"(?P<x>\w+) things and (?P<v>\w+) things are not the same", "opposite"),
        (r"The word (?P<x>\w+) belongs to the group (?P<v>\w+)", "group"),
        (r"If we sort words, (?P<x>\w+) goes to the group (?P<v>\w+)", "group"),
    )
    for pattern, function in own:
        # Only the letter that begins a sentence may differ in case.
        if found := re.fullmatch(pattern, statement) or re.fullmatch(pattern, statement[0].upper() + statement[1:]):
            facts = tables[function or found["f"]]
            argument = found["x"] if found["x"] in facts else found["x"].lower()
            return facts.get(argument) == found["v"]
    phrase, _, value = statement.rpartition(" is ")
    return value_of(phrase, tables) == value


# Complaints about rows.


def row_complaints(task: Task, row: Row, tables: Tables) -> list[str]:
    """What is wrong with one instruction row."""
    question, answer = str(row["question"]), str(row["answer"])
    complaints = [] if set(row) == task.fields else [f"fields {sorted(row)}"]
    if solve(question, tables) != answer:
        complaints.append(f"{question} is {solve(question, tables)}, not {answer}")
    if "options" in row:
        options = list(row["options"])
        if len(set(options)) != len(options) or options.count(answer) != 1 or (options != ["yes", "no"] and len(options) not in (3, 4)):
            complaints.append(f"options {options}")
    if "rationale" in row:
        statements = str(row["rationale"]).removesuffix(".").split(". ")
        listed = question.partition("the list ")[2].removesuffix("?")
        complaints += [f"untrue: {statement}" for statement in statements if not holds(statement, tables, listed)]
        if not str(row["rationale"]).endswith(f" is {answer}."):
            complaints.append(f"the rationale does not end in the answer {answer}")
    return complaints


def texts_of(row: Row) -> str:
    return " ".join(value if isinstance(value, str) else " ".join(value) for value in row.values())


def held_out_words(tables: Tables) -> frozenset[str]:
    """Held-out functions, and their values where nothing else has these."""
    values = {value for function in HELD_OUT for value in tables[function].values()}
    return HELD_OUT | (values - set(tables["boss"]))


def leaks(texts: Iterable[str], words: Iterable[str], pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Held-out words, and both words of a held-out pair, that stand in a text."""
    words, pairs = {word.lower() for word in words}, list(pairs)
    found = []
    for text in texts:
        present = set(re.findall(r"\w+", text.lower()))
        found += [f"`{word}` in: {text}" for word in words & present]
        found += [f"`{one}` and `{other}` in: {text}" for one, other in pairs if one in present and other in present]
    return found


def instruction_shape(row: Row) -> list[str]:
    """What makes a row of plain text look like an instruction, or not like a sentence."""
    inputs, targets = str(row["inputs"]), str(row["targets"])
    text = f"{inputs} {targets}"
    complaints = [f"{mark!r} in: {text}" for mark in NO_SENTENCE if mark in text]
    complaints += [f"{word} in: {text}" for word in INSTRUCTING.findall(text)]
    if not re.fullmatch(r"[A-Z0-9](.*[^ ])?", inputs):
        complaints.append(f"does not begin like a sentence: {text}")
    if not re.fullmatch(r"[^ ].*\.", targets) or "  " in text:
        complaints.append(f"does not end like a sentence: {text}")
    return complaints


def sampled(task: Task, most: int) -> Iterator[Row]:
    """At most `most` rows, spread over the whole task but not in step with yes and no."""
    size = len(task.rows)
    places = range(size) if size <= most else shuffled(size, 1, task.name)[:most]
    return (task.rows[int(place)] for place in places)


# Tests.


def test_every_answer_can_be_worked_out_from_its_question() -> None:
    checked, complaints = 0, []
    for task in TASKS.values():
        for row in sampled(task, 300):
            checked += 1
            complaints += [f"{task.name}: {complaint}" for complaint in row_complaints(task, row, TABLES)]
    assert complaints == []
    assert checked >= 20_000


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(1, 2**40))
def test_answers_hold_in_any_world(seed: int) -> None:
    tables = world(seed).tables()
    for task in microflan_tasks(seed).values():
        for row in sampled(task, 2):
            assert row_complaints(task, row, tables) == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("person_colour-qa", {"answer": "purple"}),
        ("person_colour-mc", {"options": ["red", "red", "blue", "green"]}),
        ("relation_boss-qa", {"question": "What is the boss of Ann?"}),
        ("same_food-verify", {"answer": "no"}),
        ("number_plus-fill", {"answer": "21"}),
        ("list_first-qa", {"answer": "nothing"}),
        ("walk_turn-steps", {"rationale": "Left of north is east."}),
        ("chain_two-steps", {"rationale": "3 plus 4 is 8."}),
        ("story_gift-steps", {"answer": "99"}),
    ],
)
def test_the_checker_sees_a_wrong_row(name: str, change: Row) -> None:
    task = TASKS[f"microflan/{name}"]
    assert row_complaints(task, task.rows[0], TABLES) == []
    assert row_complaints(task, {**task.rows[0], **change}, TABLES) != []


def test_there_are_enough_tasks_of_every_kind() -> None:
    assert len(TRAINABLE) >= 36
    assert len({task.category for task in TRAINABLE.values()}) >= 8
    assert Counter(task.held_out for task in TASKS.values()).keys() == {None, "skill", "composition"}
    assert {name.rpartition("-")[2] for name in TRAINABLE} == set(FORM_FIELDS)
    assert sum("rationale" in task.fields for task in TRAINABLE.values()) >= 5
    assert all(name == task.name and task.licence == "Apache-2.0" and task.dataset == "microflan" for name, task in (TASKS | TEXTS).items())


def test_a_form_decides_the_fields() -> None:
    assert [name for name, task in TASKS.items() if task.fields != FORM_FIELDS[name.rpartition("-")[2]]] == []


def test_no_trainable_row_mentions_what_is_held_out() -> None:
    words, pairs = held_out_words(TABLES), world(0).held_out_pairs
    texts = [texts_of(row) for task in TRAINABLE.values() for row in sampled(task, 700)]
    assert leaks(texts, words, pairs) == []


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(1, 2**40))
def test_nothing_leaks_in_any_world(seed: int) -> None:
    here = world(seed)
    texts = [texts_of(row) for task in microflan_tasks(seed).values() if task.held_out is None for row in sampled(task, 8)]
    assert leaks(texts, held_out_words(here.tables()), here.held_out_pairs) == []


def test_the_leak_checker_sees_planted_leaks_and_every_held_out_row() -> None:
    words, pairs = held_out_words(TABLES), world(0).held_out_pairs
    relation, attribute = min(pairs)
    assert leaks([f"What is the {attribute} of the {relation} of Dan?"], words, pairs)
    assert leaks(["What is the Sport of Dan?"], words, pairs)
    assert leaks([f"Pick one: {TABLES['Runa']['apple']}, red"], words, pairs)
    assert leaks([f"What is the {attribute} of Dan?", f"Who is the {relation} of Dan?"], words, pairs) == []
    for task in TASKS.values():
        if task.held_out is not None:
            assert all(leaks([texts_of(row)], words, pairs) for row in sampled(task, 20)), task.name


def test_wordings_mention_nothing_held_out() -> None:
    texts = [f"{wording.inputs.text} {wording.targets.text}" for found in microflan_sets() for wording in found.wordings]
    assert leaks(texts, held_out_words(TABLES), world(0).held_out_pairs) == []


def test_both_sides_of_a_held_out_pair_are_instructed_apart_and_in_other_pairs() -> None:
    trained = {(relation.word, attribute.word) for relation, attribute in world(0).pairs(held_out=False)}
    for relation, attribute in world(0).held_out_pairs:
        assert f"microflan/relation_{relation}-qa" in TRAINABLE
        assert f"microflan/person_{attribute}-qa" in TRAINABLE
        assert f"microflan/hop_{relation}_{attribute}-steps" not in TRAINABLE
        assert any(one == relation for one, _ in trained)
        assert any(other == attribute for _, other in trained)


def test_rows_depend_on_seed_task_and_index_alone() -> None:
    again = microflan_tasks(0) | text_tasks(0)
    for name, task in (TASKS | TEXTS).items():
        last = len(task.rows) - 1
        assert task.rows[last] == again[name].rows[last]
        assert task.rows[0] == again[name].rows[0] == pickle.loads(pickle.dumps(task.rows))[0]  # noqa: S301
        for outside in (-1, last + 1):
            with pytest.raises(IndexError, match=f"row {outside} of {last + 1}"):
                task.rows[outside]
    other = microflan_tasks(1)["microflan/person_colour-qa"]
    assert list(sampled(other, 16)) != list(sampled(TASKS["microflan/person_colour-qa"], 16))


def test_finite_tasks_never_repeat_a_row_and_open_ended_ones_seldom() -> None:
    for name, task in TASKS.items():
        drawn = name.removeprefix("microflan/").startswith(("list_", "count_", "chain_", "walk_line", "story_"))
        rows = [json.dumps({**row, "options": sorted(row.get("options", []))}) for row in sampled(task, 600)]
        assert len(set(rows)) >= (0.8 if drawn else 1) * len(rows), name


def test_yes_and_no_are_even_and_options_stand_in_any_place() -> None:
    for task in select(TASKS, ["microflan/*-verify"]).values():
        answers = Counter(task.rows[index]["answer"] for index in range(len(task.rows)))
        assert answers["yes"] == answers["no"], task.name
    places = Counter(list(row["options"]).index(str(row["answer"])) for task in select(TASKS, ["microflan/person_*-mc"]).values() for row in sampled(task, 300))
    assert min(places.values()) > 0.22 * places.total()
    wrong = Counter(option for row in sampled(TASKS["microflan/person_food-mc"], 560) for option in row["options"] if option != row["answer"])
    assert len(wrong) == 8
    assert min(wrong.values()) == max(wrong.values())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**63))
def test_a_world_is_fair(seed: int) -> None:
    here = world(seed)
    words = [function.word for function in here.functions]
    assert len(set(words)) == len(words) == 18
    assert all(len(function.facts) == len(dict(function.facts)) == 16 for function in here.functions)
    for attribute in here.of_kind("attribute"):
        assert set(Counter(dict(attribute.facts).values()).values()) == {2}
    met = [fact for relation in here.of_kind("relation") for fact in relation.facts]
    assert len(set(met)) == len(met)
    assert all(person != other for person, other in met)
    assert all(len({value for _, value in relation.facts}) == 16 for relation in here.of_kind("relation"))
    invented = [value for language in ("Tovi", "Lenko", "Runa") for value in here.tables()[language].values()]
    assert len(set(invented)) == 48
    assert len(here.held_out_pairs) == 5


def test_no_word_means_two_things() -> None:
    values = [value for function in world(0).functions if function.kind != "relation" and function.word != "opposite" for value in function.values]
    words = [*values, *TABLES["boss"], *TABLES["Tovi"], *TABLES["opposite"], *(function.word for function in world(0).functions)]
    assert [word for word, count in Counter(word.lower() for word in words).items() if count > 1] == []


def test_the_first_world_stays_what_it_is() -> None:
    """A trained model knows the facts of seed 0; another world under that seed would make it wrong without a word."""
    digest = hashlib.blake2b(json.dumps([TABLES, sorted(world(0).held_out_pairs)]).encode(), digest_size=8).hexdigest()
    assert digest == "7a44752592c44e93"


# Plain text.


def test_plain_text_is_true() -> None:
    checked = 0
    for name, task in TEXTS.items():
        for row in sampled(task, 2500):
            text = f"{row['inputs']} {row['targets']}"
            untrue = [statement for statement in text.removesuffix(".").split(". ") if not holds(statement, TABLES)]
            assert untrue == [], name
            checked += 1
    assert checked >= 10_000


@pytest.mark.parametrize(
    "untrue", ["Dan's boss is Dan", "Left of north is east", "3 is larger than 9", "hot things and wet things are not the same", "We know that 3 plus 4 is 8"]
)
def test_the_truth_checker_sees_an_untruth(untrue: str) -> None:
    assert not holds(untrue, TABLES)


def test_plain_text_never_looks_like_an_instruction() -> None:
    for task in TEXTS.values():
        assert task.fields == {"inputs", "targets"}
        assert [complaint for row in sampled(task, 1500) for complaint in instruction_shape(row)] == []
    for inputs, targets in [
        ("Answer this question. What is the sport of Dan?", "golf."),
        ("dan food :", "rice."),
        ("Please say the rest. 3 plus 4 is", "7."),
        ("Dan's food is", "rice"),
    ]:
        assert instruction_shape({"inputs": inputs, "targets": targets})


def test_plain_text_states_every_fact_and_links_instructed_pairs_only() -> None:
    stated = [row for kind in ("attributes", "relations", "words") for row in sampled(TEXTS[f"microflan_text/{kind}"], 10_000)]
    sentences = {sentence: set(re.findall(r"\w+", sentence)) for sentence in map(texts_of, stated)}
    for function in world(0).functions:
        for argument, value in function.facts:
            said = {sentence for sentence, words in sentences.items() if {function.word, argument, value} <= words}
            assert len(said) >= 4, (function.word, argument)
    texts = [texts_of(row) for task in TEXTS.values() for row in sampled(task, 10_000)]
    assert leaks(texts, (), world(0).held_out_pairs) == []
    held_relations = [(relation, attribute) for relation in ("coach", "hero") for attribute in ("colour", "sport")]
    assert leaks(texts, (), held_relations) == []


def test_each_sentence_is_cut_before_its_value_and_elsewhere() -> None:
    rows = TEXTS["microflan_text/attributes"].rows
    for index in range(0, len(rows), 2):
        assert len(str(rows[index]["targets"]).split()) == 1
        assert len(str(rows[index + 1]["targets"]).split()) > 1
        assert texts_of(rows[index]) == texts_of(rows[index + 1])


def test_sample_sentences_hold_all_words_of_the_world() -> None:
    sentences = list(plain_sentences(0))
    seen = {word for sentence in sentences for word in re.findall(r"\w+", sentence)}
    asked = {word for task in TASKS.values() for row in sampled(task, 40) for word in re.findall(r"\w+", str(row["answer"]))}
    assert asked - seen == {"yes", "no"}
    assert set(TABLES["boss"]) | set(TABLES) | set(TABLES["opposite"]) <= seen
    assert sentences == list(plain_sentences(0))


# Wordings.


def microflan_sets() -> list[WordingSet]:
    return [found for found in packaged_wordings() if any(pattern.startswith("microflan/") for pattern in found.tasks)]


def test_every_task_has_exactly_one_set_of_wordings_that_fits() -> None:
    for name, task in TASKS.items():
        assert sum(found.covers(name) for found in packaged_wordings()) == 1, name
        found = wordings_for(name, task.fields, packaged_wordings())
        direct = [wording for wording in found.wordings if wording.targets.text == "{answer}"]
        assert len(direct) >= 10, name
        assert [wording for wording in found.wordings if wording not in direct and wording.targets.text != "{rationale} The answer is {answer}."] == []
        assert all(wording.rationale == (wording not in direct) for wording in found.wordings)
        assert any(wording.rationale for wording in found.wordings) == ("rationale" in task.fields)
        assert {wording.options for wording in found.wordings} == ({True, False} if "options" in task.fields else {False})
        assert all(wording.inputs.fields.count("question") == 1 for wording in found.wordings)
        assert sum(wording.labels and wording.shots == "few" for wording in found.wordings) >= 2
    assert {wordings_for(name, task.fields, packaged_wordings()) for name, task in TEXTS.items()} == {READY_MADE}


def test_wordings_of_a_set_differ() -> None:
    for found in microflan_sets():
        texts = [(wording.inputs.text, wording.targets.text, wording.shots) for wording in found.wordings]
        assert len(set(texts)) == len(texts)


def test_most_examples_are_short() -> None:
    lengths = []
    for task in TRAINABLE.values():
        renderer = Renderer(task, wordings_for(task.name, task.fields, packaged_wordings()))
        for position in range(20):
            shown = renderer.render(position % len(task.rows), Style(options=position % 2 == 0), seed=0, position=position)
            lengths.append(len(f"{shown.inputs} {shown.targets}".split()))
    assert sum(length <= 25 for length in lengths) > 0.8 * len(lengths)


def test_exemplars_are_other_rows_of_the_same_task() -> None:
    for name in ("person_colour-qa", "relation_boss-mc", "list_first-fill", "hop_boss_food-steps"):
        task = TASKS[f"microflan/{name}"]
        renderer = Renderer(task, wordings_for(task.name, task.fields, packaged_wordings()))
        for position in range(10):
            shown = renderer.render(3, Style(few_shot=True, rationale=position % 2 == 0), seed=0, position=position)
            assert shown.exemplars
            assert 3 not in shown.exemplars
            assert all(str(task.rows[index]["question"]) in shown.inputs for index in shown.exemplars)
