"""Rows per second from Parquet into both orientations, integer and string ids."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import print_table, save
from penchant import Interactions

ROWS = 10_000_000


def main() -> None:
    random = np.random.default_rng(1)
    users = random.zipf(1.2, ROWS) % 500_000
    items = random.integers(0, 100_000, ROWS)
    tables = {
        "integer ids": pa.table({"user": users, "item": items}),
        "string ids": pa.table(
            {
                "user": pa.array(np.char.add("customer-", users.astype(str))),
                "item": pa.array(np.char.add("sku-", items.astype(str))),
            }
        ),
    }
    rows, results = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name, table in tables.items():
            path = Path(folder) / "rows.parquet"
            pq.write_table(table, path)
            best = np.inf
            for _ in range(3):
                begin = time.perf_counter()
                Interactions.from_parquet(path)
                best = min(best, time.perf_counter() - begin)
            results[name] = ROWS / best
            rows.append([name, f"{ROWS / best / 1e6:.2f} M rows/s"])
    print_table(["", "Parquet to both orientations, wall time"], rows)
    save("io", results)


if __name__ == "__main__":
    main()
