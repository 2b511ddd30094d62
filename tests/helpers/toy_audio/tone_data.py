"""Data module of noisy tones."""

import torch

from datamodules import InMemoryData, Rows
from toy_audio.inputs import AudioInputs

SAMPLES = 64


def tones(count: int = 90) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms (N, 1, T) of a low, a middle or a high tone."""
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(count) % 3
    phase = torch.rand(count, 1, generator=draw) * 6.28
    x = 3 + torch.sin(torch.arange(SAMPLES) * (0.3 + 0.5 * y.unsqueeze(1)) + phase)
    return (x + torch.randn(count, SAMPLES, generator=draw) / 10).unsqueeze(1), y


class ToneData(InMemoryData):
    """Waveforms of three tones."""

    task = "multiclass"
    modality = "audio"
    input_shape = (1, SAMPLES)
    num_outputs = 3
    class_names = ("low", "middle", "high")

    def load(self) -> Rows:
        return Rows(*tones())

    @property
    def inputs(self) -> AudioInputs:
        assert self.statistics is not None
        return AudioInputs(self.statistics, SAMPLES)
