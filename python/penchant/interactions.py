"""Interactions: what users did with items, read once, held in both orientations."""

from __future__ import annotations

import glob as _glob
import os
from itertools import chain

import numpy as np

from . import _penchant
from .sparse import from_parts, to_parts


class Interactions:
    """Merged (user, item, weight) pairs with the dictionaries of their ids.

    Made by the ``from_*`` constructors. ``user_items`` and ``item_users`` give scipy matrices,
    ``report`` tells what reading refused, dropped and merged.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"who": ["ann", "bob", "ann"], "what": [7, 7, 9]})
    >>> data = Interactions.from_arrow(table, user="who", item="what")
    >>> data
    Interactions(num_users=2, num_items=2, nnz=3)
    >>> data.user_ids([0, 1])
    ['ann', 'bob']
    """

    def __init__(self, core, rows_unknown: int = 0):
        self._core = core
        self._rows_unknown = rows_unknown

    # -- Reading ------------------------------------------------------------------------------

    @classmethod
    def from_arrow(
        cls,
        data,
        *,
        user: str = "user",
        item: str = "item",
        weight: str | None = None,
        time: str | None = None,
        duplicates: str = "sum",
        max_bad_rows: int = 0,
        like=None,
        grow=None,
    ) -> Interactions:
        """Read anything with ``__arrow_c_stream__``: pyarrow, polars, pandas, duckdb tables.

        Parameters
        ----------
        user, item : str
            Columns that name user and item; integers or strings.
        weight : str, optional
            Column of interaction strength; 1 for every row when absent. Negative: disliked.
        time : str, optional
            Column of times (integers, dates or timestamps); needed to split by time.
        duplicates : {"sum", "max", "last", "error"}
            What several rows of one pair become.
        max_bad_rows : int
            Rows with null ids or non-finite weights that may be refused before reading fails.
        like : Interactions or model, optional
            Use its dictionaries: rows of unknown ids are left out and counted in ``report``.
        grow : Interactions or model, optional
            Start from its dictionaries and add new ids behind them (for a warm start).

        Raises
        ------
        DataError
            Missing columns, unsuitable types, or more than ``max_bad_rows`` bad rows.
        """
        return cls._read(
            [(type(data).__name__, data)],
            user,
            item,
            weight,
            time,
            duplicates,
            max_bad_rows,
            like,
            grow,
        )

    @classmethod
    def from_parquet(
        cls,
        path,
        *,
        user="user",
        item="item",
        weight=None,
        time=None,
        duplicates="sum",
        max_bad_rows=0,
        like=None,
        grow=None,
    ) -> Interactions:
        """Read a Parquet file, a list of files or a glob, batch by batch. See `from_arrow`."""
        columns = [name for name in (user, item, weight, time) if name]
        sources = ((file, _open_parquet(file, columns)) for file in _expand(path))
        return cls._read(sources, user, item, weight, time, duplicates, max_bad_rows, like, grow)

    @classmethod
    def from_csv(
        cls,
        path,
        *,
        user="user",
        item="item",
        weight=None,
        time=None,
        duplicates="sum",
        max_bad_rows=0,
        like=None,
        grow=None,
        delimiter=",",
    ) -> Interactions:
        """Read CSV files with a header line, batch by batch. See `from_arrow`."""
        columns = [name for name in (user, item, weight, time) if name]
        sources = ((file, _open_csv(file, columns, delimiter)) for file in _expand(path))
        return cls._read(sources, user, item, weight, time, duplicates, max_bad_rows, like, grow)

    @classmethod
    def from_scipy(cls, user_items) -> Interactions:
        """Take a users x items sparse matrix; dense rows are the ids.

        >>> from scipy.sparse import csr_matrix
        >>> Interactions.from_scipy(csr_matrix([[1, 0], [1, 2]])).nnz
        3
        """
        return cls(_penchant.Interactions.from_csr(to_parts(user_items, "user_items")))

    @classmethod
    def from_sequences(cls, sequences) -> Interactions:
        """Take sequences of tokens (strings or integers): sessions, sentences, baskets in order.

        The users are the sequences' numbers, the times the places in them.

        >>> data = Interactions.from_sequences([["a", "b", "a"], ["b", "c"]])
        >>> data.num_users, data.num_items, data.nnz
        (2, 3, 4)
        """
        import pyarrow as pa

        sequences = [list(sequence) for sequence in sequences]
        lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
        ends = np.cumsum(lengths)
        table = pa.table(
            {
                "user": np.repeat(np.arange(len(sequences)), lengths),
                "item": pa.array(list(chain.from_iterable(sequences))),
                "time": np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths),
            }
        )
        return cls.from_arrow(table, time="time")

    @classmethod
    def _read(cls, sources, user, item, weight, time, duplicates, max_bad_rows, like, grow):
        if like is not None and grow is not None:
            raise ValueError("give one of like= and grow=")
        users, items = _dictionaries(like if like is not None else grow)
        builder = _penchant.InteractionsBuilder(
            duplicates, max_bad_rows, users, items, like is not None
        )
        for name, table in sources:
            if not hasattr(table, "__arrow_c_stream__"):
                raise TypeError(
                    f"{type(table).__name__} has no __arrow_c_stream__; pass a pyarrow, polars or "
                    "pandas (2.2 or newer) table"
                )
            builder.add_stream(
                table.__arrow_c_stream__(), user, item, weight or "", time or "", str(name)
            )
        unknown = builder.rows_unknown
        return cls(builder.finish(), unknown)

    # -- Looking ------------------------------------------------------------------------------

    @property
    def num_users(self) -> int:
        return self._core.num_users

    @property
    def num_items(self) -> int:
        return self._core.num_items

    @property
    def nnz(self) -> int:
        """Number of distinct (user, item) pairs."""
        return self._core.nnz

    @property
    def report(self) -> dict:
        """Counts of rows read, bad, of zero weight, merged and unknown; the first bad rows."""
        return {**self._core.report, "rows_unknown": self._rows_unknown}

    @property
    def user_items(self):
        """The users x items matrix, scipy CSR, float32."""
        return from_parts(self._core.user_items())

    @property
    def item_users(self):
        """The items x users matrix, scipy CSR, float32."""
        return from_parts(self._core.item_users())

    def user_ids(self, rows=None):
        """Ids of dense user rows (all of them by default)."""
        return _ids(self._core.users, rows)

    def item_ids(self, rows=None):
        """Ids of dense item rows (all of them by default)."""
        return _ids(self._core.items, rows)

    def user_rows(self, ids) -> np.ndarray:
        """Dense rows of user ids; -1 where unknown."""
        return self._core.users.rows(ids)

    def item_rows(self, ids) -> np.ndarray:
        """Dense rows of item ids; -1 where unknown."""
        return self._core.items.rows(ids)

    def __repr__(self) -> str:
        return (
            f"Interactions(num_users={self.num_users}, num_items={self.num_items}, nnz={self.nnz})"
        )

    # -- Splitting ----------------------------------------------------------------------------

    def split_by_time(self, test_fraction: float = 0.1, cut=None, keep_cold_users: bool = False):
        """Train on the past, test on the future: ``(train, test)`` with shared dictionaries.

        The test part holds the events from the time of the last ``test_fraction`` of all events
        (or from ``cut``, in the time column's unit) less the pairs that the training part has.
        Users whom the training part does not know are left out of the test part and counted in its
        ``report["rows_cold"]``, unless ``keep_cold_users``.
        """
        if cut is not None:
            return _pair(self._core.split_at_time(int(cut), keep_cold_users))
        return _pair(self._core.split_by_time(test_fraction, keep_cold_users))

    def split_last(self):
        """Hold out the item each user turned to last, for users with at least two items."""
        return _pair(self._core.split_last())

    def split_random(self, test_fraction: float = 0.1, seed: int = 0):
        """Hold out each pair with probability ``test_fraction``, decided by ``seed``."""
        return _pair(self._core.split_random(test_fraction, seed))


def _pair(cores):
    return tuple(Interactions(core) for core in cores)


def _ids(dictionary, rows):
    if rows is None:
        rows = np.arange(len(dictionary), dtype=np.int32)
    return dictionary.ids(np.atleast_1d(np.asarray(rows, dtype=np.int32)))


def _dictionaries(like):
    if like is None:
        return None, None
    core = getattr(like, "_core", None)
    if core is None:
        raise TypeError(
            f"like= and grow= take Interactions or a fitted model; got {type(like).__name__}"
        )
    return core.users, core.items


def _expand(path) -> list[str]:
    paths = [os.fspath(p) for p in path] if isinstance(path, (list, tuple)) else [os.fspath(path)]
    files: list[str] = []
    for pattern in paths:
        found = [pattern] if os.path.exists(pattern) else sorted(_glob.glob(pattern))
        if not found:
            raise FileNotFoundError(f"no file matches {pattern}")
        files += found
    return files


def _require_columns(file: str, available: list[str], wanted: list[str]) -> None:
    missing = [name for name in wanted if name not in available]
    if missing:
        shown = ", ".join(f'"{name}"' for name in available)
        raise _penchant.DataError(f'{file}: no column "{missing[0]}"; the columns are {shown}')


def _open_parquet(file: str, columns: list[str]):
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise _penchant.DataError(f"{file}: not a readable Parquet file: {error}") from error
    _require_columns(file, parquet.schema_arrow.names, columns)
    fields = [parquet.schema_arrow.field(name) for name in dict.fromkeys(columns)]
    batches = parquet.iter_batches(1 << 18, columns=[field.name for field in fields])
    return pa.RecordBatchReader.from_batches(pa.schema(fields), batches)


def _open_csv(file: str, columns: list[str], delimiter: str):
    import pyarrow as pa
    import pyarrow.csv as csv

    try:
        reader = csv.open_csv(
            file,
            parse_options=csv.ParseOptions(delimiter=delimiter),
            convert_options=csv.ConvertOptions(strings_can_be_null=True),
        )
    except pa.ArrowInvalid as error:
        raise _penchant.DataError(f"{file}: not a readable CSV file: {error}") from error
    _require_columns(file, reader.schema.names, columns)
    return reader
