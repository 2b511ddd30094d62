"""``evenhand test``: metrics of a checkpoint on the test rows."""

from experiments.verbs.validate import evaluation_parser

PARSER = evaluation_parser("test", "test")
