"""microflan: a small world of people, words and numbers, and instructions about it.

Everything is made from a seed, so it needs no download, and no licence but ours.
"""

from openflan.tasks.microflan.documents import WorldText
from openflan.tasks.microflan.forms import Skill
from openflan.tasks.microflan.suite import microflan_tasks, skills
from openflan.tasks.microflan.text import plain_sentences, text_tasks
from openflan.tasks.microflan.world import Function, World, world

__all__ = [
    "Function",
    "Skill",
    "World",
    "WorldText",
    "microflan_tasks",
    "plain_sentences",
    "skills",
    "text_tasks",
    "world",
]
