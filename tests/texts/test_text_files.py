"""The files and folders that texts come in: read, however odd, or refused in one sentence."""

from collections.abc import Callable
from pathlib import Path

import polars
import pytest
import torch
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from opinion_texts import made, opinions, parted
from tiny_data import QUICK, writer

from datamodules import DataError, TextData
from datamodules.texts.vocabulary import Vocabulary, learn
from experiments.__main__ import main
from experiments.inference import load

Write = Callable[..., str]


@pytest.fixture
def file(tmp_path: Path) -> Write:
    """Writes a file and gives its path, see ``writer``."""
    return writer(tmp_path, "my.parquet")


@pytest.fixture
def folders(tmp_path: Path) -> Callable[..., str]:
    """Writes a folder for each class of a frame's texts and gives the path of all."""

    def write(frame: polars.DataFrame, name: str = "classes") -> str:
        for row, (text, label) in enumerate(frame.select("text", "label").rows()):
            (tmp_path / name / f"class{label}").mkdir(parents=True, exist_ok=True)
            (tmp_path / name / f"class{label}" / f"{row:04}.txt").write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


# Folders


def test_a_folder_for_each_class(folders: Callable[..., str], file: Write) -> None:
    frame = opinions(60)
    path = folders(frame)
    (Path(path) / "class0" / "notes.md").write_text("no text of ours")
    (Path(path) / ".cache").mkdir()
    data = made(path, text=None, target=None)
    assert (data.task, data.class_names) == ("binary", ("class0", "class1"))
    expected = frame.sort("label", maintain_order=True)
    assert data.texts.to_list() == expected["text"].to_list()
    assert data.rows.y.tolist() == expected["label"].to_list()
    split = made(path, text=None, target=None, test_path=folders(opinions(10, 1), "other"))
    assert len(split.split.test) == 10


def test_a_bad_byte_in_a_folder_names_file_and_line(refused: Callable[..., str], folders: Callable[..., str]) -> None:
    path = folders(opinions(20))
    (Path(path) / "class1" / "0003.txt").write_bytes("one\ntwo\ncafé".encode("latin1"))
    message = refused("--data", "TextData", "--data.path", path, "--model", "LitLinear")
    assert "0003.txt" in message
    assert "line 3" in message
    assert len(message.splitlines()) == 1


# Bad input

CSV = "text,label,n\n" + "".join(f'"a, {row} text",{"ab"[row % 2]},{row}\n' for row in range(40))


@pytest.mark.parametrize(
    ("content", "words", "expected"),
    [
        (CSV, "--data.text body", ["--data.text body", "there are"]),
        (CSV, "--data.target lable", ["--data.target lable", "label"]),
        (CSV, "--data.target [text]", ["--data.target", "nothing else"]),
        (CSV, "--data.target [label] --data.group label", ["--data.target", "nothing else"]),
        (CSV, "--data.text [text,text]", ["--data.text", "different"]),
        (CSV, "--data.text []", ["--data.text"]),
        (CSV, "--data.text null", ["--data.text", "there are text, label, n"]),
        (CSV, "--data.target null", ["--data.target", "there are text, label, n"]),
        (CSV, "--data.tokenizer char", ["--data.tokenizer", "'bpe', 'word'"]),
        (CSV, "--data.normalize standard", ["--data.normalize", "none"]),
        (CSV, "--data.max_length 0", ["max_length", "at least 1"]),
        (CSV, "--data.max_vocab_size 2", ["max_vocab_size", "at least 3"]),
        (CSV, "--data.test_path nowhere.csv", ["nowhere.csv", "cannot be read"]),
        (CSV, "--data.test_path .", ["files both or folders both"]),
        (CSV.replace("30 text", "ä").encode("latin1"), "", ["UTF-8", "line 32"]),
        (CSV.replace("7 text", "7 \0text"), "", ["UTF-8 text"]),
        (CSV.replace('"a, 3 text"', "a, 3 text"), "", ["ragged", "line 5"]),
        ("", "", ["is empty"]),
        (CSV.replace(",b,", ",a,"), "", ["two classes"]),
    ],
)
def test_bad_input_is_one_sentence(
    refused: Callable[..., str], file: Write, content: str | bytes, words: str, expected: list[str]
) -> None:
    command = ["--data", "TextData", "--data.path", file(content, "my.csv"), "--model", "LitLinear"]
    for setting, column in (("--data.text", "text"), ("--data.target", "label")):
        command += [] if setting in words.split() else [setting, column]
    message = refused(*command, *words.split())
    assert all(one in message for one in expected), message
    assert len(message.splitlines()) == 1


def test_bad_folders_are_one_sentence(folders: Callable[..., str], tmp_path: Path) -> None:
    path = folders(opinions(20))
    with pytest.raises(DataError, match=r"leave --data\.text and --data\.target out"):
        TextData(path, "text")
    (Path(path) / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty has no \.txt file"):
        TextData(path)
    with pytest.raises(DataError, match="has no folders"):
        TextData(str(tmp_path / "classes" / "class0"))


def test_a_column_that_holds_no_text_is_refused(file: Write) -> None:
    frame = opinions(20).with_columns(tags=polars.concat_list("text"), raw=polars.col("text").cast(polars.Binary))
    for name in ("tags", "raw"):
        with pytest.raises(DataError, match=f"column {name} holds"):
            made(file(frame), text=name)


def test_a_long_text_in_a_csv_file(file: Write) -> None:
    frame = opinions(40)
    long = "word " * 60_000  # over the limit of Python's csv module
    path = file(
        frame.with_columns(text=polars.when(polars.col("writer") == 0).then(polars.lit(long)).otherwise("text")),
        "my.csv",
    )
    assert len(made(path, max_length=8).texts[0]) == len(long) - 1


ODD = st.one_of(
    st.text(max_size=40),
    st.text("👩‍👩‍👧 🏳️‍🌈\u200d\ufe0f", max_size=20),
    st.text("\0\x01\x1b\ufeff\ufffd\u2028\r\n\t", max_size=20),
    st.text("שלוםمرحبا\u202e\u200f ", max_size=20),
    st.text(" \u00a0\u3000", max_size=10),
    st.text("▁[]PADUNK#", max_size=20),
    st.builds(lambda one, times: one * times, st.characters(codec="utf-8"), st.integers(1, 3000)),
)


@QUICK
@given(st.lists(st.none() | ODD, min_size=6, max_size=6), st.sampled_from(["bpe", "word"]), st.integers(3, 40))
def test_odd_texts_are_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str | None], tokenizer: str, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.parquet"
    parted(texts).write_parquet(path)
    data = made(str(path), tokenizer=tokenizer, max_vocab_size=size, max_length=50, split_column="part")
    assert data.vocab_size <= size
    for name in ("train", "val", "test"):
        part = data.part(name)
        assert bool(((part["x"] > 0).sum(dim=1) == part["lengths"]).all())
        assert int(part["x"].max()) < data.vocab_size
        assert int(part["lengths"].min()) >= 1
    assert Vocabulary(data.vocabulary.to_json()) == data.vocabulary


def test_a_megabyte_of_one_word_is_read(file: Write) -> None:
    texts = ["a" * 1_000_000, "東" * 300_000, "b c", "b c", "d", "e"]
    for tokenizer in ("bpe", "word"):
        assert made(file(parted(texts)), tokenizer=tokenizer, split_column="part").input_shape[0] <= 256


@QUICK
@given(st.binary(max_size=60))
def test_a_text_file_is_read_or_refused_in_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = tmp_path_factory.getbasetemp() / "bytes"
    for label in "ab":
        (root / label).mkdir(parents=True, exist_ok=True)
        for row in range(6):
            (root / label / f"{row}.txt").write_text(f"{label} {row}")
    (root / "a" / "0.txt").write_bytes(content)
    try:
        assert len(TextData(str(root)).texts) == 12
    except DataError as error:
        assert "0.txt is not UTF-8 text, line" in str(error)  # noqa: PT017, both outcomes are right


def test_a_damaged_vocabulary_is_a_sentence() -> None:
    whole = learn(["a b", "a b"], "bpe", 9).to_json()
    for text in ("", "{}", whole[:-9], whole.replace('"BPE"', '"Other"')):
        with pytest.raises(DataError, match="vocabulary cannot be read"):
            Vocabulary(text)


def test_a_text_column_of_numbers_is_the_text_of_the_file(fit: Fit, tmp_path: Path) -> None:
    lines = [f"{index}.50,word{index % 7},{'ab'[index % 2]}" for index in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["price,text,label", *lines]) + "\n")
    words = f"--data TextData --data.path {tmp_path}/t.csv --data.text [price,text] --data.target label"
    run = fit(*words.split(), "--model", "LitLinear", "--trainer.max_epochs", "1")["path"]
    data = TextData(str(tmp_path / "t.csv"), text=["price", "text"], target="label")
    data.setup("fit")
    rows = data.part("test")
    (chunk,) = load(run, "cpu").inputs.chunks(str(tmp_path / "t.csv"))
    steps = rows["x"].shape[1]
    assert torch.equal(chunk.tensors["x"][rows["row"]][:, :steps], rows["x"])


def test_a_table_that_is_called_txt_is_a_table_at_predict_too(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.TXT").write_text("\n".join(["text\tlabel", *(f"word {row % 7}\t{row % 2}" for row in range(60))]))
    (tmp_path / "one.txt").write_text("text of one review\n")
    words = f"--data TextData --data.path {tmp_path}/t.TXT --data.text text --data.target label --model LitLinear"
    run = fit(*words.split(), "--trainer.max_epochs", "1")["path"]
    for name, rows in (("t.TXT", 60), ("one.txt", 1)):
        assert main(["predict", "--ckpt_path", str(run), "--input", f"{tmp_path}/{name}", "--output", "o.csv"]) == 0
        assert len(polars.read_csv("o.csv")) == rows


def test_a_document_that_looks_like_a_table_is_one_text(fit: Fit, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["text,label", *(f"word {row % 7},{row % 2}" for row in range(60))]))
    words = f"--data TextData --data.path {tmp_path}/t.csv --data.text text --data.target label --model LitLinear"
    run = fit(*words.split(), "--trainer.max_epochs", "1")["path"]
    (tmp_path / "letter.txt").write_text("Dear Sir, text, or not\nsecond line, a, b\nthird, c, d\n")
    assert len(load(run, "cpu").predict(tmp_path / "letter.txt")) == 1
