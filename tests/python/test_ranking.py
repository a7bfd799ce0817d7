"""RankingMF: its losses, biases and parameters."""

import numpy as np
import penchant
import pytest
from penchant import Interactions, Item2Vec, RankingMF
from scipy import sparse


@pytest.mark.parametrize("loss", ["bpr", "warp", "logistic", "ccl", "softmax"])
def test_ranking_losses_learn_and_are_judged_with_their_biases(loss, likes, scores_of):
    train, test = Interactions.from_scipy(likes).split_random(0.2, seed=1)
    model = RankingMF(loss, factors=16, deterministic=True).fit(train, show_progress=False)
    scores = scores_of(model)
    scores[train.user_items.toarray() != 0] = -np.inf
    hidden = test.user_items.toarray() != 0
    hits = np.take_along_axis(hidden, np.argsort(-scores, axis=1)[:, :10], axis=1)
    recall = (hits.sum(1) / np.maximum(hidden.sum(1), 1))[hidden.any(1)].mean()
    got = penchant.evaluate(model, test, k=10)["recall@10"]
    assert got == pytest.approx(recall, abs=1e-3)
    assert got > 1.5 * 10 / likes.shape[1]
    assert np.any(model.item_biases) == (loss != "ccl")
    if loss == "ccl":
        np.testing.assert_allclose(np.linalg.norm(model.item_factors, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        RankingMF(factors=8, negative_power=0.5, deterministic=True),
        RankingMF("softmax", factors=8, negative_power=1.0, deterministic=True),
        Item2Vec(factors=8, deterministic=True),
    ],
    ids=["bpr", "softmax", "item2vec"],
)
def test_items_that_nobody_has_rank_low(model, likes, scores_of):
    with_new = sparse.hstack([likes, sparse.csr_matrix((likes.shape[0], 5))]).tocsr()
    scores = scores_of(model.fit(with_new, show_progress=False))
    ranks = np.argsort(np.argsort(-scores, axis=1), axis=1)[:, -5:]
    assert np.median(ranks) > likes.shape[1] / 2


def test_similar_items_of_a_ranking_model_leave_biases_out(likes):
    model = RankingMF(factors=8, epochs=5, deterministic=True).fit(likes, show_progress=False)
    unit = model.item_factors / np.linalg.norm(model.item_factors, axis=1, keepdims=True)
    ids, scores = model.similar_items(4, N=5)
    np.testing.assert_allclose(scores, np.sort(unit @ unit[4])[::-1][:5], rtol=1e-5)
    assert ids[0] == 4


def test_ranking_parameters_out_of_range_are_named(likes):
    for name, value in [
        ("loss", "hinge"),
        ("optimizer", "lbfgs"),
        ("learning_rate", 0),
        ("learning_rate_schedule", "stairs"),
        ("negative_samples", 0),
        ("batch_size", 0),
        ("negative_power", -1),
        ("margin", 1),
        ("dropout", 0.1),
        ("epochs", 0),
    ]:
        with pytest.raises(ValueError, match=name):
            RankingMF(**{name: value}).fit(likes, show_progress=False)
    model = RankingMF(factors=4, epochs=1).fit(likes, show_progress=False)
    with pytest.raises(ValueError, match="no sum over the user's interactions"):
        model.explain(0, likes[0], 1)
