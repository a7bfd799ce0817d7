"""Segments of users and items, their table, and their use in evaluate."""

import numpy as np
import penchant
import pytest
from penchant import ImplicitALS, Interactions
from scipy import sparse


@pytest.fixture(scope="module")
def tastes():
    """Three groups of users (60, 30, 10), each fond of ten items of its own."""
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], [60, 30, 10])
    likes = rng.random((100, 30)) < np.where(groups[:, None] == np.arange(30) // 10, 0.6, 0.04)
    matrix = sparse.csr_matrix(likes.astype(np.float32))
    model = ImplicitALS(factors=8, iterations=5).fit(matrix, show_progress=False)
    return groups, matrix, model


def test_users_are_grouped_by_taste_from_the_largest_on(tastes):
    groups, _, model = tastes
    segments = penchant.segments(model, k=3)
    assert (segments.labels == groups).mean() > 0.97
    assert [row["segment"] for row in segments.table] == ["0", "1", "2"]
    assert sum(row["size"] for row in segments.table) == 100
    assert len(segments) == 3


def test_shares_and_lifts_are_those_of_the_interactions(tastes):
    _, matrix, model = tastes
    segments = penchant.segments(model, k=3, top=10)
    dense = matrix.toarray()
    for row in segments.table:
        mine = dense[segments.labels == row["label"]]
        assert row["size"] == len(mine)
        differences = mine.mean(axis=0) - dense.mean(axis=0)
        wanted = np.sort(differences)[::-1][:10]
        listed = [top["item"] for top in row["top_items"]]
        np.testing.assert_allclose(differences[listed], wanted)
        for top in row["top_items"]:
            share = mine[:, top["item"]].mean()
            assert top["share"] == pytest.approx(share)
            assert top["lift"] == pytest.approx(share / dense[:, top["item"]].mean())
        assert {item // 10 for item in listed} == {row["label"]}


def test_items_are_grouped_by_who_likes_them(tastes):
    _, matrix, model = tastes
    segments = penchant.segments(model, k=3, on="items", top=3)
    themes = np.arange(30) // 10
    for theme in range(3):
        assert len(set(segments.labels[themes == theme])) == 1
    dense = matrix.toarray()
    for row in segments.table:
        mine = np.flatnonzero(segments.labels == row["label"])
        for top in row["top_items"]:
            others = np.setdiff1d(mine, top["item"])
            with_another = dense[:, others].any(axis=1)
            lift = dense[with_another, top["item"]].mean() / dense[:, top["item"]].mean()
            assert top["lift"] == pytest.approx(lift)


def test_segments_split_down_to_one_person(tastes):
    _, _, model = tastes
    segments = penchant.segments(model, k=3)
    parts = segments.split("2", k=segments.table[2]["size"])
    ones = [row for row in parts.table if row["segment"].startswith("2.")]
    assert len(ones) == segments.table[2]["size"]
    assert all(row["size"] == 1 for row in ones)
    untouched = segments.labels != 2
    np.testing.assert_array_equal(parts.labels[untouched], segments.labels[untouched])
    assert parts.inertia < segments.inertia
    with pytest.raises(ValueError, match="there is no segment '2'"):
        parts.split("2")
    with pytest.raises(ValueError, match="has 1 users, fewer than k=2"):
        parts.split(ones[0]["segment"])


def test_evaluate_takes_segments(tastes):
    _, matrix, _ = tastes
    train, test = Interactions.from_scipy(matrix).split_random(0.2, seed=1)
    model = ImplicitALS(factors=8, iterations=5).fit(train, show_progress=False)
    segments = penchant.segments(model, k=3)
    result = penchant.evaluate(model, test, k=10, segments=segments)
    assert {row["segment"] for row in result.segments} == {0, 1, 2}
    counted = sum(row["users"] for row in result.segments if row["metric"] == "ndcg@10")
    assert counted == len(result.users)


def test_the_same_seed_gives_the_same_segments(tastes):
    _, _, model = tastes
    one = penchant.segments(model, k=5, random_state=3)
    again = penchant.segments(model, k=5, random_state=3)
    np.testing.assert_array_equal(one.labels, again.labels)
    assert str(one) == str(again)


def test_what_cannot_be_grouped_is_named(tastes, tmp_path):
    _, _, model = tastes
    with pytest.raises(ValueError, match=r"k must be in \[1, 100\]"):
        penchant.segments(model, k=101)
    with pytest.raises(ValueError, match="not fitted"):
        penchant.segments(ImplicitALS())
    with pytest.raises(ValueError, match='on must be "users" or "items"'):
        penchant.segments(model, on="rows")
    with pytest.raises(ValueError, match="wanted the model's 100 x 30"):
        penchant.segments(model, interactions=sparse.csr_matrix((3, 3)))
    model.save(tmp_path / "model.penchant")
    loaded = penchant.load(tmp_path / "model.penchant")
    with pytest.raises(ValueError, match="pass interactions="):
        penchant.segments(loaded)


def test_plots_show_every_segment(tastes):
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("Agg")
    _, _, model = tastes
    segments = penchant.segments(model, k=3)
    ax = segments.plot()
    assert len(ax.get_legend().get_texts()) == 3
    assert "100 users in 3 segments" in ax.get_title()
