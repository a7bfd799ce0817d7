"""What this installation can do on this machine, and why not more."""

from __future__ import annotations

import os
import platform

from . import _penchant


def doctor() -> dict:
    """Facts about the CPU kernels, BLAS and GPU use of this installation.

    >>> sorted(doctor())[:3]
    ['blas', 'cuda', 'isa']
    """
    return {
        "penchant": _penchant.version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "isa": {
            "selected": _penchant.isa(),
            "supported": _penchant.supported_isas(),
            "override": os.environ.get("PENCHANT_ISA"),
        },
        "blas": _penchant.blas(),
        "threads": len(os.sched_getaffinity(0)),
        "memory_available_bytes": _penchant.available_memory(),
        "cuda": {"usable": False, "reason": _cuda_reason()},
    }


def _cuda_reason() -> str:
    driver = "/proc/driver/nvidia/version"
    device = (
        "an NVIDIA driver is loaded" if os.path.exists(driver) else "no NVIDIA driver is loaded"
    )
    return f"{_penchant.cuda_unavailable_reason()}; {device} on this machine"
