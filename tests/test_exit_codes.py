"""A signal ends a run wherever it arrives."""

import os
import signal
import time

import pytest

from experiments.exit_codes import SIGNALS, Interrupted, handled, interrupt


class Finalized:
    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        time.sleep(0.01)  # Python calls the handler here, and ignores what it raises


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_arrives_in_a_finalizer_is_not_lost(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    def finalize() -> None:
        Finalized(number)
        time.sleep(10)

    before = signal.signal(number, signal.SIG_DFL)  # under nohup SIGHUP is ignored
    with handled(interrupt), pytest.raises(Interrupted) as ended:
        finalize()
    signal.signal(number, before)
    assert ended.value.code == 128 + number
    assert "Traceback" not in capfd.readouterr().err


def test_another_exception_in_a_finalizer_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError

    reported = []
    monkeypatch.setattr("sys.unraisablehook", lambda ignored: reported.append(ignored.exc_type))
    with handled(interrupt), pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGTERM)
    Broken()
    assert reported == [ValueError]
