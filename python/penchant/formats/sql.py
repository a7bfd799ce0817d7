"""Top-N lists as a table of an SQLite or DuckDB file: recommendations(user, rank, item, score)."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pyarrow as pa

from .tables import ids_of, plain, top_lists, write_whole

_INSERT = "INSERT INTO recommendations VALUES (?, ?, ?, ?)"


def _rows(model, options):
    for user, items, scores in top_lists(model, options):
        for rank, (item, score) in enumerate(zip(items, scores), 1):
            yield plain(user), rank, plain(item), float(score)


def write(model, path, options) -> None:
    texts = [ids_of(model, side).dtype == object for side in ("users", "items")]
    to_file = _write_sqlite if path.suffix == ".sqlite" else _write_duckdb
    write_whole(path, lambda temporary: to_file(temporary, texts, _rows(model, options)))


def _write_sqlite(path: str, texts: list[bool], rows) -> None:
    user, item = ("TEXT" if text else "INTEGER" for text in texts)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            f"CREATE TABLE recommendations (user {user}, rank INTEGER, item {item}, score REAL, "
            "PRIMARY KEY (user, rank)) WITHOUT ROWID"
        )
        database.executemany(_INSERT, rows)


def _write_duckdb(path: str, texts: list[bool], rows) -> None:
    import duckdb

    user, item = (pa.string() if text else pa.int64() for text in texts)
    columns = list(zip(*rows)) or [(), (), (), ()]
    table = pa.table(
        {
            "user": pa.array(columns[0], user),
            "rank": pa.array(columns[1], pa.int32()),
            "item": pa.array(columns[2], item),
            "score": pa.array(columns[3], pa.float32()),
        }
    )
    with closing(duckdb.connect(path)) as database:
        database.register("rows", table)
        database.execute('CREATE TABLE recommendations AS SELECT * FROM "rows"')
