"""Toy modality "audio" of fixed-length waveforms: data module, inputs, stems, and the two lines of a modality."""

from datamodules.preprocessing.restore_inputs import INPUTS
from lit_models.stems import STEMS
from toy_audio.stem import AUDIO_STEMS
from toy_audio.tone_data import ToneData

INPUTS["audio"] = "toy_audio.inputs.AudioInputs"
STEMS["audio"] = AUDIO_STEMS

__all__ = ["ToneData"]
