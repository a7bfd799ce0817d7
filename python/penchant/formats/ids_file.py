"""Ids beside an index that knows numbers alone: a JSON list, in the order of the numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .tables import write_whole


def labels_of(item_ids: np.ndarray, path: Path) -> np.ndarray:
    """What to call the items of an index at ``path``: their ids, or, of strings, their places in
    the list that is written to PATH.ids.json."""
    if item_ids.dtype != object:
        return item_ids
    text = json.dumps(item_ids.tolist(), ensure_ascii=False)
    write_whole(
        path.with_name(path.name + ".ids.json"),
        lambda temporary: Path(temporary).write_text(text, encoding="utf-8"),
    )
    return np.arange(len(item_ids), dtype=np.int64)
