"""Draws terminal.svg: runs commands in a pseudo-terminal, and draws the final screen.

python docs/images/terminal.py
"""

import io
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS = 120
HERE = Path(__file__).resolve().parent
PREPARED = "evenhand sweep --data Digits --seeds 0..4 --grid model=LitLinear,LitMLP,LitCNN --experiment five"
SHOWN = ("evenhand fit --data Digits --seed_everything 0 --run first", "evenhand compare runs/five")


def words(command: str) -> list[str]:
    """Returns the words of a command, run by this Python."""
    return [sys.executable, "-m", "experiments", *shlex.split(command)[1:]]


def printed(command: str) -> str:
    """Runs a command in a pseudo-terminal, and returns its output with colour codes."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, words(command))
    written = b""
    while True:
        try:
            written += os.read(terminal, 65536)
        except OSError:  # a closed terminal: its last process has ended
            os.waitpid(pid, 0)
            return written.decode()


def screen(written: str) -> list[str]:
    """Applies cursor movements and erasures, and returns the remaining lines with colour codes."""
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[\d*[AK]|\x1b\[\?\d+[hl]|\r|\n|(?:(?!\x1b\[\d*[AK]|\x1b\[\?)[^\r\n])+", written):
        if part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part.endswith("A") and part.startswith("\x1b"):
            row -= int(part[2:-1] or 1)
        elif part.startswith("\x1b[2K"):
            lines[row] = ""
        elif not part.startswith(("\r", "\x1b[?")):
            lines[row] += part
    return lines


def main() -> None:
    """Runs the commands and draws the picture."""
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": str(COLUMNS), "LINES": "50"}
    os.environ["PYTHONPATH"] = str(HERE.parents[1])
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        subprocess.run(words(PREPARED), check=True)
        for command in SHOWN:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            for line in screen(printed(command)):
                console.print(Text.from_ansi(line))
        os.chdir(HERE)
    drawn = console.export_svg(title="evenhand", theme=MONOKAI)
    # The font is not fetched: where Fira Code is not installed, another monospaced font is used.
    (HERE / "terminal.svg").write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL))


if __name__ == "__main__":
    main()
