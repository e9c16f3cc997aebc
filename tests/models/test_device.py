"""The device that a model computes on: chosen, named, or not there."""

from __future__ import annotations

import pytest
import torch

from openflan.errors import InputError
from openflan.models.device import VARIABLE, available, check_device_name, choose_device


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A machine with the named kinds of device and two GPUs of a kind."""
    kinds: tuple[str, ...] = request.param
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in kinds)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in kinds)


@pytest.mark.parametrize(
    ("machine", "best"),
    [((), "cpu"), (("mps",), "mps"), (("cuda",), "cuda"), (("cuda", "mps"), "cuda")],
    indirect=["machine"],
)
def test_the_best_device_that_is_there_is_chosen(
    machine: None, best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_device() == torch.device(best)
    assert available()[-1] == "cpu"
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setenv(VARIABLE, "cpu")
    assert choose_device() == torch.device("cpu")
    # The command's own word counts more than the environment's.
    assert choose_device(best) == torch.device(best)


@pytest.mark.parametrize("machine", [("cuda",)], indirect=True)
def test_a_gpu_may_be_named_by_its_number(machine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match="no device cuda:2 here: torch finds 2 GPUs, numbered from 0"):
        choose_device("cuda:2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="under torchrun each process has a GPU of its own: name `cuda`"):
        choose_device("cuda:1")
    assert choose_device("cuda") == torch.device("cuda")


@pytest.mark.parametrize("machine", [()], indirect=True)
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(
    machine: None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=f"no device {name} here .*finds cpu.*leave `--device` and"):
        choose_device(name)
    monkeypatch.setenv(VARIABLE, name)
    with pytest.raises(InputError, match=f"no device {name} here"):
        choose_device()


@pytest.mark.parametrize("name", ["gpu", "CUDA", "cuda:", "cuda:-1", "cuda:1x", "mps:0", "", "cpu ", "xla"])
def test_a_name_that_no_device_has_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected cpu, cuda, cuda:N"):
        check_device_name(name)
