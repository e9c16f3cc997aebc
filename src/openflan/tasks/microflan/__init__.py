"""microflan: a small world of people, words and numbers, and instructions about it.

Everything is made from a seed, so it needs no download, and no licence but ours.
"""

from openflan.tasks.microflan.suite import microflan_tasks
from openflan.tasks.microflan.text import plain_sentences, text_tasks
from openflan.tasks.microflan.world import HELD_OUT, Function, World, world

__all__ = ["HELD_OUT", "Function", "World", "microflan_tasks", "plain_sentences", "text_tasks", "world"]
