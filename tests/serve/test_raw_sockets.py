"""Bytes that no HTTP client sends: they are refused or cut off in time, and leave no trace on stderr."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from paths import REPOSITORY
from server_process import Server, free_port, serving

from experiments.serve.request_queue import RequestQueue
from experiments.serve.routes import application
from experiments.serve.server import Announcing, _listen
from experiments.serve.server_settings import Body

RUN = REPOSITORY / "tests/stored/run_folders/finished"
POST = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GONE = (BrokenPipeError, ConnectionResetError)
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as a process; at the end its stderr has to be empty."""
    with serving(RUN, tmp_path_factory.mktemp("raw"), "--max_body_mib", "1") as started:
        yield started


def answered(port: int, *pieces: bytes, pause: float = 0.0, timeout: float = 30.0) -> bytes:
    """Sends pieces and returns all bytes until the server closes the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        with suppress(*GONE):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
        with suppress(*GONE):
            while more := connection.recv(1 << 16):
                received += more
    return received


@pytest.mark.parametrize(
    "head",
    [
        b"Host: localhost\r\nHost: localhost\r\n",
        b"Host: localhost\r\nhost: evil.example\r\n",
        b"Connection: close\r\n",  # and no Host
        b"Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        b"Host: localhost\r\nContent-Length: -1\r\n",
        b"Host: localhost\r\nbad name: 1\r\n",
    ],
)
def test_a_head_that_has_two_readings_is_refused(server: Server, head: bytes) -> None:
    assert answered(server.port, b"GET /health HTTP/1.1\r\n" + head + b"\r\n").startswith(b"HTTP/1.1 400 ")


def request_head(path: bytes, headers: int) -> bytes:
    """Returns a request with so many headers of 1,000 bytes."""
    lines = b"".join(b"X-%d: %s\r\n" % (index, b"a" * 1000) for index in range(headers))
    return b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n" % (path, lines)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (b"/health", 20),
        (b"/health?" + b"a" * 9000, 9),
        (b"/" + b"a" * 9000, 9),
        (b"/health?" + b"a" * 17_000, 0),
    ],
)
def test_a_request_line_and_headers_beyond_16_kib_are_refused(server: Server, path: bytes, headers: int) -> None:
    found = answered(server.port, request_head(path, headers))
    assert found.startswith(b"HTTP/1.1 431 ")
    assert b"the request line and headers have more than 16 KiB; send less" in found


def test_a_request_line_and_headers_below_16_kib_are_answered(server: Server) -> None:
    assert answered(server.port, request_head(b"/health?" + b"a" * 7000, 8)).endswith(b"ok")


def test_headers_that_do_not_end_are_cut_at_16_kib(server: Server) -> None:
    whole = request_head(b"/health", 20)
    pieces = [whole[first : first + 1000] for first in range(0, len(whole), 1000)]
    assert answered(server.port, *pieces, pause=0.05).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("head", [CHUNKED, POST + b"Content-Length: 99999999999\r\n\r\n"])
def test_an_endless_body_is_cut_at_the_limit(server: Server, head: bytes) -> None:
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n" if head is CHUNKED else b" " * 0x10000
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.sendall(head)
        with suppress(*GONE):
            while sent < 1 << 30:
                connection.sendall(piece)
                sent += len(piece)
    assert sent < 32 << 20, "most of it in the buffers of the two sockets"
    assert server.memory() < 2000
    assert server.get("/health") == "ok"


def test_a_body_beyond_the_limit_gets_its_sentence(server: Server) -> None:
    body = b" " * (1 << 20) + b"  "
    found = answered(server.port, POST + b"Content-Length: %d\r\n\r\n" % len(body), body)
    assert found.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in found
    assert b"the body is larger than 1 MiB; send less" in found


@pytest.mark.parametrize(
    "pieces",
    [
        [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],  # TLS
        [b"\r\n\r\n\r\n", b"\0" * 100],
        [CHUNKED, b"zzz\r\n"],
        [CHUNKED.replace(b"localhost", b"evil.example"), b"2\r\n{}\r\n", b"zzz\r\n"],  # behind the response's beginning
        [POST + b"Content-Length: 2\r\n\r\n{}", b"GARBAGE\r\n\r\n"],
        [b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"],
        [b"GET /%zz%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"],
        [b"GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade, close\r\n\r\n"],
    ],
)
def test_what_is_no_http_is_refused(server: Server, pieces: list[bytes]) -> None:
    assert answered(server.port, *pieces, pause=0.1)[:7] == b"HTTP/1."
    assert server.get("/health") == "ok"


def test_a_client_that_hangs_up_disturbs_nobody(server: Server) -> None:
    """In the middle of a head, of a body and of the response; the fixture wants an empty stderr."""
    body = b'{"rows": [%s]}' % b", ".join([b"[1, 2]"] * 20_000)
    whole = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for end in (1, 20, len(POST), len(POST) + 40, len(whole) - 1, len(whole)):
        for reset in (False, True):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                if reset:  # with an RST in place of a FIN
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.sendall(whole[:end])
    assert server.get("/health") == "ok"


@contextmanager
def in_thread(answers: Any = list) -> Iterator[int]:
    """The port of a server in this process."""
    port = free_port()
    with closing(_listen("127.0.0.1", port)) as listening, ThreadPoolExecutor(1) as thread:
        app = application(RequestQueue(answers, thread), {}, "127.0.0.1", 1000, 10)
        server = Announcing(app, "127.0.0.1", port)
        runner = threading.Thread(target=server.run, args=([listening],))
        runner.start()
        try:
            yield port
        finally:
            server.should_exit = True
            runner.join()


def test_an_idle_connection_is_closed_after_the_stated_time(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for module in ("server", "routes"):
        monkeypatch.setattr(f"experiments.serve.{module}.IDLE_SECONDS", 1)
    get = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    dripping = [b"GET / HTTP/1.1\r\n", *[b"X: y\r\n"] * 40]
    with in_thread() as port:
        for pieces, pause, response in (
            ([], 0.0, b""),
            ([b"GET / HTTP/1.1\r\n"], 0.0, b""),
            (dripping, 0.1, b""),
            ([get], 0.0, b"ok"),
            ([get, *dripping], 0.1, b"ok"),
            ([POST + b"Content-Length: 9\r\n\r\n{"], 0.0, b"nothing came for 1 seconds; send it again\"}"),
        ):  # fmt: skip
            began = time.monotonic()
            assert answered(port, *pieces, pause=pause).endswith(response)
            assert 0.9 < time.monotonic() - began < 3, pieces
    assert capfd.readouterr().err == ""


def test_a_request_that_takes_longer_than_the_idle_time_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.serve.batching import Reply

    for module in ("server", "routes"):
        monkeypatch.setattr(f"experiments.serve.{module}.IDLE_SECONDS", 1)

    def slow(bodies: list[Body]) -> list[Reply]:
        time.sleep(2)
        return [Reply(200, {"bytes": len(body.content)}) for body in bodies]

    with in_thread(slow) as port:
        found = answered(port, POST + b"Content-Length: 4\r\n\r\n", *[b"a"] * 4, pause=0.5)
    assert found.endswith(b'{"bytes":4}')


def test_a_dead_process_ends_the_server_at_once(tmp_path: Path) -> None:
    """One process computes and listens: nothing is left that answers, waits or holds the port."""
    with serving(RUN, tmp_path) as server:
        assert server.pids() == [server.process.pid]
        with socket.create_connection(("127.0.0.1", server.port), 10) as waiting:
            waiting.sendall(POST + b"Content-Length: 9\r\n\r\n{")
            began = time.monotonic()
            os.kill(server.process.pid, signal.SIGKILL)
            with suppress(*GONE):
                assert waiting.recv(10) == b""
        assert server.process.wait(10) == -signal.SIGKILL
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), 1)
        assert time.monotonic() - began < 1


def test_answers_that_are_too_few_end_their_requests_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """A bug in the batching once left the requests behind it waiting for ever."""
    with in_thread(lambda bodies: []) as port:
        for _ in range(2):
            found = answered(port, POST + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
            assert json.loads(found.partition(b"\r\n\r\n")[2]) == {
                "error": "a bug in Evenhand or in the model; the server's output names it"
            }
    assert "a bug in Evenhand or in the model: ValueError" in capfd.readouterr().err
