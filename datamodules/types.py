"""What is asked of a data set and what a row of it is."""

from typing import Literal

TaskName = Literal["binary", "multiclass", "multilabel", "regression"]
Modality = Literal["table", "series", "image", "text"]
