"""``evenhand validate``: metrics of a checkpoint on the validation rows."""

from experiments.cli.arguments import VerbParser, add_shared

EPILOG = """\
  evenhand {verb} --ckpt_path runs/mnist1d/RUN                          # its best.ckpt
  evenhand {verb} --ckpt_path runs/mnist1d/RUN/checkpoints/last.ckpt

Nothing else has to be typed. Typed settings win over those of the checkpoint; one that changes the
data or the model is refused, unless --allow_change names it.

evenhand {verb} --help-all shows every setting."""


def evaluation_parser(verb: str, rows: str) -> VerbParser:
    """Returns the parser of the short help of ``test`` or ``validate``, with the name of the evaluated rows."""
    made = VerbParser(
        verb,
        f"Evaluate a checkpoint on the {rows} rows.\n\nData, split and statistics are those of its run.",
        EPILOG.format(verb=verb),
        "--ckpt_path RUN [--SETTING VALUE ...]",
    )
    add_shared(made, "ckpt_path", "trust", "allow_change", "debug")
    return made


PARSER = evaluation_parser("validate", "validation")
