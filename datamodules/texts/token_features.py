"""Tokens as features of texts: the network reads the unknown token in place of each occurrence."""

import torch
from torch import Tensor

from datamodules.preprocessing.permuted_features import Feature, Tensors
from datamodules.raw_data import valid
from datamodules.texts.vocabulary import Vocabulary

MOST_TOKENS = 50
"""Tokens that are features: those that most texts have."""


def token_features(rows: Tensors, vocabulary: Vocabulary) -> list[Feature]:
    """Returns the tokens that most texts (N, T) have, without the unknown one and those around each text."""
    ids, width = rows["x"], len(vocabulary)
    unknown = vocabulary.unknown_id
    inside = valid(rows["lengths"], ids.shape[1])
    for other in [*vocabulary.special_ids(), *([] if unknown is None else [unknown])]:
        inside = inside & (ids != other)
    once = (torch.arange(len(ids)).unsqueeze(1) * width + ids)[inside].unique()  # a token counts once in a text
    texts = torch.bincount(once % width, minlength=width)
    most = texts.argsort(descending=True, stable=True)[:MOST_TOKENS]
    return [_token(vocabulary.token(token), token, unknown) for token in most.tolist() if int(texts[token]) > 0]


def _token(name: str, token: int, unknown: int | None) -> Feature:
    def permuted(rows: Tensors, order: Tensor) -> dict[str, Tensor]:
        ids = rows["x"].clone()
        places = (ids == token) & valid(rows["lengths"], ids.shape[1])
        if unknown is None:
            row, step = places.nonzero(as_tuple=True)
            ids[places] = rows["x"][order[row], step % rows["lengths"][order[row]]]
        else:
            ids[places] = unknown
        return {**rows, "x": ids}

    other = "the unknown token" if unknown is not None else "a token of another text"
    method = f"Each occurrence of a token is replaced by {other}; the {MOST_TOKENS} tokens that most texts have."
    return Feature("token", name, permuted, method, is_random=unknown is None)
