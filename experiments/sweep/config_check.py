"""Parses the words of all runs in a process that has torch, see ``config_check_process``."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from experiments import safe_yaml


@dataclass(frozen=True)
class Checked:
    """Configurations of a sweep.

    Args:
        texts: YAML text of each combination.
        metric: That ranks runs, ``val/accuracy``; empty unless requested.
        direction: In which the metric improves.
    """

    texts: list[str]
    metric: str = ""
    direction: Literal["maximize", "minimize"] = "maximize"

    def configs(self) -> list[dict[str, Any]]:
        """Returns the configurations as mappings."""
        return [safe_yaml.load(text) for text in self.texts]


def check(lines: Sequence[Sequence[str]], facts: bool = False) -> Checked:
    """Parses command lines, each beginning with ``fit``.

    Args:
        lines: Words of each.
        facts: Whether to make the data module and return the metric that ranks.

    Raises:
        SystemExit: With the code of the first that cannot be parsed, after its error was printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        code = run_check(json.dumps({"combinations": [list(line) for line in lines], "facts": facts}), str(result))
        if code:
            raise SystemExit(code if code > 0 else 128 - code)
        return Checked(**json.loads(result.read_text()))


def run_check(request: str, result: str) -> int:
    """Runs the process with a request in JSON and the path of its result; returns its exit code."""
    words = ["-c", "from experiments.sweep.config_check_process import main; main()", "fit", result]
    return subprocess.run([sys.executable, *words], input=request, text=True).returncode
