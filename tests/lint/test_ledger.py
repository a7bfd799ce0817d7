"""What the ledger of compiled kernels refuses, told from its records (bench/ledger)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "ledger"))
import ledger


def record(kernel: str, **counted: int) -> dict:
    return {"kernel": kernel, "arch": 80, **dict.fromkeys(ledger.BANNED_IN_HOT, 0), **counted}


@pytest.mark.parametrize("banned", ["spilled", "WARPSYNC", "CALL"])
@pytest.mark.parametrize("kernel", ["SolveRowsKernel<2, ...>", "SolvePairsKernel<float>"])
def test_a_hot_kernel_that_spills_waits_or_calls_is_refused_by_name(kernel, banned):
    ledger.refuse_banned([record(kernel)])
    with pytest.raises(SystemExit, match=f"{kernel[:10]}.* on sm_80: {banned} 4, wanted 0"):
        ledger.refuse_banned([record(kernel), record(kernel, **{banned: 4})])


def test_other_kernels_may():
    ledger.refuse_banned([record("SelectKernel", WARPSYNC=1, CALL=2)])
