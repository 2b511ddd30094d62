"""Inputs of waveforms of one length."""

import io
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor

from datamodules import DataError
from datamodules.preprocessing.array_inputs import read_array
from datamodules.preprocessing.inputs import Chunk, Inputs, as_array, infinite_rows, numbered, partition, tensor_spec
from datamodules.preprocessing.json_rows import Source, read_arrays
from datamodules.preprocessing.normalization import restore
from datamodules.preprocessing.normalizer import Normalizer


@dataclass
class AudioInputs(Inputs):
    """Inputs of mono waveforms (N, T)."""

    normalizer: Normalizer
    samples: int

    def state_dict(self) -> dict[str, Any]:
        return {"kind": "audio", "samples": self.samples}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "AudioInputs":
        return cls(restore(state["statistics"]), state["inputs"]["samples"])

    def chunks(self, source: Any) -> Iterator[Chunk]:
        x = torch.from_numpy(numpy.asarray(as_array(source, read_array), dtype=numpy.float64))
        if x.shape[1:] != (self.samples,):
            raise DataError(f"a waveform has {self.samples} samples, and the array has the shape {tuple(x.shape)}")
        good, ids, bad = partition(numbered(len(x)), infinite_rows(x, nan_too=True))
        yield Chunk(ids, {"x": self.preprocessor()(x[good].unsqueeze(1))}, bad)

    def signature(self) -> list[dict[str, Any]]:
        return [tensor_spec("x", "float64", 1, self.samples)]

    def example_rows(self, count: int, draw: torch.Generator) -> dict[str, Tensor]:
        return {"x": self.normalizer.inverse(torch.randn(count, 1, self.samples, generator=draw).double())}

    def row_readers(self) -> dict[str, Callable[[list[Any]], Source]]:
        return {"arrays": read_arrays}

    def body_readers(self) -> dict[str, Callable[[bytes], Source]]:
        return {"audio/*": read_wav}


def read_wav(content: bytes) -> Source:
    """Reads a mono WAV file of 16 bits."""
    with wave.open(io.BytesIO(content)) as file:
        samples = numpy.frombuffer(file.readframes(file.getnframes()), dtype="<i2") / 2**12
    return Source(samples[None], 1, ("array", samples.shape, "f"))
