"""A local HTTP server of the files of a folder, and moto's S3 server."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Handler(SimpleHTTPRequestHandler):
    """Counts downloads by path."""

    def __init__(self, counts: dict[str, int], *args: Any, **kwargs: Any) -> None:
        self.counts = counts
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        self.counts[self.path] = self.counts.get(self.path, 0) + 1
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        """Prints nothing."""


@contextmanager
def http_server(folder: Path, counts: dict[str, int]) -> Iterator[str]:
    """Serves a folder on a free port; yields its address."""
    handler = partial(Handler, counts, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
