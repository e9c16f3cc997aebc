"""Ordinary English around the world's people: talk about asking, answering, reading and choosing, without a
fact in it.

Instructions use words that facts never do ("tell", "choose", "step"), and a small model cannot follow words
it has never read. No sentence here holds a question with its answer, nor anything that is true or false of
the world.
"""

from __future__ import annotations

from openflan.microflan.world.reading import SPOTS
from openflan.microflan.world.world_facts import PEOPLE
from openflan.randomness import Draws

_SENTENCES = (
    "{a} asked {b} a question, and {b} gave a short answer.",
    "{a} asked {b} to answer the question in a whole sentence.",
    "{a} wants to know what {b} thinks about this.",
    "I want to know who told {a} about it.",
    "Please tell {a} that {b} is here.",
    "{a} said: please tell me what is true and what is wrong.",
    "Do you know where {a} went? I do not know, said {b}.",
    "{a} likes quiz questions, and {b} likes to choose from a list of options.",
    "Choose the right one, said {a}, and {b} picked the first.",
    "{a} had to pick one of the options, and the others were wrong.",
    "Which one is right, asked {a}. One of these is, said {b}.",
    "{a} could not say which answer was right and which was not.",
    "{b} says yes and {a} says no, so they do not agree.",
    "{a} did not say yes or no, but only that it is so.",
    "{a} checks if what {b} wrote is true or false.",
    "{a} read the text again and found what was missing at the end.",
    "{b} began a sentence and {a} had to finish it.",
    "Complete the sentence, said {a}, and write the rest here.",
    "{a} wrote down the end of the sentence, and {b} filled in the rest.",
    "Someone said that {a} made a mistake, and {b} put it right.",
    "That is not right, said {a}. Then correct it, said {b}.",
    "{a} thinks step by step, and {b} takes one step at a time.",
    "Let us think about it step by step, said {a}.",
    "First explain, then answer, said {a} to {b}.",
    "{a} shows the steps, because {b} wants to see the reason.",
    "{b} asked {a} to say why, and {a} gave the reasons.",
    "{a} worked it out in steps and wrote down each step.",
    "Be quick, said {a}, and answer at once, without any steps.",
    "{a} gave only the answer and no reasons, in short.",
    "Here is a question that nobody in the {s} could answer.",
    "In the {s} {a} said the same thing as {b} in other words.",
    "Does it follow from what {a} said? It is not known, said {b}.",
    "{a} looked at the examples, found the rule and used it for the next one.",
    "These examples show what comes next, said {b} in the {s}.",
    "{a} went to the {s} and {b} went with {a}.",
    "{a} met {b} in the {s} and they talked for an hour.",
    "{b} gave {a} help, so {a} said thank you.",
    "Now it is your turn, said {a}. Give me the next answer, said {b}.",
    "What should I say, asked {a}. Say what you think, said {b}.",
    "{a} repeated what {b} had said, word for word.",
)


def ordinary_sentence(draws: Draws) -> str:
    """One sentence about two people, and perhaps a place."""
    person, other_person = (PEOPLE[place] for place in draws.distinct(2, len(PEOPLE)))
    return draws.choice(_SENTENCES).format(a=person, b=other_person, s=draws.choice(SPOTS))
