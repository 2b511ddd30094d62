"""A process that parses the words of every combination, so that a typo in the last one is told before the first runs.

``main``, with the words ``fit RESULT``, reads JSON from stdin, ``{"combinations": [[word, ...], ...], "facts":
bool}``, and writes JSON to the file RESULT: the configurations as YAML texts, and with ``facts`` the metric that ranks.
"""

import json
import sys
from pathlib import Path

from lightning.pytorch.cli import ArgsType, LightningArgumentParser

from experiments.cli import arguments
from experiments.cli.entry_point import answer
from experiments.cli.lightning_cli import DataCLI, EvenhandCLI
from lit_models import ConfigError
from lit_models.tasks import TASKS


class ParseCLI(EvenhandCLI):
    """Parses several command lines with one parser, and makes nothing.

    Args:
        lines: The command lines' words, each beginning with ``fit``.
    """

    def __init__(self, lines: list[list[str]]) -> None:
        self.lines = lines
        self.texts: list[str] = []
        super().__init__(["fit"], ["fit"])

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse them all."""
        for words in self.lines:
            self.config = parser.parse_args(arguments.in_precedence(words))
            self.texts.append(self._parser("fit").dump(self._portable(self.config.fit), skip_none=False))

    def instantiate_classes(self) -> None:
        """Nothing is made."""

    def _set_seed(self) -> None:
        """Nothing is drawn."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Nothing is run."""


def main() -> None:
    """Answer the question on stdin."""
    asked = json.load(sys.stdin)
    lines = [
        [word for word in arguments.take(line, "--trust")[0] if word != "--debug"] for line in asked["combinations"]
    ]

    def check(words: list[str], command: list[str], allowed: list[str]) -> None:
        answered: dict[str, object] = {"texts": ParseCLI(lines).texts}
        if asked["facts"]:
            data = DataCLI(words, command, allowed).datamodule
            task = TASKS[data.task](data.num_outputs)
            if not data.has_val:
                raise ConfigError("a search chooses on validation rows; give val a share in --data.ratios")
            higher = bool(task.metrics()[task.rank_by].higher_is_better)
            answered |= {"metric": f"val/{task.rank_by}", "direction": "maximize" if higher else "minimize"}
        Path(sys.argv[2]).write_text(json.dumps(answered))

    answer(asked["combinations"][0], check)
