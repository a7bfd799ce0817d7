"""Ids as users give them, turned into what a dictionary takes."""

from __future__ import annotations

import numpy as np


def is_single(ids) -> bool:
    """One id, not a sequence of them."""
    return isinstance(ids, (str, bytes)) or np.ndim(ids) == 0


def as_ids(dictionary, ids, what: str):
    """A list of strings or an int64 array, as the dictionary needs."""
    if dictionary.is_string:
        values = [ids] if isinstance(ids, str) else list(ids)
        for value in values:
            if not isinstance(value, str):
                raise TypeError(f"{what}: this model's ids are strings; got {value!r}")
        return values
    array = np.atleast_1d(np.asarray(ids))
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{what}: this model's ids are integers; got {array.reshape(-1)[0]!r}")
    return array.astype(np.int64)
