"""The library `datasets` itself against a stand-in of the hub: data sets with a loading script are read from
their Parquet copies, and never another configuration than the one that was named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("collection", "tasks", "templates")]

from collection_copy import parquet
from hub_server import CONVERTED, Hub, serving

pytestmark = pytest.mark.extra

CODE = """
import sys, warnings
warnings.simplefilter("ignore")
from openflan.tasks.hub import hub_records
for text in sys.argv[1:]:
    try:
        rows = hub_records(text, raw=True)
        print(text, len(rows), rows[0])
    except Exception as error:
        print(text, type(error).__name__, error)
"""


def test_extra_data_reads_parquet_copies(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the extra `data` is not installed")
    hub = Hub()
    for name in ("ybisk/piqa", "org/two"):
        hub.put(name, "main", {f"{name.partition('/')[2]}.py": b"import datasets\n"})
    goal = {"goal": "Dry a cup", "label": 0}
    hub.put("ybisk/piqa", CONVERTED, {"default/train/0000.parquet": parquet([goal] * 3)})
    for config in ("one", "other"):
        hub.put("org/two", CONVERTED, {f"{config}/train/0000.parquet": parquet([{"config": config}] * 2)})
    texts = [
        "hub:ybisk/piqa",
        "hub:ybisk/piqa/plain_text",
        "hub:org/two/one",
        "hub:org/two/none",
        "hub:org/two",
    ]
    with serving(hub):
        offline = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
        environment = {
            **{name: value for name, value in os.environ.items() if name not in offline},
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "*",
        }
        done = subprocess.run(
            [sys.executable, "-c", CODE, *texts],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    lines = done.stdout.splitlines()
    assert lines[0] == f"hub:ybisk/piqa 3 {goal}"
    assert lines[1] == f"hub:ybisk/piqa/plain_text 3 {goal}"
    assert lines[2] == "hub:org/two/one 2 {'config': 'one'}"
    assert "InputError" in lines[3]
    assert "one, other" in lines[3] + lines[4]
    assert "InputError" in lines[4]
