"""microflan: a small world of people, words and numbers, and instructions about it.

Everything is made from a seed, so it needs no download, and no licence but ours.
"""

from openflan.microflan.world.documents import GeneratedDocuments
from openflan.microflan.world.forms import Skill
from openflan.microflan.world.suite import microflan_tasks, skills
from openflan.microflan.world.text import plain_sentences, text_tasks
from openflan.microflan.world.world_facts import Function, World, world

__all__ = [
    "Function",
    "GeneratedDocuments",
    "Skill",
    "World",
    "microflan_tasks",
    "plain_sentences",
    "skills",
    "text_tasks",
    "world",
]
