"""Exact ranking metrics over the full catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from . import _penchant
from .interactions import Interactions
from .sparse import to_parts


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a model on a test set.

    Attributes
    ----------
    metrics : dict[str, float]
        Means over test users, "recall@20" and the like; "coverage@20" is the share of the
        catalogue in any list.
    per_user : dict[str, numpy.ndarray]
        One value per entry of ``users``.
    users : numpy.ndarray
        Dense rows of the users with at least one test item.
    segments : list[dict]
        One row per (segment, metric): users, mean and the ends of its 95% interval.
    """

    metrics: dict[str, float]
    per_user: dict[str, np.ndarray] = field(repr=False)
    users: np.ndarray = field(repr=False)
    segments: list[dict] = field(default_factory=list, repr=False)

    def __getitem__(self, name: str) -> float:
        return self.metrics[name]

    def __str__(self) -> str:
        lines = [f"{name:>14}  {value:.4f}" for name, value in self.metrics.items()]
        return "\n".join([f"{len(self.users):,} test users", *lines])


def evaluate(
    model,
    test,
    train=None,
    k: int | Sequence[int] = (10, 20),
    segments=None,
) -> Evaluation:
    """Judge a fitted model's exact top-N lists over the whole catalogue against ``test``.

    Parameters
    ----------
    model : fitted estimator
    test : Interactions or scipy sparse matrix
        Held-out interactions, read with the model's dictionaries (``like=model``).
    train : Interactions or scipy sparse matrix, optional
        Pairs that are never recommended; by default the interactions the model was fitted on,
        when it still has them.
    k : int or sequence of int
        Cut-offs.
    segments : array of length num_users, optional
        A label for every user; metrics are also given per label, as means with 95% intervals
        (normal approximation: mean +- 1.96 standard errors).

    Returns
    -------
    Evaluation
        With hits = test items among the first k and t = test items of a user: recall = hits / t,
        precision = hits / k, NDCG with ideal over min(k, t), MAP over min(k, t), MRR, hit rate,
        averaged over users with a test item (LightGCN's definitions).

    Raises
    ------
    DataError
        When train and test share pairs.
    """
    core = model._fitted()  # its tables score: what an estimator shows of them may leave biases out
    cutoffs = [k] if isinstance(k, (int, np.integer)) else list(k)
    if train is None:
        train = model._training_interactions()
    result = _penchant.evaluate(
        model._context(),
        core.user_factors,
        core.item_factors,
        _parts(test, "test"),
        None if train is None else _parts(train, "train"),
        cutoffs,
    )
    users = result.pop("users")
    per_user = {name: values for name, values in result.items() if isinstance(values, np.ndarray)}
    metrics = {
        name: float(values.mean()) if isinstance(values, np.ndarray) else values
        for name, values in result.items()
    }
    table = [] if segments is None else _by_segment(per_user, users, np.asarray(segments))
    return Evaluation(metrics, per_user, users, table)


def _parts(interactions, what):
    if isinstance(interactions, Interactions):
        return interactions._core.user_items()
    return to_parts(interactions, what)


def _by_segment(per_user, users, labels) -> list[dict]:
    if labels.ndim != 1 or (len(users) and len(labels) <= users.max()):
        raise ValueError(
            f"segments must label every user row; got shape {labels.shape} for rows up to "
            f"{users.max()}"
        )
    table = []
    of_user = labels[users]
    for label in np.unique(of_user):
        chosen = of_user == label
        count = int(chosen.sum())
        for name, values in per_user.items():
            mean = float(values[chosen].mean())
            error = float(values[chosen].std(ddof=1)) / count**0.5 if count > 1 else float("nan")
            table.append(
                {
                    "segment": label.item() if hasattr(label, "item") else label,
                    "metric": name,
                    "users": count,
                    "mean": mean,
                    "low": mean - 1.96 * error,
                    "high": mean + 1.96 * error,
                }
            )
    return table
