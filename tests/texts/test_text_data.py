"""A person's own texts: their vocabulary, and what is learned of train rows alone."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from opinion_texts import made, opinions, parted
from tiny_data import QUICK, writer

from datamodules import DataError, WomensReviews
from datamodules.texts.vocabulary import Vocabulary, learn

Write = Callable[..., str]


@pytest.fixture
def file(tmp_path: Path) -> Write:
    """Writes a file and gives its path, see ``writer``."""
    return writer(tmp_path, "my.parquet")


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
from datamodules.texts.vocabulary import learn
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
    printed, warned = zip(*(process.communicate(json.dumps(texts)) for process in processes), strict=True)
    assert warned == ("", "")
    assert printed[0] == printed[1]
    assert len(set(printed[0].split())) == 9  # 60 words are all there are


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


@pytest.mark.usefixtures("widedeep")
def test_reviews_are_the_published_ones() -> None:
    data = WomensReviews(tokenizer="word")
    assert (data.task, data.class_names) == ("binary", ("not recommended", "recommended"))
    assert data.notes[0] == "rows without a text: 844 of 23,486, left out"
    assert len(data.rows.y) == 22_642
    assert int(data.rows.y.sum()) == 18_541
    assert data.texts[2].startswith("Some major design flaws | I had such high hopes")
    assert [len(rows) for rows in data.split] == [15_850, 3_396, 3_396]
