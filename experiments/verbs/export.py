"""Verb ``export``: writes a run as files that predict without its data, its configuration and its training code."""

import argparse
from pathlib import Path

from experiments.export.formats import FORMATS

HELP = """usage: evenhand export --ckpt_path RUN --format FORMAT --output DIR
       evenhand export --verify DIR

Write a trained run as a folder of files, or check such a folder again. For example

  evenhand export --ckpt_path runs/tabledata/a --format onnx --output iris-onnx
  evenhand export --verify iris-onnx
  python -c "from experiments.export import load_export; print(load_export('iris-onnx').predict('new.csv'))"

  --ckpt_path RUN   the run's folder, of which the best checkpoint is taken, or a checkpoint
  --format FORMAT   {formats}
  --output DIR      a folder that does not exist
  --verify DIR      check hashes, signature, answers and metrics, with the folder's own files alone
  --trust PACKAGE   a package of yours that the run names classes of

Beside the file: signature.json (inputs, output, classes, versions, metrics, hashes), MODEL_CARD.md, and test rows with
the network's answers, on which the artefact was checked at batch 1, 2 and 64 before the folder is there.

Exit codes: 0 written, or as it was written; 2 cannot be exported, or was changed, and a sentence says why.""".format(
    formats=f"\n{' ' * 20}".join(f"{name:<16}{meaning}" for name, (_, meaning) in FORMATS.items())
)


def export(words: list[str]) -> int:
    """Writes or verifies an artefact.

    Args:
        words: Arguments of the command line behind ``export``.

    Raises:
        SystemExit: As ``experiments.cli.entry_point.answer`` does.
    """
    if {"-h", "--help"} & {*words}:
        print(HELP)
        return 0
    parser = argparse.ArgumentParser("evenhand export", allow_abbrev=False, usage=HELP.partition("\n\n")[0][7:])
    parser.add_argument("--verify", type=Path)
    checks = any(word.partition("=")[0] == "--verify" for word in words)
    parser.add_argument("--ckpt_path", required=not checks)
    parser.add_argument("--format", choices=[*FORMATS], required=not checks)
    parser.add_argument("--output", type=Path, required=not checks)
    parser.add_argument("--trust", action="append", default=[])
    parser.add_argument("--debug", action="store_true")
    options = parser.parse_args(words)
    if options.verify and (options.ckpt_path or options.format or options.output):
        parser.error("--verify takes a folder that was exported, and nothing is exported then; leave the others out")
    from experiments.cli.entry_point import answer
    from experiments.terminal import say

    def do(words: list[str], command: list[str], allowed: list[str]) -> None:
        if options.verify:
            from experiments.export.verification import verify

            say(verify(options.verify, options.trust))
        else:
            from experiments.export.exporter import export

            say(export(options.ckpt_path, options.format, options.output, options.trust))

    return answer(["export", *words], do)
