"""Results as pandas data frames. pandas is no dependency of openflan; it is imported when a frame is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from openflan.errors import SetupError

if TYPE_CHECKING:
    from pandas import DataFrame


def frame_of(rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """A frame with one line for each mapping and one column for each key, in the order in which they appear.

    Raises SetupError if pandas is not installed.
    """
    try:
        from pandas import DataFrame
    except ImportError:
        raise SetupError("`to_frame` needs pandas, which is not installed: pip install pandas") from None
    return DataFrame(list(rows))
