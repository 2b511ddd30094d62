"""``evenhand test``: metrics of a checkpoint on the test rows."""

from experiments.cli.arguments import VerbParser, Words
from experiments.verbs.validate import evaluation_parser


def parser() -> VerbParser:
    """Returns the parser of the short help."""
    return evaluation_parser("test", "test")


def test(words: Words) -> int:
    """Evaluates a checkpoint on the test rows; ``words`` are those behind ``test``."""
    from experiments.cli.lightning_cli import run

    return run(["test", *words])
