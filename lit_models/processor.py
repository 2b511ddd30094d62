"""What this machine's processor computes with instructions of its own."""

import torch


def has_bfloat16() -> bool:
    """Whether products of bfloat16 have instructions here, as on x86 with AVX-512, and oneDNN uses them.

    Elsewhere torch converts every number back and forth: convolutions and products take five to thirty times as long.
    """
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
