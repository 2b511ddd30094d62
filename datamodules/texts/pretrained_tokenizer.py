"""Tokenizer of a pretrained network, from its file."""

from pathlib import Path

from datamodules.errors import DataError
from datamodules.regular_file import read_regular
from datamodules.texts.vocabulary import Vocabulary

FILE = "tokenizer.json"
"""Name of the file in the folder of a network of Hugging Face."""

LEAST_TOKENS = 1
"""Least number of a text's own tokens in a row, beside those that are put around it."""


def read_tokenizer(path: str, max_length: int) -> Vocabulary:
    """Reads a file of Hugging Face's ``tokenizers``, or the one in a folder; its settings of length are not used.

    Raises:
        DataError: For a file that is no such tokenizer, or one that puts more tokens around a text than a row has.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    if not file.exists():
        raise DataError(
            f"there is no {file}; --data.pretrained_tokenizer is a {FILE}, which tokenizer.save_pretrained(FOLDER) of "
            "transformers writes, or its folder"
        )
    try:
        text = read_regular(file, "correct its permissions").decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text, and a {FILE} is JSON; name that file") from error
    try:
        vocabulary = Vocabulary(text)
    except DataError as error:
        raise DataError(f"{file} is no tokenizer of Hugging Face ({str(error)[:200]}); name a {FILE}") from error
    if max_length < vocabulary.special + LEAST_TOKENS:
        raise DataError(
            f"max_length is {max_length}, and {file} puts {vocabulary.special} tokens around each text; "
            f"set --data.max_length to {vocabulary.special + LEAST_TOKENS} or more"
        )
    return vocabulary
