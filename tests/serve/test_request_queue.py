"""The server's port and its worker: one process holds the port, and an error of any kind ends one request alone."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from server_process import free_port
from starlette.testclient import TestClient

from experiments.serve.request_queue import RequestQueue
from experiments.serve.routes import application
from experiments.serve.server import ServeError, _listen
from experiments.serve.server_settings import Body


class Panic(BaseException):
    """Raised by libraries in Rust, outside of Exception."""


def test_a_second_server_cannot_have_the_port_while_the_first_loads() -> None:
    port = free_port()
    with closing(_listen("127.0.0.1", port)), pytest.raises(ServeError, match="cannot be had"):
        _listen("127.0.0.1", port)


def test_a_panic_ends_its_request_and_no_other() -> None:
    calls: list[int] = []

    def answers(bodies: list[Body]) -> list[Any]:
        calls.append(len(bodies))
        if len(calls) == 1:
            raise Panic
        return [len(body.content) for body in bodies]

    async def ask() -> list[Any]:
        with ThreadPoolExecutor(1) as thread:
            queue = RequestQueue(answers, thread)
            async with queue.running():
                first = (await asyncio.gather(queue.reply(Body("a", b"1")), return_exceptions=True))[0]
                return [first, await asyncio.wait_for(queue.reply(Body("a", b"12")), 5)]

    first, second = asyncio.run(ask())
    assert isinstance(first, RuntimeError)
    assert second == 2


def test_a_bug_is_counted_and_answered_as_json() -> None:
    def answers(bodies: list[Body]) -> list[Any]:
        raise ValueError("of a bug")

    with ThreadPoolExecutor(1) as thread:
        app = application(RequestQueue(answers, thread), {}, "127.0.0.1", 1000, 10)
        with TestClient(app, base_url="http://127.0.0.1") as client:
            response = client.post("/predict", content=b"{}", headers={"content-type": "application/json"})
            assert response.status_code == 500
            assert "bug" in response.json()["error"]
            assert response.headers["x-content-type-options"] == "nosniff"
            assert 'evenhand_requests_total{status="500"} 1.0' in client.get("/metrics").text
