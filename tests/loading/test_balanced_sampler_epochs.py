"""The balanced sampler over several epochs: every class is drawn equally often."""

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import QUICK, small_data

COUNTS = st.lists(st.integers(12, 30), min_size=2, max_size=5)


@QUICK
@given(COUNTS, st.integers(0, 2**40), st.integers(0, 20))
def test_as_many_epochs_as_classes_draw_each_class_equally_often(counts: list[int], seed: int, first: int) -> None:
    """The rows of an epoch that are left over when it is divided by the classes go to each class in turn."""
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    data = small_data(torch.randn(len(y), 2), y, sampler="balanced", batch_size=len(y))
    data.setup("fit")
    rows = data.part_rows()["train"]
    torch.manual_seed(seed)
    loader = data.train_dataloader()
    drawn = Counter[int]()
    for epoch in range(first, first + len(counts)):
        loader.sampler.set_epoch(epoch)
        (batch,) = loader
        in_epoch = Counter(batch["y"].tolist())
        assert {*in_epoch.values()} <= {rows // len(counts), -(-rows // len(counts))}
        drawn += in_epoch
    assert drawn == dict.fromkeys(range(len(counts)), rows)
