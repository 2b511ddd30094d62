"""A process that parses the words of all combinations, so that a typo in the last one fails before the first run.

``main``, with the words ``fit RESULT``, reads JSON from stdin, ``{"combinations": [[word, ...], ...], "facts": bool}``,
and writes JSON to the file RESULT: the configurations as YAML texts, and with ``facts`` the metric that ranks.
"""

import json
import sys
from pathlib import Path
from typing import Any

from experiments.cli.arguments import Words, take
from experiments.cli.entry_point import answer
from experiments.cli.fit_parser import load_data, parse_lines
from lit_models import ConfigError
from lit_models.tasks import TASKS


def main() -> None:
    """Checks the combinations from stdin."""
    request = json.load(sys.stdin)
    lines = [[word for word in take(line, "--trust")[0] if word != "--debug"] for line in request["combinations"]]

    def check(words: Words, command: list[str], allowed: list[str]) -> None:
        result: dict[str, object] = {"texts": parse_lines(lines)}
        if request["facts"]:
            result |= _ranking(words)
        Path(sys.argv[2]).write_text(json.dumps(result))

    answer(request["combinations"][0], check)


def _ranking(words: Words) -> dict[str, Any]:
    """Returns the validation metric that ranks runs, and its direction for Optuna."""
    _, data = load_data(words)
    if not data.has_val:
        raise ConfigError("a search chooses on validation rows; give val a share in --data.ratios")
    task = TASKS[data.task](data.num_outputs)
    higher = bool(task.metrics()[task.rank_by].higher_is_better)
    return {"metric": f"val/{task.rank_by}", "direction": "maximize" if higher else "minimize"}
