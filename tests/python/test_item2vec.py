"""Item2Vec: sequences, its vectors, fold-in, explanations."""

import numpy as np
import penchant
import pyarrow as pa
import pytest
from penchant import Interactions, Item2Vec


def planted_sequences(count: int = 400, themes: int = 4, seed: int = 0) -> list[list[str]]:
    """Each sequence walks the ten tokens of one theme."""
    rng = np.random.default_rng(seed)
    return [
        [f"t{rng_theme}-{token}" for token in rng.integers(0, 10, 8)]
        for rng_theme in rng.integers(0, themes, count)
    ]


@pytest.fixture(scope="module")
def trained():
    data = Interactions.from_sequences(planted_sequences())
    model = Item2Vec(factors=16, epochs=30, deterministic=True, random_state=1)
    return data, model.fit(data, show_progress=False)


def theme(token: str) -> str:
    return token.split("-")[0]


def test_sequences_keep_tokens_and_order():
    data = Interactions.from_sequences([["a", "b", "a"], [], ["b", "c"]])
    assert (data.num_users, data.num_items, data.nnz) == (2, 3, 4)
    assert data.user_items.toarray().tolist() == [[2, 1, 0], [0, 1, 1]]
    assert Interactions.from_sequences([[3, 1], [1]]).item_ids([0, 1]).tolist() == [3, 1]


def test_similar_items_share_a_theme(trained):
    _, model = trained
    for token in ("t0-0", "t1-5", "t3-9"):
        similar, _ = model.similar_items(token, N=10)
        assert {theme(str(name)) for name in similar} == {theme(token)}


def test_users_are_means_of_their_items_centers(trained):
    data, model = trained
    liked = data.user_items.astype(bool).astype(np.float64)
    means = liked @ model.item_centers / liked.sum(axis=1)
    np.testing.assert_allclose(model.user_factors, means, atol=1e-6)
    ids, scores = model.recommend(7, N=40, filter_already_liked_items=False)
    wanted = np.sort(np.asarray(means[7] @ model.item_factors.T).ravel())[::-1]
    np.testing.assert_allclose(scores, wanted[: len(scores)], atol=1e-5)
    history = data.item_ids(data.user_items[7].indices)
    assert {theme(str(name)) for name in ids[:5]} == {theme(history[0])}


def test_explanations_add_up(trained):
    data, model = trained
    total, contributions, _ = model.explain(7, data.user_items[7], "t0-0", N=100)
    assert total == pytest.approx(sum(part for _, part in contributions))
    ids, scores = model.recommend(7, data.user_items[7], N=40, filter_already_liked_items=False)
    assert total == pytest.approx(float(scores[list(ids).index("t0-0")]), abs=1e-5)


def test_order_decides_what_is_beside():
    """In the order of times, tokens meet their neighbours alone; in a basket, all."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(300), 20)
    tokens = (np.tile(np.arange(20), 300) + np.repeat(rng.integers(0, 20, 300), 20)) % 20
    times = np.tile(np.arange(20), 300)
    shuffled = rng.permutation(len(users))
    table = pa.table({"user": users[shuffled], "item": tokens[shuffled], "time": times[shuffled]})
    data = Interactions.from_arrow(table, time="time")
    model = Item2Vec(factors=16, window=1, epochs=30, deterministic=True)
    model.fit(data, show_progress=False)
    order = np.argsort(data.item_ids(np.arange(20)))
    beside = (model.item_centers @ model.item_factors.T)[order][:, order]
    np.fill_diagonal(beside, -np.inf)
    best_two = np.sort(np.argsort(-beside, axis=1)[:, :2], axis=1)
    wanted = np.sort(np.stack([(np.arange(20) - 1) % 20, (np.arange(20) + 1) % 20], axis=1), axis=1)
    assert (best_two == wanted).mean() > 0.9


def test_parameters_out_of_range_are_named():
    data = Interactions.from_sequences(planted_sequences(20))
    for name, value in [
        ("factors", 0),
        ("window", 0),
        ("negative_samples", 0),
        ("negative_power", 3),
        ("subsample", 2),
        ("epochs", 0),
        ("learning_rate", 0),
    ]:
        with pytest.raises(ValueError, match=name):
            Item2Vec(**{name: value}).fit(data, show_progress=False)


def test_resume_equals_an_unbroken_run(tmp_path):
    data = Interactions.from_sequences(planted_sequences(100))
    make = lambda: Item2Vec(factors=8, epochs=6, deterministic=True)  # noqa: E731
    whole = make().fit(data, show_progress=False)
    make().fit(data, False, lambda iteration, _: iteration < 2, checkpoint_directory=tmp_path)
    resumed = make().fit(data, show_progress=False, checkpoint_directory=tmp_path, resume=True)
    for name in ("user_factors", "item_factors", "item_centers"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))


def test_the_same_pairs_at_other_times_are_other_data(tmp_path):
    def events(reverse):
        times = np.arange(40)
        return Interactions.from_arrow(
            pa.table(
                {
                    "u": np.repeat(np.arange(4), 10),
                    "i": np.tile(np.arange(10), 4),
                    "t": times[::-1].copy() if reverse else times,
                }
            ),
            user="u",
            item="i",
            time="t",
        )

    def fit(data, resume):
        model = Item2Vec(factors=4, epochs=2, deterministic=True)
        return model.fit(data, False, checkpoint_directory=tmp_path, resume=resume)

    fit(events(reverse=False), resume=False)
    fit(events(reverse=False), resume=True)
    with pytest.raises(ValueError, match="other events or times"):
        fit(events(reverse=True), resume=True)


def test_memory_is_estimated_of_events_not_of_pairs():
    model = Item2Vec(factors=4)
    once = Interactions.from_sequences([["a", "b"]] * 1000)
    often = Interactions.from_sequences([["a", "b"] * 500] * 1000)
    assert once.nnz == often.nnz
    more = (
        penchant.estimate_memory(model, often).total - penchant.estimate_memory(model, once).total
    )
    assert more >= 998_000 * 16


def test_saved_models_fold_in_alike(tmp_path, trained):
    data, model = trained
    model.save(tmp_path / "model.penchant")
    loaded = penchant.load(tmp_path / "model.penchant")
    assert isinstance(loaded, Item2Vec) and loaded.window == model.window
    np.testing.assert_array_equal(loaded.item_centers, model.item_centers)
    ids, scores = loaded.recommend(3, data.user_items[3], recalculate_user=True, N=5)
    wanted_ids, wanted = model.recommend(3, data.user_items[3], N=5)
    assert list(ids) == list(wanted_ids)
    np.testing.assert_allclose(scores, wanted, atol=1e-6)
