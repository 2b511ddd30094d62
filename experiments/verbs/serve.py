"""``evenhand serve``: predicts over HTTP with a trained run, and serves a page to try it on."""

import argparse
import sys
from collections.abc import Callable

from experiments.cli.arguments import VerbParser, Words, add_process_options
from experiments.terminal import say

EPILOG = """\
POST /predict   {"rows": [...]} in JSON: objects by column names, texts, arrays, image files in base64; text/csv for a
                table; one image as the body. A row that cannot be predicted results in 4xx and a sentence.
GET /info /health /metrics   inputs and outputs; whether the server is ready; counts for Prometheus

  evenhand serve --ckpt_path runs/tabledata/RUN &
  curl localhost:8000/predict -H 'Content-Type: application/json' -d '{"rows": [{"age": 39, "city": "Rome"}]}'

The printed address is also a page to try it on. Concurrent requests share a network call. SIGTERM and Ctrl-C end the
server once its requests are answered.

exit codes: 2 the run or the port cannot be used, 130 Ctrl-C, 143 SIGTERM"""


def parser() -> VerbParser:
    """Returns the parser of the verb."""
    made = VerbParser("serve", "Serve a trained run over HTTP.", EPILOG)
    text = "a run's folder, of which the best checkpoint is taken, a checkpoint, or a folder of evenhand export"
    made.add_argument("--ckpt_path", metavar="PATH", required=True, help=text)
    made.add_argument("--port", metavar="N", type=_between(1024, 65535), default=8000, help="8000")
    text = "127.0.0.1, for this machine alone; 0.0.0.0 and :: for every other one"
    made.add_argument("--host", choices=["127.0.0.1", "0.0.0.0", "::"], default="127.0.0.1", help=text)
    text = "auto takes a CUDA device if there is one"
    made.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help=text)
    text = "largest body of a request in MiB; 16"
    made.add_argument("--max_body_mib", metavar="N", type=_between(1, 1024), default=16, help=text)
    text = "most rows of a request; 10000"
    made.add_argument("--max_rows", metavar="N", type=_between(1, 10_000_000), default=10_000, help=text)
    text = "threads of the network; all cores if left out"
    made.add_argument("--threads", metavar="N", type=_between(1, 1024), help=text)
    text = "bf16 is faster on some machines, with two to three digits"
    made.add_argument("--precision", choices=["32", "bf16"], default="32", help=text)
    made.add_argument("--compile", action="store_true", help="torch.compile the network; the first requests are slow")
    add_process_options(made, "trust")
    return made


def serve(words: Words) -> int:
    """Serves a run until a signal; ``words`` are those behind ``serve``."""
    options = parser().parse_args(words)
    try:
        from experiments.serve.server import ServeError, serve_until_stopped
        from experiments.serve.server_settings import Settings
    except ModuleNotFoundError as error:
        say(f"error: evenhand serve needs {error.name}; pip install '.[serve]' in the checkout", sys.stderr)
        raise SystemExit(2) from error
    settings = Settings(
        options.ckpt_path,
        options.device,
        tuple(options.trust),
        options.max_rows,
        options.threads,
        options.precision,
        options.compile,
    )
    try:
        serve_until_stopped(settings, options.host, options.port, options.max_body_mib)
    except ServeError as error:
        say(f"error: {error}", sys.stderr)
        raise SystemExit(2) from error
    return 0


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(word: str) -> int:
        value = int(word)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value

    number.__name__ = "number"  # argparse's errors name it
    return number
