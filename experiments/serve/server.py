"""The server: LitServe's processes, started, announced and stopped."""

import http.client
import logging
import signal
import socket
import threading
import time
from contextlib import closing
from multiprocessing.connection import Connection
from types import FrameType

from litserve import LitServer

from experiments.exit_codes import SIGNALS, Interrupted, handled
from experiments.serve.litserve_api import API
from experiments.serve.prometheus import Counts
from experiments.serve.routes import LOOPBACK, MIB, Guard, add_routes, info_of, read_page
from experiments.serve.server_settings import Settings


class ServeError(Exception):
    """What a person asked for cannot be had; the message is one sentence."""


def serve_until_stopped(settings: Settings, asked: Connection, host: str, port: int, max_body_mib: float) -> None:
    """Answer requests until SIGINT or SIGTERM; those that are there by then are answered first.

    Args:
        settings: For the network.
        asked: The other end of ``settings.told``.
        host: An address of this machine.
        port: To listen on.
        max_body_mib: The largest body, in MiB.

    Raises:
        ServeError: For a run or a port that cannot be had.
        Interrupted: At the end, with the signal's exit code.
    """
    _check_free(host, port)
    max_body, counts = int(max_body_mib * MIB), Counts()
    server = LitServer(
        API(settings),
        accelerator="cpu",  # where the network computes is told to the process that has it
        timeout=False,  # who waits is answered, however long it takes
        max_payload_size=None,  # measured where the answer to it is a sentence
        disable_openapi_url=True,
        middlewares=[(Guard, {"counts": counts, "loopback": host in LOOPBACK})],
    )
    limits = {"body_bytes": max_body, "rows": settings.max_rows}
    add_routes(server.app, info_of(asked, limits), read_page(), counts, max_body)
    threading.Thread(target=_announce, args=(host, port), daemon=True).start()
    ended: list[int] = []

    def stop(signum: int, frame: FrameType | None) -> None:
        for number in SIGNALS:  # a second one would leave processes behind
            signal.signal(number, signal.SIG_IGN)
        logging.disable()  # LitServe's thread that looks after the processes would wonder where they are
        ended.append(signum)
        raise KeyboardInterrupt  # at which LitServe ends the processes in turn; anything else makes it wait for ever

    try:
        with handled(stop):
            server.run(host=host, port=port, num_api_servers=1, log_level="error", generate_client_file=False)
    except RuntimeError as error:  # LitServe's, where the other process could not be set up
        if not asked.poll():
            raise
        raise ServeError(asked.recv()) from error
    except (EOFError, OSError) as error:  # of a queue whose processes LitServe ended when one of them died
        raise ServeError("a process of the server died, perhaps for lack of memory; start it again") from error
    except KeyboardInterrupt:  # before there was anything to end
        pass
    if ended:
        raise Interrupted(ended[0])


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as here:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            here.bind((host, port))
        except OSError as error:
            raise ServeError(f"--port {port} of {host} cannot be had: {error.strerror}; name another") from error


def _announce(host: str, port: int) -> None:
    """One line once requests are answered."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    while True:
        try:
            connection = http.client.HTTPConnection(local, port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                break
        except OSError:
            pass
        time.sleep(0.1)
    print(f"http://{f'[{host}]' if ':' in host else host}:{port} answers; Ctrl-C stops it", flush=True)
