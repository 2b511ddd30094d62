"""``evenhand validate``: metrics of a checkpoint on the validation rows."""

from experiments.cli.arguments import VerbParser, Words, add_process_options

EPILOG = """\
  evenhand {verb} --ckpt_path runs/mnist1d/RUN                          # its best.ckpt
  evenhand {verb} --ckpt_path runs/mnist1d/RUN/checkpoints/last.ckpt

Nothing else has to be typed. Typed settings win over those of the checkpoint; one that changes the
data or the model is refused, unless --allow_change names it.

evenhand {verb} --help-all shows every setting."""


def evaluation_parser(verb: str, rows: str) -> VerbParser:
    """Returns the parser of the short help of ``test`` or ``validate``.

    Args:
        verb: The verb.
        rows: Name of the evaluated rows.
    """
    made = VerbParser(
        verb,
        f"Evaluate a checkpoint on the {rows} rows.\n\nData, split and statistics are those of its run.",
        EPILOG.format(verb=verb),
        "--ckpt_path RUN [--SETTING VALUE ...]",
    )
    text = "a run's folder, of which the best checkpoint is taken, or a checkpoint"
    made.add_argument("--ckpt_path", metavar="PATH", help=text)
    add_process_options(made, "trust", "allow_change", "debug")
    return made


def parser() -> VerbParser:
    """Returns the parser of the short help."""
    return evaluation_parser("validate", "validation")


def validate(words: Words) -> int:
    """Evaluates a checkpoint on the validation rows; ``words`` are those behind ``validate``."""
    from experiments.cli.lightning_cli import run

    return run(["validate", *words])
