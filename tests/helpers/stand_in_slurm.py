"""``sbatch``, ``srun``, ``squeue`` and ``scancel`` without a cluster: one program under four names.

A job is a process group of this machine. Its name and state are files in the folder of the program, so that a test can
have SLURM lose a job.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent if __name__ == "__main__" else Path()


def install(folder: Path) -> str:
    """Puts the commands into a folder; returns the PATH that finds them."""
    folder.mkdir()
    program = folder / "slurm.py"
    program.write_text(f"#!{sys.executable} -SE\n{Path(__file__).read_text()}")
    program.chmod(0o755)
    for name in ("sbatch", "srun", "squeue", "scancel"):
        (folder / name).symlink_to(program)
    return f"{folder}:{os.environ['PATH']}"


def lose(folder: Path, job: int, state: str) -> None:
    """Ends a job at once, in a state of SLURM."""
    group = int((folder / f"{job}.group").read_text())
    os.killpg(group, signal.SIGKILL)
    (folder / f"{job}.state").write_text(state)


def sbatch(script: str) -> None:
    job = len(list(HERE.glob("*.script"))) + 1
    text = Path(script).read_text()
    (HERE / f"{job}.script").write_text(text)
    (name,) = (
        line.partition("=")[2].strip("'") for line in text.splitlines() if line.startswith("#SBATCH --job-name=")
    )
    (HERE / f"{job}.name").write_text(name)
    (HERE / f"{job}.state").write_text("RUNNING")
    words = [str(HERE / "slurm.py"), "run", str(job)]
    process = subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (HERE / f"{job}.group").write_text(str(process.pid))
    print(f"Submitted batch job {job}")


def run(job: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: None)  # a handler, unlike SIG_IGN, is not inherited
    environment = {"SLURM_JOB_ID": job, "SLURM_JOB_NAME": "job", "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
    environment |= {"SLURM_LOCALID": "0", "SLURM_STEP_ID": "0", "SLURM_JOB_NUM_NODES": "1"}
    code = subprocess.run(["bash", str(HERE / f"{job}.script")], env=os.environ | environment).returncode
    state = HERE / f"{job}.state"
    state.write_text("CANCELLED" if state.read_text() == "COMPLETING" else "FAILED" if code else "COMPLETED")


def srun(*words: str) -> None:
    first = words.index("-u") - 1  # python -u -m submitit.core._submit
    os.execv(words[first], words[first:])


def squeue(*words: str) -> None:
    for path in HERE.glob("*.state"):
        print(path.stem, path.read_text(), path.with_suffix(".name").read_text(), sep="|")


def scancel(job: str) -> None:
    if (HERE / f"{job}.state").read_text() == "RUNNING":
        (HERE / f"{job}.state").write_text("COMPLETING")
        os.killpg(int((HERE / f"{job}.group").read_text()), signal.SIGTERM)


if __name__ == "__main__":
    command, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    if command == "slurm.py":
        command, *arguments = arguments
    globals()[command](*arguments)
