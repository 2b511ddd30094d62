"""Mutated artefacts, files to predict and request bodies: no code, no hang, no traceback, no exit code 1."""

import hashlib
import io
import json
import random
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy
import polars
import pytest
from digit_images import digits, write_npz
from fuzzing import Door, Fuzzer, Prepare, fuzzer, mutate_bytes, mutate_tree
from paths import REPOSITORY
from PIL import Image
from server_process import trained
from wave_series import as_ts, waves

STORED = REPOSITORY / "tests/stored"
TABLE = STORED / "run_folders/finished"
MODELS = {
    "onnx": "model.onnx",
    "torch-export": "model.pt2",
    "safetensors": "model.safetensors",
    "state-dict": "model.pt",
}
TOKENS = (
    *(b"PK\x03\x04", b"PK\x01\x02", b"cos\nsystem\n", b"torch.hub.load", b"PAR1", b"\x89PNG\r\n\x1a\n", b"IHDR"),
    *(b"@data\n", b"@classLabel true", b"NaN", b"\r", b'"', b",", b";", b"\xff\xd8", b"rows", b"\\ud800", b"'|O'"),
)


@dataclass
class Runs:
    """Runs by modality, and valid files of each reader."""

    series: Path
    image: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    home = tmp_path_factory.mktemp("runs")
    numpy.savez(home / "s.npz", **waves())
    data = ("--data", "SeriesData", "--data.path", str(home / "s.npz"))
    series = trained(home / "series", *data)
    x, y = digits()
    return Runs(series, trained(home / "image", "--data", "ImageData", "--data.path", write_npz(home / "i.npz", x, y)))


@pytest.fixture(scope="module")
def fuzz() -> Iterator[Fuzzer]:
    pytest.importorskip("onnxruntime")
    with fuzzer("reading_doors", "experiments.export.verification", "onnxruntime", "torch.export") as started:
        yield started


def sign(folder: Path, content: dict) -> None:
    content = {name: value for name, value in content.items() if name != "digest"}
    if isinstance(content.get("files"), dict):
        hashes = {name: folder / name for name in content["files"] if (folder / name).is_file()}
        content["files"] |= {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in hashes.items()}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    text = json.dumps({**content, "digest": digest}, indent=2, ensure_ascii=False) + "\n"
    (folder / "signature.json").write_bytes(text.encode("utf-8", "surrogatepass"))


def of_archive(content: bytes, chance: random.Random) -> bytes:
    """One member mutated, with its right checksum."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice([*members])
    if name.endswith(".json") and chance.random() < 0.8:
        members[name] = json.dumps(mutate_tree(json.loads(members[name]), chance)).encode()
    else:
        members[name] = mutate_bytes(members[name], chance, TOKENS)
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def of_safetensors(content: bytes, chance: random.Random) -> bytes:
    """The header mutated, with its right length."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.dumps(mutate_tree(json.loads(content[8 : 8 + size]), chance)).encode()
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


MUTATIONS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".pt2": of_archive,
    ".pt": of_archive,
    ".safetensors": of_safetensors,
    ".npz": of_archive,
}


def mutated(content: bytes, name: str, chance: random.Random) -> bytes:
    structured = MUTATIONS.get(Path(name).suffix)
    return (
        structured(content, chance) if structured and chance.random() < 0.7 else mutate_bytes(content, chance, TOKENS)
    )


def artefact(format: str, file: str) -> Prepare:
    """A file of an artefact, whose signature has the hashes of what it is then."""

    def prepare(folder: Path, chance: random.Random) -> Door:
        shutil.copytree(STORED / "exports" / format, folder / "a")
        about = json.loads((folder / "a/signature.json").read_text())
        if file == "signature.json":
            about = mutate_tree(about, chance, [format, "text", "array", "image", "series", "time", "batch"])
        else:
            (folder / "a" / file).write_bytes(mutated((folder / "a" / file).read_bytes(), file, chance))
        if isinstance(about, dict):
            sign(folder / "a", about)
        return ["export", "--verify", "a"]

    return prepare


def predicted(run: Path, name: str, content: bytes) -> Prepare:
    """A file that is to be predicted."""

    def prepare(folder: Path, chance: random.Random) -> Door:
        for file, data in (("run", str(run).encode()), ("name", name.encode()), (name, mutated(content, name, chance))):
            (folder / file).write_bytes(data)
        return "reading_doors:predict"

    return prepare


def requested(run: Path, kind: str, content: bytes) -> Prepare:
    """A body of a request."""

    def prepare(folder: Path, chance: random.Random) -> Door:
        body = mutate_bytes(content, chance, TOKENS)
        if kind == "application/json" and chance.random() < 0.7:
            body = json.dumps(mutate_tree(json.loads(content), chance)).encode()
        for name, data in (("run", str(run).encode()), ("kind", kind.encode()), ("body", body)):
            (folder / name).write_bytes(data)
        return "reading_doors:answer"

    return prepare


def rows() -> polars.DataFrame:
    return polars.read_csv(STORED / "new.csv")[:20]


def saved(write: Callable[[io.BytesIO], object]) -> bytes:
    write(buffer := io.BytesIO())
    return buffer.getvalue()


READERS: dict[str, Callable[[Runs], Prepare]] = {
    **{format: lambda runs, format=format: artefact(format, MODELS[format]) for format in MODELS},  # type: ignore[misc]
    "signature": lambda runs: artefact("safetensors", "signature.json"),
    "rows": lambda runs: artefact("safetensors", "rows.safetensors"),
    "statistics": lambda runs: artefact("safetensors", "preparation.safetensors"),
    "csv": lambda runs: predicted(TABLE, "x.csv", rows().write_csv().encode()),
    "parquet": lambda runs: predicted(TABLE, "x.parquet", saved(rows().write_parquet)),
    "npz": lambda runs: predicted(runs.series, "x.npz", saved(lambda file: numpy.savez(file, **waves(9)))),
    "ts": lambda runs: predicted(runs.series, "x.ts", as_ts(waves(9)).encode()),
    "png": lambda runs: predicted(runs.image, "x.png", picture("PNG")),
    "jpeg": lambda runs: predicted(runs.image, "x.jpeg", picture("JPEG")),
    "body": lambda runs: requested(TABLE, "application/json", json.dumps({"rows": rows().to_dicts()[:3]}).encode()),
    "body of csv": lambda runs: requested(TABLE, "text/csv", rows().write_csv().encode()),
    "body of a picture": lambda runs: requested(runs.image, "image/png", picture("PNG")),
    "body of series": lambda runs: requested(
        runs.series, "application/json", json.dumps({"rows": waves(3)["x"].round(2).tolist()}).encode()
    ),
}


def picture(format: str) -> bytes:
    return saved(lambda file: Image.fromarray(digits()[0][0]).save(file, format))


@pytest.mark.parametrize("count", [5, pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])])
@pytest.mark.parametrize("reader", READERS)
def test_a_mutated_input(fuzz: Fuzzer, runs: Runs, tmp_path: Path, reader: str, count: int) -> None:
    prepare = READERS[reader](runs)
    assert fuzz.run(range(count), tmp_path, prepare) == []
