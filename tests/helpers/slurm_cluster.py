"""A SLURM cluster of two machines on this one, from Debian's packages ``slurmctld``, ``slurmd`` and ``munge``."""

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
CONFIGURATION = """
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge,cred_expire=20
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=10
KillOnBadExit=1
NodeName={host} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 State=UNKNOWN
NodeName=zz-{host} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 State=UNKNOWN
PartitionName=all Nodes={host},zz-{host} Default=YES OverSubscribe=FORCE:4
"""
"""The processes meet at the name that comes first in the alphabet, which has to be one that is found. A requeued job
waits until the credentials of its first start have expired."""


def missing() -> list[str]:
    """Programs that this machine lacks."""
    return [program for program in PROGRAMS if _found(program) is None]


@dataclass
class Cluster:
    """Jobs are given to it as a person would, by its commands."""

    folder: Path

    def ask(self, *words: str) -> str:
        """Runs a command of SLURM; returns its output."""
        done = subprocess.run(words, env=self.environment(), cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def state(self, job: str) -> str:
        """``PENDING``, ``RUNNING``, ``COMPLETED`` ..."""
        return self.ask("scontrol", "show", "job", job).partition("JobState=")[2].split()[0]

    def wait(self, condition: Callable[[], bool], job: str, seconds: float = 120) -> None:
        """Waits until a condition holds; fails with the job's state and output after ``seconds``."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{self.state(job)}: {self.printed(job)}"
            time.sleep(0.5)

    def printed(self, job: str) -> str:
        """All that the job has printed, over its starts."""
        path = self.folder / f"evenhand-{job}.txt"
        return path.read_text() if path.exists() else ""

    def process(self, job: str, rank: int) -> int:
        """The number that the system gave the first of the job's processes of a rank, for rank 0 the batch script."""
        variables, found = {f"SLURM_JOB_ID={job}", f"SLURM_PROCID={rank}"}, []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # it has ended
                if variables <= set(path.read_text(errors="replace").split("\0")):
                    found.append(int(path.parent.name))
        return min(found)

    def clear(self) -> None:
        """End all jobs, whose processes outlive the daemons."""
        self.ask("scancel", "--user", getpass.getuser())
        while self.ask("squeue", "--noheader"):
            time.sleep(0.2)

    def environment(self) -> dict[str, str]:
        """Variables of a process that uses the cluster."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where evenhand is
        return os.environ | {"PATH": path, "SLURM_CONF": str(self.folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """The daemons, for as long as it is entered."""
    folder.chmod(0o755)
    (folder / "state").mkdir()
    (folder / "key").write_bytes(secrets.token_bytes(128))
    (folder / "key").chmod(0o400)
    facts = {"host": socket.gethostname(), "user": getpass.getuser(), "folder": folder, "ports": _free_ports()}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**facts))
    files = [f"--{kind}-file={folder / kind}" for kind in ("key", "pid", "log", "seed")]
    commands = [["munged", "--foreground", "--force", f"--socket={folder / 'munge'}", *files], ["slurmctld", "-D"]]
    commands += [["slurmd", "-D", "-N", node] for node in (facts["host"], f"zz-{facts['host']}")]
    made = Cluster(folder)
    with ExitStack() as daemons:
        for name, *words in commands:
            output = daemons.enter_context((folder / f"{name}{words[-1]}.txt".replace("/", "_")).open("w"))
            program = [str(_found(name)), *words]
            daemon = subprocess.Popen(program, env=made.environment(), stdout=output, stderr=output)
            daemons.callback(daemon.wait)
            daemons.callback(daemon.terminate)
            time.sleep(1)  # each is asked by the next
        daemons.callback(made.clear)
        yield made


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _free_ports() -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        return [socket.getsockname()[1] for socket in sockets]
