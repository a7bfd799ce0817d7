"""A faiss index of the items, by inner product; query it with rows of user factors.

Its ids are the item ids, or, of strings, places in PATH.ids.json.
"""

from __future__ import annotations

import faiss
import numpy as np

from .ids_file import labels_of
from .tables import tables_of, write_whole

_KINDS = {
    ("float32", False): "IDMap,Flat",
    ("float16", False): "IDMap,SQfp16",
    ("float32", True): "IDMap,HNSW32,Flat",
    ("float16", True): "IDMap,HNSW32,SQfp16",
}


def write(model, path, options) -> None:
    tables = tables_of(model)
    kind = _KINDS[options.dtype, options.ann]
    index = faiss.index_factory(tables.factors, kind, faiss.METRIC_INNER_PRODUCT)
    items = np.ascontiguousarray(tables.items, dtype=np.float32)
    index.train(items)
    index.add_with_ids(items, labels_of(tables.item_ids, path))
    write_whole(path, lambda temporary: faiss.write_index(index, temporary))
