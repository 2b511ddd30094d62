"""A server's requests a second, one at a time and from many clients at once, for a small network on a table.

``python tests/benchmarks/bench_serve.py [SECONDS] [REPEATS]``: on loopback, one row a request, the medians. A single
client waits out the 3 ms in which others might come; many share a network call.
"""

import json
import statistics
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from bench_predict import CATEGORIES, NUMBERS, write
from server_process import Server, serving

from experiments.__main__ import main

ROW = {f"number {index}": 0.5 for index in range(NUMBERS)} | {
    f"category {index}": "value 3" for index in range(CATEGORIES)
}
CLIENTS = (1, 16, 32)


def measure(server: Server, clients: int, seconds: float) -> tuple[float, float]:
    """Requests a second, and the median's milliseconds."""
    body, end, took = json.dumps({"rows": [ROW]}), time.monotonic() + seconds, []

    def client() -> None:
        connection = server.connect()
        while time.monotonic() < end:
            began = time.perf_counter()
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
            took.append(time.perf_counter() - began)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(took) / seconds, 1000 * statistics.median(took)


if __name__ == "__main__":
    typed = [float(word) for word in sys.argv[1:]]
    seconds, repeats = typed + [5.0, 3.0][len(typed) :]
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "train.csv", 5000, seed=0)
        words = f"fit --data TableData --data.path {folder}/train.csv --data.target label --model LitMLP"
        main([*words.split(), "--trainer.max_epochs", "1", "--trainer.default_root_dir", str(folder), "--run", "a"])
        with serving(folder / "runs" / "tabledata" / "a", folder) as server:
            measure(server, 4, 2)
            found = {clients: [measure(server, clients, seconds) for _ in range(int(repeats))] for clients in CLIENTS}
        alone = statistics.median(rate for rate, _ in found[1])
        for clients, measured in found.items():
            rate = statistics.median(rate for rate, _ in measured)
            wait = statistics.median(wait for _, wait in measured)
            print(f"{clients} clients: {rate:,.0f} requests a second, {rate / alone:.1f} times; median {wait:.1f} ms")
