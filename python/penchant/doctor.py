"""What this installation can do on this machine, and why not more."""

from __future__ import annotations

import os
import platform
from pathlib import Path

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
        "cuda": _cuda(),
    }


def _cuda() -> dict:
    """Whether a GPU can be used, which there are, and what is in the way."""
    reason = _penchant.cuda_unavailable_reason()
    driver = Path("/proc/driver/nvidia/version")
    return {
        "usable": not reason,
        "reason": reason or None,
        "built": _penchant.cuda_built(),
        "driver": driver.read_text().splitlines()[0] if driver.exists() else None,
        "devices": [_device(index) for index in range(_penchant.num_cuda_devices())],
    }


def _device(index: int) -> dict:
    reason = _penchant.cuda_unavailable_reason(index)
    return {**_penchant.cuda_device(index), "usable": not reason, "reason": reason or None}
