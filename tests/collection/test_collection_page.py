"""The commands of the page on the collection, one after the other, on the collection in miniature."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from collection_copy import fill
from commands import openflan
from hub_server import Hub

from openflan.collection.plan import PARTS, plan

PAGE = Path(__file__).parents[2] / "docs" / "flan-collection.md"
EXAMPLES = 60


def commands() -> list[str]:
    """The lines of the page's blocks for a shell, without comments."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [re.sub(r"\s+#.*", "", line) for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.slow  # the whole collection is opened several times
@pytest.mark.filterwarnings("ignore:.*so it is no whole split")
@pytest.mark.filterwarnings("ignore:.*tasks left out")
@pytest.mark.filterwarnings("ignore:.*left out of public data")
def test_every_command_of_the_page_works_in_its_order(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(hub, tuple(PARTS), rows=12)
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))
    assert len(commands()) >= 12
    for line in commands():
        words = shlex.split(line.replace("5000000", str(EXAMPLES)))
        assert words[0] == "openflan"
        done = openflan(*words[1:], folder=tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    exports = sorted(path.name for path in tmp_path.glob("*.parquet"))
    assert exports == ["filled.parquet", "flan.parquet", "original.parquet", "sources.parquet"]
    for name in exports:
        table = pq.read_table(tmp_path / name)
        assert table.num_rows == EXAMPLES
        assert {"inputs", "targets", "task"} <= set(table.column_names)
        assert all(table["inputs"].to_pylist())
    shares = pq.read_table(tmp_path / "flan.parquet")["task"].to_pylist()
    assert {task.partition("/")[0] for task in shares} == {"muffin", "t0_sf", "niv2", "cot"}


def test_the_page_names_what_the_plan_has() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for part in PARTS:
        assert f"`{part}`" in text
    numbers = {"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13}
    (word,) = set(re.findall(r"\[(\w+) data sets of Muffin\]", text))
    assert len(plan(["muffin"]).not_fetched) == numbers[word]
    assert {source.looked_up for source in plan([*PARTS]).sources} == {"2026-11-30"}
    assert "looked up on 2026-11-30" in text
    hub_sources = [source for source in plan([*PARTS]).sources if source.kind == "hub"]
    assert 65 <= len(hub_sources) <= 75
