"""Search over Optuna."""

from __future__ import annotations

import penchant
import pytest
from penchant import Interactions


def test_search_finds_prunes_and_resumes(likes, tmp_path):
    data = Interactions.from_scipy(likes)
    storage = f"sqlite:///{tmp_path}/study.db"
    options = dict(
        estimator=penchant.ImplicitALS(factors=8, iterations=3),
        storage=storage,
        metric="recall@5",
        show_progress=False,
    )
    study = penchant.tune(data, trials=3, **options)
    assert len(study.trials) == 3
    study = penchant.tune(data, trials=5, **options)
    assert len(study.trials) == 5
    assert 0 < study.best_value <= 1
    assert 1 <= study.best_trial.user_attrs["iterations"] <= 3
    assert set(study.best_params) == {
        "regularization",
        "unobserved_weight",
        "regularization_power",
        "alpha",
    }


@pytest.mark.parametrize(
    "estimator, searched",
    [
        (
            penchant.RankingMF("ccl", factors=8, epochs=3),
            {"learning_rate", "negative_samples", "margin", "negative_weight", "dropout"},
        ),
        (
            penchant.RankingMF("bpr", factors=8, epochs=3),
            {"learning_rate", "regularization", "negative_samples"},
        ),
        (
            penchant.Item2Vec(factors=8, epochs=3),
            {"learning_rate", "negative_samples", "negative_power", "window"},
        ),
    ],
    ids=["ccl", "bpr", "item2vec"],
)
def test_every_model_has_a_space_of_its_own(estimator, searched, likes):
    data = Interactions.from_scipy(likes)
    study = penchant.tune(
        data, trials=2, estimator=estimator, metric="recall@5", show_progress=False
    )
    assert set(study.best_params) == searched
    assert 0 < study.best_value <= 1
