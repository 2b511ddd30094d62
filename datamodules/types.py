"""What is asked of a data set and what a row of it is."""

from typing import Literal

TaskName = Literal["binary", "multiclass", "multilabel", "regression"]
Modality = str
"""table, series, image or text; another one has a line in ``lit_models.stems`` too."""
