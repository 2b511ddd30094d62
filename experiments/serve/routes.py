"""What stands around a prediction: who may ask, how much, what is counted, and errors as sentences."""

import base64
import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files
from multiprocessing.connection import Connection
from typing import Any

from fastapi import FastAPI, HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiments.serve.prometheus import Counts
from experiments.serve.server_settings import BATCH, ROWS, Body


@dataclass(frozen=True)
class Page:
    """A page of HTML, and its Content-Security-Policy."""

    html: str
    policy: str


def read_page() -> Page:
    """The page, whose script and style are allowed by their hashes."""
    html = (files("experiments") / "serve" / "page.html").read_text(encoding="utf-8")
    hashes = {kind: _hash(html, kind) for kind in ("script", "style")}
    policy = (
        f"default-src 'none'; script-src '{hashes['script']}'; style-src '{hashes['style']}'; connect-src 'self'; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(html, policy)


def _hash(html: str, kind: str) -> str:
    (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


MIB = 2**20

LOOPBACK = ("localhost", "127.0.0.1", "::1")

SAFE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}


async def read_request(request: Request) -> Body:
    """The body of a request, no more of it than may be.

    Raises:
        HTTPException: With 413 for one that is larger.
    """
    most = int(request.app.state.max_body)
    content, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most:
            content += chunk
        else:
            content.clear()  # and read on, for who is still sending reads no answer
        if size > 16 * most:
            break
    if size > most:
        raise HTTPException(413, f"the body is larger than {most / MIB:g} MiB; send less, or start with a larger "
                            "--max_body_mib")  # fmt: skip
    return Body(request.headers.get("content-type", "").partition(";")[0].strip().lower(), bytes(content))


class Guard:
    """Turns away what a web page of somebody else sends here, and counts the rest.

    On a loopback address the header ``Host`` has to name it, so that no other name can be made to point here (DNS
    rebinding); a browser's ``Origin`` has to be this address everywhere.

    Args:
        app: What answers.
        counts: Of requests.
        loopback: Whether only this machine is to be answered.
    """

    def __init__(self, app: ASGIApp, counts: Counts, loopback: bool) -> None:
        self.app, self.counts, self.loopback = app, counts, loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, predicts = time.monotonic(), scope["path"] == "/predict"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({name: value for name, value in SAFE.items() if name not in headers})
                if predicts:
                    rows, batch = (int(headers.get(name, 0)) for name in (ROWS, BATCH))
                    self.counts.add(message["status"], rows, batch, time.monotonic() - began)
            await send(message)

        why = self._refusal(Headers(scope=scope))
        app = self.app if why is None else told(403, why)
        await app(scope, receive, counted)

    def _refusal(self, headers: Headers) -> str | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.loopback and _name(host) not in LOOPBACK:
            return f"the header Host is {host!r:.60}, and this server answers to {', '.join(LOOPBACK)}"
        if origin is not None and origin.partition("://")[2] != host:
            return f"the page of {origin!r:.60} may not ask this server"
        return None


def _name(host: str) -> str:
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def told(status: int, sentence: str) -> JSONResponse:
    """An error."""
    return JSONResponse({"error": sentence}, status)


Answer = Callable[[Request], Awaitable[Response]]


def add_routes(app: FastAPI, info: Answer, page: Page, counts: Counts, max_body: int) -> None:
    """Put ``/``, ``/info`` and ``/metrics`` in the place of LitServe's own, and errors into sentences."""
    app.state.max_body = max_body
    own = {"/": page_of(page), "/info": info, "/metrics": metrics_of(counts)}
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", None) not in own]
    for path, answer in own.items():
        app.add_route(path, answer, ["GET"])
    app.add_exception_handler(AnyHTTPException, as_sentence)


def page_of(page: Page) -> Answer:
    """The page for a person."""

    async def answer(request: Request) -> Response:
        return HTMLResponse(page.html, headers={"content-security-policy": page.policy})

    return answer


def info_of(told: Connection, limits: dict[str, int]) -> Answer:
    """What goes in and what comes out, which the process that predicts has told."""
    about: dict[str, Any] = {}

    async def answer(request: Request) -> Response:
        if not about:
            about.update(told.recv(), limits=limits)
        return JSONResponse(about)

    return answer


def metrics_of(counts: Counts) -> Answer:
    """Counts for Prometheus."""

    async def answer(request: Request) -> Response:
        return PlainTextResponse(counts.text(), media_type="text/plain; version=0.0.4")

    return answer


async def as_sentence(request: Request, error: Exception) -> Response:
    """An error of the framework in the form of all others."""
    assert isinstance(error, AnyHTTPException)
    path = request.url.path[:60]
    sentence = {
        404: f"there is no {path} here; POST /predict, GET /, /info, /health and /metrics are",
        405: f"{request.method[:20]} is not for {path}; {'POST rows to it' if path == '/predict' else 'GET it'}",
    }.get(error.status_code, str(error.detail))
    return JSONResponse({"error": sentence}, error.status_code, error.headers)
