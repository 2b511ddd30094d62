"""Verb ``serve``: answers requests with the predictions of a run, and offers a page to try it."""

import argparse
import sys
from collections.abc import Callable

from experiments.terminal import say

HELP = """usage: evenhand serve --ckpt_path RUN [--port 8000]

Answer requests for predictions by HTTP with a trained run and nothing else. The address that is printed
is also a page to try it on.

  --ckpt_path RUN     the run's folder, of which the best checkpoint is taken, a checkpoint, or the folder
                      of evenhand export, which ONNX Runtime answers for where it is ONNX
  --port PORT         8000; 1024 to 65535
  --host HOST         127.0.0.1, which only this machine reaches; 0.0.0.0 and :: are reached by every other
  --device DEVICE     auto, cpu or cuda; auto takes a CUDA device where there is one
  --max_body_mib MIB  the largest body of a request; 16
  --max_rows ROWS     the most rows of a request; 10000
  --threads N         threads of the network; as many as there are cores
  --precision bf16    compute in bfloat16, which is faster on some machines and has two to three digits
  --compile           compile the network with torch.compile, which takes a while at the first requests
  --trust PACKAGE     a package of yours that the run names classes of

  POST /predict   {"rows": [...]} in JSON: objects by column names, texts, arrays, image files in base64; text/csv for
                  tables; one image as the body. A row that cannot be predicted makes 4xx and a sentence.
  GET /info /health /metrics   inputs and output; ok; counts for Prometheus

for example

  evenhand serve --ckpt_path runs/tabledata/RUN &
  curl localhost:8000/predict -H 'Content-Type: application/json' -d '{"rows": [{"age": 39, "city": "Rome"}]}'

Requests that come together share a network call. SIGTERM and Ctrl-C end it once those that have come are answered.

Exit codes: 2 the run or the port cannot be had, 130 Ctrl-C, 143 SIGTERM."""


def serve(words: list[str]) -> int:
    """Answers requests.

    Args:
        words: Arguments of the command line behind ``serve``.

    Raises:
        SystemExit: With 2 for a run or a port that cannot be had, after one sentence on stderr; 130 and 143 at the end.
    """
    if {"-h", "--help"} & {*words}:
        print(HELP)
        return 0
    parser = argparse.ArgumentParser("evenhand serve", allow_abbrev=False, usage=HELP.partition("\n")[0][7:])
    parser.add_argument("--ckpt_path", required=True)
    parser.add_argument("--port", type=_between(1024, 65535), default=8000)
    parser.add_argument("--host", choices=["127.0.0.1", "0.0.0.0", "::"], default="127.0.0.1")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--max_body_mib", type=_between(1, 1024), default=16)
    parser.add_argument("--max_rows", type=_between(1, 10_000_000), default=10_000)
    parser.add_argument("--threads", type=_between(1, 1024))
    parser.add_argument("--precision", choices=["32", "bf16"], default="32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--trust", action="append", default=[])
    options = parser.parse_args(words)
    try:
        from experiments.serve.server import ServeError, serve_until_stopped
        from experiments.serve.server_settings import Settings
    except ModuleNotFoundError as error:
        say(f"error: evenhand serve needs {error.name}; pip install 'evenhand[serve]'", sys.stderr)
        raise SystemExit(2) from error
    settings = Settings(
        options.ckpt_path, options.device, tuple(options.trust), options.max_rows, options.threads, options.precision,
        options.compile,
    )  # fmt: skip
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

    number.__name__ = "number"  # the name in argparse's error
    return number
