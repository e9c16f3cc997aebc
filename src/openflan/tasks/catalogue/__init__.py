"""The Flan 2022 collection as a table: every task, what it is made of and where its rows are published (Chung
et al. 2022, section 2.1).

Decision: the table holds facts only (names, hub ids, counts, languages), comes with the package as one
compressed file and is read when first asked for. Price: it describes the public lists of the day it was built
and not the state of any server; `openflan tasks check` tells what is really there.
"""

from openflan.tasks.catalogue.counts import PAPER, Count, Counts, Difference, counts
from openflan.tasks.catalogue.entry import POLICIES, SUBMIXTURES, Entry, how_to_get
from openflan.tasks.catalogue.languages import LANGUAGES, language
from openflan.tasks.catalogue.table import aliases, catalogue, find, real_name, resolve

__all__ = [
    "LANGUAGES",
    "PAPER",
    "POLICIES",
    "SUBMIXTURES",
    "Count",
    "Counts",
    "Difference",
    "Entry",
    "aliases",
    "catalogue",
    "counts",
    "find",
    "how_to_get",
    "language",
    "real_name",
    "resolve",
]
