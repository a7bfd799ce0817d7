"""How much memory a training run takes, before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from . import _penchant
from .interactions import Interactions


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes by purpose. ``total`` is their sum, ``available`` what this machine has left.

    On CUDA, interactions that do not fit beside the factors pass through the GPU in blocks, and
    training needs only ``least``; elsewhere ``least`` is ``total``.
    """

    parts: dict[str, int]
    available: int
    least: int

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    @property
    def fits(self) -> bool:
        return self.least <= self.available

    def __str__(self) -> str:
        lines = [f"{amount / 1e6:12,.1f} MB  {what}" for what, amount in self.parts.items()]
        lines.append(f"{self.total / 1e6:12,.1f} MB  total; {self.available / 1e6:,.1f} available")
        if self.least < self.total:
            lines.append(f"{self.least / 1e6:12,.1f} MB  with interactions in blocks")
        return "\n".join(lines)


def estimate_memory(
    model,
    interactions: Interactions | None = None,
    *,
    num_users: int = 0,
    num_items: int = 0,
    nnz: int = 0,
    weighted: bool = True,
    device: str = "cpu",
) -> MemoryEstimate:
    """Estimate what ``model.fit`` would take on these interactions, or on sizes given by number.

    With ``device="cuda"`` it is the GPU's memory that is estimated; that works on machines without
    a GPU too, where ``available`` is 0.

    >>> import penchant
    >>> estimate = penchant.estimate_memory(
    ...     penchant.ImplicitALS(factors=64), num_users=10**6, num_items=10**5, nnz=10**8)
    >>> round(estimate.total / 1e9, 1)
    1.9
    """
    cuda = device.partition(":")[0] == "cuda"
    if not cuda and device not in ("cpu", "auto"):
        raise ValueError(f'device must be "auto", "cpu", "cuda" or "cuda:N"; got {device!r}')
    longest, events = 0, 0
    if interactions is not None:
        num_users, num_items = interactions.num_users, interactions.num_items
        nnz, weighted = interactions.nnz, interactions._core.weighted
        events = interactions._core.num_events

    def parts(block_bytes: int) -> dict[str, int]:
        config = model._config_text()
        threads = model.num_threads
        return dict(
            _penchant.estimate_memory(
                config,
                num_users,
                num_items,
                nnz,
                weighted,
                longest,
                events,
                threads,
                cuda,
                block_bytes,
            )
        )

    whole = parts(0)
    least = parts(_penchant.LEAST_BLOCK_BYTES) if cuda else whole
    available = _available(device) if cuda else _penchant.available_memory()
    return MemoryEstimate(whole, available, min(sum(whole.values()), sum(least.values())))


def _available(device: str) -> int:
    """Free bytes of a CUDA device; 0 where this machine has no such device."""
    index = int(device.partition(":")[2] or 0)
    there = index < _penchant.num_cuda_devices()
    return _penchant.cuda_device(index)["free_bytes"] if there else 0
