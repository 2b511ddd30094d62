"""Asks ``check``, a process of its own that has torch, what the words of the runs come to."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml


@dataclass(frozen=True)
class Checked:
    """What was found.

    Args:
        texts: The configuration of each combination, YAML text.
        metric: That ranks runs, ``val/accuracy``; empty where it was not asked for.
        direction: Where that metric is good.
    """

    texts: list[str]
    metric: str = ""
    direction: Literal["maximize", "minimize"] = "maximize"

    def configs(self) -> list[dict[str, Any]]:
        """The same as mappings."""
        return [yaml.safe_load(text) for text in self.texts]


def check(lines: Sequence[Sequence[str]], facts: bool = False) -> Checked:
    """Parse each line of words, every one beginning with ``fit``.

    Args:
        lines: The words.
        facts: Whether to make the data module, which knows the metric that ranks.

    Raises:
        SystemExit: With the code of the first that cannot be parsed, after its error stands on stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        asked = json.dumps({"combinations": [list(line) for line in lines], "facts": facts})
        code = ask(asked, str(result))
        if code:
            raise SystemExit(code if code > 0 else 128 - code)
        return Checked(**json.loads(result.read_text()))


def ask(question: str, result: str) -> int:
    """Start the process; its exit code."""
    words = ["-c", "from experiments.sweep.config_check_process import main; main()", "fit", result]
    return subprocess.run([sys.executable, *words], input=question, text=True).returncode
