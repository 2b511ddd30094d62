"""Queue of requests, of which those that arrive together share a network call."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager

from experiments.serve.batching import Reply
from experiments.serve.server_settings import Body

REQUESTS = 64
"""Most requests of a network call."""

WAIT = 0.003
"""Seconds that a first request waits for others."""


class RequestQueue:
    """Requests that wait for their predictions, on a thread, so that the event loop stays free.

    The executor has one thread, the one that loaded the network.
    """

    def __init__(self, answers: Callable[[list[Body]], list[Reply]], thread: Executor) -> None:
        self.answers, self.thread = answers, thread
        self._waiting: asyncio.Queue[tuple[Body, asyncio.Future[Reply]]] = asyncio.Queue()

    async def reply(self, body: Body) -> Reply:
        """Returns the reply to a request."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((body, future))
        return await future

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answers requests while the context is open."""
        task = asyncio.create_task(self._work())
        try:
            yield
        finally:
            task.cancel()

    async def _work(self) -> None:
        while True:
            requests = [await self._waiting.get()]
            if self._waiting.qsize() < REQUESTS - 1:
                await asyncio.sleep(WAIT)
            while len(requests) < REQUESTS and not self._waiting.empty():
                requests.append(self._waiting.get_nowait())
            bodies, futures = zip(*requests, strict=True)
            try:
                replies = await asyncio.get_running_loop().run_in_executor(self.thread, self.answers, [*bodies])
                results = [*zip(futures, replies, strict=True)]
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # a bug, or a panic of a library in Rust: other requests are answered
                for future in futures:
                    if not future.done():
                        future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
                continue
            for future, reply in results:
                if not future.done():  # its client has gone
                    future.set_result(reply)
