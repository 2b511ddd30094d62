"""``evenhand export``: writes a run as files that predict without its data, configuration and training code."""

from pathlib import Path

from experiments.cli.arguments import VerbParser, Words, add_shared, has_option
from experiments.export.formats import FORMATS
from experiments.terminal import say

EPILOG = """\
  evenhand export --ckpt_path runs/tabledata/a --format onnx --output iris-onnx
  evenhand export --verify iris-onnx
  python -c "from experiments.export import load_export; print(load_export('iris-onnx').predict('new.csv'))"

Several runs of the same data become one graph, which answers with the mean of their predictions.

formats: {formats}

The folder also has signature.json (inputs, output, classes, versions, metrics, hashes), MODEL_CARD.md, and test rows
with the network's predictions, on which the artefact was verified at batch 1, 2 and 64 before the folder is written.

exit codes: 0 written, or unchanged, 2 cannot be exported, or was changed""".replace(
    "{formats}", f"\n{' ' * 9}".join(f"{name:<16}{text}" for name, (_, text) in FORMATS.items())
)


def _parser(required: bool) -> VerbParser:
    made = VerbParser("export", "Export a run as files, or verify such files.", EPILOG)
    add_shared(made, "ckpt_paths", required=required)
    made.add_argument("--format", choices=FORMATS, required=required, help="see below")
    made.add_argument("--output", metavar="DIR", type=Path, required=required, help="a folder that does not exist")
    text = "check hashes, signature, predictions and metrics of an exported folder, with its own files alone"
    made.add_argument("--verify", metavar="DIR", type=Path, help=text)
    add_shared(made, "trust", "debug")
    return made


PARSER, _VERIFY_PARSER = _parser(required=True), _parser(required=False)


def export(words: Words) -> int:
    """Writes or verifies an artefact; ``words`` are those behind ``export``."""
    options = (_VERIFY_PARSER if has_option(words, "--verify") else PARSER).parse_args(words)
    if options.verify and (options.ckpt_path or options.format or options.output):
        PARSER.error("--verify takes a folder that was exported, and nothing is exported then; leave the others out")
    from experiments.cli.entry_point import answer

    def write_or_verify(words: Words, command: list[str], allowed: list[str]) -> None:
        if options.verify:
            from experiments.export.verification import verify

            say(verify(options.verify, options.trust))
        else:
            from experiments.export.exporter import export

            say(export(options.ckpt_path, options.format, options.output, options.trust))

    return answer(["export", *words], write_or_verify)
