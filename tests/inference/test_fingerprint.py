"""Weights are known by their bytes, and known again without reading them."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import t5

import openflan.models.weights_digest as fingerprints
from openflan.cache_folder import cache_folder
from openflan.errors import InputError
from openflan.inference.fingerprint import folder_fingerprint
from openflan.models.weights_digest import CACHE, weights_digest

A, B = torch.arange(6.0).reshape(2, 3), torch.ones(4, dtype=torch.bfloat16)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENFLAN_CACHE", str(tmp_path / "cache"))


def _folder(path: Path, **files: dict[str, torch.Tensor]) -> Path:
    path.mkdir()
    for name, tensors in files.items():
        save_file(tensors, path / f"{name}.safetensors", metadata={"written": str(path)})
    return path


def test_the_same_tensors_in_other_files_are_the_same_weights(tmp_path: Path) -> None:
    expected = weights_digest(_folder(tmp_path / "whole", model={"a": A, "b": B}))
    assert weights_digest(_folder(tmp_path / "split", one={"b": B}, two={"a": A})) == expected
    for index, tensors in enumerate(
        [{"a": A + 1, "b": B}, {"a": A.reshape(3, 2), "b": B}, {"a": A, "c": B}, {"a": A}]
    ):
        assert weights_digest(_folder(tmp_path / f"other{index}", model=tensors)) != expected


def test_weights_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _folder(tmp_path / "model", model={"a": A})
    first = weights_digest(folder)
    assert list(json.loads((tmp_path / "cache" / CACHE).read_text()).values()) == [first]
    reads = []
    hashed = fingerprints._hashed
    monkeypatch.setattr(fingerprints, "_hashed", lambda folder: reads.append(folder) or hashed(folder))
    assert weights_digest(folder) == first
    assert reads == []
    save_file({"a": A + 1}, folder / "model.safetensors")
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert weights_digest(folder) != first
    assert len(reads) == 1


@pytest.mark.parametrize("there", ["a file", "not JSON", "a list"])
def test_a_cache_that_cannot_be_used_costs_time_only(there: str, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "model", model={"a": A})
    if there == "a file":
        cache_folder().write_text("")
    else:
        cache_folder().mkdir()
        (cache_folder() / CACHE).write_text("{" if there == "not JSON" else "[1]")
    assert weights_digest(folder) == weights_digest(folder)


def test_configuration_and_settings_count(tmp_path: Path) -> None:
    folder = t5(tmp_path / "t5")
    plain = folder_fingerprint(folder)
    assert folder_fingerprint(folder, "dtype bfloat16") != plain
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    assert folder_fingerprint(folder) != plain


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0not json", b"\xff" * 20])
def test_files_that_hold_no_tensors(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="no safetensors file"):
        weights_digest(tmp_path)
