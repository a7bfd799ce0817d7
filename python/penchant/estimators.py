"""The estimators: scikit-learn manners, implicit's method and argument names."""

from __future__ import annotations

import json
import os

from . import _penchant
from .factor_model import FactorModel


class ImplicitALS(FactorModel):
    """Matrix factorization of implicit feedback, every row solved exactly in turns.

    Minimizes ``sum over observed of c (1 - x.y)^2 + unobserved_weight * sum over unobserved of
    (x.y)^2 + sum of lambda |row|^2`` with ``c = unobserved_weight + alpha * weight`` and ``lambda =
    regularization * (n + unobserved_weight * size of the other side) ** regularization_power``
    (Hu, Koren, Volinsky 2008; Rendle et al. 2021). A negative weight is a dislike: preference 0.

    Parameters
    ----------
    factors : int
        Length of the factor vectors.
    regularization : float, optional
        Scale of the L2 penalty, > 0. By default ``0.0025 * (mean interactions of a user) **
        regularization_power``.
    alpha : float, optional
        Confidence that one unit of weight adds, > 0. By default one over the mean weight.
    unobserved_weight : float, optional
        Confidence of unobserved pairs, >= 0. By default such that all of them together weigh 10
        times the observed: ``10 * alpha * sum(weights) / (users * items)``.
    regularization_power : float
        0 penalizes all rows alike, 1 by their frequency.
    iterations : int
        Full iterations: users, then items.
    device : {"auto", "cpu", "cuda", "cuda:N"}
    num_threads : int
        0 takes all CPUs. The result does not depend on it.
    random_state : int
        Seed of the start.

    Attributes
    ----------
    user_factors, item_factors : numpy.ndarray
        float32, rows x factors.
    regularization_, alpha_, unobserved_weight_ : float
        The values that were used.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> likes = csr_matrix(np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1]], dtype=np.float32))
    >>> model = ImplicitALS(factors=4, iterations=10).fit(likes, show_progress=False)
    >>> ids, scores = model.recommend(0, likes[0], N=1)
    >>> int(ids[0])
    2
    """

    _algorithm = "als"
    _config_fields = (
        "factors",
        "regularization",
        "alpha",
        "unobserved_weight",
        "regularization_power",
        "iterations",
    )

    def __init__(
        self,
        factors: int = 256,
        regularization: float | None = None,
        alpha: float | None = None,
        unobserved_weight: float | None = None,
        regularization_power: float = 0.75,
        iterations: int = 5,
        device: str = "auto",
        num_threads: int = 0,
        random_state: int = 0,
    ):
        self.factors = factors
        self.regularization = regularization
        self.alpha = alpha
        self.unobserved_weight = unobserved_weight
        self.regularization_power = regularization_power
        self.iterations = iterations
        self.device = device
        self.num_threads = num_threads
        self.random_state = random_state

    @property
    def regularization_(self) -> float:
        return self._used("regularization")

    @property
    def alpha_(self) -> float:
        return self._used("alpha")

    @property
    def unobserved_weight_(self) -> float:
        return self._used("unobserved_weight")

    def _used(self, name: str) -> float:
        return self.manifest["config"]["als"][name]


class Popularity(FactorModel):
    """Items by summed interaction weight, alike for every user: the baseline to beat.

    >>> from scipy.sparse import csr_matrix
    >>> model = Popularity().fit(csr_matrix([[1, 1, 0], [0, 1, 0]]), show_progress=False)
    >>> model.recommend(0, N=2, filter_already_liked_items=False)[0].tolist()
    [1, 0]
    """

    _algorithm = "popularity"

    def __init__(self, device: str = "auto", num_threads: int = 0, random_state: int = 0):
        self.device = device
        self.num_threads = num_threads
        self.random_state = random_state


_ESTIMATORS = {cls._algorithm: cls for cls in (ImplicitALS, Popularity)}


def load(path: str | os.PathLike) -> FactorModel:
    """Read any model written by ``save`` or ``penchant train``."""
    return wrap(_penchant.Model.load(os.fspath(path)))


def wrap(core) -> FactorModel:
    """The estimator of a model of the core."""
    manifest = json.loads(core.manifest_json())
    cls = _ESTIMATORS.get(manifest["algorithm"])
    if cls is None:
        raise _penchant.DataError(
            f"algorithm {manifest['algorithm']!r} is unknown to Penchant {_penchant.version()}"
        )
    config = manifest["config"]
    params = dict(config.get(cls._algorithm, {}))
    model = cls(**{name: params[name] for name in cls._config_fields if name in params})
    model.num_threads = 0
    model.random_state = int(config.get("seed", 0))
    model._core = core
    return model
