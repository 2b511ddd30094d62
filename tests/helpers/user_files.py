"""Small files of every kind that a person may have, called as the documentation calls them."""

from pathlib import Path

import numpy
import polars
from PIL import Image

ROWS = 120

EXPERIMENT = """\
data: {class_path: TableData, init_args: {path: my.csv, target: label}}
model: {class_path: LitMLP}
"""

PACKAGE = """\
import torch
from torch import nn

from datamodules import InMemoryData, Rows
from lit_models import LitModel


class Waves(InMemoryData):
    task, modality, input_shape, num_outputs = "multiclass", "series", (1, 16), 2

    def load(self):
        y = torch.arange(60) % 2
        return Rows(torch.randn(60, 1, 16) + y[:, None, None], y)


class LitOwn(LitModel):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(16, self.num_outputs))


class OwnLoss(nn.CrossEntropyLoss):
    pass
"""


def write_all(folder: Path) -> None:
    """my.csv, new.csv, photos/, NAME_TRAIN.ts, NAME_TEST.ts, ecg.parquet, reviews.csv, big/, and two more files."""
    draw = numpy.random.default_rng(0)
    y = numpy.arange(ROWS) % 3
    label = numpy.array(["low", "middle", "high"])[y]
    x = draw.normal(size=ROWS) + y
    ids = {"id": range(ROWS), "person": numpy.arange(ROWS) // 2}
    table = polars.DataFrame({**ids, "x": x, "colour": draw.choice(["red", "blue"], ROWS), "label": label})
    table.write_csv(folder / "my.csv")
    table.drop("label").head(20).write_csv(folder / "new.csv")
    (folder / "experiment.yaml").write_text(EXPERIMENT)
    (folder / "my_package.py").write_text(PACKAGE)
    (folder / "big").mkdir()
    table.drop("id").write_parquet(folder / "big" / "part-0.parquet")
    for index in range(ROWS // 2):
        place = folder / "photos" / ("cat" if index % 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 128, (12, 10, 3)) + 100 * (index % 2)
        Image.fromarray(pixels.astype(numpy.uint8)).save(place / f"{index}.png")
    for part in ("TRAIN", "TEST"):
        head = "@problemName NAME\n@timeStamps false\n@univariate true\n@classLabel true a b\n@data\n"
        rows = (f"{','.join(f'{value:.3f}' for value in draw.normal(size=16) + one % 2)}:{'ab'[one % 2]}" for one in y)
        (folder / f"NAME_{part}.ts").write_text(head + "\n".join(rows) + "\n")
    lengths = draw.integers(4, 9, 60)
    patient = numpy.repeat(numpy.arange(60), lengths)
    steps = numpy.concatenate([numpy.arange(length) for length in lengths])
    rhythm = numpy.array(["sinus", "flutter"])[patient % 2]
    lead = draw.normal(size=len(patient)) + patient % 2
    polars.DataFrame({"patient": patient, "time": steps, "lead": lead, "rhythm": rhythm}).write_parquet(
        folder / "ecg.parquet"
    )
    words = {"low": "poor broken", "middle": "fair plain", "high": "fine lovely"}
    texts = [f"a {words[one]} dress, number {index}" for index, one in enumerate(label)]
    polars.DataFrame({"review": texts, "stars": y + 1}).write_csv(folder / "reviews.csv")
