"""The tokenizer of a pretrained network in place of a vocabulary of the train rows."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Fit
from opinion_texts import made, opinions, parted
from polars.testing import assert_frame_equal
from tiny_data import writer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from datamodules import DataError
from datamodules.texts.inputs import TextInputs
from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load

Write = Callable[..., str]
WORDS = ["[PAD]", "<unused>", "[UNK]", "[CLS]", "[SEP]", "red", "blue", "green", ","]


@pytest.fixture
def file(tmp_path: Path) -> Write:
    """Writes a file and gives its path, see ``writer``."""
    return writer(tmp_path, "my.parquet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder with a tokenizer as BERT's: unknown is not 1, two tokens stand around each text, it cuts and pads."""
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 3), ("[SEP]", 4)]
    )
    tokenizer.enable_padding(length=9)
    tokenizer.enable_truncation(3)
    (tmp_path / "pretrained").mkdir()
    tokenizer.save(str(tmp_path / "pretrained" / "tokenizer.json"))
    return tmp_path / "pretrained"


def test_ids_by_hand(file: Write, folder: Path) -> None:
    texts = ["Red blue, pink", " ", "red red red red red red", "green", "red [SEP] blue", "[PAD]"]
    path = file(parted(texts))
    data = made(path, pretrained_tokenizer=str(folder), max_length=6, split_column="part")
    train, val, test = (data.part(name) for name in ("train", "val", "test"))
    # A text that is cut keeps the token behind it; brackets in a text are text.
    assert train["x"].tolist() == [[3, 5, 6, 8, 2, 4], [3, 4, 0, 0, 0, 0], [3, 5, 5, 5, 5, 4], [3, 7, 4, 0, 0, 0]]
    assert train["lengths"].tolist() == [6, 2, 6, 3]
    assert val["x"].tolist() == [[3, 5, 2, 2, 2, 4]]
    assert test["x"].tolist() == [[3, 2, 2, 2, 4, 0]]
    assert data.vocab_size == len(WORDS)
    assert data.notes == (
        f"vocabulary of {folder}: 9 tokens",
        "texts cut behind 6 tokens: 1 of 4 train, 1 of 1 val, 0 of 1 test rows",
        "tokens that are unknown: 6.67% of train, 50.00% of val, 60.00% of test tokens",
        "missing or empty texts: 1 of 6 rows, the 2 tokens around a text each",
    )
    same = made(path, pretrained_tokenizer=str(folder / "tokenizer.json"), max_length=6, split_column="part")
    assert same.vocabulary == data.vocabulary


def test_no_row_changes_its_ids(file: Write, folder: Path) -> None:
    few, many = (made(file(opinions(rows), f"{rows}.csv"), pretrained_tokenizer=str(folder)) for rows in (60, 120))
    assert few.vocabulary == many.vocabulary
    ids = few.vocabulary.encode(["red, green"], 6).ids
    assert ids.tolist() == [[3, 5, 8, 7, 4, 0]]


def test_a_run_needs_the_file_no_more(fit: Fit, file: Write, folder: Path, tmp_path: Path) -> None:
    words = f"--data TextData --data.path {file(opinions())} --data.text text --data.target label --model LitLinear"
    record = fit(*words.split(), "--data.pretrained_tokenizer", str(folder), "--trainer.max_epochs", "1")
    assert f"vocabulary of {folder}: 9 tokens" in record["notes"]
    (folder / "tokenizer.json").unlink()
    predictor = load(record["path"])
    assert isinstance(predictor.inputs, TextInputs)
    ids = predictor.inputs.vocabulary.encode(["green [SEP] " + "red " * 300], predictor.inputs.steps).ids
    assert ids[0, [0, -1]].tolist() == [3, 4]
    texts = ["Red blue, pink", "green [SEP] " + "red " * 300, ""]
    expected = predictor.predict(texts)
    exported = tmp_path / "exported"
    assert main(["export", "--ckpt_path", str(record["path"]), "--format", "onnx", "--output", str(exported)]) == 0
    assert_frame_equal(load_export(exported).predict(texts), expected, rel_tol=0, abs_tol=1e-5)


@pytest.mark.parametrize(
    ("content", "max_length", "sentence"),
    [
        (None, 256, "there is no"),
        ("{}", 256, "is no tokenizer of Hugging Face"),
        (b"\xff\xfe", 256, "is not UTF-8 text"),
        ("", 2, "max_length is 2"),
    ],
)
def test_a_file_that_does_not_do_is_one_sentence(
    file: Write, folder: Path, content: str | bytes | None, max_length: int, sentence: str
) -> None:
    path = folder / "tokenizer.json"
    if content is None:
        path.unlink()
    elif content:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=sentence):
        made(file(opinions()), pretrained_tokenizer=str(folder), max_length=max_length)
