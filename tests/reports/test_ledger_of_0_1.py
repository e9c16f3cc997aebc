"""A ledger that version 0.1 wrote, with `passes` for `epochs`, is still reported."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from made_up_run import LEDGER, RECIPE, write_run

from openflan.reports.gather import gather
from openflan.reports.tables import tasks


def former(value: Any) -> Any:
    """A ledger as version 0.1 spelled it: keys alone, not the values."""
    if isinstance(value, dict):
        return {"passes" if key == "epochs" else key: former(inner) for key, inner in value.items()}
    return [former(inner) for inner in value] if isinstance(value, list) else value


def test_a_ledger_with_passes_is_reported_as_one_with_epochs(tmp_path: Path) -> None:
    ledger = copy.deepcopy(LEDGER)
    # Names that are not keys of a row stay: a format may have any name.
    ledger["measured"]["formats"] = {"passes": 3}
    old = gather(write_run(tmp_path / "old", recipe=RECIPE, ledger=former(ledger)))
    new = gather(write_run(tmp_path / "new", recipe=RECIPE, ledger=ledger))
    assert old.ledger == new.ledger
    assert old.ledger is not None
    assert old.ledger.measured.formats == {"passes": 3}
    table = tasks(old)
    assert table is not None
    assert table.columns[-1] == "epochs"
    assert [row[-1] for row in table.rows] == [10.0, 15.0]
