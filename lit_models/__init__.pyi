from .base import LitModel as LitModel
from .cnn import LitCNN as LitCNN
from .errors import ConfigError as ConfigError
from .linear import LitLinear as LitLinear
from .losses import FocalLoss as FocalLoss
from .losses import SoftTargetCrossEntropy as SoftTargetCrossEntropy
from .mlp import LitMLP as LitMLP
from .res_cnn import LitResCNN as LitResCNN
from .res_mlp import LitResMLP as LitResMLP
from .rnn import LitRNN as LitRNN
from .schedules import Schedule as Schedule
from .transformer import LitTransformer as LitTransformer

__all__: list[str]
