"""Plain safetensors: ``user_factors``, ``item_factors`` and ids, for any framework."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save_file

from .tables import tables_of, write_whole


def write(model, path, options) -> None:
    tables = tables_of(model, options.dtype)
    tensors = {"user_factors": tables.users, "item_factors": tables.items}
    for side, ids in (("user", tables.user_ids), ("item", tables.item_ids)):
        if ids.dtype != object:
            tensors[f"{side}_ids"] = ids
            continue
        # safetensors has no strings: UTF-8 bytes, id i from offsets[i] to offsets[i + 1].
        texts = [text.encode() for text in ids]
        ends = np.cumsum([0] + [len(text) for text in texts], dtype=np.int64)
        tensors[f"{side}_id_offsets"] = ends
        tensors[f"{side}_id_bytes"] = np.frombuffer(b"".join(texts), dtype=np.uint8)
    write_whole(path, lambda temporary: save_file(tensors, temporary))
