"""An hnswlib index of the items (space "ip"): approximate search for catalogues past a million.

Its labels are the item ids, or, of strings, places in PATH.ids.json. Distances are 1 - score.
"""

from __future__ import annotations

import hnswlib

from .ids_file import labels_of
from .tables import tables_of, write_whole

_LINKS = 32
_BUILD_EFFORT = 200


def write(model, path, options) -> None:
    tables = tables_of(model)
    labels = labels_of(tables.item_ids, path)
    if (labels < 0).any():
        raise ValueError(f"hnswlib's labels are unsigned; the items have the id {labels.min()}")
    index = hnswlib.Index(space="ip", dim=tables.factors)
    index.init_index(
        max_elements=max(len(labels), 1), M=_LINKS, ef_construction=_BUILD_EFFORT, random_seed=1
    )
    index.add_items(tables.items, labels)
    write_whole(path, index.save_index)
