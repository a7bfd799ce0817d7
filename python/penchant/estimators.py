"""The estimators: scikit-learn manners, implicit's method and argument names."""

from __future__ import annotations

import json
import os

import numpy as np

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
    dtype : {"float32", "bfloat16"}
        What the rows of the other side are stored as while a side is solved against them. bfloat16
        halves the memory traffic of CUDA devices; results stay float32.
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
        "dtype",
    )

    def __init__(
        self,
        factors: int = 256,
        regularization: float | None = None,
        alpha: float | None = None,
        unobserved_weight: float | None = None,
        regularization_power: float = 0.75,
        iterations: int = 5,
        dtype: str = "float32",
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
        self.dtype = dtype
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


class RankingMF(FactorModel):
    """Matrix factorization with item biases, learned by SGD from sampled positives and negatives.

    Every epoch visits each interaction of positive weight once, against ``negative_samples`` items
    drawn for it that its user has no positive interaction with. With ``s`` the score (dot product
    plus item bias), ``i`` the positive and ``j`` the negatives, a sample's loss is

    - ``"bpr"``: the mean of ``-log sigmoid(s_i - s_j)`` (Rendle et al. 2009)
    - ``"warp"``: ``log(rank) * max(0, 1 - s_i + s_j)`` for the first ``j`` above the margin, the
      rank estimated from how many had to be tried (Weston et al. 2011)
    - ``"logistic"``: ``-log sigmoid(s_i) - negative_weight * mean log sigmoid(-s_j)`` (Johnson
      2014, with sampled negatives)
    - ``"ccl"``: ``1 - cos_i + negative_weight * mean max(0, cos_j - margin)`` (SimpleX, Mao et al.
      2021); rows have length 1, so that a dot product ranks, and items no bias
    - ``"softmax"``: cross-entropy of the positive among the negatives, corrected for how likely
      each is drawn (Bengio and Senecal 2008)

    Parameters
    ----------
    loss : {"bpr", "warp", "logistic", "ccl", "softmax"}
    factors : int
        Length of the factor vectors, the bias not counted.
    epochs, learning_rate, regularization, negative_samples, batch_size : optional
        By default they follow the loss, the penalty also the mean interactions of a user.
        ``batch_size`` positives of a user step together and share ``negative_samples`` draws, which
        for ``"warp"`` are the most that are tried.
    learning_rate_schedule : {"linear", "cosine", "constant"}
        The first two go down to zero after the last epoch.
    negative_power : float
        Negatives are drawn by ``max(1, interactions of the item) ** negative_power``.
    margin, negative_weight : float, optional
        Of ``"ccl"``; by default 0.9 and ``1.5 * sqrt(items)``. ``negative_weight`` is also of
        ``"logistic"``, by default 20.
    dropout : float, optional
        Of ``"ccl"``: share of the user's factors that each step leaves out, by default 0.1.
    optimizer : {"adagrad", "adam", "sgd"}
        The first two keep one second moment a row.
    deterministic : bool
        The same bits for any number of threads, at some cost. By default threads race for items'
        rows (Hogwild), and runs differ slightly.
    device : {"auto", "cpu", "cuda", "cuda:N"}
    num_threads : int
        0 takes all CPUs.
    random_state : int
        Seed of the start and of all draws.

    Attributes
    ----------
    user_factors, item_factors : numpy.ndarray
        float32, rows x factors.
    item_biases : numpy.ndarray
        float32, one an item; zeros for ``"ccl"``.

    Examples
    --------
    >>> from scipy.sparse import random as random_matrix
    >>> likes = random_matrix(100, 50, density=0.1, format="csr", random_state=0)
    >>> model = RankingMF(factors=8, epochs=5).fit(likes, show_progress=False)
    >>> ids, scores = model.recommend(0, likes[0], N=3)
    >>> len(ids)
    3
    """

    _algorithm = "ranking"
    _config_fields = (
        "loss",
        "factors",
        "epochs",
        "learning_rate",
        "learning_rate_schedule",
        "regularization",
        "negative_samples",
        "batch_size",
        "negative_power",
        "margin",
        "negative_weight",
        "dropout",
        "optimizer",
        "deterministic",
    )

    def __init__(
        self,
        loss: str = "bpr",
        factors: int = 64,
        epochs: int | None = None,
        learning_rate: float | None = None,
        learning_rate_schedule: str = "linear",
        regularization: float | None = None,
        negative_samples: int | None = None,
        batch_size: int | None = None,
        negative_power: float = 0.0,
        margin: float | None = None,
        negative_weight: float | None = None,
        dropout: float | None = None,
        optimizer: str = "adagrad",
        deterministic: bool = False,
        device: str = "auto",
        num_threads: int = 0,
        random_state: int = 0,
    ):
        self.loss = loss
        self.factors = factors
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.regularization = regularization
        self.negative_samples = negative_samples
        self.batch_size = batch_size
        self.negative_power = negative_power
        self.margin = margin
        self.negative_weight = negative_weight
        self.dropout = dropout
        self.optimizer = optimizer
        self.deterministic = deterministic
        self.device = device
        self.num_threads = num_threads
        self.random_state = random_state

    @property
    def user_factors(self) -> np.ndarray:
        """User factors, float32, users x factors. Read-only."""
        return self._without_bias(self._fitted().user_factors)

    @property
    def item_factors(self) -> np.ndarray:
        """Item factors, float32, items x factors. Read-only."""
        return self._without_bias(self._fitted().item_factors)

    @property
    def item_biases(self) -> np.ndarray:
        """What an item scores with every user, float32; zeros for "ccl"."""
        table = self._fitted().item_factors
        # The core keeps the bias as one more factor, against a constant 1 of the users.
        return table[:, -1] if self._core.has_biases else np.zeros(len(table), dtype=np.float32)

    def _without_bias(self, table: np.ndarray) -> np.ndarray:
        return table[:, :-1] if self._core.has_biases else table


class Item2Vec(FactorModel):
    """Item embeddings by skip-gram with negative sampling (Mikolov et al. 2013; Barkan and
    Koenigstein 2016).

    An item has a vector ``x`` as center (`item_centers`) and one ``y`` as context (`item_factors`).
    For a center and a context beside it in a history, training minimizes ``-log sigmoid(x.y)`` less
    the sum over ``negative_samples`` drawn items ``j`` of ``log sigmoid(-x.y_j)``. A user is the
    mean of its items' centers and ranks items as contexts: ``recommend`` gives what comes beside
    the history, ``similar_items`` what has similar contexts.

    Histories follow the times of `Interactions` read with ``time=``; without times a history is a
    basket. Plain sequences of tokens (sessions, sentences, baskets in order) come through
    `Interactions.from_sequences`. New users are means of centers too, new items means of their
    users.

    Parameters
    ----------
    factors : int
    window : int
        Items at most this many events before or behind are contexts: each occurrence draws its
        reach from 1 to here. In baskets it draws twice as many of the basket's items.
    negative_samples : int
        Negatives that count for a context. Several contexts of an item share four times as many.
    negative_power : float
        Negatives are drawn by ``max(1, occurrences of the item) ** negative_power``.
    subsample : float
        Items with a larger share of all events than this are left out at random, to the root of the
        ratio. 0 leaves none out.
    epochs : int
    learning_rate : float
        Of AdaGrad; down to zero after the last epoch.
    deterministic : bool
        The same bits for any number of threads, at some cost. By default threads race for items'
        rows (Hogwild), and runs differ slightly.
    device : {"auto", "cpu", "cuda", "cuda:N"}
    num_threads : int
        0 takes all CPUs.
    random_state : int
        Seed of the start and of all draws.

    Attributes
    ----------
    user_factors, item_factors, item_centers : numpy.ndarray
        float32, rows x factors.

    Examples
    --------
    >>> from penchant import Interactions
    >>> baskets = [["bread", "butter"], ["bread", "butter", "jam"], ["nails", "hammer"]] * 20
    >>> data = Interactions.from_sequences(baskets)
    >>> model = Item2Vec(factors=8, epochs=40, num_threads=1).fit(data, show_progress=False)
    >>> str(model.similar_items("nails", N=2)[0][1])
    'hammer'
    """

    _algorithm = "item2vec"
    _config_fields = (
        "factors",
        "window",
        "negative_samples",
        "negative_power",
        "subsample",
        "epochs",
        "learning_rate",
        "deterministic",
    )

    def __init__(
        self,
        factors: int = 64,
        window: int = 5,
        negative_samples: int = 10,
        negative_power: float = 0.5,
        subsample: float = 0.0,
        epochs: int = 30,
        learning_rate: float = 0.3,
        deterministic: bool = False,
        device: str = "auto",
        num_threads: int = 0,
        random_state: int = 0,
    ):
        self.factors = factors
        self.window = window
        self.negative_samples = negative_samples
        self.negative_power = negative_power
        self.subsample = subsample
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.deterministic = deterministic
        self.device = device
        self.num_threads = num_threads
        self.random_state = random_state

    @property
    def item_centers(self) -> np.ndarray:
        """Items as centers, float32, items x factors. Read-only."""
        return self._fitted().item_centers


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


_ESTIMATORS = {cls._algorithm: cls for cls in (ImplicitALS, RankingMF, Item2Vec, Popularity)}


def from_config(fields: dict) -> FactorModel:
    """The unfitted estimator that a config's fields (`_penchant.config_fields`) describe."""
    cls = _ESTIMATORS[fields["algorithm"]]
    parameters = {name: fields["parameters"][name] for name in cls._config_fields}
    return cls(**parameters, device=fields["device"], num_threads=fields["num_threads"])


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
