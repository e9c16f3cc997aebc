"""SIGTERM and Ctrl-C between two units of work, and lines that a full disk cuts."""

import errno
import json
import os
import signal
import threading
from pathlib import Path

import pytest

from openflan.errors import SetupError
from openflan.run_folder import Lines, read_jsonl, unwritten, write_json
from openflan.stopping import Interrupted, Terminated, stoppable


@pytest.mark.parametrize(
    ("signal_number", "kind", "code", "name"),
    [(signal.SIGINT, Interrupted, 130, "Ctrl-C"), (signal.SIGTERM, Terminated, 75, "SIGTERM")],
)
def test_the_first_signal_is_noted_and_says_how_to_go_on(
    signal_number: signal.Signals, kind: type[Terminated], code: int, name: str
) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with stoppable("step") as asked:
        assert not asked
        os.kill(os.getpid(), signal_number)
        assert asked
    ended = asked.ended("after step 3, with a checkpoint")
    assert (type(ended), ended.exit_code) == (kind, code)
    assert (
        str(ended)
        == f"stopped by {name} after step 3, with a checkpoint; run the same command again to go on"
    )
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == [
        signal.default_int_handler,
        before[1],
    ]


def test_a_second_ctrl_c_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with stoppable("step") as asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_what_torchrun_passes_on_is_not_a_second_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with stoppable("step") as asked:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert asked


def test_work_within_work_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation between two training steps must not end the training without a checkpoint."""
    with stoppable("step") as outer:
        with stoppable("item") as inner:
            os.kill(os.getpid(), signal.SIGINT)
        assert outer
        assert not inner


def test_a_thread_beside_the_main_one_works_without_handlers() -> None:
    seen = list[bool]()

    def work() -> None:
        with stoppable("step") as asked:
            seen.append(bool(asked))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_ctrl_c_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable("step") as asked:
            os.kill(os.getpid(), signal.SIGINT)
            assert not asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_line_that_does_not_fit_the_disk_is_one_error_and_the_lines_before_stay(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lines.jsonl"
    with Lines(path) as lines:
        lines.write('{"a": 1}')
        file = lines._file

        class Full:
            """Takes five bytes, then has no space."""

            left = 5

            def write(self, data: bytes) -> int:
                if not self.left:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                taken, self.left = file.write(data[: self.left]), 0
                return taken

            def __getattr__(self, name: str) -> object:
                return getattr(file, name)

        lines._file = Full()  # type: ignore[assignment]
        with pytest.raises(SetupError, match="lines.jsonl: could not be written: No space left on device"):
            lines.write('{"b": 2, "c": 3}')
    assert path.read_bytes() == b'{"a": 1}\n'


def test_half_a_surrogate_pair_is_written_as_a_replacement_character_and_read_back(tmp_path: Path) -> None:
    with Lines(tmp_path / "x.jsonl") as lines:
        lines.write(json.dumps({"generation": "a\ud800"}, ensure_ascii=False))
    write_json(tmp_path / "x.json", {"generation": "a\ud800"})
    assert (
        read_jsonl(tmp_path / "x.jsonl")
        == [json.loads((tmp_path / "x.json").read_text())]
        == [{"generation": "a\ufffd"}]
    )


def test_the_error_of_a_write_names_the_file() -> None:
    assert "x.json: could not be written" in str(
        unwritten(Path("x.json"), OSError(errno.ENOSPC, "No space left on device"))
    )
