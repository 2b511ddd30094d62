"""Data at URLs: copied once a version, read as local files, without credentials in any record."""

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars
import pytest
from conftest import Fit
from file_server import http_server
from people_table import people

from experiments.__main__ import main

QUICK = ("--model", "LitLinear", "--trainer.max_epochs", "1", "--seed_everything", "1")
SECRET = "my-very-secret-value"


@pytest.fixture
def counts() -> dict[str, int]:
    return {}


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory, counts: dict[str, int], monkeypatch: Any) -> Iterator[str]:
    """Serves a folder with people.csv and people.parquet; yields its address."""
    folder = tmp_path_factory.mktemp("served")
    monkeypatch.setenv("EVENHAND_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("SERVED", str(folder))
    people().write_csv(folder / "people.csv")
    people().write_parquet(folder / "people.parquet")
    with http_server(folder, counts) as url:
        yield url


def words(path: str, kind: str = "TableData") -> tuple[str, ...]:
    return ("--data", kind, "--data.path", path, "--data.target", "label", "--data.id", "id", *QUICK)


def of(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["fingerprints"], record["metrics"], record["rows"]


@pytest.mark.parametrize(("kind", "name"), [("TableData", "people.csv"), ("StreamedTable", "people.parquet")])
def test_a_url_is_read_as_the_local_file(
    fit: Fit, root: Path, address: str, counts: dict[str, int], kind: str, name: str
) -> None:
    remote = fit(*words(f"{address}/{name}", kind), "--run", "remote")
    assert of(remote) == of(fit(*words(f"{os.environ['SERVED']}/{name}", kind), "--run", "local"))
    assert remote["hyperparameters"]["data.path"] == f"{address}/{name}"
    assert f"{address}/{name}" in (remote["path"] / "config.yaml").read_text()
    path, folder = str(remote["path"]), ("--trainer.default_root_dir", str(root))
    assert main(["test", "--ckpt_path", path, *folder]) == 0
    assert main(["fit", "--run", "remote", "--trainer.max_epochs", "2", *folder]) == 0
    output = root / "predicted.csv"
    assert main(["predict", "--ckpt_path", path, "--input", f"{address}/{name}", "--output", str(output)]) == 0
    assert polars.read_csv(output).height == people().height
    assert counts == {f"/{name}": 1}


def test_a_changed_file_is_copied_again_and_is_other_data(
    fit: Fit, root: Path, address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    record = fit(*words(f"{address}/people.csv"))
    people()[:-1].write_csv(Path(os.environ["SERVED"]) / "people.csv")
    with pytest.raises(SystemExit):
        main(["test", "--ckpt_path", str(record["path"]), "--trainer.default_root_dir", str(root)])
    assert "the checkpoint was trained on other data than what TableData reads now" in capfd.readouterr().err


def refusal_of(path: str, capfd: pytest.CaptureFixture[str], verb: str = "fit", *more: str) -> str:
    capfd.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([verb, *words(path), *more])
    assert stopped.value.code == 2
    printed = capfd.readouterr()
    return printed.out + printed.err


@pytest.mark.parametrize(
    "path",
    [
        f"https://user:{SECRET}@example.invalid/x.csv",
        f"s3://ID:{SECRET}@bucket/x.csv",
        f"https://bucket.s3.example.invalid/x.csv?X-Amz-Date=1&X-Amz-Signature={SECRET}",
        f"https://account.blob.example.invalid/x.csv?sv=1&sig={SECRET}",
        f"https://example.invalid/x.csv?access_token={SECRET}",
    ],
)
def test_credentials_in_a_url_are_refused_and_written_nowhere(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], path: str
) -> None:
    monkeypatch.chdir(root)
    message = refusal_of(path, capfd)
    assert "which the record of a run would keep; leave it out and give credentials in the environment" in message
    with pytest.raises(SystemExit):
        main(["sweep", *words(path), "--seeds", "0..1"])
    with pytest.raises(SystemExit):
        main(["floor", *words(path)[:-6]])
    printed = capfd.readouterr()
    assert SECRET not in message + printed.out + printed.err
    assert not any(SECRET in file.read_text() for file in root.rglob("*") if file.is_file())


def test_what_cannot_be_read_is_one_sentence(
    root: Path, address: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/x.csv"
    for path, sentence in {
        f"{address}/none.csv": f"error: there is no {address}/none.csv, or it may not be read",
        "memory://x.csv": "error: memory://x.csv is of the protocol memory; https, s3 and gs are read, or name a local",
        "s3://bucket/*.csv": "error: s3://bucket/*.csv is a pattern, which is not expanded in a URL",
        closed: "check the address, the network and the credentials in the environment",
    }.items():
        assert sentence in refusal_of(path, capfd)


@pytest.mark.parametrize("folder", ["memory://x", "s3://bucket/runs"])
def test_a_run_folder_that_is_a_url_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], folder: str
) -> None:
    monkeypatch.chdir(root)
    people().write_csv("people.csv")
    message = refusal_of("people.csv", capfd, "fit", "--trainer.default_root_dir", folder)
    assert f"--trainer.default_root_dir {folder} is a URL, and a run needs a folder with locks" in message
    assert [path.name for path in root.iterdir()] == ["people.csv"]
    with pytest.raises(SystemExit):
        main(["test", "--ckpt_path", f"{folder}/a"])
    assert f"--ckpt_path {folder}/a is a URL, and runs are read from a local folder" in capfd.readouterr().err


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Starts moto's S3 server; yields a client of it and sets the credentials in the environment."""
    pytest.importorskip("s3fs", reason="pip install '.[remote]'")
    server_of = pytest.importorskip("moto.server", reason="pip install 'moto[server]'")
    boto3 = pytest.importorskip("boto3")
    fsspec = pytest.importorskip("fsspec")
    server = server_of.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("EVENHAND_CACHE", str(tmp_path_factory.mktemp("cache")))
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "an-id",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    client = boto3.client("s3")
    client.create_bucket(Bucket="data")
    try:
        yield client
    finally:
        server.stop()


def test_s3_gives_a_table_and_a_folder_of_texts(fit: Fit, root: Path, bucket: Any) -> None:
    people().write_csv(root / "people.csv")
    bucket.upload_file(str(root / "people.csv"), "data", "tables/people.csv")
    record = fit(*words("s3://data/tables/people.csv"), "--run", "remote")
    assert of(record) == of(fit(*words(str(root / "people.csv")), "--run", "local"))
    assert main(["test", "--ckpt_path", str(record["path"]), "--trainer.default_root_dir", str(root)]) == 0
    for label in ("good", "bad"):
        for index in range(20):
            bucket.put_object(Bucket="data", Key=f"texts/{label}/{index}.txt", Body=f"a {label} one, {index}".encode())
    texts = ("--data", "TextData", "--data.path", "s3://data/texts", *QUICK)
    assert fit(*texts)["rows"] == {"train": 28, "val": 6, "test": 6}
    files = [file.read_bytes() for file in root.rglob("*") if file.is_file()]
    assert files
    assert not any(SECRET.encode() in content for content in files)
    assert json.loads((record["path"] / "record.json").read_text())["hyperparameters"]["data.path"].startswith("s3://")


def test_a_protocol_without_its_package_is_one_sentence(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    message = refused(*words("gs://bucket/x.csv"))
    assert message.startswith("error: gs:// needs another package: ")
    assert message.endswith("pip install '.[remote]' here")
