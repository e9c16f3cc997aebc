"""One smoke test for each extra of pyproject.toml: what openflan does with it, in the smallest form."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.extra

EXTRAS = {"data", "lora", "metrics", "report", "t5x", "tensorboard", "track", "wandb", "zstd"}


def test_every_extra_has_a_smoke_test() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["project"]["optional-dependencies"]) - {"dev"} == EXTRAS
    assert {name.removeprefix("test_extra_") for name in globals()} >= EXTRAS


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_extra_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hub:` reads rows through the library `datasets`; the hub itself is replaced by a file."""
    datasets = pytest.importorskip("datasets", reason="the extra `data` is not installed")
    from openflan.tasks.sources import open_submixture

    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"inputs": f"say {n}", "targets": str(n)}) + "\n" for n in range(3)))
    load = datasets.load_dataset
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda *_, **chosen: load(
            "json", data_files=str(rows), split=chosen["split"], cache_dir=str(tmp_path / "cache")
        ),
    )
    (task,) = open_submixture("mine", Path("hub:someone/something")).values()
    assert [task.rows[index]["targets"] for index in range(len(task.rows))] == ["0", "1", "2"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_extra_lora() -> None:
    """An adapter is put into a model and merged again; more is in test_lora.py."""
    pytest.importorskip("peft", reason="the extra `lora` is not installed")
    import torch

    from openflan.models.adapter import add_adapter, merge_adapter
    from openflan.models.load_model import load_pretrained
    from openflan.recipe.schema import Adapter, Model

    base = "embedded:microflan-tiny"
    model, before = load_pretrained(base), load_pretrained(base)
    add_adapter(model, Model(base=base, adapter=Adapter(rank=2)), 0)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.fill_(0.1)
    merge_adapter(model)
    pairs = list(zip(model.named_parameters(), before.named_parameters(), strict=True))
    assert all(one == other for (one, _), (other, _) in pairs)
    assert any(not torch.equal(one, other) for (_, one), (_, other) in pairs)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_extra_metrics() -> None:
    """One answer is scored with each library; more is in test_metrics.py."""
    pytest.importorskip("rouge_score", reason="the extra `metrics` is not installed")
    pytest.importorskip("sacrebleu", reason="the extra `metrics` is not installed")
    from openflan.evaluation.library_metrics import corpus_bleu, rouge_l_stemmed

    assert rouge_l_stemmed("cats running", "cat run") == 1.0
    assert corpus_bleu(["the cat sat on the mat"], [("the cat sat on the mat",)]) == pytest.approx(100.0)


def test_extra_report(tmp_path: Path) -> None:
    """Figures are drawn with matplotlib."""
    pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
    from openflan.reports.collection_figures import drawing, save

    with drawing() as figure_of:
        figure = figure_of((4.0, 3.0))
        figure.subplots().plot([1, 2, 3])
        save(figure, tmp_path / "curve.svg", "svg")
    assert "<svg" in (tmp_path / "curve.svg").read_text(encoding="utf-8")


def test_extra_t5x(tmp_path: Path) -> None:
    """An array of a T5X checkpoint that was compressed with blosc is read with numcodecs."""
    numcodecs = pytest.importorskip("numcodecs", reason="the extra `t5x` is not installed")
    from openflan.models.t5x_files import open_array

    values = np.arange(6, dtype="<f4").reshape(2, 3)
    codec = numcodecs.get_codec({"id": "blosc"})
    array = tmp_path / "target.weight"
    array.mkdir()
    description = {
        "zarr_format": 2,
        "shape": [2, 3],
        "chunks": [2, 3],
        "dtype": "<f4",
        "order": "C",
        "fill_value": None,
        "filters": None,
        "compressor": codec.get_config(),
    }
    (array / ".zarray").write_text(json.dumps(description), encoding="utf-8")
    (array / "0.0").write_bytes(codec.encode(values))
    assert np.array_equal(open_array(array).read(), values)


@pytest.mark.parametrize("library", ["tensorboard", "wandb"])
def test_extra_track(library: str) -> None:
    """Both trackers; what they record is in test_recorded_runs.py."""
    pytest.importorskip(library, reason=f"the extra `{library}` is not installed")
    from openflan.tracking.trackers import check_trackers

    check_trackers(["tensorboard" if library == "tensorboard" else "wandb"])


def test_extra_tensorboard() -> None:
    """TensorBoard's own record writer, which the tracker uses."""
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from openflan.tracking.tensorboard_files import start

    assert callable(start)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_extra_wandb() -> None:
    """The settings that the tracker gives are known to wandb."""
    pytest.importorskip("wandb", reason="the extra `wandb` is not installed")
    import wandb

    from openflan.tracking.wandb_run import SETTINGS

    assert wandb.Settings(**SETTINGS).console == "off"


def test_extra_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a `.zst` file are read, in one frame or several; a file that was cut off is named."""
    zstandard = pytest.importorskip("zstandard", reason="the extra `zstd` is not installed")
    from openflan.errors import InputError
    from openflan.tasks.sources import open_submixture

    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))
    lines = [json.dumps({"inputs": f"say {n}", "targets": str(n)}).encode() + b"\n" for n in range(500)]
    packed = {"one": zstandard.compress(b"".join(lines)), "many": b"".join(map(zstandard.compress, lines))}
    for name, content in packed.items():
        path = tmp_path / f"{name}.JSONL.ZST"
        path.write_bytes(content)
        (task,) = open_submixture("mine", path).values()
        assert [task.rows[index]["targets"] for index in range(500)] == [str(n) for n in range(500)]
        path.write_bytes(content[:-3])
        with pytest.raises(InputError, match="not a whole zstandard file"):
            open_submixture("mine", path)
    assert len([*(tmp_path / "cache/unpacked").iterdir()]) == 2
