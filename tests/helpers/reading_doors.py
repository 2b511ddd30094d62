"""Doors of the readers of new rows, in the process that fuzzes them: functions that write nothing."""

import json
from pathlib import Path

from datamodules import DataError
from experiments.inference import load
from experiments.serve.load_predictor import open_answers
from experiments.serve.server_settings import Body, Settings


def answer() -> None:
    """Answers ``body`` of the content type in ``kind`` with the run in ``run``; a status from 500 on is a bug."""
    answers, _ = open_answers(Settings((Path("run").read_text(),)))
    (reply,) = answers([Body(Path("kind").read_text(), Path("body").read_bytes())])
    json.dumps(reply.content, allow_nan=False).encode()
    assert reply.status < 500, reply


def predict() -> None:
    """Predicts the file that is called as in ``name`` with the run in ``run``."""
    predictor = load(Path("run").read_text())
    try:
        for _ in predictor.chunks(Path("name").read_text()):
            pass
    except (DataError, OSError) as error:
        raise SystemExit(2) from error
