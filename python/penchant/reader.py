"""Serving from a compact artifact, as `export` writes it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

import numpy as np

from . import _penchant


class Reader:
    """A compact artifact, open for serving: mapped, not read, so that it opens at once.

    The same reader as the C library's (io/reader). All methods may be called from any number of
    threads, `reload` among them; long work runs without the interpreter's lock.

    Ids that the artifact does not know are skipped in ``history``, ``filter_items``, ``allow`` and
    ``boosts``: catalogues move faster than artifacts.

    Parameters
    ----------
    path : str or PathLike
        What `export` wrote, of kind "full" or "items" (or "users", for deltas alone).
    verify : bool
        Compare all checksums first, which reads the whole file.

    Raises
    ------
    DataError
        When the file is damaged, no artifact, or of a newer version.

    Examples
    --------
    >>> import tempfile, penchant
    >>> from scipy.sparse import csr_matrix
    >>> likes = csr_matrix([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1]], dtype="float32")
    >>> model = penchant.ImplicitALS(factors=4, iterations=10).fit(likes, show_progress=False)
    >>> folder = tempfile.TemporaryDirectory()
    >>> model.export(folder.name + "/likes.penchant", dtype="float16", kind="items")
    >>> reader = penchant.Reader(folder.name + "/likes.penchant")
    >>> reader.recommend(history=[0, 1], n=1)[0]
    [2]
    """

    def __init__(self, path: str | os.PathLike, verify: bool = False):
        self._core = _penchant.Reader(os.fspath(path), verify)

    def reload(self, path: str | os.PathLike, verify: bool = True) -> None:
        """Go over to another file, at once and for all threads: a query under way is answered
        whole by the old one. When the file cannot be used, raises and goes on with the old one."""
        self._core.reload(os.fspath(path), verify)

    @property
    def manifest(self) -> dict:
        """What the artifact says about itself: kind, algorithm, dtype, rules, metrics."""
        return json.loads(self._core.manifest_json())

    def recommend(
        self,
        user=None,
        history: Iterable | Mapping | None = None,
        n: int = 10,
        filter_items: Iterable | None = None,
        allow: Iterable | None = None,
        *,
        boosts: Mapping | None = None,
        caps: Mapping[str, int] | None = None,
        context: Mapping[str, str] | None = None,
        filter_history: bool = True,
        num_threads: int = 0,
    ):
        """The n best items for a known user, or for a history; best first.

        Parameters
        ----------
        user : id or list of ids, optional
            Of the users the model was trained on. A list gives a list of answers.
        history : ids, or mapping of id to weight, optional
            What the user did. Without ``user`` it is folded in, by the model's own solver.
        n : int
        filter_items : ids, optional
            Items never returned.
        allow : ids, optional
            Nothing else is returned.
        boosts : mapping of id to number, optional
            Added to the scores of these items.
        caps : mapping of attribute to int, optional
            At most so many items of one value of an attribute (``export(item_attributes=)``).
        context : mapping, optional
            What business rules ask about: ``{"country": "DE"}``.
        filter_history : bool
            Leave the history's items out.
        num_threads : int
            For a list of users; 0 takes all CPUs.

        Returns
        -------
        (ids, scores) : list of ids and numpy.ndarray of float32
            At most n: fewer where no more are left. Ties go to the smaller id.

        Raises
        ------
        ValueError
            For an unknown user, an empty or wholly unknown history, n < 1.
        """
        selection = _penchant.Selection(
            filter_items=() if filter_items is None else _listed(filter_items, "filter_items"),
            allow=None if allow is None else _listed(allow, "allow"),
            boosts=list((boosts or {}).items()),
            caps=dict(caps or {}),
            context={str(field): str(value) for field, value in (context or {}).items()},
        )
        if isinstance(user, (list, tuple, np.ndarray)):
            if history is not None:
                raise ValueError("history= is of one user; got it with a list of users")
            return self._core.recommend_users(list(user), n, selection, num_threads)
        if user is None and history is None:
            raise ValueError("pass user=, or history= to fold in")
        return self._core.recommend(user, _weighted(history), n, filter_history, selection)

    def user_factors(self, user=None, history: Iterable | Mapping | None = None) -> np.ndarray:
        """The factors that `recommend` scores with, float32: of a known user, or folded in.

        For searches of other libraries, whose candidates `recommend` then judges under its filters
        and rules (``allow=``): the way to catalogues past a million items (docs/EXPORT.md).
        """
        if user is None and history is None:
            raise ValueError("pass user=, or history= to fold in")
        return self._core.user_factors(user, _weighted(history))

    def similar(self, item, n: int = 10):
        """The n items most like an item, by cosine of their factors; the item itself is left out.
        Returns ``(ids, scores)``."""
        return self._core.similar(item, n)

    def score(self, pairs: Iterable) -> np.ndarray:
        """Scores of ``(user, item)`` pairs, float32: what they have in lists of `recommend`."""
        return self._core.score(list(pairs))

    def explain(self, history: Iterable | Mapping, item):
        """Why an item scores as it does for a history.

        Returns
        -------
        (score, parts)
            ``parts`` is a list of (item of the history, what it adds), largest first; they sum to
            ``score``, the item's score for the history folded in.

        Raises
        ------
        ValueError
            For models whose scores are no such sums (RankingMF, Popularity).
        """
        return self._core.explain(_weighted(history), item)


def apply_delta(base: str | os.PathLike, delta: str | os.PathLike, path: str | os.PathLike) -> None:
    """Write the artifact that ``delta`` (``export(since=)``) leads to from ``base``.

    It has the bytes of the artifact that was exported. Raises DataError, and leaves ``path`` as it
    is, when the delta is of another base or damaged.
    """
    _penchant.apply_delta(os.fspath(base), os.fspath(delta), os.fspath(path))


def _listed(ids, what: str) -> list:
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        raise TypeError(f"{what} must be a list of ids; got {ids!r}")
    return list(ids)


def _weighted(history) -> list:
    if history is None:
        return []
    if isinstance(history, Mapping):
        return list(history.items())
    return [(item, 1.0) for item in _listed(history, "history")]
