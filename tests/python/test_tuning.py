"""Search over Optuna."""

from __future__ import annotations

import penchant
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
