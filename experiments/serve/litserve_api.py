"""The process that predicts: LitServe's hooks, and when it stops waiting for more requests."""

import logging
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import parent_process
from queue import Empty, Queue
from typing import Annotated, Any

from fastapi import Depends
from litserve import LitAPI, configure_logging
from litserve.loops import BatchedLoop
from starlette.responses import JSONResponse, Response

from experiments.serve.routes import read_request
from experiments.serve.server_settings import BATCH, ROWS, Body, Settings

REQUESTS = 64
"""Requests of a network call at most."""

WAIT = 0.003
"""Seconds that a first request waits for others."""


class Loop(BatchedLoop):  # type: ignore[misc]  # litserve has no annotations
    """LitServe's loop over batches, but that it sleeps until there is a request; its own looks 1,000 times a second."""

    def get_batch_requests(
        self, lit_api: LitAPI, request_queue: Queue[Any], transport: Any
    ) -> tuple[list[Any], list[Any]]:
        """Requests, each with where its answer goes; and none that waited too long, for none is given up."""
        requests: list[Any] = []
        end, left = 0.0, 1.0
        while len(requests) < lit_api.max_batch_size:
            try:
                queue, uid, _, body = request_queue.get(timeout=left)
            except Empty:
                break
            except (EOFError, OSError):  # the processes around this one were killed
                raise SystemExit(1) from None
            requests.append((queue, uid, body))
            end = end or time.monotonic() + lit_api.batch_timeout
            left = max(0.0, end - time.monotonic())
        parent = parent_process()
        if not requests and parent is not None and not parent.is_alive():
            raise SystemExit(1)
        return requests, []


class API(LitAPI):  # type: ignore[misc]
    """Requests to answers, in a process of its own.

    Args:
        settings: For the network.
    """

    answers: Callable[[list[Body]], list[Any]]

    def __init__(self, settings: Settings) -> None:
        super().__init__(max_batch_size=REQUESTS, batch_timeout=WAIT, loop=Loop())
        self.settings = settings

    def setup(self, device: str) -> None:
        """Load the run, which here alone needs torch, and tell what it is or what is wrong with it."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is everybody's, and requests are still to be answered
        configure_logging("error", stream=sys.stderr)
        from datamodules import DataError
        from experiments.import_allowlist import TrustError
        from experiments.serve.load_predictor import open_answers
        from lit_models import ConfigError

        try:
            self.answers, about = open_answers(self.settings)
        except (ConfigError, DataError, TrustError) as error:
            self.settings.told.send(" ".join(str(error).split()))
            logging.disable()  # LitServe would show the trace
            raise
        self.settings.told.send(about)

    def decode_request(self, request: Annotated[Body, Depends(read_request)]) -> Body:
        """As it came: a body is read where an error in it ends one request and not the batch."""
        return request

    def batch(self, inputs: list[Body]) -> list[Body]:
        """Not stacked yet."""
        return inputs

    def predict(self, x: list[Body]) -> list[Any]:
        """A ``Reply`` for each request."""
        return self.answers(x)

    def encode_response(self, output: Any) -> Response:
        """JSON, made here and not where all requests pass."""
        headers = {ROWS: str(output.rows)} | ({BATCH: str(output.batch)} if output.batch else {})
        return JSONResponse(output.content, output.status, headers)
