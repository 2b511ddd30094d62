"""A person's own texts: their vocabulary, what is learned of train rows alone, and how they train."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import polars
import pytest
import torch
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from small import QUICK

from datamodules import DataError, TextData, WomensReviews
from datamodules.bundled import wheels
from datamodules.bundled.reviews import MEMBER
from datamodules.vocabulary import Vocabulary, learn
from experiments.__main__ import main

GOOD = ["lovely", "perfect fit", "so soft", "Flattering!", "great colour"]
BAD = ["scratchy", "too small", "it tore", "Returned.", "awful colour"]
FILLER = ["the dress", "this shirt", "I think", "it's", "and the fabric"]
PARTS = ["train"] * 4 + ["val", "test"]
Write = Callable[..., str]


def opinions(rows: int = 120, seed: int = 0) -> polars.DataFrame:
    """Texts of a few phrases, of which one says the label; a number of the writer."""
    random = Random(seed)
    label = [row % 2 for row in range(rows)]
    text = [
        " ".join(random.sample([*random.sample(FILLER, random.randrange(1, 5)), random.choice((BAD, GOOD)[one])], k=2))
        for one in label
    ]
    text = [
        f"{one} {random.choice((BAD, GOOD)[kind])} {row}"
        for row, (one, kind) in enumerate(zip(text, label, strict=True))
    ]
    return polars.DataFrame({"text": text, "label": label, "writer": [row // 4 for row in range(rows)]})


@pytest.fixture
def file(tmp_path: Path) -> Write:
    """Writes a frame, or a file's bytes, and gives its path."""

    def write(content: polars.DataFrame | str | bytes, name: str = "my.parquet") -> str:
        path = tmp_path / name
        if isinstance(content, polars.DataFrame):
            content.write_parquet(path) if name.endswith("parquet") else content.write_csv(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


@pytest.fixture
def folders(tmp_path: Path) -> Callable[..., str]:
    """Writes a folder for each class of a frame's texts and gives the path of all."""

    def write(frame: polars.DataFrame, name: str = "classes") -> str:
        for row, (text, label) in enumerate(frame.select("text", "label").rows()):
            (tmp_path / name / f"class{label}").mkdir(parents=True, exist_ok=True)
            (tmp_path / name / f"class{label}" / f"{row:04}.txt").write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


def made(path: str, **kwargs: Any) -> TextData:
    kwargs = {"text": "text", "target": "label"} | kwargs
    data = TextData(path, **kwargs)
    data.setup("fit")
    return data


def parted(texts: list[str | None], labels: list[int] | None = None) -> polars.DataFrame:
    """Six rows: four of train, one of val, one of test."""
    return polars.DataFrame({"text": texts, "label": labels or [0, 1, 0, 1, 0, 1], "part": PARTS})


# Facts and ids


@pytest.mark.parametrize("name", ["my.csv", "my.parquet"])
def test_facts_are_the_same_from_csv_and_parquet(file: Write, name: str) -> None:
    data = made(file(opinions(), name), tokenizer="word")
    assert (data.task, data.modality, data.num_outputs, data.class_names) == ("binary", "text", 1, ("0", "1"))
    assert data.vocab_size == len(data.vocabulary)
    assert data.fingerprints() == made(file(opinions(), "again.parquet"), tokenizer="bpe").fingerprints()
    train = data.part("train")
    assert train["x"].dtype == train["lengths"].dtype == torch.int64
    assert data.input_shape == train["x"].shape[1:] == (int(train["lengths"].max()),)
    assert int(train["x"].max()) < data.vocab_size


def test_words_unknown_words_and_padding_by_hand(file: Write) -> None:
    texts = ["Red red BLUE, blue", "green\tred\n blue", "green", " ", "red pink blue", "pink\u00a0Red ,"]
    data = made(file(parted(texts)), tokenizer="word", split_column="part")
    # red and blue come three times, green twice, the comma once; ties are in the order of the alphabet.
    words = {"[PAD]": 0, "[UNK]": 1, "blue": 2, "red": 3, "green": 4}
    assert json.loads(data.vocabulary.to_json())["model"]["vocab"] == words
    train, val, test = (data.part(name) for name in ("train", "val", "test"))
    assert train["x"].tolist() == [[3, 3, 2, 1, 2], [4, 3, 2, 0, 0], [4, 0, 0, 0, 0], [1, 0, 0, 0, 0]]
    assert train["lengths"].tolist() == [5, 3, 1, 1]
    assert (val["x"].tolist(), test["x"].tolist()) == ([[3, 1, 2, 0, 0]], [[1, 3, 1, 0, 0]])
    assert data.notes == (
        "vocabulary of the train rows: 5 word tokens",
        "texts cut behind 5 tokens: 0 of 4 train, 0 of 1 val, 0 of 1 test rows",
        "tokens that are unknown: 11.11% of train, 33.33% of val, 66.67% of test tokens",
        "missing or empty texts: 1 of 6 rows, one unknown token each",
    )


def test_pieces_of_words_are_merged_by_frequency(file: Write) -> None:
    data = made(file(parted(["low lower", "low", "lowest low", "low?", "slow", "LOW é"])), split_column="part")
    vocabulary = data.vocabulary
    assert vocabulary.tokens("Low") == ["▁low"]
    assert "".join(vocabulary.tokens("lower")) == "▁lowe[UNK]"  # r comes once in the train rows
    assert vocabulary.tokens("é") == ["▁", "[UNK]"]
    assert data.part("test")["x"][0, :3].tolist()[::2] == [vocabulary.encode(["low"], 9).ids[0, 0], 1]


@pytest.mark.parametrize("tokenizer", ["bpe", "word"])
def test_what_a_text_calls_padding_is_no_padding(file: Write, tokenizer: str) -> None:
    data = made(file(parted(["[PAD] [UNK] a"] * 6)), tokenizer=tokenizer, split_column="part")
    test = data.part("test")
    assert test["x"].all()
    assert "[PAD]" not in data.vocabulary.tokens("[PAD] a")


@pytest.mark.parametrize("tokenizer", ["bpe", "word"])
def test_the_vocabulary_has_at_most_so_many_tokens(file: Write, tokenizer: str) -> None:
    path = file(opinions())
    whole = made(path, tokenizer=tokenizer)
    for size in (3, 12, 25):
        small = made(path, tokenizer=tokenizer, max_vocab_size=size)
        assert small.vocab_size == size < whole.vocab_size
        assert int(small.part("train")["x"].max()) == size - 1


def test_the_most_frequent_words_are_kept(file: Write) -> None:
    frame = opinions()
    data = made(file(frame), tokenizer="word", max_vocab_size=8)
    counts: Counter[str] = Counter()
    for text in frame["text"].gather(data.split.train.numpy()):
        counts.update(text.lower().replace("'", " ' ").replace("!", " ! ").replace(".", " . ").split())
    expected = [word for _, word in sorted((-count, word) for word, count in counts.items())[:6]]
    assert list(json.loads(data.vocabulary.to_json())["model"]["vocab"])[2:] == expected


def test_long_texts_are_cut_and_counted_by_part(file: Write) -> None:
    frame = parted(["a b c d e f", "a b", "c d e f", "a", "a b c d e", "f e"])
    data = made(file(frame), tokenizer="word", max_length=4, split_column="part")
    assert data.input_shape == (4,)
    assert data.part("train")["lengths"].tolist() == [4, 2, 4, 1]
    assert "texts cut behind 4 tokens: 1 of 4 train, 1 of 1 val, 0 of 1 test rows" in data.notes
    whole = made(file(frame), tokenizer="word", max_length=4, split_column="part").part("train")["x"][0]
    assert torch.equal(whole, data.part("train")["x"][0])
    short = made(file(parted(["a b", "a b", "b", "a", "a b a b", "a"])), tokenizer="word", split_column="part")
    assert short.input_shape == (2,)  # of the longest train row
    assert short.part("val")["x"].shape == (1, 2)
    assert "texts cut behind 2 tokens: 0 of 4 train, 1 of 1 val, 0 of 1 test rows" in short.notes


def test_several_columns_are_one_text(file: Write) -> None:
    frame = parted(["soft", None, "soft", "  ", "soft", "x"]).with_columns(
        title=polars.Series(["Good", "Good", None, None, "Good", "?"])
    )
    data = made(file(frame, "my.csv"), text=["title", "text"], tokenizer="word", split_column="part")
    assert data.texts.to_list() == ["Good | soft", "Good", "soft", "", "Good | soft", "x"]  # ? is missing in a file
    assert "missing or empty texts: 1 of 6 rows, one unknown token each" in data.notes


def test_inspect_counts_tokens(file: Write) -> None:
    data = made(file(parted(["a b", "a c", "b", None, "a a a", "z"])), tokenizer="word", split_column="part")
    assert data.features().to_dict(as_series=False) == {
        "tokens": [2, 2, 1, 1, 2, 1],
        "unknown tokens": [0, 1, 0, 1, 0, 1],
    }


# Splits


def test_copies_of_a_text_stay_together_and_empty_texts_are_no_copies(file: Write) -> None:
    frame = polars.DataFrame(
        {"text": [f"text {row % 20}" for row in range(40)] + [None] * 20, "label": [row % 2 for row in range(60)]}
    )
    data = made(file(frame))
    assert data.notes[0] == "exact copies of an earlier row: 20 of 60 rows, kept in one part"
    part_of = {row: name for name, rows in data.split._asdict().items() for row in rows.tolist()}
    assert all(part_of[row] == part_of[row + 20] for row in range(20))
    assert {part_of[row] for row in range(40, 60)} == {"train", "val", "test"}


def test_a_group_stays_in_one_part(file: Write) -> None:
    frame = opinions()
    data = made(file(frame), group="writer")
    writers = [set(frame["writer"].gather(rows.numpy())) for rows in data.split]
    assert sum(map(len, writers)) == frame["writer"].n_unique()


def test_parts_may_be_files_of_their_own(file: Write) -> None:
    paths = [file(opinions(rows, seed), f"{rows}.csv") for seed, rows in enumerate((60, 20, 10))]
    data = made(paths[0], val_path=paths[1], test_path=paths[2])
    assert [len(rows) for rows in data.split] == [60, 20, 10]
    alone = made(paths[0], split_column=None, test_path=paths[2])
    assert [len(rows) for rows in alone.split] == [49, 11, 10]
    assert data.vocabulary == learn(opinions(60, 0)["text"].to_list(), "bpe", 10_000)


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
    said = refused("--data", "TextData", "--data.path", path, "--model", "LitLinear")
    assert "0003.txt" in said
    assert "line 3" in said
    assert len(said.splitlines()) == 1


# No leak


@QUICK
@given(st.lists(st.text(max_size=30), min_size=2, max_size=6), st.sampled_from(["bpe", "word"]))
def test_no_change_of_val_or_test_texts_changes_the_vocabulary(
    tmp_path_factory: pytest.TempPathFactory, others: list[str], tokenizer: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "leak.parquet"
    train = ["the red dress", "the blue dress, red", "", "so so red"]

    def learned(others: list[str]) -> tuple[str, tuple[int, ...], Any]:
        parts = ["train"] * 4 + ["val"] + ["test"] * (len(others) - 1)
        labels = [row % 2 for row in range(len(parts))]
        polars.DataFrame({"text": train + others, "label": labels, "part": parts}).write_parquet(path)
        data = made(str(path), tokenizer=tokenizer, split_column="part")
        return data.state_dict()["vocabulary"], data.input_shape, data.part("train")["x"].tolist()

    assert learned(others) == learned(["the", "dress"])


def test_a_random_split_keeps_its_vocabulary_too(file: Write) -> None:
    frame = opinions()
    before = made(file(frame), stratify=False)
    rest = torch.cat([before.split.val, before.split.test]).tolist()
    swapped = polars.when(polars.int_range(polars.len()).is_in(rest)).then(polars.format("xyz {}", "text"))
    after = made(file(frame.with_columns(text=swapped.otherwise("text"))), stratify=False)
    assert torch.equal(before.split.train, after.split.train)
    assert before.vocabulary.to_json() == after.vocabulary.to_json()


TWICE = """
import hashlib, json, os, sys
from datamodules.vocabulary import learn
texts = json.load(sys.stdin)
for kind in ("bpe", "word"):
    for size in (3, 9, 25, 60, 500):
        learned = learn(texts, kind, size)
        ids = learned.encode(texts, 50).ids.numpy().tobytes()
        print(hashlib.sha256(learned.to_json().encode() + ids).hexdigest())
sys.stdout.flush()
child = os.fork()
if not child: os._exit(0)
os.waitpid(child, 0)
"""


def test_the_vocabulary_is_the_same_in_every_process_on_any_number_of_threads_and_a_fork_warns_of_nothing() -> None:
    texts = opinions(400)["text"].to_list() + ["ab ba äö öä 東京 京東 ☂☃ ☃☂"] * 2
    ours = {key: value for key, value in os.environ.items() if key != "TOKENIZERS_PARALLELISM"}
    ours["PYTHONPATH"] = os.pathsep.join(sys.path)
    settings = ({}, {"TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": "4"})
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", TWICE]
    processes = [subprocess.Popen(command, env=ours | threads, **pipes) for threads in settings]
    said, warned = zip(*(process.communicate(json.dumps(texts)) for process in processes), strict=True)
    assert warned == ("", "")
    assert said[0] == said[1]
    assert len(set(said[0].split())) == 9  # 60 words are all there are


# The way of a checkpoint


@pytest.mark.parametrize("tokenizer", ["bpe", "word"])
def test_a_checkpoint_brings_the_vocabulary(file: Write, tmp_path: Path, tokenizer: str) -> None:
    path = file(opinions())
    first, second = (made(path, split_seed=seed, tokenizer=tokenizer) for seed in (0, 1))
    assert first.vocabulary != second.vocabulary
    torch.save(first.state_dict(), tmp_path / "state.ckpt")
    state = torch.load(tmp_path / "state.ckpt", weights_only=True)
    second.load_state_dict(state)
    assert second.vocabulary == first.vocabulary
    assert (second.vocab_size, second.input_shape) == (first.vocab_size, first.input_shape)
    assert all(torch.equal(first.part("test")[name], second.part("test")[name]) for name in first.part("test"))
    # A checkpoint alone encodes new texts.
    alone = Vocabulary(state["vocabulary"]).encode([first.texts[0]], *state["input_shape"])
    row = int((first.split.train == 0).nonzero()) if 0 in first.split.train else None
    encoded = first._encoded.ids[0] if row is None else first.part("train")["x"][row]
    assert alone.ids[0].tolist() == encoded[: alone.ids.shape[1]].tolist()
    with pytest.raises(DataError, match="other data"):
        second.load_state_dict(made(file(opinions(seed=1), "other.parquet")).state_dict())


def test_a_checkpoint_alone_tests_texts(fit: Fit, file: Write, capfd: pytest.CaptureFixture[str]) -> None:
    words = f"--data TextData --data.path {file(opinions())} --data.text text --data.target label --model LitLinear"
    record = fit(*words.split(), "--trainer.max_epochs", "2")
    assert record["hyperparameters"]["data.normalize"] == "none"
    assert any("texts cut behind" in note for note in record["notes"])
    capfd.readouterr()
    assert main(["test", "--ckpt_path", str(record["path"] / "checkpoints" / "best.ckpt")]) == 0
    accuracy = next(line for line in capfd.readouterr().out.splitlines() if "test/accuracy" in line)
    assert float(accuracy.strip("│ ").split("│")[1]) == pytest.approx(record["metrics"]["test/accuracy"])


# Every architecture

SMALL = {
    "LitLinear": "--model.optimizer.lr 0.1",
    "LitMLP": "--model.hidden [32]",
    "LitCNN": "--model.channels [32] --model.kernel_size 3 --model.pool_blocks 0",
    "LitRNN": "--model.hidden 16",
    "LitTransformer": "--model.width 32 --model.num_layers 1",
}


@pytest.mark.parametrize("model", SMALL)
def test_every_architecture_learns_from_texts(fit: Fit, file: Write, model: str) -> None:
    words = f"--data TextData --data.path {file(opinions(300))} --data.text text --data.target label"
    words += f" --data.batch_size 32 --model {model} --model.optimizer.lr 0.02 {SMALL[model]}"
    record = fit(*words.split(), "--trainer.max_epochs", "10", "--seed_everything", "0")
    assert record["metrics"]["test/auroc"] > 0.95


@pytest.mark.usefixtures("widedeep")
@pytest.mark.parametrize("model", SMALL)
def test_every_architecture_trains_on_real_reviews(fit: Fit, file: Write, model: str) -> None:
    content = polars.read_parquet(wheels.read_member(wheels.WIDEDEEP, MEMBER))
    path = file(content.head(300))
    words = ["--data", "TextData", "--data.path", path, "--data.text", '["Title", "Review Text"]']
    words += ["--data.target", "Recommended IND", "--data.tokenizer", "word", "--data.max_length", "64"]
    words += ["--model", model, *SMALL[model].split(), "--trainer.max_epochs", "2", "--seed_everything", "0"]
    record = fit(*words)
    assert record["status"] == "finished"
    assert record["rows"] == {"train": 210, "val": 45, "test": 45}
    assert record["metrics"]["test/loss"] < 1


@pytest.mark.usefixtures("widedeep")
def test_reviews_are_the_published_ones() -> None:
    data = WomensReviews(tokenizer="word")
    assert (data.task, data.class_names) == ("binary", ("not recommended", "recommended"))
    assert data.notes[0] == "rows without a text: 844 of 23,486, left out"
    assert len(data.rows.y) == 22_642
    assert int(data.rows.y.sum()) == 18_541
    assert data.texts[2].startswith("Some major design flaws | I had such high hopes")
    assert [len(rows) for rows in data.split] == [15_850, 3_396, 3_396]


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_every_other_task(fit: Fit, file: Write, task: str) -> None:
    columns = {
        "multiclass": {"y": polars.Series([f"c{row % 3}" for row in range(90)])},
        "multilabel": {"y": polars.Series([row % 2 for row in range(90)]), "z": [row // 2 % 2 for row in range(90)]},
        "regression": {"y": polars.Series([row / 7 for row in range(90)])},
    }[task]
    path = file(opinions(90).select("text").with_columns(**{k: polars.Series(v) for k, v in columns.items()}))
    words = f"--data TextData --data.path {path} --data.text text --data.target [{','.join(columns)}]"
    record = fit(*words.split(), "--model", "LitLinear", "--trainer.max_epochs", "1")
    assert record["task"] == task


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
    said = refused(*command, *words.split())
    assert all(one in said for one in expected), said
    assert len(said.splitlines()) == 1


def test_bad_folders_are_one_sentence(folders: Callable[..., str], tmp_path: Path) -> None:
    path = folders(opinions(20))
    with pytest.raises(DataError, match=r"leave --data\.text and --data\.target out"):
        TextData(path, "text")
    (Path(path) / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty has no \.txt file"):
        TextData(path)
    with pytest.raises(DataError, match="no subfolders"):
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
