"""Stems: modules that turn a modality's rows into the vector, grid or sequence that a network takes."""

from lit_models.stems.stem import (
    STEMS,
    Modality,
    ModalityStems,
    Row,
    Stem,
    Stemmed,
    to_grid,
    to_rows,
    to_sequence,
    to_vector,
)
from lit_models.stems.table import Embeddings

__all__ = [
    "STEMS",
    "Embeddings",
    "Modality",
    "ModalityStems",
    "Row",
    "Stem",
    "Stemmed",
    "to_grid",
    "to_rows",
    "to_sequence",
    "to_vector",
]
