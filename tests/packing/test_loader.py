"""Batches ahead: in order, no more than said, and no thread is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from openflan.packing.loader import Loader


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    assert [thread for thread in threading.enumerate() if thread.name == "loader"] == []


def _wait_for(true: Callable[[], bool]) -> bool:
    """Whether something becomes so within five seconds."""
    end = time.monotonic() + 5
    while not true() and time.monotonic() < end:
        time.sleep(0.002)
    return true()


def test_batches_come_in_order_from_the_first_to_before_the_end() -> None:
    with Loader(lambda step: step * step, 3, 40) as loader:
        assert list(loader) == [step * step for step in range(3, 40)]


def test_no_steps_give_no_batches() -> None:
    with Loader(lambda step: step, 5, 5) as loader:
        assert list(loader) == []


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_no_more_is_made_ahead_than_depth_and_the_one_under_way(depth: int) -> None:
    made: list[int] = []
    with Loader(lambda step: made.append(step) or step, 0, 100, depth) as loader:
        for taken in loader:
            assert _wait_for(lambda taken=taken: len(made) >= min(100, taken + 1 + depth)), (
                "the thread does not work ahead"
            )  # type: ignore[misc]
            assert len(made) <= taken + 1 + depth + 1
            if taken == 7:
                time.sleep(0.3)
                assert len(made) == taken + 1 + depth + 1, "waiting longer makes no more"
                break


def test_an_exception_comes_at_the_step_that_raised_it() -> None:
    def make(step: int) -> int:
        if step == 4:
            raise ValueError("step 4 cannot be made")
        return step

    with Loader(make, 0, 10) as loader:
        batches = iter(loader)
        time.sleep(0.05)
        assert [next(batches) for _ in range(4)] == [0, 1, 2, 3]
        with pytest.raises(ValueError, match="step 4 cannot be made"):
            next(batches)


def test_nothing_is_made_behind_an_exception() -> None:
    made: list[int] = []

    def make(step: int) -> int:
        made.append(step)
        raise KeyboardInterrupt

    with Loader(make, 0, 10) as loader, pytest.raises(KeyboardInterrupt):
        list(loader)
    assert made == [0]


def test_leaving_early_ends_the_thread_at_once() -> None:
    """The queue is full then, and the thread waits for room in it; the fixture looks for it afterwards."""
    began = time.monotonic()
    with Loader(lambda step: step, 0, 10**9) as loader:
        assert next(iter(loader)) == 0
    assert time.monotonic() - began < 2


def test_an_exception_in_the_loop_ends_the_thread_and_is_not_hidden() -> None:
    def loop() -> None:
        with Loader(lambda step: step, 0, 10**9) as loader:
            for _ in loader:
                raise RuntimeError("the loop's own")

    with pytest.raises(RuntimeError, match="the loop's own"):
        loop()


def test_a_closed_loader_says_so_instead_of_waiting_for_ever() -> None:
    with Loader(lambda step: step, 0, 100) as loader:
        pass
    with pytest.raises(RuntimeError, match="the loader was closed"):
        list(loader)


def test_a_slow_maker_is_waited_for() -> None:
    """Longer than the loader's patience with an empty queue."""

    def make(step: int) -> int:
        time.sleep(0.25)
        return step

    with Loader(make, 0, 2) as loader:
        assert list(loader) == [0, 1]


def test_while_one_is_used_the_next_is_made() -> None:
    """Half the time of doing one after the other, less what a busy machine adds."""
    used = threading.Event()
    overlapped = []

    def make(step: int) -> int:
        if step == 1:
            overlapped.append(used.wait(5))
        return step

    with Loader(make, 0, 2) as loader:
        for step in loader:
            if step == 0:
                used.set()
    assert overlapped == [True]
