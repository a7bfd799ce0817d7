"""What formats write: a model's ids, factors and lists as numpy arrays."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Tables:
    """Ids (int64, or object arrays of str) and factors, a row an id. The score of a pair is the dot
    product of its rows: where a model has item biases they are the items' last factor, and 1 is
    the users'."""

    user_ids: np.ndarray
    item_ids: np.ndarray
    users: np.ndarray
    items: np.ndarray

    @property
    def factors(self) -> int:
        return self.items.shape[1]


def ids_of(model, side: str) -> np.ndarray:
    """The ids of all "users" or "items": int64, or an object array of str."""
    rows = np.arange(len(getattr(model._fitted(), side)), dtype=np.int32)
    ids = np.asarray(model._ids(side, rows))
    return ids if ids.dtype == object else ids.astype(np.int64)


def tables_of(model, dtype: str = "float32") -> Tables:
    core = model._fitted()

    def table(values):
        values = np.ascontiguousarray(values)
        with np.errstate(over="ignore"):
            narrow = values.astype(dtype)
        if not np.isfinite(narrow).all():
            raise ValueError(f"a factor as large as {np.abs(values).max()} does not fit {dtype}")
        return narrow

    return Tables(
        ids_of(model, "users"),
        ids_of(model, "items"),
        table(core.user_factors),
        table(core.item_factors),
    )


def top_lists(model, options, users_at_once: int = 4096) -> Iterator[tuple]:
    """(user id, item ids, scores) of every user, best first; what users have is left out."""
    seen = options.seen if options.seen is not None else model._training_interactions()
    if seen is None:
        raise ValueError(
            "lists leave out what users have: pass seen=, the interactions of the training (in the "
            "shell --config, whose data section names them)"
        )
    ids = ids_of(model, "users")
    for begin in range(0, len(ids), users_at_once):
        block = ids[begin : begin + users_at_once]
        rows = model._rows("users", list(block), "user")
        items, scores = model.recommend(list(block), seen.user_items[rows], N=options.top_n)
        for user, found, values in zip(block, items, scores):
            kept = np.isfinite(values)
            yield user, found[kept], values[kept]


def plain(value):
    """An id as Python's int or str."""
    return value if isinstance(value, str) else int(value)


def write_whole(path: Path, write: Callable[[str], None]) -> None:
    """Runs ``write(temporary)`` and moves what it wrote, a file or folder, to ``path``."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    _remove(temporary)
    try:
        write(str(temporary))
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
