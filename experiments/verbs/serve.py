"""``evenhand serve``: predicts over HTTP with a trained run, and serves a page to try it on."""

import argparse
import sys
from collections.abc import Callable

from experiments.cli.arguments import VerbParser, Words, add_shared
from experiments.terminal import exit_on, say

EPILOG = """\
POST /predict   {"rows": [...]} in JSON: objects by column names, texts, arrays, image files in base64; text/csv for a
                table; one image as the body. A row that cannot be predicted results in 4xx and a sentence.
GET /info /health /metrics   inputs and outputs; whether the server is ready; counts for Prometheus

  evenhand serve --ckpt_path runs/tabledata/RUN &
  curl localhost:8000/predict -H 'Content-Type: application/json' -d '{"rows": [{"age": 39, "city": "Rome"}]}'

The printed address is also a page to try it on. Concurrent requests share a network call. SIGTERM and Ctrl-C end the
server once its requests are answered.

exit codes: 2 the run or the port cannot be used, 130 Ctrl-C, 143 SIGTERM"""


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(word: str) -> int:
        value = int(word)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value

    number.__name__ = "number"  # argparse's errors name it
    return number


PARSER = VerbParser("serve", "Serve a trained run over HTTP.", EPILOG)
add = PARSER.add_argument
text = (
    "a run's folder, of which the best checkpoint is taken, a checkpoint, or a folder of evenhand export; several "
    "runs predict together"
)
add_shared(PARSER, "ckpt_paths", required=True, help=text)
add("--port", metavar="N", type=_between(1024, 65535), default=8000, help="8000")
text = "127.0.0.1, for this machine alone; 0.0.0.0 and :: for every other one"
add("--host", choices=["127.0.0.1", "0.0.0.0", "::"], default="127.0.0.1", help=text)
add_shared(PARSER, "device")
add("--max_body_mib", metavar="N", type=_between(1, 1024), default=16, help="largest body of a request in MiB; 16")
add("--max_rows", metavar="N", type=_between(1, 10_000_000), default=10_000, help="most rows of a request; 10000")
add("--threads", metavar="N", type=_between(1, 1024), help="threads of the network; all cores if left out")
text = "bf16 is faster on some machines, with two to three digits"
add("--precision", choices=["32", "bf16"], default="32", help=text)
add("--compile", action="store_true", help="torch.compile the network; the first requests are slow")
add_shared(PARSER, "trust")


def serve(words: Words) -> int:
    """Serves a run until a signal; ``words`` are those behind ``serve``."""
    options = PARSER.parse_args(words)
    try:
        from experiments.serve.server import ServeError, serve_until_stopped
        from experiments.serve.server_settings import Settings
    except ModuleNotFoundError as error:
        say(f"error: evenhand serve needs {error.name}; pip install '.[serve]' in the checkout", sys.stderr)
        raise SystemExit(2) from error
    network = (options.max_rows, options.threads, options.precision, options.compile)
    settings = Settings(tuple(options.ckpt_path), options.device, tuple(options.trust), *network)
    with exit_on(ServeError):
        serve_until_stopped(settings, options.host, options.port, options.max_body_mib)
    return 0
