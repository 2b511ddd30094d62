"""What this machine's processor computes with instructions of its own."""

import torch


def has_bfloat16() -> bool:
    """Whether products of bfloat16 have instructions here, as on x86 with AVX-512, and oneDNN uses them.

    Elsewhere torch converts every number back and forth: convolutions, products and recurrent layers took six to
    seventeen times as long as in float32 on an AMD EPYC with AVX2 alone.
    """
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
