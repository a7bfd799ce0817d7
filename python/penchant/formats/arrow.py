"""Parquet or Arrow IPC: a folder with users and items, each with ``id`` and ``factors``."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from .tables import tables_of, write_whole


def write(model, path, options) -> None:
    tables = tables_of(model, options.dtype)
    sides = {"users": (tables.user_ids, tables.users), "items": (tables.item_ids, tables.items)}

    def write_sides(temporary: str) -> None:
        folder = Path(temporary)
        folder.mkdir()
        for side, (ids, factors) in sides.items():
            vectors = pa.FixedSizeListArray.from_arrays(
                pa.array(factors.reshape(-1)), tables.factors
            )
            table = pa.table({"id": pa.array(ids), "factors": vectors})
            if path.name.endswith("_parquet"):
                pyarrow.parquet.write_table(table, folder / f"{side}.parquet")
            else:
                pyarrow.feather.write_feather(
                    table, folder / f"{side}.arrow", compression="uncompressed"
                )

    write_whole(path, write_sides)
