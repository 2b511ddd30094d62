"""Parses the words of all runs in a process with torch, so that a typo in the last one fails before the first run."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from experiments import safe_yaml


@dataclass(frozen=True)
class Checked:
    """Configurations of a sweep, and the validation metric that ranks runs, if it was requested."""

    texts: list[str]  # YAML of each combination
    metric: str = ""
    direction: Literal["maximize", "minimize"] = "maximize"

    def configs(self) -> list[dict[str, Any]]:
        """Returns the configurations as mappings."""
        return [safe_yaml.load(text) for text in self.texts]


def check(lines: Sequence[Sequence[str]], start: Callable[[Path], int], facts: bool = False) -> Checked:
    """Parses command lines, each beginning with ``fit``.

    Args:
        lines: The command lines.
        start: Runs ``main`` in a process with torch, whose last word is the folder; returns the exit code.
        facts: Whether the metric that ranks is found as well.

    Raises:
        SystemExit: With the code of the first that cannot be parsed, after its error was printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        request = {"combinations": [list(line) for line in lines], "facts": facts}
        Path(folder, "request.json").write_text(json.dumps(request))
        if code := start(Path(folder)):
            raise SystemExit(code if code > 0 else 128 - code)
        return Checked(**json.loads(Path(folder, "result.json").read_text()))


def start_check(folder: Path) -> int:
    """Runs ``main`` in a process of its own; returns the exit code."""
    words = ["-c", "import evenhand, experiments.sweep.config_check as check; check.main()", str(folder)]
    return subprocess.run([sys.executable, *words], stdin=subprocess.DEVNULL).returncode


def main() -> None:
    """Reads ``request.json`` in the folder of the last word, and writes ``result.json``."""
    from experiments.cli.arguments import Words, take
    from experiments.cli.entry_point import answer
    from experiments.cli.fit_parser import load_data, parse_lines
    from lit_models import ConfigError
    from lit_models.tasks import TASKS

    folder = Path(sys.argv[-1])
    request = json.loads((folder / "request.json").read_text())
    lines = [[word for word in take(line, "--trust")[0] if word != "--debug"] for line in request["combinations"]]

    def parse(words: Words, command: list[str], allowed: list[str]) -> None:
        texts = parse_lines(lines)
        result: dict[str, object] = {"texts": texts}
        if request["facts"]:
            _, data = load_data(words)
            if not data.has_val:
                raise ConfigError("a search chooses on validation rows; give val a share in --data.ratios")
            task = TASKS[data.task](data.num_outputs)
            metric, higher = task.rank_by, task.metrics()[task.rank_by].higher_is_better
            if _loss_ranks_epochs(safe_yaml.load(texts[0])):
                metric, higher = "loss", False
            result |= {"metric": f"val/{metric}", "direction": "maximize" if higher else "minimize"}
        (folder / "result.json").write_text(json.dumps(result))

    answer(request["combinations"][0], parse)


def _loss_ranks_epochs(config: dict[str, Any]) -> bool:
    """Returns True for a loss that ranks epochs itself, as ``best_checkpoint`` has it."""
    from experiments.internals.jsonargparse_private import import_object

    loss = config["model"].get("init_args", {}).get("loss")
    return isinstance(loss, dict) and bool(getattr(import_object(loss["class_path"]), "ranks_epochs", False))


if __name__ == "__main__":
    main()
