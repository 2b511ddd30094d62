"""Server: loads a run, listens, announces its address and stops at a signal."""

import asyncio
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import FrameType

import h11
from starlette.types import ASGIApp
from typing_extensions import override
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from datamodules import DataError
from experiments.exit_codes import Interrupted, handled, interrupt
from experiments.import_allowlist import TrustError
from experiments.serve.load_predictor import open_answers
from experiments.serve.request_queue import RequestQueue
from experiments.serve.routes import application
from experiments.serve.server_settings import HEADER_BYTES, IDLE_SECONDS, Settings
from experiments.terminal import say
from lit_models import ConfigError


class ServeError(Exception):
    """A run or a port that cannot be served; the message is one sentence."""


def serve_until_stopped(settings: Settings, host: str, port: int, max_body_mib: float) -> None:
    """Answers requests until SIGINT or SIGTERM, and then those that have arrived by then.

    Raises ``ServeError`` for a run or a port that cannot be served, and ``Interrupted`` at the end, with the signal's
    exit code.
    """
    ended: list[int] = []

    def stop(signum: int, frame: FrameType | None) -> None:
        ended.append(signum)

    with closing(_listen(host, port)) as listening, ThreadPoolExecutor(1) as thread:
        try:
            with handled(interrupt):
                answers, about = thread.submit(open_answers, settings).result()
        except (ConfigError, DataError, TrustError) as error:
            raise ServeError(" ".join(str(error).split())) from error
        app = application(RequestQueue(answers, thread), about, host, int(max_body_mib * 2**20), settings.max_rows)
        with handled(stop):
            Announcing(app, host, port).run([listening])
    raise Interrupted(ended[0] if ended else signal.SIGTERM)


BACKLOG = 2048
"""Connections that wait while the run is loaded, as many as uvicorn's."""

LAST_SECONDS = 60
"""Seconds from a signal until open requests, such as one whose body never ends, are cut off."""


class Connection(H11Protocol):
    """HTTP connection that is closed unless the head of its next request is there in time; refuses what is no HTTP.

    uvicorn itself waits for ever for the first request of a connection, and for a head that arrives byte by byte.
    """

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    @override
    def data_received(self, data: bytes) -> None:
        timer, cycle = self.timeout_keep_alive_task, self.cycle
        super().data_received(data)  # stops the timer
        if timer is not None and self.cycle is cycle and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_at(timer.when(), self.timeout_keep_alive_handler)

    @override
    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:  # the response has begun already
            self.transport.close()


class Announcing(Server):
    """uvicorn's server, which prints its address once it listens."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        config = Config(
            app,
            http=Connection,
            ws="none",
            log_level="error",
            access_log=False,
            h11_max_incomplete_event_size=HEADER_BYTES,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=LAST_SECONDS,
        )
        super().__init__(config)
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        say(f"{self.address} answers; Ctrl-C stops it")


def _listen(host: str, port: int) -> socket.socket:
    """Returns a socket that is bound to an address, so that no other process takes it while the run is loaded."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)  # with SO_REUSEADDR two sockets bind to a port until one of them listens
    except OSError as error:
        listening.close()
        raise ServeError(f"--port {port} of {host} cannot be had: {error.strerror}; name another") from error
    return listening
