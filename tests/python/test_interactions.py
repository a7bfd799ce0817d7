"""Reading: every door, every fault."""

from __future__ import annotations

import numpy as np
import pandas as pd
import penchant
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from penchant import Interactions

ROWS = {"user": ["b", "a", "b", "c"], "item": [10, 20, 10, 30], "w": [1.0, 2.0, 3.0, 4.0]}


def dense(interactions):
    return interactions.user_items.toarray()


@pytest.mark.parametrize(
    "make",
    [
        pa.table,
        pd.DataFrame,
        pl.DataFrame,
        lambda rows: pa.table({**rows, "user": pa.array(rows["user"]).dictionary_encode()}),
        lambda rows: pa.table({**rows, "user": pa.array(rows["user"], pa.large_string())}),
        lambda rows: pa.table({**rows, "user": pa.array(rows["user"], pa.string_view())}),
    ],
)
def test_every_arrow_producer_gives_the_same(make):
    data = Interactions.from_arrow(make(ROWS), weight="w")
    assert data.user_ids() == ["b", "a", "c"]
    assert data.item_ids().tolist() == [10, 20, 30]
    np.testing.assert_array_equal(dense(data), [[4, 0, 0], [0, 2, 0], [0, 0, 4]])
    np.testing.assert_array_equal(data.item_users.toarray(), dense(data).T)


@pytest.mark.parametrize(("policy", "wanted"), [("sum", 4.0), ("max", 3.0), ("last", 3.0)])
def test_duplicates(policy, wanted):
    data = Interactions.from_arrow(pa.table(ROWS), weight="w", duplicates=policy)
    assert dense(data)[0, 0] == wanted
    assert data.report["rows_merged"] == 1


def test_duplicates_can_be_refused():
    with pytest.raises(penchant.DataError, match="repeat"):
        Interactions.from_arrow(pa.table(ROWS), duplicates="error")
    with pytest.raises(ValueError, match="sideways"):
        Interactions.from_arrow(pa.table(ROWS), duplicates="sideways")


def test_bad_rows_are_counted_shown_and_refused():
    table = pa.table(
        {
            "user": [1, None, 3, 4, 5, 6, 7, 8],
            "item": [1, 2, None, 4, 5, 6, 7, 8],
            "w": [1.0, 1.0, 1.0, float("nan"), float("inf"), -float("inf"), None, 0.0],
        }
    )
    with pytest.raises(penchant.DataError) as raised:
        Interactions.from_arrow(table, weight="w")
    text = str(raised.value)
    assert "6 bad rows" in text and ":2: null user id" in text and ":3: null item id" in text
    assert ":7:" not in text  # the first five only
    data = Interactions.from_arrow(table, weight="w", max_bad_rows=6)
    assert data.nnz == 1
    assert data.report["rows_bad"] == 6
    assert data.report["rows_zero_weight"] == 1


def test_a_missing_column_is_named_with_those_there_are(tmp_path):
    with pytest.raises(penchant.DataError, match=r'no column "usr".*"user", "item", "w"'):
        Interactions.from_arrow(pa.table(ROWS), user="usr")
    pq.write_table(pa.table(ROWS), tmp_path / "part.parquet")
    with pytest.raises(penchant.DataError, match=r'part.parquet: no column "usr"'):
        Interactions.from_parquet(tmp_path / "part.parquet", user="usr")


def test_types_that_cannot_be_ids_are_refused():
    with pytest.raises(penchant.DataError, match="neither integers nor strings"):
        Interactions.from_arrow(pa.table({"user": [1.5], "item": [1]}))
    with pytest.raises(penchant.DataError, match="Arrow type"):
        Interactions.from_arrow(pa.table({"user": [[1]], "item": [1]}))
    with pytest.raises(TypeError, match="__arrow_c_stream__"):
        Interactions.from_arrow({"user": [1]})


def test_files_that_change_type_midway_are_refused(tmp_path):
    pq.write_table(pa.table({"user": [1], "item": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"user": ["x"], "item": [1]}), tmp_path / "b.parquet")
    with pytest.raises(penchant.DataError, match="holds strings"):
        Interactions.from_parquet(tmp_path / "*.parquet")


def test_globs_lists_and_csv(tmp_path):
    for name, user in (("a", 5), ("b", 6)):
        pq.write_table(pa.table({"user": [user], "item": [1]}), tmp_path / f"{name}.parquet")
    assert Interactions.from_parquet(tmp_path / "*.parquet").user_ids().tolist() == [5, 6]
    both = [tmp_path / "b.parquet", tmp_path / "a.parquet"]
    assert Interactions.from_parquet(both).user_ids().tolist() == [6, 5]
    (tmp_path / "c.csv").write_text("user,item\nx,1\ny,2\n")
    assert Interactions.from_csv(tmp_path / "c.csv").user_ids() == ["x", "y"]
    with pytest.raises(FileNotFoundError, match="no file matches"):
        Interactions.from_parquet(tmp_path / "*.nothing")
    with pytest.raises(FileNotFoundError, match=r"no file matches .*absent\.parquet"):
        Interactions.from_parquet(tmp_path / "absent.parquet")
    (tmp_path / "c.csv").rename(tmp_path / "c[1].csv")
    assert Interactions.from_csv(tmp_path / "c[1].csv").user_ids() == ["x", "y"]
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(penchant.DataError, match="not a readable Parquet file"):
        Interactions.from_parquet(tmp_path / "bad.parquet")


def test_slices_keep_their_offsets():
    table = pa.table({"user": list(range(100)), "item": [str(i) for i in range(100)]}).slice(37, 5)
    data = Interactions.from_arrow(table)
    assert data.user_ids().tolist() == [37, 38, 39, 40, 41]
    assert data.item_ids() == ["37", "38", "39", "40", "41"]


def test_like_uses_the_dictionaries_and_counts_strangers():
    data = Interactions.from_arrow(pa.table(ROWS))
    test = Interactions.from_arrow(
        pa.table({"user": ["a", "zoe", "c"], "item": [10, 10, 99]}), like=data
    )
    assert test.user_items.shape == data.user_items.shape
    assert test.nnz == 1
    assert test.report["rows_unknown"] == 2
    grown = Interactions.from_arrow(pa.table({"user": ["zoe"], "item": [10]}), grow=data)
    assert grown.user_ids() == ["b", "a", "c", "zoe"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(max_size=8), st.integers(-3, 3)),
        max_size=60,
    )
)
def test_reading_is_a_group_by(rows):
    table = pa.table(
        {
            "user": pa.array([r[0] for r in rows], pa.int64()),
            "item": pa.array([r[1] for r in rows], pa.string()),
            "w": pa.array([float(r[2]) for r in rows], pa.float64()),
        }
    )
    data = Interactions.from_arrow(table, weight="w")
    wanted: dict = {}
    for user, item, weight in rows:
        if weight != 0:
            wanted[user, item] = wanted.get((user, item), 0.0) + weight
    coo = data.user_items.tocoo()
    users, items = data.user_ids(), data.item_ids()
    got = {(int(users[r]), items[c]): v for r, c, v in zip(coo.row, coo.col, coo.data)}
    assert got == {pair: value for pair, value in wanted.items() if value != 0}


def test_splits_share_dictionaries_and_do_not_overlap():
    random = np.random.default_rng(1)
    table = pa.table(
        {
            "user": random.integers(0, 50, 2000),
            "item": random.integers(0, 40, 2000),
            "t": random.integers(0, 10**9, 2000),
        }
    )
    data = Interactions.from_arrow(table, time="t")
    for train, test in (data.split_by_time(0.2), data.split_last(), data.split_random(0.3, 5)):
        assert train.user_items.shape == test.user_items.shape == data.user_items.shape
        assert train.user_items.multiply(test.user_items).nnz == 0
        assert test.nnz > 0
    with pytest.raises(ValueError, match="time"):
        Interactions.from_arrow(table).split_by_time(0.2)


def test_scipy_in_dense_rows_out(likes):
    data = Interactions.from_scipy(likes)
    assert (data.user_items != likes).nnz == 0
    bad = likes.copy()
    bad.data[3] = np.nan
    with pytest.raises(ValueError, match="weights must be finite"):
        Interactions.from_scipy(bad)
    with pytest.raises(TypeError, match="sparse"):
        Interactions.from_scipy(likes.toarray())
