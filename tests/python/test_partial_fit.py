"""How far users added by partial_fit are from a retrain with them."""

import numpy as np
import penchant
import pytest
from penchant import ImplicitALS, Interactions, Item2Vec, RankingMF

NEW_USERS = 150

# What partial_fit keeps of the retrained model's NDCG@20 for new users, at least. ALS solves them
# exactly against items that hardly move; the others walk the items' rows once more.
MODELS = {
    "als": (ImplicitALS(factors=32), 0.95),
    "bpr": (RankingMF(factors=32, epochs=60, deterministic=True), 0.95),
    "softmax": (RankingMF("softmax", factors=32, epochs=20, deterministic=True), 0.95),
    "ccl": (RankingMF("ccl", factors=32, epochs=40, deterministic=True), 0.95),
    "item2vec": (Item2Vec(factors=32, epochs=15, deterministic=True), 0.95),
}


@pytest.fixture(scope="module")
def parts(movielens):
    data = penchant.datasets.load("movielens-100k")
    train, test = data.split_random(0.2, seed=1)
    return train.user_items.tocsr(), test.user_items.tocsr()


@pytest.mark.parametrize("name", MODELS)
def test_users_added_later_rank_nearly_as_well_as_retrained(name, parts):
    train, test = parts
    model, kept = MODELS[name]
    new = np.arange(train.shape[0] - NEW_USERS, train.shape[0])
    old = Interactions.from_scipy(train[: new[0]])

    def ndcg(fitted):
        found = penchant.evaluate(fitted, test, train, k=20)
        return found.per_user["ndcg@20"][np.isin(found.users, new)].mean()

    retrained = ndcg(model.fit(train, show_progress=False))
    model.fit(old, show_progress=False)
    model.partial_fit_users(new, train[new])
    added = ndcg(model)
    print(f"{name}: NDCG@20 of {NEW_USERS} new users {added:.3f}, retrained {retrained:.3f}")
    assert added > kept * retrained
