"""T0-SF (Chung et al. 2022, section 2.1): the 193 tasks that the paper took from P3, from either of two
places.

P3 is what its templates made of the datasets: rows that are already worded. promptsource is the templates
themselves, to be filled with raw rows. Both give the same tasks under the same names; `clean`, `clip` and
`seed` (see `settings`) say what is done to the texts.
"""

from openflan.tasks.p3.promptsource import find_promptsource, is_promptsource
from openflan.tasks.p3.worded import find_hub_p3, find_p3, is_hub_p3, is_p3

__all__ = ["find_hub_p3", "find_p3", "find_promptsource", "is_hub_p3", "is_p3", "is_promptsource"]
