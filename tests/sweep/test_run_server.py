"""The process that forks the runs of a sweep."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import PYTHONPATH

from experiments.sweep.run_server import ForkedRun, RunServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this test needs Linux, where runs are forked")
ENVIRONMENT = {**os.environ, "PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1"}


PAUSED = ENVIRONMENT | {"PAUSE_AT": "step 2", "GO_ON": "after a moment"}
WORDS = """fit --trust faults --data faults.Waves --model LitLinear --trainer.max_epochs 100000
--data.batch_size 100 --trainer.callbacks null
--trainer.callbacks+ faults.Pause"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunServer]:
    monkeypatch.chdir(tmp_path)
    running = RunServer(ENVIRONMENT)
    yield running
    running.close()


def code_of(run: ForkedRun) -> int:
    end = time.monotonic() + 60
    while run.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert run.returncode is not None
    return run.returncode


def reached(folder: Path) -> None:
    """Waits until a run is where PAUSE_AT stops it."""
    end = time.monotonic() + 60
    while not (folder / "reached").exists():
        assert time.monotonic() < end, (folder / "log").read_text()
        time.sleep(0.01)


def test_a_run_has_its_own_log_environment_and_session(server: RunServer, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("$ evenhand\n")
    run = server.fork(WORDS.split(), tmp_path / "log", PAUSED)
    reached(tmp_path)
    assert os.getsid(run.pid) == run.pid
    assert (tmp_path / "log").read_text().startswith("$ evenhand\nLitLinear (")
    run.send_signal(signal.SIGTERM)
    assert code_of(run) == 143
    done = server.fork(["--version"], tmp_path / "other.log", ENVIRONMENT)
    assert code_of(done) == 0
    assert (tmp_path / "other.log").read_text().startswith("evenhand ")


def test_runs_end_with_a_killed_server(server: RunServer, tmp_path: Path) -> None:
    run = server.fork(WORDS.split(), tmp_path / "log", PAUSED)
    reached(tmp_path)
    stat = Path(f"/proc/{run.pid}/stat")
    os.kill(int(stat.read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    assert code_of(run) == -signal.SIGTERM
    end = time.monotonic() + 60
    while stat.exists() and " Z " not in stat.read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
    with pytest.raises(BrokenPipeError):
        server.fork(["--version"], tmp_path / "log", ENVIRONMENT)
