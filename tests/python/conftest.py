"""Shared data for the Python tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import penchant
import pytest
from scipy import sparse

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def penchant_command(*args, **options):
    """Runs the penchant command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "penchant.cli", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


@pytest.fixture(scope="session")
def likes():
    """300 users x 120 items in three groups, float32 CSR with weights 1 to 5."""
    random = np.random.default_rng(7)
    groups = (np.arange(300)[:, None] % 3) == (np.arange(120)[None, :] % 3)
    chance = np.where(groups, 0.25, 0.02)
    weights = random.integers(1, 6, size=chance.shape) * (random.random(chance.shape) < chance)
    return sparse.csr_matrix(weights.astype(np.float32))


@pytest.fixture(scope="session")
def model(likes):
    return penchant.ImplicitALS(factors=16, regularization=0.3, iterations=8).fit(
        likes, show_progress=False
    )


@pytest.fixture(scope="session")
def scores_of():
    """Users x items of a model, from what its estimator shows."""

    def scores(model) -> np.ndarray:
        scores = model.user_factors.astype(np.float64) @ model.item_factors.astype(np.float64).T
        return scores + getattr(model, "item_biases", 0.0)

    return scores


@pytest.fixture
def shared_data():
    """The folder of real data; the test is skipped, saying so, where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real data is absent ({SHARED})")
    return SHARED


@pytest.fixture(scope="session")
def movielens():
    """Path of MovieLens-100K; skipped, saying so, where it cannot be fetched."""
    try:
        return penchant.datasets.movielens_100k_path()
    except OSError as error:
        pytest.skip(f"MovieLens-100K cannot be fetched: {error}")
