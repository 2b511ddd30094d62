"""What this machine's processor computes with instructions of its own."""

import platform

import torch


def has_bfloat16() -> bool:
    """Whether products of bfloat16 have instructions here, as on x86 with AVX512_BF16, and oneDNN uses them.

    Elsewhere every number is converted back and forth: convolutions, products and recurrent layers took six to
    seventeen times as long as in float32 on an AMD EPYC with AVX2 alone. So it is, by oneDNN's own code, with AVX-512
    of the first processors that had it, and with AVX-NE-CONVERT.
    """
    known = torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return known and (not x86 or bool(torch.cpu._is_avx512_bf16_supported()))
