"""The architectures as plain ``torch.nn.Module``s: nothing in this folder imports Lightning."""

from lit_models.networks.cnn import CNN
from lit_models.networks.linear import Linear
from lit_models.networks.mlp import MLP
from lit_models.networks.res_cnn import ResCNN
from lit_models.networks.res_mlp import ResMLP
from lit_models.networks.rnn import RNN
from lit_models.networks.tabm import TabM
from lit_models.networks.transformer import Transformer

__all__ = ["CNN", "MLP", "RNN", "Linear", "ResCNN", "ResMLP", "TabM", "Transformer"]
