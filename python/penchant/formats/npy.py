"""A folder of .npy files: user_factors, item_factors, user_ids, item_ids. None needs pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .tables import tables_of, write_whole


def write(model, path, options) -> None:
    tables = tables_of(model, options.dtype)
    arrays = {
        "user_factors": tables.users,
        "item_factors": tables.items,
        "user_ids": _texts(tables.user_ids),
        "item_ids": _texts(tables.item_ids),
    }

    def write_arrays(temporary: str) -> None:
        Path(temporary).mkdir()
        for name, array in arrays.items():
            np.save(Path(temporary) / f"{name}.npy", array, allow_pickle=False)

    write_whole(path, write_arrays)


def _texts(ids: np.ndarray) -> np.ndarray:
    return ids.astype(np.str_) if ids.dtype == object else ids
