"""What this machine's processor computes with instructions of its own."""

import platform
from functools import cache
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux describes the processors."""

ZEN_5 = 26
"""AMD's family of processors from which on a server's core multiplies 512 bits at once, in place of two halves."""


def has_bfloat16() -> bool:
    """Whether products of bfloat16 have instructions here, as on x86 with AVX512_BF16, and oneDNN uses them.

    Elsewhere every number is converted back and forth: convolutions, products and recurrent layers took six to
    seventeen times as long as in float32 on an AMD EPYC with AVX2 alone. So it is, by oneDNN's own code, with AVX-512
    of the first processors that had it, and with AVX-NE-CONVERT.
    """
    known = torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return known and (not x86 or bool(torch.cpu._is_avx512_bf16_supported()))


@cache
def amd_avx512_bits() -> int:
    """How many bits of AVX-512 one of AMD's processors multiplies at once: 512, or 256, in two halves; 0 elsewhere.

    There oneDNN's float32 products are faster than those of MKL, which keeps to AVX2 on processors that are not
    Intel's. Linux alone says which processor it is.
    """
    if not (torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"):
        return 0
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}
    if said.get("vendor_id") != "AuthenticAMD":
        return 0
    return 512 if int(said.get("cpu family", 0)) >= ZEN_5 else 256
