"""``evenhand serve`` through its own process: answers, refusals, many clients, and its end."""

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from malformed_requests import malformed
from people_table import people
from server_process import Server, refused, same, serving, trained

from experiments.inference import load

GOOD = {"age": 39, "city": "Rome", "member": True, "joined": "2020-05-05", "income": 30000.5}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """On a table; its data are deleted."""
    root = tmp_path_factory.mktemp("table")
    people(200).write_csv(root / "my.csv")
    words = f"--data TableData --data.path {root}/my.csv --data.target label --data.drop id"
    moved = trained(root, *words.split())
    (root / "my.csv").unlink()
    return moved


@pytest.fixture(scope="module")
def server(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serving")
    with serving(run, folder, "--max_rows", "500", "--max_body_mib", "1") as started:
        yield started


def test_a_table(server: Server, run: Path) -> None:
    assert server.first_line == f"{server.address} answers; Ctrl-C stops it\n"
    frame, predictor = people(60, seed=3).drop("id", "label"), load(run, "cpu")
    want = predictor.predict(frame)
    rows = [
        {name: str(value) if name == "joined" and value is not None else value for name, value in row.items()}
        for row in frame.to_dicts()
    ]
    same(server.rows(rows), want)
    status, response = server.ask(frame.write_csv(), "text/csv; charset=utf-8")
    assert status == 200
    same(json.loads(response), want)
    answer = server.rows([GOOD | {"city": "Atlantis", "more": 1}])
    assert answer["notes"] == [
        "columns that the model does not use, ignored: more",
        "categories of city that no train row has: 1 of 1 rows",
    ]


def test_what_stands_beside(server: Server) -> None:
    assert server.get("/health") == "ok"
    info = json.loads(server.get("/info"))
    assert info["task"] == "binary"
    assert [one["name"] for one in info["rows"]["columns"]] == ["age", "city", "member", "joined", "income"]
    assert info["classes"] == ["no", "yes"]
    assert info["limits"] == {"body_bytes": 2**20, "rows": 500}
    before = server.get("/metrics")
    server.rows([GOOD] * 3)
    server.refusal("{")
    after = server.get("/metrics")
    for name, more in {"rows_total": 3, "errors_total": 1, "batch_rows_count": 1, "request_seconds_count": 2}.items():
        first, second = (
            next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"evenhand_{name} "))
            for text in (before, after)
        )
        assert second - first == more, name


def test_what_cannot_be_answered_is_a_sentence(server: Server) -> None:
    def rows(*some: Any) -> tuple[int, str]:
        return server.refusal(json.dumps({"rows": some}))

    assert rows(GOOD, GOOD | {"age": "old"}) == (
        422, "row 1 cannot be predicted: column age is 'old', which is not a number")  # fmt: skip
    assert "which is not finite" in rows(GOOD | {"income": 10**400})[1]
    assert "which is not within float32" in rows(GOOD | {"income": 1e308})[1]
    assert "which is not a date" in rows(GOOD | {"joined": "soon"})[1]
    assert rows({"age": 3})[1].endswith(
        "lacks the columns city, member, joined, income, which the model was trained with"
    )
    assert rows(GOOD, GOOD | {"x": 2})[1].startswith("row 1 has a column x and row 0 has none")
    assert rows(GOOD, {"city": "Rome"})[1].startswith("row 1 has no column")
    assert "an array in column city" in rows(GOOD | {"city": ["Rome"]})[1]
    assert rows() == (422, "there is no row to predict")
    assert "take" in rows([1, 2])[1]
    assert server.refusal("")[0] == 400
    assert server.refusal("{")[0] == 400
    assert "NaN is no number" in server.refusal('{"rows": [{"age": NaN}]}')[1]
    assert "-Infinity is no number" in server.refusal('{"rows": [{"age": -Infinity}]}')[1]
    assert "nested too deep" in server.refusal("[" * 100_000)[1]
    assert "not UTF-8" in server.refusal(b'{"rows": ["\xff"]}')[1]
    assert "surrogate" in server.refusal('{"rows": [{"age": "\\ud800"}]}')[1]
    assert "twice" in server.refusal('{"rows": [], "rows": []}')[1]
    assert server.refusal('{"rows": 3}')[0] == server.refusal('{"row": []}')[0] == 422
    for kind in (
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "image/png",
        None,
    ):
        assert server.refusal("a=1", kind)[0] == 415
    assert server.refusal("age,city\n1\n", "text/csv")[1].startswith("the body is ragged")
    assert "is Parquet" in server.refusal(b"PAR1", "text/csv")[1]
    assert server.refusal(json.dumps({"rows": [{"age": 1}] * 501})) == (
        413, "there are 501 rows and at most 500 are taken; send them in parts")  # fmt: skip
    assert server.refusal(b" " * (2**20 + 1)) == (
        413, "the body is larger than 1 MiB; send less, or start with a larger --max_body_mib")  # fmt: skip
    assert server.refusal("", path="/predict", method="DELETE")[0] == 405
    assert server.refusal("", path="/info")[0] == 405
    assert server.refusal("", path="/docs", method="GET")[0] == 404


def test_pages_of_others_may_not_ask(server: Server) -> None:
    body = json.dumps({"rows": [GOOD]})
    assert server.refusal(body, Host="evil.example")[0] == 403
    assert server.refusal(body, Host=f"127.0.0.1.evil.example:{server.port}")[0] == 403
    assert server.refusal(body, Origin="https://evil.example")[0] == 403
    assert server.refusal(body, Origin="null")[0] == 403
    here = f"localhost:{server.port}"
    assert server.ask(body, Host=here, Origin=f"http://{here}")[0] == 200
    connection = server.connect()
    connection.request("GET", "/")
    headers = connection.getresponse().headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["access-control-allow-origin"] is None


def test_malformed_bodies(server: Server) -> None:
    server.rows([GOOD])
    for kind, body in malformed(400, GOOD, seed=0):
        assert server.ask(body, kind)[0] < 500, (kind, body)
    server.rows([GOOD])


def test_a_client_that_leaves_early_disturbs_nobody(server: Server) -> None:
    body = json.dumps({"rows": [GOOD]}).encode()
    lines = ["POST /predict HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
    for content in (body[:5], body):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head.encode() + content)
            time.sleep(0.2 if content != body else 0)
    assert len(server.rows([GOOD])["predictions"]) == 1


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_memory_stays_flat_over_10_000_malformed_bodies(server: Server) -> None:
    for kind, body in malformed(2_000, GOOD, seed=1):
        server.ask(body, kind)
    before = server.memory()
    statuses = [server.ask(body, kind)[0] for kind, body in malformed(10_000, GOOD, seed=2)]
    assert max(statuses) < 500
    assert server.memory() < before + 30, before


def clients(server: Server, run: Path, seconds: float) -> int:
    """How many requests of 16 clients were answered, each like predict, with bad ones among them."""
    frame = people(64, seed=5).drop("id", "label").with_columns(polars.col("joined").cast(polars.String))
    want, rows = load(run, "cpu").predict(frame)["probability_yes"].to_list(), frame.to_dicts()
    wrong: list[Any] = []
    answered = [0] * 16
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        connection = server.connect()
        try:
            while time.monotonic() < end:
                place = (number * 7 + answered[number]) % 60
                many = 1 + answered[number] % 4
                is_bad = answered[number] % 5 == 4
                wanted = [row | ({"age": "old"} if is_bad else {}) for row in rows[place : place + many]]
                connection.request(
                    "POST", "/predict", json.dumps({"rows": wanted}), {"Content-Type": "application/json"}
                )
                answer = connection.getresponse()
                response = json.loads(answer.read())
                assert answer.status == (422 if is_bad else 200), response
                got = [one["probabilities"]["yes"] for one in response.get("predictions", [])]
                assert is_bad or numpy.allclose(got, want[place : place + many], atol=1e-6)
                answered[number] += 1
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[0]
    return sum(answered)


def test_sixteen_clients_share_network_calls(server: Server, run: Path) -> None:
    assert clients(server, run, 4) > 100
    batches = [line for line in server.get("/metrics").splitlines() if line.startswith("evenhand_batch_rows_bucket")]
    counts = {line.partition('"')[2].partition('"')[0]: float(line.split()[-1]) for line in batches}
    assert counts["+Inf"] > counts["8.0"], "no network call had more rows than a request"


@pytest.mark.slow
def test_sixteen_clients_for_a_minute(server: Server, run: Path) -> None:
    assert clients(server, run, 60) > 1000


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_what_was_asked_before_the_end_is_answered(run: Path, tmp_path: Path, number: int) -> None:
    with serving(run, tmp_path) as server:
        answers: list[int] = []
        body = json.dumps({"rows": [GOOD] * 9_000})
        asking = [threading.Thread(target=lambda: answers.append(server.ask(body)[0])) for _ in range(6)]
        for thread in asking:
            thread.start()
        time.sleep(0.3)
        assert server.stop(number) == 128 + number
        for thread in asking:
            thread.join()
        assert answers == [200] * 6


def test_a_port_that_is_taken(server: Server, run: Path) -> None:
    assert f"--port {server.port} of 127.0.0.1 cannot be had" in refused(
        "--ckpt_path", str(run), "--port", str(server.port)
    )
