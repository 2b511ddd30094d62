"""A max-pool gives the same with and without padding: padding never is the largest value."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import QUICK
from torch import nn

from lit_models import LitCNN, LitResCNN
from lit_models.networks.cnn import Block

LENGTHS = st.lists(st.integers(1, 9), min_size=2, max_size=6)


@QUICK
@given(LENGTHS, st.integers(0, 2**31), st.integers(1, 5))
def test_a_block_with_negative_values_pools_them_alone(lengths: list[int], seed: int, more: int) -> None:
    """Without a ReLU behind it, which hides whether 0 or a negative value was the largest."""
    torch.manual_seed(seed)
    block = Block(2, 3, dims=1, kernel_size=3, pool=True, relu=False).eval()
    assert block.conv.bias is not None or isinstance(block.norm, nn.BatchNorm1d)
    nn.init.constant_(block.norm.bias, -100.0)  # every value is negative
    steps = max(lengths) + more
    x, length = torch.randn(len(lengths), 2, steps), torch.tensor(lengths)
    padding = torch.arange(steps) >= length.unsqueeze(1)
    with torch.no_grad():
        pooled = block(x, padding)
        for row, count in enumerate(lengths):
            alone = block(x[row : row + 1, :, :count])[0]
            assert (alone < 0).all()
            torch.testing.assert_close(pooled[row, :, : alone.shape[1]], alone)


@pytest.mark.parametrize(
    "architecture", [lambda **facts: LitCNN(pool_blocks=3, channels=(4, 5, 6), **facts),
                     lambda **facts: LitResCNN(pool_blocks=3, channels=(4, 5, 6), **facts)], ids=["cnn", "res_cnn"]
)  # fmt: skip
@QUICK
@given(lengths=LENGTHS, seed=st.integers(0, 2**31), bias=st.sampled_from([-2.0, 0.0, 2.0]))
def test_a_model_gives_the_same_with_and_without_padding(
    architecture, lengths: list[int], seed: int, bias: float
) -> None:
    torch.manual_seed(seed)
    model = architecture(task="multiclass", modality="series", input_shape=(2, 12), num_outputs=3).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.constant_(module.bias, bias)
            nn.init.normal_(module.running_mean)
    x, length = torch.randn(len(lengths), 2, max(lengths) + 3), torch.tensor(lengths)
    with torch.no_grad():
        padded = model(x, lengths=length)
        alone = torch.cat([model(x[row : row + 1, :, :count]) for row, count in enumerate(lengths)])
    torch.testing.assert_close(padded, alone, rtol=1e-4, atol=1e-5)
