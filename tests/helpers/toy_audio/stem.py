"""Stems of waveforms (1, T): all samples side by side, or a frame of them a token."""

from torch import Tensor, nn

from lit_models.stems import ModalityStems, Row, Stem

FRAME = 8


class Frames(nn.Module):
    """(N, 1, T) -> (N, T / 8, 8): frames of a waveform."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[2] // FRAME, FRAME)


def samples(row: Row) -> Stem:
    return Stem(nn.Flatten(), (row.shape[1],))


def frames(row: Row) -> Stem:
    return Stem(Frames(), (row.shape[1] // FRAME, FRAME))


AUDIO_STEMS = ModalityStems(2, samples, frames)
