"""HTTP routes: predictions, page, facts, health and metrics; refusal of other hosts, origins and large bodies."""

import asyncio
import base64
import hashlib
import re
import sys
import time
from functools import partial
from importlib.resources import files
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiments.serve.request_queue import RequestQueue
from experiments.serve.server_settings import BUG, HEADER_BYTES, IDLE_SECONDS, STALLED, TOO_LARGE, Body
from experiments.terminal import say

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SAFE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}
CLOSE = {"connection": "close"}
"""Header of a response to a request that is not read to its end."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)

disable_created_metrics()  # type: ignore[no-untyped-call]  # times of creation, which are no metrics of requests


class RequestMetrics:
    """Prometheus metrics of the requests for predictions since the server started."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, namespace="evenhand", registry=self.registry)
        histogram = partial(Histogram, namespace="evenhand", registry=self.registry)
        self.requests = counter("requests", "Requests for predictions, by the status of HTTP.", ("status",))
        self.errors = counter("errors", "Requests that were refused.")
        self.rows = counter("rows", "Rows that were predicted.")
        self.seconds = histogram("request_seconds", "From a request to its answer.", buckets=SECONDS)
        self.batches = histogram("batch_rows", "Rows of a network call, of one request or several.", buckets=ROWS)

    def count(self, status: int, seconds: float) -> None:
        """Counts a response."""
        self.requests.labels(status).inc()
        self.errors.inc(status >= 400)
        self.seconds.observe(seconds)


def application(queue: RequestQueue, about: dict[str, Any], host: str, max_body: int, max_rows: int) -> Starlette:
    """Builds the web application of a run, with its facts for ``/info``; ``max_body`` is in bytes."""
    metrics = RequestMetrics()
    facts = JSONResponse({**about, "limits": {"body_bytes": max_body, "rows": max_rows}})

    async def predict(request: Request) -> Response:
        body = await read_request(request, max_body)
        try:
            reply = await queue.reply(body)
        except RuntimeError as error:
            say(f"a bug in Evenhand or in the model: {error}", sys.stderr)
            raise HTTPException(BUG, "a bug in Evenhand or in the model; the server's output names it") from error
        metrics.rows.inc(reply.rows)
        if reply.batch:  # the first response of a network call
            metrics.batches.observe(reply.batch)
        return JSONResponse(reply.content, reply.status)

    async def show_metrics(request: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    # A response is an application itself.
    return Starlette(
        routes=[
            Route("/", read_page(), methods=["GET"]),
            Route("/predict", predict, methods=["POST"]),
            Route("/info", facts, methods=["GET"]),
            Route("/health", PlainTextResponse("ok"), methods=["GET"]),
            Route("/metrics", show_metrics, methods=["GET"]),
        ],
        middleware=[Middleware(Guard, metrics=metrics, loopback=host in LOOPBACK)],
        exception_handlers={HTTPException: as_sentence, ClientDisconnect: nobody_there},
        lifespan=lambda app: queue.running(),
    )


def read_page() -> HTMLResponse:
    """Reads the page and its parts, whose scripts and style the Content-Security-Policy allows by their hashes."""
    folder = files("experiments") / "serve"
    html = (folder / "page.html").read_text(encoding="utf-8")
    html = re.sub(r"<!-- (page_\w+\.html) -->", lambda part: (folder / part[1]).read_text(encoding="utf-8"), html)
    hashes = {}
    for kind in ("script", "style"):
        contents = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
        digests = (base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() for content in contents)
        hashes[kind] = " ".join(f"'sha256-{digest}'" for digest in digests)
    policy = (
        f"default-src 'none'; script-src {hashes['script']}; style-src {hashes['style']}; connect-src 'self'; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(html, headers={"content-security-policy": policy})


async def read_request(request: Request, most: int) -> Body:
    """Reads the body of a request; raises ``HTTPException`` if it has more than ``most`` bytes, or none for too long.

    As many bytes again are read and discarded, since a client that is still sending reads no response.
    """
    content, size, now = bytearray(), 0, asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(IDLE_SECONDS) as limit:
            async for chunk in request.stream():
                size += len(chunk)
                if size <= most:
                    content += chunk
                    limit.reschedule(now() + IDLE_SECONDS)
                elif size > 2 * most:
                    break
    except TimeoutError as error:
        if size <= most:
            sentence = f"the body is incomplete, and nothing came for {IDLE_SECONDS} seconds; send it again"
            raise HTTPException(STALLED, sentence, CLOSE) from error
    if size > most:
        sentence = f"the body is larger than {most / 2**20:g} MiB; send less, or start with a larger --max_body_mib"
        raise HTTPException(TOO_LARGE, sentence, CLOSE)
    return Body(request.headers.get("content-type", "").partition(";")[0].strip().lower(), bytes(content))


class Guard:
    """Middleware that refuses requests of other web pages, and counts requests for predictions.

    On a loopback address the header ``Host`` has to name it, so that no other name can be made to point here (DNS
    rebinding); a browser's ``Origin`` has to be this address everywhere.
    """

    def __init__(self, app: ASGIApp, metrics: RequestMetrics, loopback: bool) -> None:
        self.app, self.metrics, self.loopback = app, metrics, loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or passes it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({name: value for name, value in SAFE.items() if name not in headers})
                if scope["path"] == "/predict":
                    self.metrics.count(message["status"], time.monotonic() - began)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, counted)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        line = len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"])
        host, origin = headers.get("host", ""), headers.get("origin")
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        status, sentence = 403, None
        if line + sum(len(name) + len(value) for name, value in headers.raw) > HEADER_BYTES:
            status, sentence = 431, f"the request line and headers have more than {HEADER_BYTES >> 10} KiB; send less"
        elif self.loopback and name not in LOOPBACK:
            sentence = f"the header Host is {host!r:.60}, and this server answers to {', '.join(LOOPBACK)}"
        elif origin is not None and origin.partition("://")[2] != host:
            sentence = f"the page of {origin!r:.60} may not ask this server"
        return None if sentence is None else JSONResponse({"error": sentence}, status, CLOSE)


async def nobody_there(request: Request, error: Exception) -> Response:
    """Returns a response to a client that closed its connection, in place of a trace on stderr."""
    return Response(status_code=400)


async def as_sentence(request: Request, error: Exception) -> Response:
    """Returns an error of the framework in the form of all others."""
    assert isinstance(error, HTTPException)
    path = request.url.path[:60]
    sentence = {
        404: f"there is no {path} here; POST /predict, GET /, /info, /health and /metrics are",
        405: f"{request.method[:20]} is not for {path}; {'POST rows to it' if path == '/predict' else 'GET it'}",
    }.get(error.status_code, str(error.detail))
    return JSONResponse({"error": sentence}, error.status_code, error.headers)
