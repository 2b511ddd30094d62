"""Instructions of this machine's processor on which a choice of kernels depends."""

import platform
from functools import cache
from pathlib import Path

import torch

from lit_models.internals.torch_parts import mkldnn_has_bfloat16, x86_has_bfloat16

CPUINFO = Path("/proc/cpuinfo")  # Linux's description of the processors

ZEN_5 = 26  # AMD's first processor family whose server cores multiply 512 bits at once, not as two halves


def has_bfloat16() -> bool:
    """Returns True if oneDNN multiplies bfloat16 here by instructions of its own, as on x86 with AVX512_BF16.

    Elsewhere every number is converted back and forth: convolutions, products and recurrent layers took six to
    seventeen times as long as in float32 on an AMD EPYC with AVX2 alone. By oneDNN's code this also holds for the first
    processors with AVX-512 and for AVX-NE-CONVERT.
    """
    supported = torch.backends.mkldnn.is_available() and mkldnn_has_bfloat16()
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return supported and (not x86 or x86_has_bfloat16())


@cache
def amd_avx512_bits() -> int:
    """Returns how many bits of AVX-512 an AMD processor multiplies at once: 512, 256 (two halves), or 0 elsewhere.

    On these, oneDNN's float32 products are faster than MKL's, which stays with AVX2 on processors that are not Intel's.
    Only Linux describes the processor.
    """
    if not (torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"):
        return 0
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    pairs = (line.partition(":") for line in reversed(lines))
    features = {name.strip(): value.strip() for name, _, value in pairs}
    if features.get("vendor_id") != "AuthenticAMD":
        return 0
    return 512 if int(features.get("cpu family", 0)) >= ZEN_5 else 256
