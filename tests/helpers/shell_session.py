"""A shell that a newcomer types at: commands, a server in the background, Ctrl-C, a kill."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any


class Shell:
    """Bash in a folder, with a virtual environment's commands ahead of all others.

    Args:
        commands: The environment's folder of commands.
        folder: Where it stands.
    """

    def __init__(self, commands: Path, folder: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["PATH"] = f"{commands}{os.pathsep}{environment['PATH']}"
        self.how: dict[str, Any] = {"cwd": folder, "env": environment, "text": True, "start_new_session": True}
        self.folder = folder
        self.server: subprocess.Popen[str] | None = None
        self.printed = ""

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def type(self, command: str, code: int = 0) -> str:
        """Run a line to its end, or to where its comment says, or until it serves; what it printed, errors last."""
        printed = ""
        if command.startswith("evenhand serve"):
            self.serve(command)
        elif "# killed" in command:
            self.kill(command)
        else:
            done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, **self.how)
            assert done.returncode == code, (command, done.stdout, done.stderr)
            printed = done.stdout + done.stderr if code else done.stdout
        self.printed += printed + "\n"
        return printed

    def serve(self, command: str) -> None:
        """Start a server in place of the one before, and wait for its line."""
        self.stop()
        self.server = subprocess.Popen(["bash", "-c", f"exec {command}"], stdout=subprocess.PIPE, **self.how)
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        assert "answers" in line, command
        self.printed += line

    def stop(self) -> None:
        """Ctrl-C."""
        if self.server is not None:
            self.server.send_signal(signal.SIGINT)
            assert self.server.wait(120) == 130
            self.server = None

    def kill(self, command: str) -> None:
        """Start it, and kill its processes once they have saved."""
        process = subprocess.Popen(["bash", "-c", command], **self.how)
        name = command.split("--run ")[1].split()[0]
        while not [*self.folder.glob(f"runs/*/{name}/checkpoints/last.ckpt")]:
            assert process.poll() is None, command
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
